//! The address under which people reach this server: `https://fleet.example.org`. What
//! it says decides which host names and pages of origins are ours, and whether cookies
//! are for HTTPS only.

use std::str::FromStr;

/// Scheme, host and port, nothing behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    https: bool,
    /// Lower case, with the port unless it is the scheme's own.
    authority: String,
}

/// Not such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write scheme and host, with a port if it is another than the scheme's, and no path: https://fleet.example.org"
)]
pub struct PublicUrlError;

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(PublicUrlError)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(PublicUrlError),
        };
        let written = rest.strip_suffix('/').unwrap_or(rest);
        let authority = plain_authority(written, https).ok_or(PublicUrlError)?;
        Ok(Self { https, authority })
    }
}

impl PublicUrl {
    /// Whether it says https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Host, and port if it is not the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether a request for this host (with a port or without) is for this address.
    pub(super) fn is_host(&self, host: &str) -> bool {
        plain_authority(host, self.https).is_some_and(|host| host == self.authority)
    }

    /// Whether this is the origin of its pages.
    pub(super) fn is_origin(&self, origin: &str) -> bool {
        origin.parse::<Self>().is_ok_and(|origin| origin == *self)
    }
}

/// Where pages of this origin were loaded from; `None` when that is no host (`null`).
pub(super) fn authority_of_origin(origin: &str) -> Option<String> {
    origin.parse::<PublicUrl>().ok().map(|origin| origin.authority)
}

/// Host and port in one form; the port of the scheme is left out.
pub(super) fn plain_authority(text: &str, https: bool) -> Option<String> {
    let (host, port) = split_port(text)?;
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-._[]:".contains(c));
    if host.is_empty() || host.contains(odd) {
        return None;
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let own = if https { 443 } else { 80 };
    Some(match port {
        Some(port) if port != own => format!("{host}:{port}"),
        _ => host,
    })
}

/// `host`, `host:80`, `[::1]` or `[::1]:80`.
pub(super) fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(end);
    match port.strip_prefix(':') {
        Some(port) => Some((host, Some(port.parse().ok()?))),
        None if port.is_empty() => Some((host, None)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_compared_in_one_form() {
        let url: PublicUrl = "https://Fleet.Example.org:443/".parse().unwrap();
        assert_eq!((url.is_https(), url.authority()), (true, "fleet.example.org"));
        for host in ["fleet.example.org", "FLEET.example.org.", "fleet.example.org:443"] {
            assert!(url.is_host(host), "{host}");
        }
        for host in ["fleet.example.org:8443", "example.org", "fleet.example.org.evil.example", ""]
        {
            assert!(!url.is_host(host), "{host}");
        }
        assert!(url.is_origin("https://fleet.example.org"));
        for origin in ["http://fleet.example.org", "https://example.org", "null", ""] {
            assert!(!url.is_origin(origin), "{origin}");
        }
        let odd: PublicUrl = "http://[::1]:8080".parse().unwrap();
        assert_eq!((odd.is_https(), odd.authority()), (false, "[::1]:8080"));
    }

    #[test]
    fn anything_else_is_no_address() {
        for text in [
            "",
            "fleet.example.org",
            "ftp://x",
            "https://",
            "https://a/b",
            "https://u:p@a",
            "https://a b",
            "https://a?x",
            "https://a:99999",
            "https://[::1",
            "https://a:",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(PublicUrlError), "{text}");
        }
    }
}
