//! How a request came here: from whom, by HTTPS or not, for which host, and whether a
//! person at this very machine sent it. Browsers can be led to a server on loopback by
//! pages of strangers (DNS rebinding), and a proxy on this machine brings strangers'
//! requests from loopback; so the host must be one of ours, and whoever is to be more
//! than a stranger must have come without any proxy. Pure.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};
use nemeses_runtime::http::Peer;

use super::address::{FORWARDED_FOR, client, is_trusted};
use super::public_url::{PublicUrl, authority_of_origin, plain_authority, split_port};
use crate::config::ApiConfig;

/// Headers that proxies add and people's programs do not.
const OF_PROXIES: [&str; 10] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-original-forwarded-for",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "cf-connecting-ip",
    "fastly-client-ip",
    "true-client-ip",
];
/// Of `x-forwarded-for` and its kin.
const FORWARDED_PREFIX: &str = "x-forwarded";
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Paths that orchestrators ask by whatever name they know.
const FOR_ANY_HOST: [&str; 2] = ["/healthz", "/readyz"];

/// How a request came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) peer: Peer,
    /// Who sent it, as far as proxies that are trusted say.
    pub(crate) client: IpAddr,
    /// Whether the browser sees HTTPS.
    pub(crate) https: bool,
    /// Whether nothing says that it came from elsewhere than this machine.
    pub(crate) local: bool,
    /// Whether somebody who is not trusted says that it was forwarded.
    pub(crate) claims_forwarded: bool,
}

/// Why a request is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is for this host, which is none of ours.
    Host(String),
    /// A page of this origin sent it, which is none of ours.
    Origin(String),
}

/// What is looked at of a request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) version: Version,
    pub(super) headers: &'a HeaderMap,
}

impl Arrival {
    pub(super) fn of(asked: &Asked<'_>, peer: Peer, config: &ApiConfig) -> Result<Self, Refused> {
        let (trusted, headers) = (&config.trusted_proxies, asked.headers);
        let by_proxy = is_trusted(peer.remote.ip(), trusted);
        let host = asked.host();
        let way = Way { peer, by_proxy, host: host.as_deref(), config };
        way.check_host(asked.uri.path())?;
        let origin = headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("?"));
        let writes = !matches!(*asked.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if let Some(origin) = origin
            && writes
        {
            way.check_origin(origin)?;
        }
        let public_https = config.public_url.as_ref().is_some_and(PublicUrl::is_https);
        let proxy_https = by_proxy && forwarded_https(headers);
        Ok(Self {
            peer,
            client: client(peer.remote.ip(), headers, trusted),
            https: peer.tls || public_https || proxy_https,
            local: way.is_local(asked, origin),
            claims_forwarded: !by_proxy && headers.contains_key(FORWARDED_FOR),
        })
    }
}

impl Asked<'_> {
    /// The host that it is for; of HTTP/2, and of a proxy's form, it is in the URI.
    fn host(&self) -> Option<String> {
        let named = || self.headers.get(header::HOST).map(|host| host.to_str().unwrap_or("?"));
        let host = self.uri.authority().map(Authority::as_str).or_else(named);
        host.map(str::to_owned)
    }
}

/// What the judgements have in common.
struct Way<'a> {
    peer: Peer,
    by_proxy: bool,
    host: Option<&'a str>,
    config: &'a ApiConfig,
}

impl Way<'_> {
    fn check_host(&self, path: &str) -> Result<(), Refused> {
        let Some(host) = self.host else { return Ok(()) };
        let public = self.config.public_url.as_ref();
        let ours = FOR_ANY_HOST.contains(&path.trim_end_matches('/'))
            || is_address(host)
            || is_local_name(host)
            // Its certificate has been checked against the name.
            || self.peer.tls
            || match public {
                Some(public) => public.is_host(host),
                None => self.by_proxy || self.config.any_host,
            };
        if ours { Ok(()) } else { Err(Refused::Host(host.to_owned())) }
    }

    /// Programs send none. Pages of others have to be named, also where a browser would
    /// not show them the answer.
    fn check_origin(&self, origin: &str) -> Result<(), Refused> {
        let same_host = || {
            let https = origin.starts_with("https:");
            let host = self.host.and_then(|host| plain_authority(host, https));
            host.is_some() && host == authority_of_origin(origin)
        };
        let ours = match &self.config.public_url {
            Some(public) => public.is_origin(origin) || same_host(),
            // Proxies may have put another host in place of the one that was asked.
            None => self.by_proxy || same_host(),
        };
        let named = || self.config.cors_origins.iter().any(|known| known == origin);
        if ours || named() { Ok(()) } else { Err(Refused::Origin(origin.to_owned())) }
    }

    fn is_local(&self, asked: &Asked<'_>, origin: Option<&str>) -> bool {
        let site = asked.headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        self.peer.remote.ip().to_canonical().is_loopback()
            && self.config.trusted_proxies.is_empty()
            && self.config.public_url.is_none()
            // What proxies of the old sort speak.
            && asked.version > Version::HTTP_10
            && !asked.headers.keys().any(is_of_proxies)
            && self.host.is_some_and(is_local_name)
            && origin.is_none_or(|origin| self.check_origin(origin).is_ok() && is_local_origin(origin))
            && site.is_none_or(|site| [b"same-origin".as_slice(), b"none"].contains(&site))
    }
}

fn forwarded_https(headers: &HeaderMap) -> bool {
    let says = |value: Option<&str>| value.is_some_and(|text| text.eq_ignore_ascii_case("https"));
    let scheme = headers.get(FORWARDED_PROTO).and_then(|value| value.to_str().ok());
    // The nearest proxy writes last.
    let nearest = scheme.and_then(|text| text.rsplit(',').next()).map(str::trim);
    says(nearest)
        || headers.get(header::FORWARDED).and_then(|value| value.to_str().ok()).is_some_and(
            |text| {
                let nearest = text.rsplit(',').next().unwrap_or_default();
                nearest.split(';').any(|pair| {
                    pair.split_once('=').is_some_and(|(name, value)| {
                        name.trim().eq_ignore_ascii_case("proto")
                            && says(Some(value.trim().trim_matches('"')))
                    })
                })
            },
        )
}

fn is_of_proxies(name: &HeaderName) -> bool {
    name.as_str().starts_with(FORWARDED_PREFIX) || OF_PROXIES.contains(&name.as_str())
}

/// An address cannot be made to mean another one by whoever owns a name.
fn is_address(host: &str) -> bool {
    address_of(host).is_some()
}

fn address_of(host: &str) -> Option<IpAddr> {
    let (host, _) = split_port(host)?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// `localhost`, a name below it, or an address of loopback, with a port or without.
fn is_local_name(host: &str) -> bool {
    if let Some(address) = address_of(host) {
        return address.to_canonical().is_loopback();
    }
    let Some((name, _)) = split_port(host) else { return false };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_local_origin(origin: &str) -> bool {
    authority_of_origin(origin).is_some_and(|authority| is_local_name(&authority))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    struct Came {
        config: ApiConfig,
        remote: SocketAddr,
        tls: bool,
        method: Method,
        path: &'static str,
        version: Version,
        headers: Vec<(&'static str, &'static str)>,
    }

    /// A page on this machine that posts.
    fn came() -> Came {
        Came {
            config: ApiConfig::default(),
            remote: SocketAddr::from(([127, 0, 0, 1], 50_000)),
            tls: false,
            method: Method::POST,
            path: "/register/user",
            version: Version::HTTP_11,
            headers: vec![("host", "localhost:5000")],
        }
    }

    impl Came {
        fn with(mut self, header: (&'static str, &'static str)) -> Self {
            self.headers.retain(|(name, _)| *name != header.0);
            self.headers.push(header);
            self
        }

        fn public(mut self, url: &str) -> Self {
            self.config.public_url = Some(url.parse().unwrap());
            self
        }

        fn trusting(mut self, network: &str) -> Self {
            self.config.trusted_proxies = vec![network.parse().unwrap()];
            self
        }

        fn judged(&self) -> Result<Arrival, Refused> {
            let mut headers = HeaderMap::new();
            for (name, value) in &self.headers {
                headers.append(*name, value.parse().unwrap());
            }
            let local = SocketAddr::from(([127, 0, 0, 1], 5000));
            let peer = Peer { remote: self.remote, local, tls: self.tls };
            let uri = self.path.parse().unwrap();
            let asked =
                Asked { method: &self.method, uri: &uri, version: self.version, headers: &headers };
            Arrival::of(&asked, peer, &self.config)
        }

        fn is_local(&self) -> bool {
            self.judged().unwrap().local
        }
    }

    #[test]
    fn a_person_at_this_machine_is_local() {
        for host in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "nemeses.localhost"] {
            assert!(came().with(("host", host)).is_local(), "{host}");
        }
        let page = came().with(("origin", "http://localhost:5000"));
        assert!(page.with(("sec-fetch-site", "same-origin")).is_local());
    }

    #[test]
    fn what_a_proxy_brought_is_not_local_whatever_it_says() {
        let of_its_kin =
            ["x-forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        for name in OF_PROXIES.into_iter().chain(of_its_kin) {
            assert!(!came().with((name, "127.0.0.1")).is_local(), "{name}");
        }
        let old = Came { version: Version::HTTP_10, ..came() };
        assert!(!old.is_local());
        let elsewhere = SocketAddr::from(([198, 51, 100, 1], 1));
        assert!(!Came { remote: elsewhere, ..came() }.is_local());
        assert!(!came().trusting("127.0.0.1").is_local(), "there is a proxy here");
        assert!(!came().public("https://fleet.example.org").is_local());
        assert!(!came().with(("sec-fetch-site", "cross-site")).is_local());
        let no_host = Came { headers: vec![], ..came() };
        assert!(!no_host.is_local());
    }

    #[test]
    fn a_name_that_leads_here_by_rebinding_is_refused() {
        for host in ["evil.example", "evil.example:5000", "localhost.evil.example", "?"] {
            let refused = came().with(("host", host)).judged().unwrap_err();
            assert_eq!(refused, Refused::Host(host.to_owned()));
        }
        // Health has no secrets, and orchestrators know other names.
        let health = Came { path: "/healthz", ..came().with(("host", "evil.example")) };
        assert!(health.judged().is_ok());
        assert!(came().with(("host", "10.1.2.3:5000")).judged().is_ok(), "an address is no name");
        let public = |host| came().public("https://fleet.example.org").with(("host", host));
        assert!(public("fleet.example.org").judged().is_ok());
        assert!(public("evil.example").trusting("127.0.0.1").judged().is_err());
        assert!(came().trusting("127.0.0.1").with(("host", "any.example")).judged().is_ok());
        assert!(Came { tls: true, ..came().with(("host", "any.example")) }.judged().is_ok());
        let mut private = came().with(("host", "nemeses-http"));
        private.config.any_host = true;
        assert!(private.judged().is_ok());
    }

    #[test]
    fn pages_of_others_write_nothing() {
        let refused = |origin: &str| Err(Refused::Origin(origin.to_owned()));
        for origin in
            ["https://evil.example", "null", "http://localhost:8080", "http://127.0.0.1:5000"]
        {
            assert_eq!(came().with(("origin", origin)).judged(), refused(origin));
            let reads = Came { method: Method::GET, ..came().with(("origin", origin)) };
            assert!(reads.judged().is_ok_and(|arrival| !arrival.local), "{origin}");
        }
        let behind = came().public("https://fleet.example.org");
        assert!(behind.with(("origin", "https://fleet.example.org")).judged().is_ok());
        let behind = came().with(("host", "fleet.example.org")).trusting("127.0.0.1");
        assert!(behind.with(("origin", "https://fleet.example.org")).judged().is_ok());
        let mut named = came().with(("origin", "https://map.example.org"));
        named.config.cors_origins = vec!["https://map.example.org".to_owned()];
        assert!(named.judged().is_ok_and(|arrival| !arrival.local));
    }

    #[test]
    fn https_is_what_the_url_the_listener_or_a_trusted_proxy_says() {
        let https = |came: Came| came.judged().unwrap().https;
        assert!(!https(came()));
        assert!(https(Came { tls: true, ..came() }));
        assert!(https(came().public("https://fleet.example.org")));
        assert!(!https(came().public("http://fleet.example.org")));
        let proto = |value| came().with(("x-forwarded-proto", value));
        assert!(!https(proto("https")), "anybody can say so");
        assert!(https(proto("https").trusting("127.0.0.1")));
        assert!(!https(proto("https, http").trusting("127.0.0.1")), "the nearest counts");
        let forwarded = came().with(("forwarded", "for=1.2.3.4;proto=\"https\"; by=x"));
        assert!(https(forwarded.trusting("127.0.0.1")));
    }

    #[test]
    fn whoever_claims_to_be_a_proxy_is_noticed() {
        let came = || came().with(("x-forwarded-for", "198.51.100.7"));
        let claims = came().judged().unwrap();
        assert!(claims.claims_forwarded && claims.client.is_loopback());
        let trusted = came().trusting("127.0.0.1").judged().unwrap();
        assert!(!trusted.claims_forwarded);
        assert_eq!(trusted.client.to_string(), "198.51.100.7");
    }
}
