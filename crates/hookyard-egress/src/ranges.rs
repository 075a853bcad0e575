//! The addresses that webhooks do not go to, as one table.
//!
//! Asked by [`crate::Policy`] for every address that a URL spells or a resolver returns, and shown by the reference page.
//! The first row that holds an address decides; what no row holds is public. Rows follow the special-purpose registries
//! of IANA, plus the addresses at which clouds hand out credentials. IPv6 is turned round: only `2000::/3` is allocated to
//! the world, so everything else is refused by the last rows, whatever it may become.
//!
//! What it leaves to others: addresses that carry an IPv4 address and must be decoded first (the policy does that).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Range {
    /// The rule's short name, as metrics count it.
    pub rule: &'static str,
    /// Which addresses.
    pub net: IpNet,
    /// What an address of it is, to be read after "it is".
    pub what: &'static str,
    /// Who can let it through.
    pub opened: Opened,
}

/// Who can let the addresses of a range through. Each includes the ones below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// A destination that the operator's files or `egress.allow` name: what stands on an operator's own network.
    ByName,
    /// A network in `egress.allow` that holds it.
    ByNetwork,
    /// An entry of `egress.allow` for this address alone, so that no wider network opens it by accident.
    BySingleEntry,
    /// Nobody: no receiver can be there.
    Never,
}

const fn v4(rule: &'static str, address: [u8; 4], length: u8, opened: Opened, what: &'static str) -> Range {
    let net = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_octets(address), length));
    Range { rule, net, what, opened }
}

const fn v6(rule: &'static str, address: [u16; 8], length: u8, opened: Opened, what: &'static str) -> Range {
    let net = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_segments(address), length));
    Range { rule, net, what, opened }
}

use Opened::{ByName, ByNetwork, BySingleEntry, Never};

const METADATA: &str = "a cloud's metadata address";
const PRIVATE: &str = "a private address";
const DOCUMENTATION: &str = "an address for documentation";

/// All rows, narrower ones before the wider ones that hold them.
#[rustfmt::skip]
pub static RANGES: &[Range] = &[
    // AWS, GCP, Azure, DigitalOcean and others.
    v4("metadata", [169, 254, 169, 254], 32, BySingleEntry, METADATA),
    // Credentials of ECS tasks and of EKS pods.
    v4("metadata", [169, 254, 170, 2], 32, BySingleEntry, METADATA),
    v4("metadata", [169, 254, 170, 23], 32, BySingleEntry, METADATA),
    // Alibaba; inside carrier NAT.
    v4("metadata", [100, 100, 100, 200], 32, BySingleEntry, METADATA),
    // Oracle; inside the protocol assignments.
    v4("metadata", [192, 0, 0, 192], 32, BySingleEntry, METADATA),
    // The host agent of Azure; it looks public.
    v4("metadata", [168, 63, 129, 16], 32, BySingleEntry, METADATA),
    v4("this_network", [0, 0, 0, 0], 8, Never, "an address of this host only"),
    v4("private", [10, 0, 0, 0], 8, ByName, PRIVATE),
    // Also what Tailscale numbers its machines with.
    v4("carrier_nat", [100, 64, 0, 0], 10, ByName, "an address of a carrier's or an overlay network"),
    v4("loopback", [127, 0, 0, 0], 8, ByName, "a loopback address"),
    v4("link_local", [169, 254, 0, 0], 16, BySingleEntry, "a link-local address"),
    v4("private", [172, 16, 0, 0], 12, ByName, PRIVATE),
    v4("protocol_assignments", [192, 0, 0, 0], 24, ByNetwork, "an address reserved for protocols"),
    v4("documentation", [192, 0, 2, 0], 24, ByNetwork, DOCUMENTATION),
    v4("relay", [192, 88, 99, 0], 24, ByNetwork, "a retired 6to4 relay"),
    v4("private", [192, 168, 0, 0], 16, ByName, PRIVATE),
    v4("benchmarking", [198, 18, 0, 0], 15, ByNetwork, "an address for benchmarks"),
    v4("documentation", [198, 51, 100, 0], 24, ByNetwork, DOCUMENTATION),
    v4("documentation", [203, 0, 113, 0], 24, ByNetwork, DOCUMENTATION),
    v4("multicast", [224, 0, 0, 0], 4, Never, "a multicast address"),
    v4("broadcast", [255, 255, 255, 255], 32, Never, "the broadcast address"),
    v4("reserved", [240, 0, 0, 0], 4, ByNetwork, "a reserved address"),

    // AWS; the second hands out credentials of EKS pods.
    v6("metadata", [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, BySingleEntry, METADATA),
    v6("metadata", [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128, BySingleEntry, METADATA),
    // GCP.
    v6("metadata", [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, BySingleEntry, METADATA),
    v6("this_network", [0, 0, 0, 0, 0, 0, 0, 0], 128, Never, "an address of this host only"),
    v6("loopback", [0, 0, 0, 0, 0, 0, 0, 1], 128, ByName, "a loopback address"),
    // Other spellings of IPv4 addresses; a range that carries IPv4 opens for nobody, or a wide network in
    // `egress.allow` would open metadata addresses in disguise.
    v6("ipv4_mapped", [0, 0, 0, 0, 0, 0xffff, 0, 0], 96, Never, "an IPv4 address spelled as IPv6"),
    v6("ipv4_translated", [0, 0, 0, 0, 0xffff, 0, 0, 0], 96, Never, "an IPv4 address spelled as IPv6"),
    v6("ipv4_compatible", [0, 0, 0, 0, 0, 0, 0, 0], 96, Never, "an IPv4 address spelled as IPv6"),
    v6("isatap", [0, 0, 0, 0, 0, 0x5efe, 0, 0], 96, Never, "an IPv4 address spelled as IPv6"),
    // The policy decodes 64:ff9b::/96 and declared prefixes before it asks this table.
    v6("nat64", [0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 32, Never, "a NAT64 address of an undeclared prefix"),
    v6("unallocated", [0, 0, 0, 0, 0, 0, 0, 0], 8, Never, "an address that is not allocated to anybody"),
    v6("discard", [0x100, 0, 0, 0, 0, 0, 0, 0], 64, Never, "an address that discards what it gets"),
    v6("teredo", [0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Never, "an IPv4 address inside Teredo"),
    // It has five small exceptions, at which nobody hosts a receiver.
    v6("protocol_assignments", [0x2001, 0, 0, 0, 0, 0, 0, 0], 23, ByNetwork, "an address reserved for protocols"),
    v6("documentation", [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, ByNetwork, DOCUMENTATION),
    v6("six_to_four", [0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Never, "an IPv4 address inside 6to4"),
    v6("documentation", [0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, ByNetwork, DOCUMENTATION),
    v6("segment_routing", [0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, ByNetwork, "an address for segment routing"),
    v6("unique_local", [0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, ByName, PRIVATE),
    // OpenStack serves metadata here.
    v6("link_local", [0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, BySingleEntry, "a link-local address"),
    v6("site_local", [0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, ByNetwork, "a retired site-local address"),
    v6("multicast", [0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Never, "a multicast address"),
    // What is left beside 2000::/3.
    v6("unallocated", [0, 0, 0, 0, 0, 0, 0, 0], 3, ByNetwork, "an address that is not allocated to anybody"),
    v6("unallocated", [0x4000, 0, 0, 0, 0, 0, 0, 0], 2, ByNetwork, "an address that is not allocated to anybody"),
    v6("unallocated", [0x8000, 0, 0, 0, 0, 0, 0, 0], 1, ByNetwork, "an address that is not allocated to anybody"),
];

/// An interface identifier that carries an IPv4 address under any prefix (RFC 5214).
pub(crate) const ISATAP: Range = v6("isatap", [0; 8], 0, Never, "an IPv4 address inside ISATAP");

/// The row that holds `ip`; `None` is a public address.
pub(crate) fn find(ip: IpAddr) -> Option<&'static Range> {
    RANGES.iter().find(|range| range.net.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(ip: IpAddr) -> Option<IpAddr> {
        match ip {
            IpAddr::V4(ip) => Some(Ipv4Addr::from_bits(ip.to_bits().checked_sub(1)?).into()),
            IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits().checked_sub(1)?).into()),
        }
    }

    fn after(ip: IpAddr) -> Option<IpAddr> {
        match ip {
            IpAddr::V4(ip) => Some(Ipv4Addr::from_bits(ip.to_bits().checked_add(1)?).into()),
            IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits().checked_add(1)?).into()),
        }
    }

    #[test]
    fn every_row_holds_its_first_and_last_address_and_neither_neighbour() {
        for (index, range) in RANGES.iter().enumerate() {
            let (first, last) = (range.net.network(), range.net.broadcast());
            for inside in [first, last] {
                let found = find(inside).unwrap_or_else(|| panic!("{inside} of {} is let through", range.net));
                let narrower = RANGES[..index].iter().any(|earlier| std::ptr::eq(earlier, found));
                assert!(
                    std::ptr::eq(found, range) || narrower && range.net.contains(&found.net),
                    "{inside} of {} is taken by {}",
                    range.net,
                    found.net
                );
            }
            for outside in [before(first), after(last)].into_iter().flatten() {
                let found = find(outside);
                assert!(found.is_none_or(|found| !std::ptr::eq(found, range)), "{outside} is outside {}", range.net);
            }
        }
    }

    /// The table again, written down independently: each line is an address and the rule that refuses it.
    #[test]
    fn the_edges_of_every_range_are_where_the_registries_put_them() {
        fn check(ip: &str, rule: Option<&str>) {
            let found = find(ip.parse().unwrap()).map(|range| range.rule);
            assert_eq!(found, rule, "{ip}");
        }
        // First and last address, their rule, and the rules of the addresses before and after.
        type Edges<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, Option<&'a str>);
        let edges: &[Edges<'_>] = &[
            ("0.0.0.0", "0.255.255.255", "this_network", None, None),
            ("10.0.0.0", "10.255.255.255", "private", None, None),
            ("100.64.0.0", "100.127.255.255", "carrier_nat", None, None),
            ("127.0.0.0", "127.255.255.255", "loopback", None, None),
            ("169.254.0.0", "169.254.255.255", "link_local", None, None),
            ("172.16.0.0", "172.31.255.255", "private", None, None),
            ("192.0.0.0", "192.0.0.255", "protocol_assignments", None, None),
            ("192.0.2.0", "192.0.2.255", "documentation", None, None),
            ("192.88.99.0", "192.88.99.255", "relay", None, None),
            ("192.168.0.0", "192.168.255.255", "private", None, None),
            ("198.18.0.0", "198.19.255.255", "benchmarking", None, None),
            ("198.51.100.0", "198.51.100.255", "documentation", None, None),
            ("203.0.113.0", "203.0.113.255", "documentation", None, None),
            ("224.0.0.0", "239.255.255.255", "multicast", None, Some("reserved")),
            ("240.0.0.0", "255.255.255.254", "reserved", Some("multicast"), Some("broadcast")),
            ("255.255.255.255", "255.255.255.255", "broadcast", Some("reserved"), None),
            ("169.254.169.254", "169.254.169.254", "metadata", Some("link_local"), Some("link_local")),
            ("169.254.170.2", "169.254.170.2", "metadata", Some("link_local"), Some("link_local")),
            ("169.254.170.23", "169.254.170.23", "metadata", Some("link_local"), Some("link_local")),
            ("100.100.100.200", "100.100.100.200", "metadata", Some("carrier_nat"), Some("carrier_nat")),
            ("192.0.0.192", "192.0.0.192", "metadata", Some("protocol_assignments"), Some("protocol_assignments")),
            ("168.63.129.16", "168.63.129.16", "metadata", None, None),
            ("::", "::", "this_network", None, Some("loopback")),
            ("::1", "::1", "loopback", Some("this_network"), Some("ipv4_compatible")),
            ("::2", "::ffff:ffff", "ipv4_compatible", Some("loopback"), Some("unallocated")),
            ("::5efe:0:0", "::5efe:ffff:ffff", "isatap", Some("unallocated"), Some("unallocated")),
            ("::ffff:0:0", "::ffff:ffff:ffff", "ipv4_mapped", Some("unallocated"), Some("unallocated")),
            ("::ffff:0:0:0", "::ffff:0:ffff:ffff", "ipv4_translated", Some("unallocated"), Some("unallocated")),
            ("64:ff9b::", "64:ff9b:ffff:ffff:ffff:ffff:ffff:ffff", "nat64", Some("unallocated"), Some("unallocated")),
            ("100::", "100::ffff:ffff:ffff:ffff", "discard", Some("unallocated"), Some("unallocated")),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "teredo", None, Some("protocol_assignments")),
            ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol_assignments", Some("teredo"), None),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation", None, None),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "six_to_four", None, None),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation", None, None),
            ("4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unallocated", None, Some("segment_routing")),
            (
                "5f00::",
                "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "segment_routing",
                Some("unallocated"),
                Some("unallocated"),
            ),
            (
                "fc00::",
                "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "unique_local",
                Some("unallocated"),
                Some("unallocated"),
            ),
            (
                "fe80::",
                "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "link_local",
                Some("unallocated"),
                Some("site_local"),
            ),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site_local", Some("link_local"), Some("multicast")),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast", Some("site_local"), None),
            ("fd00:ec2::254", "fd00:ec2::254", "metadata", Some("unique_local"), Some("unique_local")),
            ("fd00:ec2::23", "fd00:ec2::23", "metadata", Some("unique_local"), Some("unique_local")),
            ("fd20:ce::254", "fd20:ce::254", "metadata", Some("unique_local"), Some("unique_local")),
        ];
        for (first, last, rule, ahead, behind) in edges {
            check(first, Some(rule));
            check(last, Some(rule));
            if let Some(ip) = before(first.parse().unwrap()) {
                check(&ip.to_string(), *ahead);
            }
            if let Some(ip) = after(last.parse().unwrap()) {
                check(&ip.to_string(), *behind);
            }
        }
        for public in ["1.1.1.1", "8.8.8.8", "2000::", "2606:4700::1111", "2a00:1450::1", "223.255.255.255"] {
            check(public, None);
        }
    }
}
