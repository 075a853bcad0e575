//! What reads take and what they answer.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{
    Application, ApplicationId, AttemptId, Channel, Endpoint, EndpointId, EventId, EventType, Message, MessageId, Seq,
    StateKind, Timestamp, Uid,
};

/// How a caller names an application.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ApplicationRef {
    /// By id.
    Id(ApplicationId),
    /// By its own name.
    Uid(Uid),
}

/// How a caller names a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageRef {
    /// By id.
    Id(MessageId),
    /// By the publisher's own id.
    EventId(EventId),
}

/// An application with what its fan-out sees, as of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationView {
    /// The application; its revision is that of the whole view.
    pub application: Application,
    /// Its endpoints that are not archived, by id.
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// A message with its order of acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its place in the order.
    pub seq: Seq,
    /// The message.
    pub message: Arc<Message>,
}

/// An endpoint with something pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub endpoint: EndpointId,
    /// Its earliest due time; may be in the future.
    pub first: Timestamp,
}

/// Endpoints that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Where to go on from.
    pub cursor: u64,
    /// Which; may name one that did not change.
    pub endpoints: Vec<EndpointId>,
}

/// Which messages to list.
#[derive(Debug, Clone)]
pub struct MessageQuery {
    /// Whose.
    pub application: ApplicationId,
    /// Only of these types; empty is all.
    pub event_types: Vec<EventType>,
    /// Only those on this channel.
    pub channel: Option<Channel>,
    /// Accepted before this.
    pub before: Option<Timestamp>,
    /// Accepted at or after this.
    pub after: Option<Timestamp>,
    /// Whether the page carries payloads.
    pub payloads: Payloads,
    /// Which page.
    pub page: PageRequest<MessageId>,
}

/// Whether a page of messages carries payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payloads {
    /// It does.
    Read,
    /// Each is `Payload::Kept` without a byte, whatever is stored, and costs nothing to read.
    LeftOut,
}

/// Which attempts to list.
#[derive(Debug, Clone)]
pub struct AttemptQuery {
    /// Whose.
    pub application: ApplicationId,
    /// Only of this message.
    pub message: Option<MessageId>,
    /// Only to this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only those that succeeded, or only those that did not.
    pub succeeded: Option<bool>,
    /// Only those whose status begins with this digit; 0 for those without a status.
    pub status_class: Option<u16>,
    /// Begun before this.
    pub before: Option<Timestamp>,
    /// Begun at or after this.
    pub after: Option<Timestamp>,
    /// Which page.
    pub page: PageRequest<AttemptId>,
}

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<I> {
    /// How many items, 1 to `limits::PAGE`.
    pub limit: usize,
    /// Where it begins.
    pub start: PageStart<I>,
    /// In which order the list stands.
    pub order: Order,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageStart<I> {
    /// At the beginning of the list.
    First,
    /// With the item that follows this one in the list's order.
    After(I),
    /// With the items that stand right before this one in the list's order.
    Before(I),
}

/// In which order a list stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    Descending,
    /// The oldest first.
    Ascending,
}

/// A page, in the list's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether there is nothing more in the direction that was walked. A page that examined `limits::PAGE_EXAMINED` rows
    /// ends early and is not done. So does one that reached `limits::PAGE_BYTES` of payloads, when more is to come.
    pub done: bool,
    /// Where to go on from when the page ended early without a last item of its own.
    pub examined_to: Option<hookyard_model::RawId>,
}

/// What happened to an endpoint in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupRow {
    /// The minute's beginning.
    pub minute: Timestamp,
    /// Attempts by outcome, by the outcome's name in alphabetical order; none that is zero.
    pub outcomes: Vec<(String, u64)>,
    /// Attempts by total time: counts for each bucket of [`RollupRow::BUCKETS`], then those above the last.
    pub latency: Vec<u64>,
}

impl RollupRow {
    /// Upper ends of the latency buckets: powers of two from 1 ms to about 65 s.
    pub const BUCKETS: [Duration; 17] = {
        let mut buckets = [Duration::ZERO; 17];
        let mut index = 0;
        while index < buckets.len() {
            buckets[index] = Duration::from_millis(1 << index);
            index += 1;
        }
        buckets
    };

    /// Which bucket a time falls into; `BUCKETS.len()` is the one above the last.
    pub fn bucket(total: Duration) -> usize {
        Self::BUCKETS.iter().position(|end| total <= *end).unwrap_or(Self::BUCKETS.len())
    }
}

/// Counts for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// Deliveries that are pending or leased, by state; one that is delivered and has an extra attempt is neither.
    pub open: Vec<(StateKind, u64)>,
    /// The earliest due time of what is pending for an enabled endpoint, extra attempts included.
    pub oldest_due: Option<Timestamp>,
    /// Bytes on disk.
    pub bytes: u64,
}
