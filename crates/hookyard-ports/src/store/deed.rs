//! What deeds take and what they answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookyard_model::{
    ApplicationId, Attempt, Delivery, DeliveryKey, DisableReason, Endpoint, EndpointChange, EndpointId,
    EndpointSettings, EndpointStatus, FileKind, Message, MessageId, Next, OrderKey, OrganisationId, Rate, Revision,
    Seq, Timestamp, Uid,
};

/// A message to accept, with what it owes.
#[derive(Debug, Clone)]
pub struct Accept {
    /// The message; `message.revision` is the revision that its fan-out saw.
    pub message: Arc<Message>,
    /// What it owes, at most one per endpoint.
    pub deliveries: Vec<NewDelivery>,
    /// Keys that must not be taken.
    pub dedupe: Vec<Dedupe>,
}

/// A delivery to begin.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery {
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// How it begins.
    pub state: FirstState,
    /// What it waits behind.
    pub order_key: Option<OrderKey>,
}

/// How a delivery begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstState {
    /// Held by this incarnation at once, due when it was accepted: room in its lane is reserved.
    Leased,
    /// Waits to be claimed.
    Pending {
        /// Not before this.
        due: Timestamp,
    },
}

/// A key that only one message may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedupe {
    /// What kind of key.
    pub kind: DedupeKind,
    /// The key, its scope included where it is narrower than the application.
    pub key: String,
    /// A hash of what was asked, to tell a repeat from a different request under the same key.
    pub fingerprint: Option<[u8; 32]>,
    /// Until when it counts; `None` for as long as the message is kept.
    pub expires: Option<Timestamp>,
}

/// What kind of dedupe key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DedupeKind {
    /// A publisher's id for the event.
    EventId,
    /// A caller's `idempotency-key` header.
    Idempotency,
    /// A provider's delivery id.
    Provider,
    /// A job's due time.
    JobTime,
}

/// What came of [`crate::Store::accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// All are on disk; one answer per message, in order.
    Committed(Vec<Acceptance>),
    /// Nothing happened: this application's configuration is not what a fan-out saw. Load it and decide again.
    Stale(ApplicationId),
}

/// What came of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It is on disk.
    New {
        /// Its place in the order of acceptance.
        seq: Seq,
    },
    /// A dedupe key is taken; nothing was added.
    Duplicate {
        /// Which kind of key.
        kind: DedupeKind,
        /// The message that has it.
        message: MessageId,
        /// Whether the fingerprints agree; true where there is none.
        same_request: bool,
    },
}

/// A resend by hand.
#[derive(Debug, Clone)]
pub struct Resend {
    /// Of which application.
    pub application: ApplicationId,
    /// Which delivery; it may not exist yet, when the endpoint never was owed the message.
    pub key: DeliveryKey,
    /// When.
    pub now: Timestamp,
    /// A repeat under the same key resends nothing. Looked at before anything else; kept only when something changed.
    pub idempotency: Option<Dedupe>,
}

/// What came of a resend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resent {
    /// It is pending, due now, with a fresh schedule (round + 1, nothing charged, variant 0); a new delivery begins at
    /// round 0 and without an order key. Its next attempt's trigger is by hand.
    Queued,
    /// It was delivered and stays so; one extra attempt is due now, by hand. One that waits already is that attempt.
    ExtraAttempt,
    /// It was pending; it is due now, its schedule as it was, its next attempt's trigger by hand.
    DueNow,
    /// An attempt is in flight; nothing changed.
    InFlight,
    /// The idempotency key was seen before; nothing changed.
    Repeated,
    /// The idempotency key was seen before with another request; nothing changed.
    Conflicting,
    /// The payload is gone; nothing changed.
    Expunged,
    /// No such message, or no such endpoint in this application, or it is archived; nothing changed.
    NotFound,
}

/// Which endpoints have room for how many.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The lanes with room.
    pub rooms: Vec<Room>,
    /// What is due at this time.
    pub now: Timestamp,
}

/// A lane's room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Whose.
    pub endpoint: EndpointId,
    /// How many deliveries.
    pub count: usize,
    /// How many bytes of payload; at least one delivery is returned even if it is larger. The first that does not fit ends
    /// the endpoint's share, so that a large one is not overtaken for ever.
    pub bytes: usize,
}

/// What was claimed.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// The leased deliveries with their messages.
    pub deliveries: Vec<ClaimedDelivery>,
    /// For each endpoint asked for: the earliest due time of what is still pending, behind an order key or not; `None`
    /// when nothing is, or when the endpoint is not enabled.
    pub next: Vec<(EndpointId, Option<Timestamp>)>,
}

/// A claimed delivery with what its attempt needs from the store.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// The delivery, leased (or with its extra attempt leased).
    pub delivery: Delivery,
    /// Its message, payload included.
    pub message: Arc<Message>,
    /// The revision of its endpoint's present form.
    pub endpoint_revision: Revision,
}

/// A finished attempt and what it does to its delivery.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which delivery.
    pub key: DeliveryKey,
    /// The attempt.
    pub attempt: Attempt,
    /// What the delivery becomes.
    pub next: Next,
    /// What its endpoint becomes, when that changes; an archived one stays as it is.
    pub endpoint: Option<EndpointChange>,
    /// What is announced about it; fanned out already, each `FirstState` pending.
    pub operational: Vec<Accept>,
}

/// What came of one settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The attempt is logged and the delivery has its next state.
    Moved,
    /// The attempt is logged; the lease was no longer held, so the state is as others left it.
    LeaseLost,
}

/// By hand, on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusChange {
    /// On; failure is counted from scratch.
    Enable,
    /// Off.
    Disable(DisableReason),
}

/// What one step of ageing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// How many rows (deliveries, or messages) it took.
    pub rows: usize,
    /// Whether there may be more.
    pub more: bool,
}

/// The rows of one file kind, as the file says.
#[derive(Debug, Clone)]
pub struct Import {
    /// Which kind.
    pub kind: FileKind,
    /// The file's name as the operator gave it.
    pub file: String,
    /// Whose rows.
    pub organisation: OrganisationId,
    /// The whole content.
    pub applications: Vec<ImportApplication>,
    /// When.
    pub now: Timestamp,
}

/// A declared application.
#[derive(Debug, Clone)]
pub struct ImportApplication {
    /// The id it gets if it does not exist.
    pub id: ApplicationId,
    /// Its key.
    pub uid: Uid,
    /// Shown to people.
    pub name: String,
    /// Free pairs.
    pub metadata: BTreeMap<String, String>,
    /// How fast all its endpoints together may be sent to.
    pub rate_limit: Option<Rate>,
    /// Whether its endpoints must be `https`.
    pub require_https: Option<bool>,
    /// Its endpoints.
    pub endpoints: Vec<ImportEndpoint>,
}

/// A declared endpoint.
#[derive(Debug, Clone)]
pub struct ImportEndpoint {
    /// The id it gets if it does not exist.
    pub id: EndpointId,
    /// Its key within the application.
    pub uid: Uid,
    /// What is declared.
    pub settings: Arc<EndpointSettings>,
    /// Whether the file switches it off. It is what the file says *anew* that counts: see [`Self::status_after`].
    pub disabled: bool,
}

impl ImportEndpoint {
    /// Status and noted failure after the import of an endpoint whose present form is `old` and for which its file said
    /// `last` before; `None` is a new one, or one of which nobody remembers what its file said.
    ///
    /// A new endpoint is what the file says. Afterwards a file that switches it off makes an enabled one disabled by hand,
    /// and one that switches it on makes one that is disabled by hand enabled, its failure counted from scratch. A file
    /// that says what it said before changes nothing: what was done by hand meanwhile stays.
    pub fn status_after(
        &self,
        old: Option<&Endpoint>,
        last: Option<bool>,
        now: Timestamp,
    ) -> (EndpointStatus, Option<Timestamp>) {
        let off = EndpointStatus::Disabled { since: now, reason: DisableReason::Manual };
        let Some(old) = old else {
            return (if self.disabled { off } else { EndpointStatus::Enabled }, None);
        };
        let anew = last.is_some_and(|last| last != self.disabled).then_some(self.disabled);
        match (&old.status, anew) {
            (EndpointStatus::Enabled, Some(true)) => (off, old.failing_since),
            (EndpointStatus::Disabled { reason: DisableReason::Manual, .. }, Some(false)) => {
                (EndpointStatus::Enabled, None)
            }
            (EndpointStatus::Enabled | EndpointStatus::Disabled { .. } | EndpointStatus::Archived { .. }, _) => {
                (old.status.clone(), old.failing_since)
            }
        }
    }
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Applications and endpoints that are new.
    pub created: usize,
    /// Those that changed.
    pub updated: usize,
    /// Those that left the file.
    pub archived: usize,
    /// Those that stayed as they were.
    pub unchanged: usize,
}

/// Why an import was refused; nothing of it happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Another owner has the uid.
    #[error("application `{uid}` is already declared by {owner}")]
    Taken {
        /// The uid.
        uid: Uid,
        /// Who has it: a file, or the API.
        owner: String,
    },
}
