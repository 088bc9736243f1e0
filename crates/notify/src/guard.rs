//! To which addresses nothing is sent: a receiver is named by people who may not reach what this machine can. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nemeses_runtime::Network;

/// Networks to which messages may be sent although they are private.
#[derive(Clone, Debug, Default)]
pub struct Networks(pub Vec<Network>);

impl Networks {
    /// Whether something may be sent to an address.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = plain(address);
        is_public(address) || self.0.iter().any(|network| network.has(address))
    }
}

/// An IPv4 address that is written as IPv6, as what it is.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_public_v4(four),
        IpAddr::V6(six) => is_public_v6(six),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || first == 0
        || first >= 240
        // RFC 6598 (carriers), RFC 2544 (benchmarks), RFC 6890 (protocols), RFC 5737 (documents).
        || (first == 100 && (64..128).contains(&second))
        || (first == 198 && (second == 18 || second == 19))
        || (first == 192 && second == 0 && (third == 0 || third == 2))
        || (first == 198 && second == 51 && third == 100)
        || (first == 203 && second == 0 && third == 113);
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Global unicast alone; of that not 2001:db8::/32 (documents), nor what leads to IPv4 addresses by another
    // way: 2002::/16 (6to4) and 2001::/32 (Teredo). 64:ff9b::/96 (NAT64) lies outside.
    first & 0xe000 == 0x2000
        && !(first == 0x2001 && (second == 0xdb8 || second == 0))
        && first != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_refused_unless_allowed() {
        let none = Networks::default();
        for refused in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "ff02::1",
        ] {
            assert!(!none.allow(refused.parse().unwrap()), "{refused}");
        }
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111"] {
            assert!(none.allow(public.parse().unwrap()), "{public}");
        }
        let some = ["10.1.0.0/16", "::1", "127.0.0.0/8"].map(|one| one.parse().unwrap());
        let some = Networks(some.to_vec());
        for allowed in ["10.1.9.9", "::1", "127.3.0.1", "::ffff:127.0.0.1"] {
            assert!(some.allow(allowed.parse().unwrap()), "{allowed}");
        }
        assert!(!some.allow("10.2.0.1".parse().unwrap()) && !some.allow("::2".parse().unwrap()));
    }
}
