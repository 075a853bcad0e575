//! What a caller asks to be published, and what it is told.
//!
//! Made by the doors from their wire formats; everything in a [`Publish`] has passed the rule of its own type, and
//! [`crate::Publisher`] checks what needs several of them together.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookyard_core::json::JsonError;
use hookyard_model::{
    Channel, EndpointId, EventId, EventTime, EventType, Message, MessageId, Origin, Tag, Timestamp, limits,
};
use hookyard_ports::StoreError;
use hookyard_ports::store::{Dedupe, DedupeKind};

/// What holds where a request says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// How long a message is kept.
    pub retention: Duration,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { retention: limits::RETENTION }
    }
}

/// A request to publish one message.
#[derive(Debug, Clone)]
pub struct Publish {
    /// What kind of event.
    pub event_type: EventType,
    /// The bytes to keep and to send.
    pub payload: Bytes,
    /// Their media type; a JSON type promises one JSON value, and that is checked.
    pub content_type: String,
    /// The publisher's own id, unique in the application for as long as the message is kept.
    pub event_id: Option<EventId>,
    /// When the event happened.
    pub event_time: Option<EventTime>,
    /// Restricts which endpoints with channels get it.
    pub channels: Vec<Channel>,
    /// For searching.
    pub tags: Vec<Tag>,
    /// Who publishes.
    pub origin: Origin,
    /// Not before this; a time that has passed delays nothing.
    pub deliver_at: Option<Timestamp>,
    /// Restricts fan-out to these endpoints.
    pub targets: Option<Vec<EndpointId>>,
    /// How long it is kept; `None` is the default.
    pub retention: Option<Duration>,
    /// What a repeat of this request has in common with it.
    pub repeat: Option<RepeatKey>,
    /// Headers of the request that travel with the message.
    pub kept_headers: Vec<(String, String)>,
}

impl Publish {
    /// A request for a JSON payload, everything else absent.
    pub fn json(event_type: EventType, payload: Bytes) -> Self {
        Self {
            event_type,
            payload,
            content_type: "application/json".to_owned(),
            event_id: None,
            event_time: None,
            channels: Vec::new(),
            tags: Vec::new(),
            origin: Origin::Api,
            deliver_at: None,
            targets: None,
            retention: None,
            repeat: None,
            kept_headers: Vec::new(),
        }
    }
}

/// What tells a repeat of a request from a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatKey {
    kind: DedupeKind,
    key: String,
    fingerprint: Option<[u8; 32]>,
}

impl RepeatKey {
    /// A caller's `idempotency-key`, its scope within the application included; remembered for
    /// [`limits::IDEMPOTENCY_KEPT`]. The fingerprint tells a repeat from another request under the same key.
    pub fn idempotency(key: String, fingerprint: [u8; 32]) -> Self {
        Self { kind: DedupeKind::Idempotency, key, fingerprint: Some(fingerprint) }
    }

    /// A provider's delivery id; remembered for as long as the message is kept.
    pub fn provider(key: String) -> Self {
        Self { kind: DedupeKind::Provider, key, fingerprint: None }
    }

    /// A job and its due time; remembered for as long as the message is kept.
    pub fn job_time(key: String) -> Self {
        Self { kind: DedupeKind::JobTime, key, fingerprint: None }
    }

    pub(crate) fn into_dedupe(self, now: Timestamp) -> Dedupe {
        let expires = (self.kind == DedupeKind::Idempotency).then(|| now.plus(limits::IDEMPOTENCY_KEPT));
        Dedupe { kind: self.kind, key: self.key, fingerprint: self.fingerprint, expires }
    }
}

/// A message that is on disk with what it owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// This request put it there.
    New(Arc<Message>),
    /// An earlier request with the same [`RepeatKey`] did.
    Repeat(Arc<Message>),
}

impl Published {
    /// The message, whoever put it there.
    pub fn message(&self) -> &Arc<Message> {
        match self {
            Self::New(message) | Self::Repeat(message) => message,
        }
    }
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// No application of the organisation has that id or uid.
    #[error("no such application")]
    UnknownApplication,
    /// The content type promises JSON and the payload is not.
    #[error("payload cannot be taken as JSON: {0}")]
    NotJson(JsonError),
    /// The payload has too many bytes.
    #[error("payload has {0} bytes, at most {max} are allowed", max = limits::API_BODY_BYTES)]
    TooLarge(usize),
    /// The media type cannot stand in a header.
    #[error("content type must be 1 to 256 printable ASCII characters such as `application/json`")]
    ContentType,
    /// More channels than a message may have.
    #[error("message has {0} channels, at most {max} are allowed", max = limits::MESSAGE_CHANNELS)]
    TooManyChannels(usize),
    /// More tags than a message may have.
    #[error("message has {0} tags, at most {max} are allowed", max = limits::MESSAGE_TAGS)]
    TooManyTags(usize),
    /// A delay beyond the limit.
    #[error("`{0}` is too far in the future, at most {max} from the time here are allowed",
            max = hookyard_model::format_duration(limits::DELIVER_AT))]
    DeliverAtTooFar(Timestamp),
    /// Another message of the application has the event id.
    #[error("event id `{event_id}` is taken by message `{message}`")]
    EventIdTaken {
        /// The event id.
        event_id: EventId,
        /// The message that has it.
        message: MessageId,
    },
    /// The key of an earlier request came with another request.
    #[error("the key was used by another request, which made message `{message}`")]
    KeyReused {
        /// The message that the earlier request made.
        message: MessageId,
    },
    /// A batch whose messages owe more than one transaction may carry.
    #[error("the messages owe more than {max} deliveries together; send fewer at once", max = limits::BATCH_DELIVERIES)]
    TooManyDeliveries,
    /// The configuration changed each time a fan-out was decided.
    #[error("the application's configuration keeps changing, try again")]
    Contended,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
