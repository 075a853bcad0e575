//! The store: what is on disk, and the deeds that change it.
//!
//! A deed is one transaction. When it returns `Ok`, what its doc says is true and stays true after a crash at any
//! instruction; when it returns an error, nothing of it happened. The one exception is `Unavailable` from a store behind a
//! connection: the answer may be lost where the commit is not, so every deed is safe to repeat as it was. Deeds are called
//! from many tasks at once; a store may commit several in one transaction as long as each still happens whole or not at
//! all.
//!
//! "Not found" is `Ok(None)`. A store decides nothing that `hookyard-core` decides: it writes the next state that it is
//! told, and checks only that the one who tells it still holds the lease.

mod deed;
mod error;
mod read;
mod taken;

use std::sync::Arc;

use async_trait::async_trait;
use hookyard_model::{
    Application, ApplicationId, Attempt, AttemptId, Delivery, DeliveryKey, Endpoint, EndpointId, Incarnation,
    MessageId, OrganisationId, RawId, Revision, Timestamp,
};

pub use deed::{
    Accept, Acceptance, Accepted, Claim, ClaimedDelivery, Claims, Dedupe, DedupeKind, FirstState, Import,
    ImportApplication, ImportEndpoint, ImportError, ImportReport, NewDelivery, Resend, Resent, Room, Settled,
    Settlement, StatusChange, Swept,
};
pub use error::{Result, StoreError};
pub use read::{
    ApplicationRef, ApplicationView, AttemptQuery, Changes, Due, MessageQuery, MessageRef, Order, Overview, Page,
    PageRequest, PageStart, Payloads, RollupRow, StoredMessage,
};
pub use taken::refuse_taken;

/// Keeps everything. `Arc<dyn Store>` is what the doors and the engine hold.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Which life of this node the store was opened for; leases taken through this handle belong to it.
    fn incarnation(&self) -> Incarnation;

    /// The highest id the store remembers, which every new id must be above. Pruning forgets rows, never this.
    async fn highest_id(&self) -> Result<RawId>;

    // ---- accepting -------------------------------------------------------------------------------------------------

    /// Accepts messages: all of them with every delivery they owe, or none.
    ///
    /// Afterwards each is on disk (fsync) with its deliveries, `seq` given in order; a first state `Leased` is held by
    /// this incarnation. A message whose dedupe key is taken adds nothing: the answer names the message that has it.
    /// A key that expires at or before the new message's `accepted` is not taken any more, and of several taken keys the
    /// first in `dedupe` answers. When an application's revision is not the one that a fan-out saw, nothing is accepted
    /// and the answer is `Stale`, whatever the dedupe keys say; an application that is unknown or archived is stale too.
    /// A message id that is stored already, without a taken dedupe key, is a `Conflict`.
    async fn accept(&self, messages: Vec<Accept>) -> Result<Accepted>;

    /// Makes a delivery due again by hand. See [`Resent`] for what is true afterwards.
    async fn resend(&self, resend: Resend) -> Result<Resent>;

    /// Cancels a delivery that is pending, by hand. `false`: it was not pending, nothing changed. An extra attempt that
    /// waits does not make a delivered one pending.
    async fn cancel(&self, key: DeliveryKey, now: Timestamp) -> Result<bool>;

    // ---- delivering ------------------------------------------------------------------------------------------------

    /// Leases due deliveries of the endpoints that have room, the longest due first, at most `room` of each and
    /// `limits::CLAIM_ROWS` in all.
    ///
    /// Due is: its due time is `now` or earlier. Of those due at the same time the first accepted goes first. Extra
    /// attempts that wait are claimed like what is pending. Afterwards this incarnation holds what is returned. Never
    /// returns a delivery of an endpoint that was not asked for, is not enabled, or has had its room; nor one whose
    /// order key has an earlier delivery pending or leased (a delivered one is neither, and its extra attempt, which is
    /// out of order anyway, waits for nobody). A message whose payload was expunged is not returned and takes no room;
    /// its delivery becomes cancelled, or stays delivered without the extra attempt.
    async fn claim(&self, claim: Claim) -> Result<Claims>;

    /// Records finished attempts and moves their deliveries on.
    ///
    /// Afterwards every attempt is in the log and in the rollup of the minute in which it started, whatever else happened.
    /// The delivery has its next state if this incarnation still held it ([`Settled::Moved`]); otherwise only the log grew
    /// ([`Settled::LeaseLost`]). Endpoint changes and operational messages are in the same transaction. An operational
    /// message whose application moved on meanwhile is fanned out by nobody and is dropped with the answer
    /// [`Settled::Moved`] for its settlement: the attempt and the state must not wait for it. One whose dedupe key is taken
    /// is dropped likewise. They are looked at before the settlement's own endpoint change, which makes none of them stale.
    ///
    /// After [`hookyard_model::Next::Retry`] the next attempt's trigger is the schedule; `Again` keeps the trigger. An extra
    /// attempt leaves its delivery delivered whatever `next` says; only `Again` keeps its lease.
    ///
    /// An attempt that is in the log already changes nothing: a settlement whose answer was lost is repeated as it was.
    /// Its answer is [`Settled::LeaseLost`] when `next` is `Again` and this incarnation does not hold the delivery,
    /// otherwise [`Settled::Moved`].
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>>;

    /// Gives leases back without a trace: each is pending again, due when it was due. Leases that are no longer held are
    /// left alone.
    async fn release(&self, keys: Vec<DeliveryKey>) -> Result<()>;

    /// The deliveries that this incarnation holds, extra attempts included, in the order of their keys after `after`, at
    /// most `limit`. A node that may have lost an answer compares them with what it knows that it holds.
    async fn held(&self, after: Option<DeliveryKey>, limit: usize) -> Result<Vec<DeliveryKey>>;

    /// Frees leases whose holder is dead, at most as many as there are ids, and logs each as interrupted.
    ///
    /// Dead is: for a store with one process, every incarnation but this one; for a shared store, one whose heartbeat is
    /// older than `limits::HEARTBEAT_LIMIT`, and every former one of this node. Afterwards each freed delivery is pending,
    /// due at `now`, everything else as it was, nothing taken from its schedule; an extra attempt waits again. The logged
    /// attempt has the delivery's trigger, started at `now`, and knows no URL, header, peer or time; it is in the rollup.
    /// Returns how many were freed; fewer than ids means that none is left. The ids are fresh, in a repeat too: one that
    /// is in the log already is a `Conflict`.
    async fn rescue(&self, now: Timestamp, attempt_ids: Vec<AttemptId>) -> Result<usize>;

    /// Confirms that this incarnation lives. A store with one process has its lock for that and does nothing.
    async fn heartbeat(&self, now: Timestamp) -> Result<()>;

    /// The enabled endpoints that have something pending (an extra attempt that waits included), by id after `after`, at
    /// most `limit`, each with its earliest due time, future ones included. Its cost grows with the endpoints, never with
    /// what is pending.
    async fn due(&self, after: Option<EndpointId>, limit: usize) -> Result<Vec<Due>>;

    /// Which endpoints changed after `cursor` (settings or status), waiting until there is one. Start with `None` to
    /// learn the present cursor at once.
    async fn changes_since(&self, cursor: Option<u64>) -> Result<Changes>;

    // ---- configuring -----------------------------------------------------------------------------------------------

    /// Makes the rows of several file kinds what their files say, one after the other and all in one transaction; a report
    /// for each. One that is refused leaves everything as it was. What an earlier one archives is free for a later one.
    ///
    /// Afterwards each declared application and endpoint exists with the declared settings; rows of the same organisation
    /// that this kind declared before and that are missing now are archived, an application with all its endpoints. An
    /// application in which anything differs, its own fields included, has one new revision, which is also that of each of
    /// its endpoints that differ; a new application begins at revision 1. Runtime state (disabled by failure or by hand,
    /// failing since) of rows that stay is untouched, unless the file says another `disabled` than at its last import. A uid that comes back after its row was archived makes a new row.
    async fn import_all(&self, imports: Vec<Import>) -> Result<std::result::Result<Vec<ImportReport>, ImportError>>;

    /// [`Self::import_all`] of one file kind.
    async fn import(&self, import: Import) -> Result<std::result::Result<ImportReport, ImportError>> {
        let imported = self.import_all(vec![import]).await?;
        Ok(imported.map(|reports| reports.into_iter().next().unwrap_or_default()))
    }

    /// Enables or disables an endpoint. Afterwards the application has a new revision. `None`: no such endpoint, or it
    /// is archived.
    async fn change_status(
        &self,
        endpoint: EndpointId,
        change: StatusChange,
        now: Timestamp,
    ) -> Result<Option<Arc<Endpoint>>>;

    // ---- ageing ----------------------------------------------------------------------------------------------------

    /// Cancels what is pending for endpoints that are archived, and for those disabled for too long, at most `limit`
    /// rows. Held too long is: now is later than the delivery's due time and the endpoint's disabling, whichever is
    /// later, plus `limits::HELD`. An extra attempt that waits is dropped by the same rule; its delivery stays delivered.
    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<Swept>;

    /// Removes messages whose retention is over (`expires` is `now` or earlier) and that have nothing pending or leased,
    /// extra attempts included, with their deliveries, attempts and dedupe keys; also dedupe keys that ran out, and rollups
    /// older than `limits::RETENTION`. At most `limit` messages.
    /// A store that keeps a day's messages together may leave those in a day's last hours until the whole day is over, which
    /// counts as at most `limit`.
    async fn prune(&self, now: Timestamp, limit: usize) -> Result<Swept>;

    /// Removes a message's payload and keeps the rest. `false`: no such message. Repeating it is fine.
    async fn expunge(&self, application: ApplicationId, message: MessageId) -> Result<bool>;

    // ---- reading ---------------------------------------------------------------------------------------------------

    /// An application that is not archived with its endpoints that are not archived, as of one moment.
    async fn application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Arc<ApplicationView>>>;

    /// The applications of an organisation that are not archived, by id ascending, after `after`.
    async fn applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>>;

    /// An application that is archived: the one with that id, or of those that had that uid the one that was archived last.
    /// Asked for what is not there otherwise, so its cost may grow with the applications that there ever were.
    async fn archived_application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Application>>;

    /// The applications of an organisation that are archived, by id ascending, after `after`.
    async fn archived_applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>>;

    /// An endpoint in its present form, archived ones included.
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Arc<Endpoint>>>;

    /// The endpoints that a fan-out at `revision` saw, in the form of then, disabled ones included, archived ones not, by
    /// id. What is not settings or status (failing since) may be of any time.
    async fn endpoints_at(&self, application: ApplicationId, revision: Revision) -> Result<Vec<Arc<Endpoint>>>;

    /// One message with its payload.
    async fn message(&self, application: ApplicationId, reference: &MessageRef) -> Result<Option<StoredMessage>>;

    /// An application's messages, by id in the order that the page asks for, payloads included.
    async fn messages(&self, query: MessageQuery) -> Result<Page<StoredMessage>>;

    /// A message's deliveries, by endpoint id.
    async fn deliveries(&self, application: ApplicationId, message: MessageId) -> Result<Vec<Delivery>>;

    /// Attempts of a message, of an endpoint or of both, by id in the order that the page asks for.
    async fn attempts(&self, query: AttemptQuery) -> Result<Page<Attempt>>;

    /// One attempt.
    async fn attempt(&self, application: ApplicationId, id: AttemptId) -> Result<Option<Attempt>>;

    /// An endpoint's rollups whose minute is in `since..until`, in order.
    async fn rollups(&self, endpoint: EndpointId, since: Timestamp, until: Timestamp) -> Result<Vec<RollupRow>>;

    /// Counts for the operator, cheap enough to ask every few seconds.
    async fn overview(&self, now: Timestamp) -> Result<Overview>;

    /// Finishes what is queued and closes. Deeds after this are `Unavailable`.
    async fn close(&self);
}
