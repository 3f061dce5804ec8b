//! IP addresses that are not on the public internet: loopback, private networks, cloud metadata services, and addresses that are not
//! routable.
//!
//! The list is from IANA's registries of special-purpose addresses
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const LOOPBACK: &str = "a loopback address";
const PRIVATE: &str = "a private address";
const LINK_LOCAL: &str = "a link-local address";
const MULTICAST: &str = "a multicast address";
const UNSPECIFIED: &str = "an unspecified address";
const DOCUMENTATION: &str = "an address for documentation";
const RESERVED: &str = "a reserved address";

const V4: [(Ipv4Net, &str); 14] = [
    (v4([0, 0, 0, 0], 8), UNSPECIFIED),
    (v4([10, 0, 0, 0], 8), PRIVATE),
    (v4([100, 64, 0, 0], 10), "an address behind carrier-grade NAT"),
    (v4([127, 0, 0, 0], 8), LOOPBACK),
    (v4([169, 254, 0, 0], 16), LINK_LOCAL), // with the clouds' metadata services
    (v4([172, 16, 0, 0], 12), PRIVATE),
    (v4([192, 0, 0, 0], 24), RESERVED),
    (v4([192, 0, 2, 0], 24), DOCUMENTATION),
    (v4([192, 168, 0, 0], 16), PRIVATE),
    (v4([198, 18, 0, 0], 15), RESERVED),
    (v4([198, 51, 100, 0], 24), DOCUMENTATION),
    (v4([203, 0, 113, 0], 24), DOCUMENTATION),
    (v4([224, 0, 0, 0], 4), MULTICAST),
    (v4([240, 0, 0, 0], 4), RESERVED),
];

const V6: [(Ipv6Net, &str); 12] = [
    (v6([0, 0, 0, 0], 128), UNSPECIFIED),
    (v6([0, 0, 0, 1], 128), LOOPBACK),
    (v6([0x64, 0xff9b, 1, 0], 48), PRIVATE), // NAT64 within one network (RFC 8215)
    (v6([0x100, 0, 0, 0], 64), RESERVED),
    (v6([0x2001, 0, 0, 0], 32), RESERVED), // Teredo embeds an IPv4 address in its own way
    (v6([0x2001, 2, 0, 0], 48), RESERVED),
    (v6([0x2001, 0xdb8, 0, 0], 32), DOCUMENTATION),
    (v6([0x3fff, 0, 0, 0], 20), DOCUMENTATION),
    (v6([0xfc00, 0, 0, 0], 7), PRIVATE),
    (v6([0xfe80, 0, 0, 0], 10), LINK_LOCAL), // with a metadata service as well
    (v6([0xfec0, 0, 0, 0], 10), PRIVATE),
    (v6([0xff00, 0, 0, 0], 8), MULTICAST),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// An IPv6 network, from the first three groups and the last.
const fn v6([a, b, c, last]: [u16; 4], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, last), prefix)
}

/// What kind of non-public address this is, such as "a private address". None: it is public.
#[must_use]
pub(crate) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, what)| *what),
        IpAddr::V6(address) => {
            let what = V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, what)| *what);
            what.or_else(|| not_public(within(address)?.into()))
        }
    }
}

/// The IPv4 address embedded in an IPv6 address: mapped or compatible (RFC 4291), by NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn within(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_on_the_internet_have_a_name() {
        for (address, expected) in [
            ("127.0.0.1", LOOPBACK),
            ("127.255.255.255", LOOPBACK),
            ("::1", LOOPBACK),
            ("0.0.0.0", UNSPECIFIED),
            ("::", UNSPECIFIED),
            ("10.0.0.1", PRIVATE),
            ("172.16.0.1", PRIVATE),
            ("172.31.255.255", PRIVATE),
            ("192.168.1.1", PRIVATE),
            ("fc00::1", PRIVATE),
            ("fdff::1", PRIVATE),
            ("169.254.169.254", LINK_LOCAL),
            ("fe80::1", LINK_LOCAL),
            ("fd00:ec2::254", PRIVATE),
            ("100.64.0.1", "an address behind carrier-grade NAT"),
            ("100.127.255.255", "an address behind carrier-grade NAT"),
            ("224.0.0.1", MULTICAST),
            ("ff02::1", MULTICAST),
            ("192.0.2.1", DOCUMENTATION),
            ("198.51.100.1", DOCUMENTATION),
            ("203.0.113.1", DOCUMENTATION),
            ("2001:db8::1", DOCUMENTATION),
            ("3fff::1", DOCUMENTATION),
            ("255.255.255.255", RESERVED),
            ("198.19.0.1", RESERVED),
            ("2001::1", RESERVED),
            // IPv4 addresses embedded in IPv6 addresses.
            ("::ffff:127.0.0.1", LOOPBACK),
            ("::ffff:169.254.169.254", LINK_LOCAL),
            ("::10.0.0.1", PRIVATE),
            ("64:ff9b::10.0.0.1", PRIVATE),
            ("64:ff9b:1::1", PRIVATE),
            ("2002:a9fe:a9fe::1", LINK_LOCAL),
        ] {
            assert_eq!(not_public(address.parse().unwrap()), Some(expected), "{address}");
        }
    }

    #[test]
    fn all_others_are_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert_eq!(not_public(address.parse().unwrap()), None, "{address}");
        }
    }
}
