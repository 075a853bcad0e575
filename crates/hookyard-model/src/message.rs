//! An accepted event, immutable.

use bytes::Bytes;

use crate::{
    ApplicationId, Channel, EndpointId, EventId, EventTime, EventType, MessageId, OrganisationId, Revision, Tag,
    Timestamp,
};

/// An accepted event; its payload is kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, stable across every attempt; receivers deduplicate by it.
    pub id: MessageId,
    /// Whose application.
    pub organisation: OrganisationId,
    /// Which application it was published to.
    pub application: ApplicationId,
    /// What kind of event.
    pub event_type: EventType,
    /// The publisher's own id.
    pub event_id: Option<EventId>,
    /// When the event happened, if the publisher said so; else the accept time counts.
    pub event_time: Option<EventTime>,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Restricts which endpoints with channels get it.
    pub channels: Vec<Channel>,
    /// For searching.
    pub tags: Vec<Tag>,
    /// The media type of the payload.
    pub content_type: String,
    /// The bytes as they came.
    pub payload: Payload,
    /// Headers of the inbound request that its dialect lists.
    pub kept_headers: Vec<(String, String)>,
    /// Who published it.
    pub origin: Origin,
    /// Restricts fan-out to these endpoints (send-test, resend elsewhere).
    pub targets: Option<Vec<EndpointId>>,
    /// The application's revision that its fan-out saw.
    pub revision: Revision,
    /// Not before this.
    pub deliver_at: Option<Timestamp>,
    /// When it may be pruned.
    pub expires: Timestamp,
}

impl Message {
    /// The event time as text: what the publisher said, else the accept time in UTC.
    pub fn time_text(&self) -> String {
        self.event_time.as_ref().map_or_else(|| self.accepted.to_string(), |time| time.text().to_owned())
    }

    /// The event time as a point in time.
    pub fn time(&self) -> Timestamp {
        self.event_time.as_ref().map_or(self.accepted, EventTime::at)
    }
}

/// The order of acceptance, given by the store's writer; FIFO goes by it, never by the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// A message's bytes, while they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The bytes as they came.
    Kept(Bytes),
    /// Removed by hand; the message's other fields and its log remain.
    Expunged,
}

impl Payload {
    /// The bytes, unless they were expunged.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Kept(bytes) => Some(bytes),
            Self::Expunged => None,
        }
    }

    /// How many bytes are kept.
    pub fn len(&self) -> usize {
        self.bytes().map_or(0, Bytes::len)
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Who published a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A caller of the API.
    Api,
    /// An application's server about itself; endpoints get it only with `include_server_events`.
    Server,
    /// An inbound source, by name.
    Source(String),
    /// A job.
    Job,
    /// A send-test.
    Test,
    /// Hookyard about itself.
    Operational,
    /// A corrected copy of another message.
    EditOf(MessageId),
}
