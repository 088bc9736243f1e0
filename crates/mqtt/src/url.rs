//! Where a broker is: `mqtt://user:password@host:port`, or `mqtts://` by TLS. Read
//! by hand, since that is all there is to read.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

const DEFAULT_PORT: u16 = 1883;
const DEFAULT_TLS_PORT: u16 = 8883;

/// A broker's address and login. Printed without its password, also by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Whether the connection is by TLS (`mqtts://`).
    pub tls: bool,
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// Port: 1883, or 8883 with TLS, unless given.
    pub port: u16,
    /// User and password, if the broker wants a login.
    pub login: Option<(String, String)>,
}

/// The text is not a broker's URL. Does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write mqtt://HOST:PORT or mqtt://USER:PASSWORD@HOST:PORT, for example \
     mqtt://127.0.0.1:1883; mqtts:// for TLS"
)]
pub struct ParseBrokerUrlError;

impl FromStr for BrokerUrl {
    type Err = ParseBrokerUrlError;

    /// Reads `mqtt[s]://[user[:password]@]host[:port]`; reserved characters in user
    /// and password are written `%XX`.
    fn from_str(text: &str) -> Result<Self, ParseBrokerUrlError> {
        read(text).ok_or(ParseBrokerUrlError)
    }
}

fn read(text: &str) -> Option<BrokerUrl> {
    let (scheme, rest) = text.split_once("://")?;
    let (tls, default_port) = match scheme {
        "mqtt" => (false, DEFAULT_PORT),
        "mqtts" => (true, DEFAULT_TLS_PORT),
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (Some(read_login(login)?), place),
        None => (None, rest),
    };
    let (host, port) = read_place(place, default_port)?;
    Some(BrokerUrl { tls, host, port, login })
}

fn read_login(login: &str) -> Option<(String, String)> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let user = unescape(user).filter(|user| !user.is_empty())?;
    Some((user, unescape(password)?))
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn read_place(place: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, behind)
        }
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if port.is_empty() => default_port,
        None => return None,
    };
    let fits = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    fits.then(|| (host.to_owned(), port))
}

/// Undoes `%XX`.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let ([high, low], behind) = rest.split_first_chunk()?;
            bytes.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Without the password.
impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "mqtts://" } else { "mqtt://" })?;
        if let Some((user, _)) = &self.login {
            write!(f, "{user}:***@")?;
        }
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}", self.host, self.port)
    }
}

/// Without the password.
impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_host_port_and_login() {
        for (text, tls, host, port, login) in [
            ("mqtt://127.0.0.1:1884", false, "127.0.0.1", 1884, None),
            ("mqtt://broker.example", false, "broker.example", 1883, None),
            ("mqtts://broker.example", true, "broker.example", 8883, None),
            ("mqtts://u:p@b:1/", true, "b", 1, Some(("u", "p"))),
            ("mqtt://[::1]:1883/", false, "::1", 1883, None),
            ("mqtt://parser:p%40ss:w%2Ford@b:1", false, "b", 1, Some(("parser", "p@ss:w/ord"))),
            ("mqtt://parser:a:b@b", false, "b", 1883, Some(("parser", "a:b"))),
            ("mqtt://parser@b", false, "b", 1883, Some(("parser", ""))),
        ] {
            let url: BrokerUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            let read = url.login.as_ref().map(|(user, secret)| (user.as_str(), secret.as_str()));
            assert_eq!(
                (url.tls, url.host.as_str(), url.port, read),
                (tls, host, port, login),
                "{text}"
            );
        }
    }

    #[test]
    fn says_what_is_allowed_without_repeating_the_password() {
        for text in [
            "",
            "localhost:1883",
            "http://localhost",
            "mqtt://",
            "mqtt://:1",
            "mqtt://u:secret@",
            "mqtt://:secret@h",
            "mqtt://u:secret@host:0",
            "mqtt://u:secret%2@host",
            "mqtt://u:%zz@h",
            "mqtt://host:x",
            "mqtt://host/path",
            "mqtt://[::1",
            "mqtt://a b",
        ] {
            let message = text.parse::<BrokerUrl>().expect_err(text).to_string();
            assert!(message.contains("mqtt://HOST:PORT"), "{text}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn is_written_without_the_password() {
        for (text, written) in [
            ("mqtt://u:secret@h", "mqtt://u:***@h:1883"),
            ("mqtts://h", "mqtts://h:8883"),
            ("mqtt://[::1]:99", "mqtt://[::1]:99"),
        ] {
            let url: BrokerUrl = text.parse().expect(text);
            assert_eq!(url.to_string(), written);
            assert_eq!(format!("{url:?}"), format!("BrokerUrl({written})"));
        }
    }
}
