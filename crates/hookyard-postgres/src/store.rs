//! The store's handle: the port, put into deeds, groups of deeds and reads.

use std::sync::Arc;

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
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::batch::Batches;
use crate::deed::accept::AcceptAll;
use crate::deed::by_hand::Cancel;
use crate::deed::expunge::Expunge;
use crate::deed::life::{Heartbeat, Stop};
use crate::deed::mark::Highest;
use crate::deed::prune::{Age, Prune};
use crate::deed::release::Release;
use crate::deed::rescue::Rescue;
use crate::deed::settle::SettleAll;
use crate::deed::status::ChangeStatus;
use crate::deed::sweep::Sweep;
use crate::node::{Deed, Node};
use crate::read::{attempts, counts, deliveries, messages};
use crate::{Hints, OpenError, Options, configuration, hint, listen, open, rollup, tls};

/// The store for several nodes: one schema of a `PostgreSQL` database, opened by one node for one life.
///
/// Dropping it without [`Store::close`] is the crash of this node, save that what was asked is still done while the runtime
/// lives. It must be used on the runtime that it was opened on.
pub struct PostgresStore {
    node: Arc<Node>,
    accepts: Batches<AcceptAll>,
    settles: Batches<SettleAll>,
    tasks: TaskTracker,
    ended: watch::Sender<bool>,
    is_listening: bool,
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

impl PostgresStore {
    /// Opens the schema that the options name, making it when it is not there, as a new incarnation of the node.
    pub async fn open(options: Options) -> std::result::Result<Self, OpenError> {
        let open::Opened { node, listen: listened } = open::open(options).await?;
        let node = Arc::new(node);
        if let Err(fault) = node.have_days_ahead(node.clock.now()).await {
            let (schema, why) = (node.schema.name().to_owned(), fault.into_error().to_string());
            return Err(OpenError::Database { schema, why });
        }
        let (tasks, ended) = (TaskTracker::new(), watch::Sender::new(false));
        let (accepts, accepting) = Batches::new(Arc::clone(&node));
        let (settles, settling) = Batches::new(Arc::clone(&node));
        tasks.spawn(accepting);
        tasks.spawn(settling);
        tasks.spawn(hint::tell(Arc::clone(&node), ended.subscribe()));
        let is_listening = listened.is_some();
        if let Some(place) = listened {
            let connector = tls::connector(&place)?;
            tasks.spawn(listen::listen(Arc::clone(&node), place, connector, ended.subscribe()));
        }
        Ok(Self { node, accepts, settles, tasks, ended, is_listening })
    }

    /// What other nodes leave to this one; heard where there is a connection to listen on. One taker is enough.
    pub fn hints(&self) -> Hints {
        Hints::of(&self.node)
    }

    fn check_open(&self) -> Result<()> {
        if *self.ended.borrow() { Err(closed()) } else { Ok(()) }
    }

    /// Has a deed done by a task of its own, so that a caller who goes away leaves no transaction behind.
    async fn ask<D: Deed>(&self, deed: D) -> Result<D::Answer> {
        self.check_open()?;
        let node = Arc::clone(&self.node);
        let done = self.tasks.spawn(async move { node.perform(&deed).await });
        done.await.map_err(|_| StoreError::Unavailable("the deed panicked".to_owned()))?
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.node.schema.name())
            .field("node", &self.node.name)
            .finish_non_exhaustive()
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.ended.send_replace(true);
        self.tasks.close();
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn incarnation(&self) -> Incarnation {
        self.node.incarnation
    }

    async fn highest_id(&self) -> Result<RawId> {
        self.ask(Highest).await
    }

    async fn accept(&self, messages: Vec<Accept>) -> Result<Accepted> {
        self.check_open()?;
        self.accepts.ask(messages).await
    }

    async fn resend(&self, resend: Resend) -> Result<Resent> {
        self.ask(resend).await
    }

    async fn cancel(&self, key: DeliveryKey, _now: Timestamp) -> Result<bool> {
        self.ask(Cancel(key)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claims> {
        self.ask(claim).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.check_open()?;
        self.settles.ask(settlements).await
    }

    async fn release(&self, keys: Vec<DeliveryKey>) -> Result<()> {
        self.ask(Release(keys)).await
    }

    async fn held(&self, after: Option<DeliveryKey>, limit: usize) -> Result<Vec<DeliveryKey>> {
        self.ask(deliveries::Held { after, limit }).await
    }

    async fn rescue(&self, now: Timestamp, attempt_ids: Vec<AttemptId>) -> Result<usize> {
        self.ask(Rescue { now, attempt_ids }).await
    }

    async fn heartbeat(&self, now: Timestamp) -> Result<()> {
        self.ask(Heartbeat(now)).await
    }

    async fn due(&self, after: Option<EndpointId>, limit: usize) -> Result<Vec<Due>> {
        self.ask(deliveries::ListDue { after, limit }).await
    }

    async fn changes_since(&self, cursor: Option<u64>) -> Result<Changes> {
        self.check_open()?;
        listen::changes(&self.node, cursor, self.ended.subscribe(), self.is_listening).await
    }

    async fn import_all(&self, imports: Vec<Import>) -> Result<std::result::Result<Vec<ImportReport>, ImportError>> {
        self.ask(imports).await
    }

    async fn change_status(
        &self,
        endpoint: EndpointId,
        change: StatusChange,
        now: Timestamp,
    ) -> Result<Option<Arc<Endpoint>>> {
        self.ask(ChangeStatus { endpoint, change, now }).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<Swept> {
        self.ask(Sweep { now, limit }).await
    }

    async fn prune(&self, now: Timestamp, limit: usize) -> Result<Swept> {
        self.check_open()?;
        let node = Arc::clone(&self.node);
        let ahead = self.tasks.spawn(async move { node.have_days_ahead(node.clock.now()).await });
        if let Ok(Err(fault)) = ahead.await {
            tracing::warn!(error = %fault.into_error(), "the next days' partitions cannot be made yet");
        }
        let aged = match self.ask(Age { now, limit }).await {
            Ok(aged) => aged,
            // The tables were busy for as long as writers may be kept waiting; the day goes another time.
            Err(StoreError::Unavailable(error)) => {
                tracing::debug!(error, "a day could not be dropped yet");
                return Ok(Swept::default());
            }
            Err(error) => return Err(error),
        };
        if aged.swept.more {
            return Ok(aged.swept);
        }
        self.ask(Prune { now, limit, from: aged.from }).await
    }

    async fn expunge(&self, application: ApplicationId, message: MessageId) -> Result<bool> {
        self.ask(Expunge { application, message }).await
    }

    async fn application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Arc<ApplicationView>>> {
        self.ask(configuration::View { organisation, reference: reference.clone() }).await
    }

    async fn applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>> {
        self.ask(configuration::List { query: configuration::APPLICATIONS, organisation, after, limit }).await
    }

    async fn archived_application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Application>> {
        self.ask(configuration::Archived { organisation, reference: reference.clone() }).await
    }

    async fn archived_applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>> {
        self.ask(configuration::List { query: configuration::ARCHIVED_APPLICATIONS, organisation, after, limit }).await
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Arc<Endpoint>>> {
        self.ask(configuration::One(id)).await
    }

    async fn endpoints_at(&self, application: ApplicationId, revision: Revision) -> Result<Vec<Arc<Endpoint>>> {
        self.ask(configuration::At { application, revision }).await
    }

    async fn message(&self, application: ApplicationId, reference: &MessageRef) -> Result<Option<StoredMessage>> {
        self.ask(messages::One { application, reference: reference.clone() }).await
    }

    async fn messages(&self, query: MessageQuery) -> Result<Page<StoredMessage>> {
        self.ask(messages::List(query)).await
    }

    async fn deliveries(&self, application: ApplicationId, message: MessageId) -> Result<Vec<Delivery>> {
        self.ask(deliveries::OfMessage { application, message }).await
    }

    async fn attempts(&self, query: AttemptQuery) -> Result<Page<Attempt>> {
        self.ask(attempts::List(query)).await
    }

    async fn attempt(&self, application: ApplicationId, id: AttemptId) -> Result<Option<Attempt>> {
        self.ask(attempts::One { application, id }).await
    }

    async fn rollups(&self, endpoint: EndpointId, since: Timestamp, until: Timestamp) -> Result<Vec<RollupRow>> {
        self.ask(rollup::Read { endpoint, since, until }).await
    }

    async fn overview(&self, _now: Timestamp) -> Result<Overview> {
        self.ask(counts::Look).await
    }

    async fn close(&self) {
        if self.ended.send_replace(true) {
            return;
        }
        self.accepts.close();
        self.settles.close();
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = self.node.perform(&Stop(self.node.clock.now())).await {
            tracing::warn!(%error, "the end of this node could not be written down");
        }
        self.node.pools.close();
    }
}
