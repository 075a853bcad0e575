//! Decides which destinations a request may reach.
//!
//! Asked three times: by the doors when an endpoint is saved ([`Policy::judge_url`]), by the client before it resolves
//! anything, and by the client for every address right before it dials that address ([`Policy::judge_address`]). Pure:
//! the same URL and the same answers always get the same verdict.
//!
//! **Invariant:** a verdict is about one address and one port. It is never kept for a name, because a name may answer
//! differently the next time.

use std::net::{IpAddr, SocketAddr};

use hookyard_model::Trust;
use url::{Host as UrlHost, Url};

use crate::allow::{Allow, Nat64Prefix, WELL_KNOWN_NAT64, plain_name};
use crate::ranges;
use crate::refusal::{Refusal, Rule, Subject};

/// What may be reached.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What is let through beside public addresses.
    pub allow: Vec<Allow>,
    /// Whether destinations that the operator's own files name may be on loopback and private networks.
    pub trust_files: bool,
    /// NAT64 prefixes of the operator's network, beside the well-known one.
    pub nat64: Vec<Nat64Prefix>,
    /// Where this process listens; strangers may not make it call itself.
    pub own_listeners: Vec<SocketAddr>,
    /// The host and port of the public URL, through which this process would also reach itself.
    pub own_names: Vec<(String, u16)>,
}

impl Default for Policy {
    /// Public addresses only, save for what the operator's files name.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            trust_files: true,
            nat64: Vec::new(),
            own_listeners: Vec::new(),
            own_names: Vec::new(),
        }
    }
}

/// How a destination came to be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// By the operator, in a file or in `egress.allow`: it may be on loopback or a private network.
    Named,
    /// By anybody else.
    Unknown,
}

/// A URL's destination, once the URL has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The host.
    pub host: Host,
    /// The port, the scheme's own when the URL has none.
    pub port: u16,
    /// How it came to be named.
    pub standing: Standing,
}

/// A destination's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address; it has been judged.
    Address(IpAddr),
    /// A name, lower case and without a final dot; its addresses are yet to be judged.
    Name(String),
}

/// Names that mean something inside a network only.
const LOCAL_NAMES: &[&str] =
    &["localhost", "local", "internal", "home.arpa", "kubernetes.default.svc", "svc.cluster.local"];

impl Policy {
    /// Judges everything about a URL that can be judged without asking DNS.
    pub fn judge_url(&self, url: &Url, trust: Trust) -> Result<Destination, Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::of_url(Rule::Scheme));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::of_url(Rule::UserInfo));
        }
        let port = url.port_or_known_default().ok_or(Refusal::of_url(Rule::Scheme))?;
        if port == 0 {
            return Err(Refusal::of_url(Rule::PortZero));
        }
        let trusted = trust == Trust::Operator && self.trust_files;
        let ip = match url.host().ok_or(Refusal::of_url(Rule::Host))? {
            UrlHost::Domain(name) => return self.judge_name(name, port, trusted),
            UrlHost::Ipv4(ip) => IpAddr::V4(ip),
            UrlHost::Ipv6(ip) => IpAddr::V6(ip),
        };
        let standing = if trusted { Standing::Named } else { Standing::Unknown };
        self.judge_address(ip, port, standing)?;
        Ok(Destination { host: Host::Address(ip), port, standing })
    }

    fn judge_name(&self, name: &str, port: u16, trusted: bool) -> Result<Destination, Refusal> {
        let name = plain_name(name).ok_or(Refusal::of_url(Rule::Host))?;
        let named = trusted || self.allow.iter().any(|allow| allow.names(name, port));
        if !named {
            let refuse = |rule| Err(Refusal { rule, subject: Subject::Name(name.to_owned(), port) });
            if LOCAL_NAMES.iter().any(|local| is_under(name, local)) {
                return refuse(Rule::LocalName);
            }
            if !name.contains('.') {
                return refuse(Rule::SingleLabel);
            }
            if self.own_names.iter().any(|(own, own_port)| own == name && *own_port == port) {
                return refuse(Rule::OwnListener);
            }
        }
        let standing = if named { Standing::Named } else { Standing::Unknown };
        Ok(Destination { host: Host::Name(name.to_owned()), port, standing })
    }

    /// Judges one address, as a URL spells it or as a resolver returned it.
    ///
    /// An address that carries an IPv4 address by NAT64 gets that address's verdict; every other carrier is refused.
    pub fn judge_address(&self, ip: IpAddr, port: u16, standing: Standing) -> Result<(), Refusal> {
        let ip = self.decode(ip);
        if let IpAddr::V6(v6) = ip
            && let [_, _, _, _, 0 | 0x200, 0x5efe, _, _] = v6.segments()
        {
            return Err(Refusal::of_address(Rule::Range(&ranges::ISATAP), ip, port));
        }
        if let Some(range) = ranges::find(ip) {
            let held = || self.allow.iter().any(|allow| allow.holds(ip, port));
            let open = match range.opened {
                ranges::Opened::ByName => standing == Standing::Named || held(),
                ranges::Opened::ByNetwork => held(),
                ranges::Opened::BySingleEntry => self.allow.iter().any(|allow| allow.is_single(ip, port)),
                ranges::Opened::Never => false,
            };
            if !open {
                return Err(Refusal::of_address(Rule::Range(range), ip, port));
            }
        }
        let own =
            |own: &SocketAddr| own.port() == port && (own.ip() == ip || own.ip().is_unspecified() && ip.is_loopback());
        if self.own_listeners.iter().any(own) && !self.may_call_itself(ip, port, standing) {
            return Err(Refusal::of_address(Rule::OwnListener, ip, port));
        }
        Ok(())
    }

    /// Judges a connection before anything is sent on it: one whose two ends have the same address stayed on this
    /// machine, which no list of addresses could tell beforehand when a listener is open on all of them.
    pub(crate) fn judge_connected(&self, local: IpAddr, peer: SocketAddr, standing: Standing) -> Result<(), Refusal> {
        let (ip, port) = (peer.ip(), peer.port());
        let own = |own: &SocketAddr| own.port() == port && own.ip().is_unspecified() && local == ip;
        if self.own_listeners.iter().any(own) && !self.may_call_itself(ip, port, standing) {
            return Err(Refusal::of_address(Rule::OwnListener, ip, port));
        }
        Ok(())
    }

    /// A network in `egress.allow` is not enough here: `127.0.0.0/8` is meant for neighbours.
    fn may_call_itself(&self, ip: IpAddr, port: u16, standing: Standing) -> bool {
        standing == Standing::Named || self.allow.iter().any(|allow| allow.is_exactly(ip, port))
    }

    /// The address that a NAT64 gateway would send to.
    fn decode(&self, ip: IpAddr) -> IpAddr {
        let IpAddr::V6(v6) = ip else { return ip };
        let prefixes = self.nat64.iter().chain(std::iter::once(&WELL_KNOWN_NAT64));
        prefixes.filter_map(|prefix| prefix.carried(v6)).map(IpAddr::V4).next().unwrap_or(ip)
    }
}

/// Whether `name` is `zone` or ends with it.
fn is_under(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
