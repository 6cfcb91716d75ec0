//! Which addresses belong to the open internet.
//!
//! From the registries of special addresses (IANA, RFC 6890): what is private, local to a machine or a link, shared by
//! a provider, multicast, reserved or for documentation does not. An IPv6 address that carries one of IPv4 is as public
//! as that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address and length of the prefix.
const SPECIAL_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Within 2000::/3, all that is given out; what is outside of it is special anyway.
const SPECIAL_V6: [(u128, u32); 3] = [(0x2001 << 112, 23), (0x2001_0db8 << 96, 32), (0x3fff << 112, 20)];

/// Whether an address may be anybody's: nothing of this machine, its networks or its provider.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match carried(address) {
            Some(address) => is_public_v4(address),
            None => {
                let bits = address.to_bits();
                bits >> 125 == 1 && !SPECIAL_V6.iter().any(|(first, length)| (bits ^ first) >> (128 - length) == 0)
            }
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(first, length)| (bits ^ u32::from_be_bytes(*first)) >> (32 - length) == 0)
}

/// The IPv4 address that is reached through one of IPv6: mapped (`::ffff:0:0/96`), by NAT64 (`64:ff9b::/96`, which is
/// how every host is reached where there is only IPv6), by 6to4 (`2002::/16`).
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    match bits >> 32 {
        0xffff | 0x0064_ff9b_0000_0000_0000_0000 => Some(Ipv4Addr::from_bits(bits as u32)),
        _ if bits >> 112 == 0x2002 => Some(Ipv4Addr::from_bits((bits >> 80) as u32)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_of_every_special_range_are_not_public_and_their_neighbours_are() {
        for (first, last, before, after) in [
            ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
            ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
            ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
            ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
            ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
            ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
            ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
            ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
            ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
            ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
            ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
            ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
            ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
            ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
            ("::", "::fffe:ffff:ffff", None, None),
            ("::ffff:10.0.0.0", "::ffff:10.255.255.255", Some("::ffff:9.255.255.255"), Some("::ffff:11.0.0.0")),
            ("::ffff:127.0.0.1", "::ffff:169.254.169.254", Some("::ffff:8.8.8.8"), None),
            ("64:ff9b::10.0.0.0", "64:ff9b::10.255.255.255", Some("64:ff9b::9.0.0.1"), Some("64:ff9b::11.0.0.0")),
            ("64:ff9b::169.254.169.254", "64:ff9b::7f00:1", Some("64:ff9b::808:808"), None),
            ("64:ff9b:1::", "64:ff9b:1:ffff::", None, None),
            ("100::", "1fff:ffff::", None, Some("2000::1")),
            ("2001::", "2001:1ff:ffff::", Some("2000:ffff::1"), Some("2001:200::")),
            ("2001:db8::", "2001:db8:ffff::", Some("2001:db7::"), Some("2001:db9::")),
            ("2002:a00::", "2002:aff:ffff::", Some("2002:9ff:ffff::"), Some("2002:b00::")),
            ("2002:7f00:1::1", "2002:c0a8:101::", Some("2002:808:808::"), None),
            ("3fff::", "3fff:fff:ffff::", Some("3ffe::"), Some("3fff:1000::")),
            ("4000::", "fbff::", Some("3fff:ffff::"), None),
            ("fc00::", "fdff:ffff::", None, None),
            ("fe80::", "febf::1", None, None),
            ("fec0::", "feff::", None, None),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
        ] {
            for special in [first, last] {
                assert!(!is_public(special.parse().unwrap()), "{special}");
            }
            for open in [before, after].into_iter().flatten() {
                assert!(is_public(open.parse().unwrap()), "{open}");
            }
        }
        for public in ["18.164.174.1", "2600:9000:24eb::1", "2a00:1450:4001:82b::200e"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
