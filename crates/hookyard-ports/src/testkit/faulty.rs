//! A store that fails when a plan says so.
//!
//! Wraps any store. For every call the plan decides: let it through, fail before anything happened, let it happen and lose
//! the answer, or let time pass first. The simulation plans from a seed; a test plans from a closure. A store that does real
//! input and output is asked from [`Outside`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hookyard_model::{
    Application, ApplicationId, Attempt, AttemptId, Delivery, DeliveryKey, Endpoint, EndpointId, Incarnation,
    MessageId, OrganisationId, RawId, Revision, Timestamp,
};
use parking_lot::Mutex;

use super::outside::Outside;
use super::seed::Seed;
use crate::store::{
    Accept, Accepted, ApplicationRef, ApplicationView, AttemptQuery, Changes, Claim, Claims, Due, Import, ImportError,
    ImportReport, MessageQuery, MessageRef, Overview, Page, Resend, Resent, Result, RollupRow, Settled, Settlement,
    StatusChange, Store, StoreError, StoredMessage, Swept,
};

/// What a plan decides about one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It goes through.
    Pass,
    /// `Unavailable`, and nothing happened.
    Before,
    /// It happens, and the caller is told `Unavailable`.
    After,
    /// `Other`, and nothing happened: a defect that no repetition mends.
    Broken,
    /// It goes through after this much of tokio's time, which tests can pause.
    Delay(Duration),
    /// It happens, and the caller is told after this much of tokio's time.
    Late(Duration),
}

/// Which call a plan decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Of which deed.
    pub deed: Deed,
    /// Counted from 0, over all deeds of this store.
    pub nth: u64,
}

/// The methods of [`Store`] that can fail, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the method of its name, and is documented there")]
pub enum Deed {
    HighestId,
    Accept,
    Resend,
    Cancel,
    Claim,
    Settle,
    Release,
    Held,
    Rescue,
    Heartbeat,
    Due,
    ChangesSince,
    Import,
    ChangeStatus,
    Sweep,
    Prune,
    Expunge,
    Application,
    Applications,
    ArchivedApplication,
    ArchivedApplications,
    Endpoint,
    EndpointsAt,
    Message,
    Messages,
    Deliveries,
    Attempts,
    Attempt,
    Rollups,
    Overview,
}

/// How often a seeded plan does what, in parts of 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shares {
    /// Fails before.
    pub before: u16,
    /// Fails after.
    pub after: u16,
    /// Delays by up to a second.
    pub delay: u16,
}

type Plan = Box<dyn FnMut(Call) -> Fault + Send>;

/// A store that fails when its plan says so.
pub struct FaultyStore<S: ?Sized> {
    plan: Mutex<(u64, Plan)>,
    inner: Arc<S>,
    outside: Option<Outside>,
}

impl<S: ?Sized> std::fmt::Debug for FaultyStore<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultyStore").finish_non_exhaustive()
    }
}

impl<S: Store + ?Sized> FaultyStore<S> {
    /// Wraps a store; `plan` is asked once for every call, in the order in which they begin.
    pub fn new(inner: Arc<S>, plan: impl FnMut(Call) -> Fault + Send + 'static) -> Self {
        Self { plan: Mutex::new((0, Box::new(plan))), inner, outside: None }
    }

    /// Asks the store outside; the delays of the plan stay in the caller's time.
    #[must_use]
    pub fn asked(self, outside: Outside) -> Self {
        Self { outside: Some(outside), ..self }
    }

    /// Wraps a store in a plan that follows from `seed` alone.
    pub fn seeded(inner: Arc<S>, seed: u64, shares: Shares) -> Self {
        let mut seed = Seed::new(seed);
        let before = u64::from(shares.before);
        let after = before + u64::from(shares.after);
        let delay = after + u64::from(shares.delay);
        Self::new(inner, move |_| match seed.below(1_000) {
            part if part < before => Fault::Before,
            part if part < after => Fault::After,
            part if part < delay => Fault::Delay(Duration::from_millis(seed.below(1_000))),
            _ => Fault::Pass,
        })
    }

    async fn call<T>(&self, deed: Deed, deed_itself: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let deed_itself = async {
            match &self.outside {
                None => deed_itself.await,
                Some(outside) => outside.call(deed_itself).await,
            }
        };
        self.planned(deed, deed_itself).await
    }

    async fn planned<T>(&self, deed: Deed, deed_itself: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let fault = {
            let (next, plan) = &mut *self.plan.lock();
            let nth = *next;
            *next += 1;
            plan(Call { deed, nth })
        };
        let fails = |when| Err(StoreError::Unavailable(format!("planned: {deed:?} failed {when} it happened")));
        match fault {
            Fault::Pass => deed_itself.await,
            Fault::Before => fails("before"),
            Fault::After => {
                deed_itself.await?;
                fails("after")
            }
            Fault::Broken => Err(StoreError::Other(format!("planned: {deed:?} is broken"))),
            Fault::Delay(span) => {
                tokio::time::sleep(span).await;
                deed_itself.await
            }
            Fault::Late(span) => {
                let answer = deed_itself.await;
                tokio::time::sleep(span).await;
                answer
            }
        }
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for FaultyStore<S> {
    fn incarnation(&self) -> Incarnation {
        self.inner.incarnation()
    }

    async fn highest_id(&self) -> Result<RawId> {
        self.call(Deed::HighestId, self.inner.highest_id()).await
    }

    async fn accept(&self, messages: Vec<Accept>) -> Result<Accepted> {
        self.call(Deed::Accept, self.inner.accept(messages)).await
    }

    async fn resend(&self, resend: Resend) -> Result<Resent> {
        self.call(Deed::Resend, self.inner.resend(resend)).await
    }

    async fn cancel(&self, key: DeliveryKey, now: Timestamp) -> Result<bool> {
        self.call(Deed::Cancel, self.inner.cancel(key, now)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claims> {
        self.call(Deed::Claim, self.inner.claim(claim)).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.call(Deed::Settle, self.inner.settle(settlements)).await
    }

    async fn release(&self, keys: Vec<DeliveryKey>) -> Result<()> {
        self.call(Deed::Release, self.inner.release(keys)).await
    }

    async fn held(&self, after: Option<DeliveryKey>, limit: usize) -> Result<Vec<DeliveryKey>> {
        self.call(Deed::Held, self.inner.held(after, limit)).await
    }

    async fn rescue(&self, now: Timestamp, attempt_ids: Vec<AttemptId>) -> Result<usize> {
        self.call(Deed::Rescue, self.inner.rescue(now, attempt_ids)).await
    }

    async fn heartbeat(&self, now: Timestamp) -> Result<()> {
        self.call(Deed::Heartbeat, self.inner.heartbeat(now)).await
    }

    async fn due(&self, after: Option<EndpointId>, limit: usize) -> Result<Vec<Due>> {
        self.call(Deed::Due, self.inner.due(after, limit)).await
    }

    async fn changes_since(&self, cursor: Option<u64>) -> Result<Changes> {
        let changes = self.inner.changes_since(cursor);
        match &self.outside {
            // There may never be one.
            Some(outside) if cursor.is_some() => self.planned(Deed::ChangesSince, outside.wait(changes)).await,
            _ => self.call(Deed::ChangesSince, changes).await,
        }
    }

    async fn import_all(&self, imports: Vec<Import>) -> Result<std::result::Result<Vec<ImportReport>, ImportError>> {
        self.call(Deed::Import, self.inner.import_all(imports)).await
    }

    async fn change_status(
        &self,
        endpoint: EndpointId,
        change: StatusChange,
        now: Timestamp,
    ) -> Result<Option<Arc<Endpoint>>> {
        self.call(Deed::ChangeStatus, self.inner.change_status(endpoint, change, now)).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<Swept> {
        self.call(Deed::Sweep, self.inner.sweep(now, limit)).await
    }

    async fn prune(&self, now: Timestamp, limit: usize) -> Result<Swept> {
        self.call(Deed::Prune, self.inner.prune(now, limit)).await
    }

    async fn expunge(&self, application: ApplicationId, message: MessageId) -> Result<bool> {
        self.call(Deed::Expunge, self.inner.expunge(application, message)).await
    }

    async fn application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Arc<ApplicationView>>> {
        self.call(Deed::Application, self.inner.application(organisation, reference)).await
    }

    async fn applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>> {
        self.call(Deed::Applications, self.inner.applications(organisation, after, limit)).await
    }

    async fn archived_application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Result<Option<Application>> {
        self.call(Deed::ArchivedApplication, self.inner.archived_application(organisation, reference)).await
    }

    async fn archived_applications(
        &self,
        organisation: OrganisationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Application>> {
        self.call(Deed::ArchivedApplications, self.inner.archived_applications(organisation, after, limit)).await
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Arc<Endpoint>>> {
        self.call(Deed::Endpoint, self.inner.endpoint(id)).await
    }

    async fn endpoints_at(&self, application: ApplicationId, revision: Revision) -> Result<Vec<Arc<Endpoint>>> {
        self.call(Deed::EndpointsAt, self.inner.endpoints_at(application, revision)).await
    }

    async fn message(&self, application: ApplicationId, reference: &MessageRef) -> Result<Option<StoredMessage>> {
        self.call(Deed::Message, self.inner.message(application, reference)).await
    }

    async fn messages(&self, query: MessageQuery) -> Result<Page<StoredMessage>> {
        self.call(Deed::Messages, self.inner.messages(query)).await
    }

    async fn deliveries(&self, application: ApplicationId, message: MessageId) -> Result<Vec<Delivery>> {
        self.call(Deed::Deliveries, self.inner.deliveries(application, message)).await
    }

    async fn attempts(&self, query: AttemptQuery) -> Result<Page<Attempt>> {
        self.call(Deed::Attempts, self.inner.attempts(query)).await
    }

    async fn attempt(&self, application: ApplicationId, id: AttemptId) -> Result<Option<Attempt>> {
        self.call(Deed::Attempt, self.inner.attempt(application, id)).await
    }

    async fn rollups(&self, endpoint: EndpointId, since: Timestamp, until: Timestamp) -> Result<Vec<RollupRow>> {
        self.call(Deed::Rollups, self.inner.rollups(endpoint, since, until)).await
    }

    async fn overview(&self, now: Timestamp) -> Result<Overview> {
        self.call(Deed::Overview, self.inner.overview(now)).await
    }

    async fn close(&self) {
        match &self.outside {
            None => self.inner.close().await,
            Some(outside) => outside.call(self.inner.close()).await,
        }
    }
}

#[cfg(test)]
mod tests;
