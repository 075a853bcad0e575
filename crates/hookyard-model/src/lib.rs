//! What exists in Hookyard: the words of the design as types, and the bounds they keep.
//!
//! Every other crate names these types; this crate names none of them. It holds no IO, no async, no SQL, no clock and no
//! randomness: whoever mints an id or stamps a time passes both in. A value of one of these types has been checked once,
//! where it was parsed, and is trusted from there on.
//!
//! What it leaves to others: wire and file formats (the doors, the dialects and the stores convert), and every decision
//! (`hookyard-core`).

mod application;
mod attempt;
mod delivery;
mod endpoint;
mod id;
pub mod limits;
mod media_type;
mod message;
mod name;
mod next;
mod operational;
mod rate;
mod retry;
mod secret;
mod time;

pub use application::{Application, Declaration, FileKind, Revision};
pub use attempt::{Attempt, BlockedBy, Outcome, Peer, ResponseKept, Timings, Trigger};
pub use delivery::{
    CancelReason, Delivery, DeliveryKey, DeliveryState, ExtraAttempt, FailReason, Incarnation, OrderKey, StateKind,
};
pub use endpoint::{
    BasicAuth, DisableReason, Endpoint, EndpointSettings, EndpointStatus, HeaderPair, Method, OnGone, Ordered,
    SigningKeys, SigningSecret, Trust,
};
pub use id::{
    ApplicationId, AttemptId, EndpointId, JobId, MessageId, Minter, OrganisationId, ParseIdError, RawId, SourceId,
    TaskId,
};
pub use media_type::is_json;
pub use message::{Message, Origin, Payload, Seq};
pub use name::{Channel, DialectName, EventId, EventPattern, EventType, NameError, Tag, Uid};
pub use next::{EndpointChange, Judgement, Next};
pub use operational::OperationalEvent;
pub use rate::{ParseRateError, Rate};
pub use retry::{RetryPolicy, RetryPolicyError};
pub use secret::Secret;
pub use time::{EventTime, ParseDurationError, ParseTimeError, Timestamp, format_duration, parse_duration};
