//! Messages on the wire.

pub(crate) mod batch;
pub(crate) mod create;
pub(crate) mod deliveries;
pub(crate) mod explain;
pub(crate) mod get;
mod incoming;
pub(crate) mod list;
pub(crate) mod raw;
mod refuse;
pub(crate) mod resend;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_model::{Channel, EventId, EventTime, Message, MessageId, Origin, Payload, Tag, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::reply::Text;

/// Whether an answer carries payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// It does.
    With,
    /// Each is `{}`.
    Without,
}

impl From<bool> for Content {
    fn from(with: bool) -> Self {
        if with { Self::With } else { Self::Without }
    }
}

/// Svix's `MessageOut`, and our own fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageOut<'a> {
    id: Text<MessageId>,
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    payload: PayloadOut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<&'a str>>,
    timestamp: Text<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_at: Option<Text<Timestamp>>,
    origin: Cow<'static, str>,
}

impl<'a> MessageOut<'a> {
    pub(crate) fn new(message: &'a Message, content: Content) -> Self {
        let channels: Vec<&str> = message.channels.iter().map(Channel::as_str).collect();
        let tags: Vec<&str> = message.tags.iter().map(Tag::as_str).collect();
        Self {
            id: Text(message.id),
            event_type: message.event_type.as_str(),
            event_id: message.event_id.as_ref().map(EventId::as_str),
            payload: match content {
                Content::With => PayloadOut::new(message),
                Content::Without => PayloadOut::Hidden {},
            },
            channels: (!channels.is_empty()).then_some(channels),
            tags: (!tags.is_empty()).then_some(tags),
            timestamp: Text(message.accepted),
            event_time: message.event_time.as_ref().map(EventTime::text),
            deliver_at: message.deliver_at.map(Text),
            origin: origin(&message.origin),
        }
    }
}

fn origin(origin: &Origin) -> Cow<'static, str> {
    match origin {
        Origin::Api => "api".into(),
        Origin::Server => "server".into(),
        Origin::Source(name) => format!("source:{name}").into(),
        Origin::Job => "job".into(),
        Origin::Test => "test".into(),
        Origin::Operational => "operational".into(),
        Origin::EditOf(message) => format!("edit:{message}").into(),
    }
}

/// A payload: JSON as its own bytes, anything else in base64 with its type.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum PayloadOut<'a> {
    Json(&'a RawValue),
    #[serde(rename_all = "camelCase")]
    Other {
        content_type: &'a str,
        base64: String,
    },
    Expunged {
        expired: bool,
    },
    Hidden {},
}

impl<'a> PayloadOut<'a> {
    fn new(message: &'a Message) -> Self {
        let bytes = match &message.payload {
            Payload::Kept(bytes) => bytes,
            Payload::Expunged => return Self::Expunged { expired: true },
        };
        let json = hookyard_model::is_json(&message.content_type).then(|| serde_json::from_slice(bytes));
        match json {
            Some(Ok(json)) => Self::Json(json),
            _ => Self::Other { content_type: &message.content_type, base64: STANDARD.encode(bytes) },
        }
    }
}
