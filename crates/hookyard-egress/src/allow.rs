//! What an operator lets through beside the public internet: the entries of `egress.allow`.
//!
//! Parsed by the settings, asked by [`crate::Policy`]. An entry is a network, an address, or a name, the latter two with
//! or without a port; there are no patterns, so that a line means what it shows.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv6Net};
use url::Host;

/// One entry of `egress.allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allow {
    /// Every address of a network, on any port.
    Network(IpNet),
    /// One address; on any port when none is given.
    Address(IpAddr, Option<u16>),
    /// One name, lower case and without a final dot; on any port when none is given.
    Name(String, Option<u16>),
}

/// Why an entry of `egress.allow` cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`egress.allow` entry `{0}` is neither a network (`192.168.1.0/24`), an address (`192.168.1.5`, `192.168.1.5:8123`) \
     nor a name (`crm.lan`, `crm.lan:8080`)"
)]
pub struct AllowError(pub String);

impl Allow {
    /// Whether this entry is for `ip` alone.
    pub(crate) fn is_single(&self, ip: IpAddr, port: u16) -> bool {
        match self {
            Self::Network(net) => net.prefix_len() == net.max_prefix_len() && net.contains(&ip),
            Self::Address(address, only) => *address == ip && only.is_none_or(|only| only == port),
            Self::Name(..) => false,
        }
    }

    /// Whether this entry holds `ip`, alone or in a network.
    pub(crate) fn holds(&self, ip: IpAddr, port: u16) -> bool {
        match self {
            Self::Network(net) => net.contains(&ip),
            Self::Address(..) | Self::Name(..) => self.is_single(ip, port),
        }
    }

    /// Whether this entry is for exactly this address and port.
    pub(crate) fn is_exactly(&self, ip: IpAddr, port: u16) -> bool {
        matches!(self, Self::Address(address, Some(only)) if *address == ip && *only == port)
    }

    /// Whether this entry names `name`, which is lower case and without a final dot.
    pub(crate) fn names(&self, name: &str, port: u16) -> bool {
        matches!(self, Self::Name(own, only) if own == name && only.is_none_or(|only| only == port))
    }
}

impl FromStr for Allow {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        let text = text.trim();
        let refuse = || AllowError(text.to_owned());
        if text.contains('/') {
            let net: IpNet = text.parse().map_err(|_| refuse())?;
            return Ok(Self::Network(net.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical(), None));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            if address.port() == 0 {
                return Err(refuse());
            }
            return Ok(Self::Address(address.ip().to_canonical(), Some(address.port())));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(refuse)?)),
            None => (text, None),
        };
        // The same rules that a URL's host goes through, so that both spell a name alike.
        match Host::parse(host).map_err(|_| refuse())? {
            Host::Domain(name) => match plain_name(&name) {
                Some(name) => Ok(Self::Name(name.to_owned(), port)),
                None => Err(refuse()),
            },
            Host::Ipv4(address) => Ok(Self::Address(address.into(), port)),
            Host::Ipv6(address) => Ok(Self::Address(IpAddr::V6(address).to_canonical(), port)),
        }
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(net) => net.fmt(f),
            Self::Address(address, None) => address.fmt(f),
            Self::Address(address, Some(port)) => SocketAddr::new(*address, *port).fmt(f),
            Self::Name(name, None) => f.write_str(name),
            Self::Name(name, Some(port)) => write!(f, "{name}:{port}"),
        }
    }
}

/// A name without its final dot; `None` when it has an empty label, is too long for DNS, or holds what no name holds.
pub(crate) fn plain_name(name: &str) -> Option<&str> {
    let plain = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    (plain.len() <= 253 && plain.split('.').all(label)).then_some(plain)
}

/// A NAT64 prefix of the operator's own network: addresses of it are judged by the IPv4 address that they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nat64Prefix(Ipv6Net);

/// The prefix that every NAT64 may use (RFC 6052).
pub(crate) const WELL_KNOWN_NAT64: Nat64Prefix =
    Nat64Prefix(Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96));

impl Nat64Prefix {
    /// The IPv4 address that `ip` carries when it is of this prefix; `None` when it is not.
    pub(crate) fn carried(self, ip: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
        if !self.0.contains(&ip) {
            return None;
        }
        // RFC 6052, section 2.2: the address follows the prefix and steps over bits 64 to 71.
        let octets = ip.octets();
        let start = usize::from(self.0.prefix_len() / 8);
        let mut carried = [0; 4];
        let mut places = (start..).filter(|place| *place != 8);
        for byte in &mut carried {
            let place = places.next().expect("the places do not end");
            *byte = octets[place];
        }
        Some(carried.into())
    }
}

impl FromStr for Nat64Prefix {
    type Err = Nat64PrefixError;

    fn from_str(text: &str) -> Result<Self, Nat64PrefixError> {
        let refuse = || Nat64PrefixError(text.to_owned());
        let net: Ipv6Net = text.trim().parse().map_err(|_| refuse())?;
        matches!(net.prefix_len(), 32 | 40 | 48 | 56 | 64 | 96).then_some(Self(net.trunc())).ok_or_else(refuse)
    }
}

/// Why a NAT64 prefix cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("NAT64 prefix `{0}` is not an IPv6 network of 32, 40, 48, 56, 64 or 96 bits (`64:ff9b:1::/96`)")]
pub struct Nat64PrefixError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_network_an_address_or_a_name() {
        fn check(text: &str, shown: &str) {
            let allow: Allow = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(allow.to_string(), shown);
            assert_eq!(shown.parse::<Allow>().unwrap(), allow, "{shown} reads back");
        }
        check("192.168.1.0/24", "192.168.1.0/24");
        check("192.168.1.77/24", "192.168.1.0/24");
        check("fd00::/8", "fd00::/8");
        check("192.168.1.5", "192.168.1.5");
        check(" 192.168.1.5:8123 ", "192.168.1.5:8123");
        check("[fd00::1]:8123", "[fd00::1]:8123");
        check("fd00::1", "fd00::1");
        check("::ffff:10.0.0.1", "10.0.0.1");
        check("127.1:80", "127.0.0.1:80");
        check("CRM.lan.:8080", "crm.lan:8080");
        check("localhost", "localhost");
        check("bücher.example", "xn--bcher-kva.example");
    }

    #[test]
    fn what_is_no_entry_is_refused_with_the_forms_that_are() {
        for text in ["", "10.0.0.0/33", "crm.lan:0", "crm.lan:99999", "10.0.0.1:0", "*.lan", "a..b", "http://a/", "a b"]
        {
            let error = text.parse::<Allow>().expect_err(text);
            assert_eq!(error, AllowError(text.to_owned()));
        }
    }

    #[test]
    fn a_nat64_prefix_gives_back_the_address_it_carries() {
        // The examples of RFC 6052, section 2.4.
        fn check(prefix: &str, ip: &str) {
            let prefix: Nat64Prefix = prefix.parse().unwrap();
            assert_eq!(prefix.carried(ip.parse().unwrap()), Some("192.0.2.33".parse().unwrap()), "{ip}");
        }
        check("2001:db8::/32", "2001:db8:c000:221::");
        check("2001:db8:100::/40", "2001:db8:1c0:2:21::");
        check("2001:db8:122::/48", "2001:db8:122:c000:2:2100::");
        check("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::");
        check("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::");
        check("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33");
        check("64:ff9b::/96", "64:ff9b::192.0.2.33");
        assert_eq!("64:ff9b:1::/50".parse::<Nat64Prefix>(), Err(Nat64PrefixError("64:ff9b:1::/50".to_owned())));
    }
}
