//! The abilities of a dialect: the one extension point.
//!
//! A dialect is a folder of pure functions and implements the abilities it has. The doors call [`Inbound`], the engine
//! calls [`Outbound`]; both find the dialect by its name. The clock, the secrets and the request are arguments, so the
//! same call always gives the same bytes.

use std::time::Duration;

use bytes::Bytes;
use hookyard_model::{
    Endpoint, EndpointSettings, EventTime, EventType, Judgement, Message, Method, OnGone, RetryPolicy, Secret,
    Timestamp,
};
use http::{HeaderMap, StatusCode};

/// A third party's format: what it is called, and the abilities it has.
#[derive(Clone, Copy)]
pub struct Dialect {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) outbound: Option<&'static dyn Outbound>,
    pub(crate) inbound: Option<&'static dyn Inbound>,
    pub(crate) catalogue: &'static [CatalogueEntry],
}

impl Dialect {
    /// Its name in settings, in the API and on every page.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// One sentence for people who choose.
    pub const fn summary(&self) -> &'static str {
        self.summary
    }

    /// How messages leave in it, if they can.
    pub const fn outbound(&self) -> Option<&'static dyn Outbound> {
        self.outbound
    }

    /// How requests come in, if they can.
    pub const fn inbound(&self) -> Option<&'static dyn Inbound> {
        self.inbound
    }

    /// The event types its systems announce; importable, not rows.
    pub const fn catalogue(&self) -> &'static [CatalogueEntry] {
        self.catalogue
    }
}

/// What a dialect gives to messages that leave in it.
pub trait Outbound: Send + Sync {
    /// What holds where an endpoint says nothing.
    fn defaults(&self) -> Defaults {
        Defaults::default()
    }

    /// What it lets an endpoint choose, in the order in which pages list it.
    fn options(&self) -> &'static [OptionSpec] {
        &[]
    }

    /// Refuses settings that could never be sent: a signing key of the wrong form, a header the dialect forbids. Asked
    /// through [`check_settings`](crate::check_settings), which has checked the options' names and choices; what passes
    /// here can be encoded and signed.
    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError>;

    /// Adds what follows from what was given, such as the other spelling of an event type. Called once when an endpoint
    /// is saved, after [`Self::check`]; doing it again changes nothing.
    fn complete(&self, _: &mut EndpointSettings) {}

    /// The request for a message: depends on message and endpoint only, so that every attempt sends the same bytes.
    fn encode(&self, message: &Message, endpoint: &Endpoint, variant: u8) -> Result<Encoded, EncodeError>;

    /// Adds signature and timestamp headers for an attempt at `now`; nothing but headers may depend on the time. The
    /// default: the dialect does not sign.
    fn sign(
        &self,
        _encoded: &Encoded,
        _message: &Message,
        _endpoint: &Endpoint,
        _now: Timestamp,
        _headers: &mut HeaderMap,
    ) -> Result<(), EncodeError> {
        Ok(())
    }

    /// What an answer means. The default: 2xx is delivered, everything else is tried again, `Retry-After` may delay.
    fn judge(&self, answer: &Answer<'_>) -> Judgement {
        judge_by_status(answer)
    }
}

/// What holds where an endpoint says nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// The request method.
    pub method: Method,
    /// `None` is the deployment's policy.
    pub retry: Option<RetryPolicy>,
    /// `None` is the deployment's time limit.
    pub timeout: Option<Duration>,
    /// What `410 Gone` does.
    pub on_gone: OnGone,
    /// The form of secrets made for it.
    pub secret_form: SecretForm,
    /// Whether endpoints must be `https` unless their application says no.
    pub require_https: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            method: Method::Post,
            retry: None,
            timeout: None,
            on_gone: OnGone::Retry,
            secret_form: SecretForm::None,
            require_https: false,
        }
    }
}

/// The form of secrets made for a dialect's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretForm {
    /// It does not sign.
    None,
    /// `whsec_` and base64 of 24 to 75 bytes, or `whsk_` and base64 of an Ed25519 key pair.
    StandardWebhooks,
    /// Any text.
    Text,
}

/// Something that a dialect lets an endpoint choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name; one that ends in `.*` stands for a table of free names.
    pub name: &'static str,
    /// What it may be.
    pub choices: Choices,
    /// What holds without it, as people read it.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// What an option may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choices {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Any text; the dialect's own check may say more.
    Text,
}

/// A request without its signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The dialect's headers; the endpoint's own ones are laid over them by the engine.
    pub headers: HeaderMap,
    /// The exact bytes.
    pub body: Bytes,
}

/// Why a message cannot be put into a dialect; the delivery is failed at once, the endpoint is not charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(pub String);

/// Why settings could never be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct SettingsError {
    /// Which field, as files spell it.
    pub field: String,
    /// What is wrong and what is allowed; never shows a secret.
    pub why: String,
}

/// What came back, as a dialect sees it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The first bytes of the body.
    pub body: &'a [u8],
    /// When it came.
    pub now: Timestamp,
}

/// The judgement of every dialect that has none of its own.
pub fn judge_by_status(answer: &Answer<'_>) -> Judgement {
    if answer.status.is_success() {
        Judgement::Delivered
    } else if answer.status == StatusCode::GONE {
        Judgement::Gone
    } else {
        let not_before = answer
            .headers
            .get(http::header::RETRY_AFTER)
            .and_then(|value| crate::retry_after::parse(value.as_bytes(), answer.now));
        Judgement::Retry { not_before }
    }
}

/// What a dialect gives to requests that come in.
pub trait Inbound: Send + Sync {
    /// Whether the request is what its sender signed.
    fn verify(&self, request: &RawRequest<'_>, secrets: &[Secret<String>], now: Timestamp) -> Verified;

    /// What a verified request says.
    fn decode(&self, request: &RawRequest<'_>) -> Result<Decoded, DecodeError>;

    /// Request headers worth keeping with the message, in lower case. The default: who sent it, and the trace it is of.
    fn kept_headers(&self) -> &'static [&'static str] {
        &["traceparent", "tracestate", "user-agent"]
    }
}

/// A request as it came, within the door's limits.
#[derive(Debug, Clone, Copy)]
pub struct RawRequest<'a> {
    /// The method.
    pub method: &'a http::Method,
    /// Path and query.
    pub target: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The exact bytes.
    pub body: &'a Bytes,
}

/// Whether a request is what its sender signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It is.
    Accepted {
        /// The rule that accepted it, such as `v1 HMAC-SHA256`.
        rule: &'static str,
        /// Which of the secrets, counted from 0 in the order given.
        secret: usize,
    },
    /// It is not.
    Refused(Refused),
}

impl Verified {
    /// What a source without secrets takes from anybody: every page shows the rule `none` beside the message.
    pub(crate) const UNPROVEN: Self = Self::Accepted { rule: "none", secret: 0 };
}

/// Why a request is not what its sender signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header is missing.
    #[error("header `{0}` is missing")]
    MissingHeader(&'static str),
    /// A header cannot be read.
    #[error("header `{header}` {why}")]
    BadHeader {
        /// Which.
        header: &'static str,
        /// What is wrong and what is expected.
        why: String,
    },
    /// The timestamp is too far from now.
    #[error("timestamp is {off} s {direction} the time here, at most {allowed} s are allowed")]
    Stale {
        /// By how many seconds.
        off: u64,
        /// `behind` or `ahead of`.
        direction: &'static str,
        /// How many are allowed.
        allowed: u64,
    },
    /// No signature matches under any secret.
    #[error("no signature matches; check the secret, and that the body reaches us byte for byte")]
    NoMatch,
    /// The source has no secret that this dialect can use.
    #[error("no usable secret: {0}")]
    NoSecret(String),
}

/// What a verified request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// What kind of event.
    pub event_type: EventType,
    /// When it happened, if it says.
    pub event_time: Option<EventTime>,
    /// What a repeat of the same event has in common with it.
    pub deduplication_id: Option<String>,
    /// The payload's media type.
    pub content_type: String,
    /// The payload's bytes.
    pub payload: Bytes,
}

/// Why a verified request cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// An event type of a dialect's catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub description: &'static str,
    /// Why sending it to somebody is dangerous, if it is.
    pub danger: Option<&'static str>,
    /// A JSON Schema of the payload.
    pub schema: &'static str,
    /// A payload.
    pub sample: &'static str,
}
