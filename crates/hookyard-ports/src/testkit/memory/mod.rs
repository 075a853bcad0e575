//! The store in ordinary collections: several nodes, one truth, gone with the process.
//!
//! The seeded simulation runs on it and the conformance suite compares other stores with it, so it keeps the port's docs
//! to the letter, with the semantics of a store that several nodes share. Every deed takes one lock and either happens
//! whole or answers an error before it changed anything. No clock, no randomness, and every walk is in the order of keys:
//! the same deeds give the same rows.
//!
//! What it leaves to others: lasting. Dropping a [`MemoryNode`] is the crash of that node; the [`MemoryStore`] is the disk.

mod accept;
mod age;
mod configuration;
mod deliver;
mod deliveries;
mod read;
mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use hookyard_model::{
    Application, ApplicationId, Attempt, AttemptId, Delivery, DeliveryKey, Endpoint, EndpointId, Incarnation,
    MessageId, OrganisationId, RawId, Revision, Timestamp,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use self::rows::{Node, Rows};
use crate::store::{
    Accept, Accepted, ApplicationRef, ApplicationView, AttemptQuery, Changes, Claim, Claims, Due, Import, ImportError,
    ImportReport, MessageQuery, MessageRef, Overview, Page, Resend, Resent, Result, RollupRow, Settled, Settlement,
    StatusChange, Store, StoreError, StoredMessage, Swept, refuse_taken,
};

/// What all nodes share: the data itself.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rows: Mutex<Rows>,
    /// The cursor of [`Store::changes_since`].
    cursor: watch::Sender<u64>,
}

impl MemoryStore {
    /// An empty store.
    pub fn shared() -> Self {
        let shared = Shared { rows: Mutex::new(Rows::new()), cursor: watch::Sender::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Opens the store as the node `name`, whose heart beats at `now`: a new incarnation. Former ones of the same name are
    /// dead to it at once.
    pub fn node(&self, name: &str, now: Timestamp) -> MemoryNode {
        let mut rows = self.shared.rows.lock();
        let incarnation = Incarnation(rows.nodes.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        rows.nodes.insert(incarnation, Node { name: name.to_owned(), heartbeat: now });
        MemoryNode { shared: Arc::clone(&self.shared), incarnation, closed: watch::Sender::new(false) }
    }
}

/// One node's handle to a [`MemoryStore`], for one life of that node.
#[derive(Debug)]
pub struct MemoryNode {
    shared: Arc<Shared>,
    incarnation: Incarnation,
    closed: watch::Sender<bool>,
}

fn closed() -> StoreError {
    StoreError::Unavailable("this handle is closed".to_owned())
}

impl MemoryNode {
    /// Runs a deed or a read under the lock, and wakes whoever waits for changes.
    fn deed<T>(&self, deed: impl FnOnce(&mut Rows) -> T) -> Result<T> {
        if *self.closed.borrow() {
            return Err(closed());
        }
        let mut rows = self.shared.rows.lock();
        let answer = deed(&mut rows);
        let cursor = rows.configuration.cursor();
        drop(rows);
        self.shared.cursor.send_if_modified(|seen| {
            let grew = cursor > *seen;
            *seen = cursor.max(*seen);
            grew
        });
        Ok(answer)
    }
}

#[async_trait]
impl Store for MemoryNode {
    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    async fn highest_id(&self) -> Result<RawId> {
        self.deed(|rows| rows.highest)
    }

    async fn accept(&self, messages: Vec<Accept>) -> Result<Accepted> {
        self.deed(|rows| rows.accept(self.incarnation, &messages))?
    }

    async fn resend(&self, resend: Resend) -> Result<Resent> {
        self.deed(|rows| rows.resend(&resend))
    }

    async fn cancel(&self, key: DeliveryKey, _: Timestamp) -> Result<bool> {
        self.deed(|rows| rows.cancel(&key))
    }

    async fn claim(&self, claim: Claim) -> Result<Claims> {
        self.deed(|rows| rows.claim(self.incarnation, &claim))
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.deed(|rows| settlements.into_iter().map(|one| rows.settle(self.incarnation, one)).collect())
    }

    async fn release(&self, keys: Vec<DeliveryKey>) -> Result<()> {
        self.deed(|rows| rows.release(self.incarnation, &keys))
    }

    async fn held(&self, after: Option<DeliveryKey>, limit: usize) -> Result<Vec<DeliveryKey>> {
        self.deed(|rows| rows.held(self.incarnation, after, limit))
    }

    async fn rescue(&self, now: Timestamp, attempt_ids: Vec<AttemptId>) -> Result<usize> {
        self.deed(|rows| rows.rescue(self.incarnation, now, attempt_ids))?
    }

    async fn heartbeat(&self, now: Timestamp) -> Result<()> {
        self.deed(|rows| {
            let node = rows.nodes.get_mut(&self.incarnation).expect("a handle's incarnation is never removed");
            node.heartbeat = node.heartbeat.max(now);
        })
    }

    async fn due(&self, after: Option<EndpointId>, limit: usize) -> Result<Vec<Due>> {
        self.deed(|rows| rows.due(after, limit))
    }

    async fn changes_since(&self, cursor: Option<u64>) -> Result<Changes> {
        let Some(after) = cursor else {
            return self.deed(|rows| Changes { cursor: rows.configuration.cursor(), endpoints: Vec::new() });
        };
        let (mut cursors, mut ends) = (self.shared.cursor.subscribe(), self.closed.subscribe());
        tokio::select! {
            _ = ends.wait_for(|closed| *closed) => return Err(closed()),
            _ = cursors.wait_for(|now| *now > after) => {}
        }
        self.deed(|rows| Changes {
            cursor: rows.configuration.cursor(),
            endpoints: rows.configuration.changed_after(after),
        })
    }

    async fn import_all(&self, imports: Vec<Import>) -> Result<std::result::Result<Vec<ImportReport>, ImportError>> {
        self.deed(|rows| {
            let mut imported = rows.configuration.clone();
            if let Err(taken) = refuse_taken(&imports, |organisation, uid| imported.live_by_uid(organisation, uid)) {
                return Ok(Err(taken));
            }
            let reports = imports.iter().map(|import| imported.import(import)).collect::<Result<_>>()?;
            rows.configuration = imported;
            for application in imports.iter().flat_map(|import| &import.applications) {
                rows.remember(application.id.raw());
                application.endpoints.iter().for_each(|endpoint| rows.remember(endpoint.id.raw()));
            }
            Ok(Ok(reports))
        })?
    }

    async fn change_status(
        &self,
        endpoint: EndpointId,
        change: StatusChange,
        now: Timestamp,
    ) -> Result<Option<Arc<Endpoint>>> {
        self.deed(|rows| rows.configuration.change_status(endpoint, change, now))
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<Swept> {
        self.deed(|rows| rows.sweep(now, limit))
    }

    async fn prune(&self, now: Timestamp, limit: usize) -> Result<Swept> {
        self.deed(|rows| rows.prune(now, limit))
    }

    async fn expunge(&self, application: ApplicationId, message: MessageId) -> Result<bool> {
        self.deed(|rows| rows.expunge(application, message))
    }

    async fn application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Arc<ApplicationView>>> {
        self.deed(|rows| rows.application(organisation, reference))
    }

    async fn applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>> {
        let behind = |row: &&Application| after.is_none_or(|after| row.id > after);
        self.deed(|rows| rows.configuration.live_of(organisation).filter(behind).take(limit).cloned().collect())
    }

    async fn archived_application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Application>> {
        let is_meant = |row: &&Application| match reference {
            ApplicationRef::Id(id) => row.id == *id,
            ApplicationRef::Uid(uid) => row.uid.as_ref() == Some(uid),
        };
        self.deed(|rows| {
            let archived = rows.configuration.archived_of(organisation).filter(is_meant);
            archived.max_by_key(|row| (row.archived, row.id)).cloned()
        })
    }

    async fn archived_applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>> {
        let behind = |row: &&Application| after.is_none_or(|after| row.id > after);
        self.deed(|rows| rows.configuration.archived_of(organisation).filter(behind).take(limit).cloned().collect())
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Arc<Endpoint>>> {
        self.deed(|rows| rows.configuration.endpoint(id).cloned())
    }

    async fn endpoints_at(&self, application: ApplicationId, revision: Revision) -> Result<Vec<Arc<Endpoint>>> {
        self.deed(|rows| rows.configuration.endpoints_at(application, revision))
    }

    async fn message(&self, application: ApplicationId, reference: &MessageRef) -> Result<Option<StoredMessage>> {
        self.deed(|rows| rows.message(application, reference))
    }

    async fn messages(&self, query: MessageQuery) -> Result<Page<StoredMessage>> {
        self.deed(|rows| rows.messages(&query))
    }

    async fn deliveries(&self, application: ApplicationId, message: MessageId) -> Result<Vec<Delivery>> {
        self.deed(|rows| {
            let deliveries = rows.deliveries.of_message(message);
            deliveries.filter(|delivery| delivery.application == application).cloned().collect()
        })
    }

    async fn attempts(&self, query: AttemptQuery) -> Result<Page<Attempt>> {
        self.deed(|rows| rows.attempts(&query))
    }

    async fn attempt(&self, application: ApplicationId, id: AttemptId) -> Result<Option<Attempt>> {
        self.deed(|rows| rows.attempts.get(&id).filter(|attempt| attempt.application == application).cloned())
    }

    async fn rollups(&self, endpoint: EndpointId, since: Timestamp, until: Timestamp) -> Result<Vec<RollupRow>> {
        self.deed(|rows| rows.rollups(endpoint, since, until))
    }

    async fn overview(&self, _: Timestamp) -> Result<Overview> {
        self.deed(|rows| rows.overview())
    }

    async fn close(&self) {
        self.closed.send_replace(true);
    }
}
