//! One request of a delivery, append-only.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::{ApplicationId, AttemptId, DeliveryKey, EndpointId, MessageId, Timestamp};

/// One request of a delivery: what was sent, what came back, how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Of which message.
    pub message: MessageId,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// Of which application.
    pub application: ApplicationId,
    /// Why it was made.
    pub trigger: Trigger,
    /// What came of it.
    pub outcome: Outcome,
    /// When it began.
    pub started: Timestamp,
    /// How long its parts took.
    pub timings: Timings,
    /// Whom the connection reached, when there was one.
    pub peer: Option<Peer>,
    /// The URL as it was sent to, credentials masked.
    pub url: String,
    /// Request headers as sent, `name: value` lines, credentials masked.
    pub request_headers: String,
    /// What came back, when headers did.
    pub response: Option<ResponseKept>,
}

impl Attempt {
    /// The attempt of a delivery whose holder died: nobody knows whether its request left, so nothing is said of it.
    pub const fn interrupted(
        id: AttemptId,
        of: DeliveryKey,
        application: ApplicationId,
        trigger: Trigger,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            message: of.message,
            endpoint: of.endpoint,
            application,
            trigger,
            outcome: Outcome::Interrupted,
            started: now,
            timings: Timings { dns: None, connect: None, tls: None, first_byte: None, total: Duration::ZERO },
            peer: None,
            url: String::new(),
            request_headers: String::new(),
            response: None,
        }
    }
}

/// What is kept of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseKept {
    /// The status code.
    pub status: u16,
    /// `name: value` lines, credentials such as `set-cookie` masked, cut at [`crate::limits::RESPONSE_HEADER_BYTES`].
    pub headers: String,
    /// The first bytes of the body, at most [`crate::limits::RESPONSE_BYTES_KEPT`].
    pub body: Bytes,
    /// Whether the body went on.
    pub truncated: bool,
}

/// Why an attempt was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// By the schedule.
    Scheduled,
    /// By hand; never counts towards disabling.
    Manual,
}

/// What came of an attempt. A refusal by the world is an outcome, never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took it.
    Delivered,
    /// The receiver answered with a status that is not success.
    Refused,
    /// The time limit of the attempt ran out; `Timings` tell in which part.
    TimedOut,
    /// The name could not be resolved.
    DnsFailed(String),
    /// No connection could be made.
    ConnectFailed(String),
    /// TLS could not be set up.
    TlsFailed(String),
    /// The connection ended or broke HTTP before a complete answer.
    BrokenOff(String),
    /// A kept-alive connection was closed before any byte of the answer; repeated at once on a fresh one, uncharged.
    StaleConnection,
    /// The egress guard or proxy did not let it out; not the endpoint's fault.
    Blocked(BlockedBy),
    /// The node died while it held the lease: the request may or may not have left. Uncharged.
    Interrupted,
    /// The message could not be put into the endpoint's dialect; nothing was sent.
    CannotBeEncoded(String),
}

impl Outcome {
    /// The outcome's name in the store, in metrics and on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::DnsFailed(_) => "dns_failed",
            Self::ConnectFailed(_) => "connect_failed",
            Self::TlsFailed(_) => "tls_failed",
            Self::BrokenOff(_) => "broken_off",
            Self::StaleConnection => "stale_connection",
            Self::Blocked(_) => "blocked",
            Self::Interrupted => "interrupted",
            Self::CannotBeEncoded(_) => "cannot_be_encoded",
        }
    }

    /// What is known beyond the name.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::DnsFailed(detail)
            | Self::ConnectFailed(detail)
            | Self::TlsFailed(detail)
            | Self::BrokenOff(detail)
            | Self::CannotBeEncoded(detail) => Some(detail),
            Self::Blocked(by) => Some(&by.why),
            Self::Delivered | Self::Refused | Self::TimedOut | Self::StaleConnection | Self::Interrupted => None,
        }
    }

    /// Which rule did not let it out, if it is [`Outcome::Blocked`].
    pub const fn blocked(&self) -> Option<&BlockedBy> {
        match self {
            Self::Blocked(by) => Some(by),
            Self::Delivered
            | Self::Refused
            | Self::TimedOut
            | Self::DnsFailed(_)
            | Self::ConnectFailed(_)
            | Self::TlsFailed(_)
            | Self::BrokenOff(_)
            | Self::StaleConnection
            | Self::Interrupted
            | Self::CannotBeEncoded(_) => None,
        }
    }
}

/// A refusal by the egress guard, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedBy {
    /// The rule's short name, as metrics count it, such as `private` or `metadata`.
    pub rule: String,
    /// A sentence that says what was refused and why, without internal addresses the owner did not name.
    pub why: String,
    /// The exact line for `hookyard.toml` that lets it through, when one would.
    pub hint: Option<String>,
}

/// Whom a connection reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// The receiver, at this address.
    Direct(SocketAddr),
    /// A forward proxy, by its configured name.
    Proxy(String),
}

/// How long the parts of an attempt took; a part that was not reached is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// Resolving the name; `None` on a kept-alive connection.
    pub dns: Option<Duration>,
    /// The TCP handshake; `None` on a kept-alive connection.
    pub connect: Option<Duration>,
    /// The TLS handshake; `None` without TLS or on a kept-alive connection.
    pub tls: Option<Duration>,
    /// From the request to the response headers.
    pub first_byte: Option<Duration>,
    /// The whole attempt.
    pub total: Duration,
}
