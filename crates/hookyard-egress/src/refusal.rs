//! What the guard says when it does not let a request out.
//!
//! Made by [`crate::Policy`], turned into an outcome by the client and into a 4xx by the doors. The words are for the
//! endpoint's owner, so a name's addresses never appear in them; the hint is the line with which the operator opens
//! exactly this destination, and is there only when that line would help and is sane to write.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hookyard_model::BlockedBy;

use crate::ranges::{Opened, Range};

/// A destination that was refused, and the rule that did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// What it was applied to.
    pub subject: Subject,
}

/// A rule of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The address is in a range that webhooks do not go to.
    Range(&'static Range),
    /// The name is one that only means something inside a network, such as `*.internal`.
    LocalName,
    /// The name has no dot.
    SingleLabel,
    /// The address is one of Hookyard's own listeners.
    OwnListener,
    /// The scheme is neither `http` nor `https`.
    Scheme,
    /// The URL has a user or a password.
    UserInfo,
    /// The port is 0.
    PortZero,
    /// There is no host, or one that DNS cannot know.
    Host,
}

/// What a rule was applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An address that the URL spells.
    Address(SocketAddr),
    /// A name of a URL, itself or an address that it resolves to.
    Name(String, u16),
    /// The URL as a whole.
    Url,
}

impl Rule {
    /// The rule's short name, as metrics count it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Range(range) => range.rule,
            Self::LocalName => "local_name",
            Self::SingleLabel => "single_label",
            Self::OwnListener => "own_listener",
            Self::Scheme => "scheme",
            Self::UserInfo => "userinfo",
            Self::PortZero => "port_zero",
            Self::Host => "host",
        }
    }
}

impl Refusal {
    pub(crate) const fn of_url(rule: Rule) -> Self {
        Self { rule, subject: Subject::Url }
    }

    pub(crate) const fn of_address(rule: Rule, ip: IpAddr, port: u16) -> Self {
        Self { rule, subject: Subject::Address(SocketAddr::new(ip, port)) }
    }

    /// The same refusal, told of the name that resolved to the address.
    pub(crate) fn told_of(self, name: &str, port: u16) -> Self {
        Self { rule: self.rule, subject: Subject::Name(name.to_owned(), port) }
    }

    /// The line for `hookyard.toml` that lets this destination through.
    ///
    /// `None` where no line does, and for metadata addresses: opening those is a decision to make with the manual open.
    pub fn hint(&self) -> Option<String> {
        let helps = match self.rule {
            Rule::LocalName | Rule::SingleLabel | Rule::OwnListener => true,
            Rule::Range(range) => match range.opened {
                Opened::ByName => true,
                // A line for the address would tell the owner of a name where it points.
                Opened::ByNetwork => matches!(self.subject, Subject::Address(_)),
                Opened::BySingleEntry | Opened::Never => false,
            },
            Rule::Scheme | Rule::UserInfo | Rule::PortZero | Rule::Host => false,
        };
        helps.then(|| format!("egress.allow = [\"{}\"]", self.subject))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Url => f.write_str("the URL"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if matches!(self.subject, Subject::Name(..)) { "resolves to" } else { "is" };
        let subject = match &self.subject {
            Subject::Address(address) => format!("`{}`", address.ip()),
            Subject::Name(name, _) => format!("`{name}`"),
            Subject::Url => "the URL".to_owned(),
        };
        match self.rule {
            Rule::Range(range) => {
                write!(f, "{subject} {verb} {}, and webhooks go to public addresses only", range.what)
            }
            Rule::LocalName => {
                write!(f, "{subject} is a name of a local network, and webhooks go to public names only")
            }
            Rule::SingleLabel => write!(f, "{subject} has no dot, and webhooks go to public names only"),
            Rule::OwnListener => write!(f, "{subject} {verb} an address that this Hookyard itself listens on"),
            Rule::Scheme => f.write_str("the URL is neither `http` nor `https`"),
            Rule::UserInfo => f.write_str("the URL has a user or a password; set them as basic auth"),
            Rule::PortZero => f.write_str("the URL has port 0, which nobody can listen on"),
            Rule::Host => f.write_str("the URL has no host that DNS could know"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for BlockedBy {
    fn from(refusal: Refusal) -> Self {
        Self { rule: refusal.rule.as_str().to_owned(), why: refusal.to_string(), hint: refusal.hint() }
    }
}
