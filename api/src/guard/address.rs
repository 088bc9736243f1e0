//! The address that a request comes from. What `X-Forwarded-For` says counts as
//! far as proxies that are trusted have written it: from its end, up to the first
//! address that is none of theirs. Pure.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::HeaderMap;
use nemeses_runtime::Network;

pub(super) const FORWARDED_FOR: &str = "x-forwarded-for";

/// Whether this is one of the proxies that are believed.
pub(super) fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.has(address))
}

/// Who is behind a connection.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| is_trusted(address, trusted);
    if !is_trusted(peer) {
        return peer.to_canonical();
    }
    let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut nearest = peer;
    for hop in hops.into_iter().rev() {
        // What comes before something unreadable was not written by those we trust.
        let Some(address) = read(hop) else { break };
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    nearest.to_canonical()
}

/// An address, with or without a port.
fn read(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner);
    let bare = bare.unwrap_or(hop);
    bare.parse().ok().or_else(|| bare.rsplit_once(':')?.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn what_others_claim_does_not_count() {
        let proxies = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"];
        for (peer, forwarded, expected) in [
            ("127.0.0.1", &[][..], "127.0.0.1"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", &["198.51.100.1:8080"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6", "198.51.100.1, 10.2.3.4"], "198.51.100.1"),
            ("fd00::1", &["2001:db8::5"], "2001:db8::5"),
            ("10.0.0.1", &["[2001:db8::5]:99"], "2001:db8::5"),
            ("10.0.0.1", &["10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &["6.6.6.6, nonsense, 10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ] {
            assert_eq!(found(peer, forwarded, &proxies), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(found("127.0.0.1", &["1.2.3.4"], &[]), "127.0.0.1");
        assert_eq!(found("9.9.9.9", &["1.2.3.4"], &["0.0.0.0/0"]), "1.2.3.4");
        assert_eq!(found("fe80::1", &["1.2.3.4"], &["0.0.0.0/0"]), "fe80::1");
    }
}
