//! The store's handle: the port, put into deeds for the writer and reads for the readers.

use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use hookyard_model::{
    Application, ApplicationId, Attempt, AttemptId, Delivery, DeliveryKey, Endpoint, EndpointId, Incarnation,
    MessageId, OrganisationId, RawId, Revision, Timestamp,
};
use hookyard_ports::store::{
    Accept, Accepted, ApplicationRef, ApplicationView, AttemptQuery, Changes, Claim, Claims, Due, Import, ImportError,
    ImportReport, MessageQuery, MessageRef, Overview, Page, Resend, Resent, Result, RollupRow, Settled, Settlement,
    StatusChange, StoredMessage, Swept,
};
use hookyard_ports::{Store, StoreError};
use parking_lot::Mutex;

use crate::changes::Since;
use crate::checkpoint::Checkpoints;
use crate::column::int;
use crate::deed::accept::AcceptAll;
use crate::deed::by_hand::Cancel;
use crate::deed::claim::ClaimDue;
use crate::deed::expunge::Expunge;
use crate::deed::prune::Prune;
use crate::deed::release::Release;
use crate::deed::rescue::Rescue;
use crate::deed::settle::SettleAll;
use crate::deed::status::ChangeStatus;
use crate::deed::stop::Stop;
use crate::deed::sweep::{self, Sweep};
use crate::readers::Readers;
use crate::shared::Shared;
use crate::writer::Writer;
use crate::{OpenError, Options, configuration, read};

/// The embedded store: one directory, one process.
///
/// Dropping it without [`Store::close`] leaves the database as a crash would, save that what was asked is still done.
pub struct SqliteStore {
    shared: Arc<Shared>,
    writer: Writer,
    readers: Readers,
    checkpoints: Arc<Checkpoints>,
    ended: tokio::sync::watch::Sender<bool>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writing: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
}

/// What an open store is made of.
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) writing: JoinHandle<()>,
    pub(crate) threads: Vec<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the store in `options.directory`, making it when it is not there. Blocks for as long as the disk takes.
    pub fn open(options: Options) -> std::result::Result<Self, OpenError> {
        crate::open::open(options)
    }

    pub(crate) fn of(parts: Parts) -> Self {
        let Parts { shared, writer, readers, checkpoints, writing, threads: others } = parts;
        let threads = Mutex::new(Some(Threads { writing, others }));
        let ended = tokio::sync::watch::Sender::new(false);
        Self { shared, writer, readers, checkpoints, ended, threads }
    }

    #[cfg(test)]
    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    #[cfg(test)]
    pub(crate) fn readers(&self) -> &Readers {
        &self.readers
    }

    #[cfg(test)]
    pub(crate) fn metrics(&self) -> &hookyard_ports::Metrics {
        &self.shared.metrics
    }

    /// Ends the threads and waits for them; the directory's lock is free afterwards.
    fn join(threads: Threads) {
        for thread in threads.others.into_iter().chain([threads.writing]) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }

    fn stop_taking(&self) -> Option<Threads> {
        self.ended.send_replace(true);
        self.writer.close();
        self.readers.close();
        self.checkpoints.close();
        self.threads.lock().take()
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("database", &self.shared.database).finish_non_exhaustive()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Some(threads) = self.stop_taking() {
            Self::join(threads);
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn incarnation(&self) -> Incarnation {
        self.shared.incarnation
    }

    async fn highest_id(&self) -> Result<RawId> {
        Ok(self.shared.tally.highest())
    }

    async fn accept(&self, messages: Vec<Accept>) -> Result<Accepted> {
        self.writer.ask(AcceptAll(messages)).await
    }

    async fn resend(&self, resend: Resend) -> Result<Resent> {
        self.writer.ask(resend).await
    }

    async fn cancel(&self, key: DeliveryKey, _now: Timestamp) -> Result<bool> {
        self.writer.ask(Cancel(key)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claims> {
        self.writer.ask(ClaimDue(claim)).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.writer.ask(SettleAll(settlements)).await
    }

    async fn release(&self, keys: Vec<DeliveryKey>) -> Result<()> {
        self.writer.ask(Release(keys)).await
    }

    async fn held(&self, after: Option<DeliveryKey>, limit: usize) -> Result<Vec<DeliveryKey>> {
        let holder = self.shared.incarnation;
        self.readers.ask(move |connection, _| read::deliveries::held(connection, holder, after, limit)).await
    }

    async fn rescue(&self, now: Timestamp, attempt_ids: Vec<AttemptId>) -> Result<usize> {
        self.writer.ask(Rescue { now, attempt_ids }).await
    }

    async fn heartbeat(&self, _now: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn due(&self, after: Option<EndpointId>, limit: usize) -> Result<Vec<Due>> {
        self.readers.ask(move |connection, _| read::deliveries::due(connection, after, limit)).await
    }

    async fn changes_since(&self, cursor: Option<u64>) -> Result<Changes> {
        let changed = &self.shared.changed;
        let Some(after) = cursor else { return Ok(Changes { cursor: changed.cursor(), endpoints: Vec::new() }) };
        let (mut cursors, mut ended) = (changed.subscribe(), self.ended.subscribe());
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended) => return Err(StoreError::Unavailable("it is closed".to_owned())),
            // Any other cursor than the present one is behind, or of another life of this process.
            _ = cursors.wait_for(|present| *present != after) => {}
        }
        let (cursor, since) = changed.since(after);
        let endpoints = match since {
            Since::Some(endpoints) => endpoints,
            Since::Any => self.readers.ask(|connection, _| configuration::all_endpoints(connection)).await?,
        };
        Ok(Changes { cursor, endpoints })
    }

    async fn import_all(&self, imports: Vec<Import>) -> Result<std::result::Result<Vec<ImportReport>, ImportError>> {
        self.writer.ask(imports).await
    }

    async fn change_status(
        &self,
        endpoint: EndpointId,
        change: StatusChange,
        now: Timestamp,
    ) -> Result<Option<Arc<Endpoint>>> {
        self.writer.ask(ChangeStatus { endpoint, change, now }).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<Swept> {
        let endpoints = self.readers.ask(|connection, _| sweep::off(connection)).await?;
        if endpoints.is_empty() {
            return Ok(Swept::default());
        }
        self.writer.ask(Sweep { endpoints, now, limit }).await
    }

    async fn prune(&self, now: Timestamp, limit: usize) -> Result<Swept> {
        self.writer.ask(Prune { now, limit }).await
    }

    async fn expunge(&self, application: ApplicationId, message: MessageId) -> Result<bool> {
        self.writer.ask(Expunge { application, message }).await
    }

    async fn application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Arc<ApplicationView>>> {
        let reference = reference.clone();
        self.readers
            .ask(move |connection, shared| configuration::view(connection, shared, organisation, &reference))
            .await
    }

    async fn applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>> {
        self.readers
            .ask(move |connection, _| {
                let query = configuration::APPLICATIONS;
                let applications = configuration::applications(connection, query, organisation, after, limit)?;
                Ok(applications.into_iter().map(|(_, application)| application).collect())
            })
            .await
    }

    async fn archived_application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Application>> {
        let reference = reference.clone();
        self.readers
            .ask(move |connection, _| configuration::archived_application(connection, organisation, &reference))
            .await
    }

    async fn archived_applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>> {
        self.readers
            .ask(move |connection, _| {
                let query = configuration::ARCHIVED_APPLICATIONS;
                let applications = configuration::applications(connection, query, organisation, after, limit)?;
                Ok(applications.into_iter().map(|(_, application)| application).collect())
            })
            .await
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Arc<Endpoint>>> {
        self.readers
            .ask(move |connection, shared| {
                Ok(configuration::endpoint(connection, shared, id)?.map(|(_, endpoint)| endpoint))
            })
            .await
    }

    async fn endpoints_at(&self, application: ApplicationId, revision: Revision) -> Result<Vec<Arc<Endpoint>>> {
        self.readers
            .ask(move |connection, shared| {
                let Some(row) = configuration::application_row(connection, application)? else { return Ok(Vec::new()) };
                let params = [row, int(revision.0)];
                let endpoints = configuration::endpoints(connection, shared, configuration::ENDPOINTS_AT, params)?;
                Ok(endpoints.into_iter().map(|(_, endpoint)| endpoint).collect())
            })
            .await
    }

    async fn message(&self, application: ApplicationId, reference: &MessageRef) -> Result<Option<StoredMessage>> {
        let reference = reference.clone();
        self.readers.ask(move |connection, _| read::messages::one(connection, application, &reference)).await
    }

    async fn messages(&self, query: MessageQuery) -> Result<Page<StoredMessage>> {
        self.readers.ask(move |connection, _| read::messages::page(connection, &query)).await
    }

    async fn deliveries(&self, application: ApplicationId, message: MessageId) -> Result<Vec<Delivery>> {
        self.readers.ask(move |connection, _| read::deliveries::of_message(connection, application, message)).await
    }

    async fn attempts(&self, query: AttemptQuery) -> Result<Page<Attempt>> {
        self.readers.ask(move |connection, _| read::attempts::page(connection, &query)).await
    }

    async fn attempt(&self, application: ApplicationId, id: AttemptId) -> Result<Option<Attempt>> {
        self.readers.ask(move |connection, _| read::attempts::one(connection, application, id)).await
    }

    async fn rollups(&self, endpoint: EndpointId, since: Timestamp, until: Timestamp) -> Result<Vec<RollupRow>> {
        self.readers.ask(move |connection, _| read::counts::rollups(connection, endpoint, since, until)).await
    }

    async fn overview(&self, _now: Timestamp) -> Result<Overview> {
        self.readers.ask(read::counts::overview).await
    }

    async fn close(&self) {
        let stop = Stop { now: self.shared.clock.now() };
        if let Err(error) = self.writer.ask_last(stop).await {
            tracing::warn!(%error, "the store was not closed cleanly; the next start counts what is open");
        }
        if let Some(threads) = self.stop_taking() {
            // The threads end as soon as what they have is done; joining them must not hold up this caller's thread.
            let _ = tokio::task::spawn_blocking(move || Self::join(threads)).await;
        }
    }
}
