//! Hookyard inside another program, as its own dispatcher of webhooks.
//!
//! A program opens a data directory, declares its applications with their endpoints, publishes, and stops. It gets what the
//! server gives, because it is the same core: when [`Hookyard::publish`] answers, the message and every delivery it owes are
//! on disk; they survive a crash at any instruction; retries, signatures, the egress guard and the limits are the server's.
//! A directory goes both ways: `hookyard serve --data DIR` opens what a program wrote, with the key kept in it, and shows
//! what became of it.
//!
//! What it leaves out: doors, settings, signals and logging. The program has its own; what happens is told through
//! `tracing`, and [`Hookyard::metrics`] counts it.
//!
//! ```no_run
//! use hookyard::accept::Publish;
//! use hookyard::embedded::{Application, Endpoint, Hookyard};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let crm = Endpoint::new("crm", "https://example.com/hooks")?.signed_with("whsec_YW4gZXhhbXBsZSwgbm90IGEgcmVhbCBzZWNyZXQ=");
//! let shop = Application::new("shop")?.with(crm);
//!
//! let hookyard = Hookyard::builder("./webhooks").declare([shop]).open().await?;
//! hookyard.publish("shop", Publish::json("order.paid".parse()?, r#"{"order":1042}"#.into())).await?;
//! hookyard.stop().await;
//! # Ok(())
//! # }
//! ```

mod builder;
mod declaration;
mod error;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use hookyard_accept::{Publish, PublishError, Published};
use hookyard_model::{
    Application as Stored, Attempt, Delivery, DeliveryKey, DeliveryState, DisableReason, Endpoint as StoredEndpoint,
    MessageId, OrganisationId, limits,
};
use hookyard_ports::store::{
    ApplicationRef, ApplicationView, AttemptQuery, ImportReport, Order, PageRequest, PageStart, Resent, StatusChange,
};
use hookyard_ports::{Metrics, Store, StoreError};

pub use self::builder::Builder;
use self::declaration::Rules;
pub use self::declaration::{Application, Endpoint};
pub use self::error::{DeclareError, OpenError, ReadError};
pub use crate::key_file::KeyFileError;
use crate::node::{BeginError, Node};
pub use crate::secret_file::SecretFileError;

/// How often a wait looks at its deliveries.
const LOOK: Duration = Duration::from_millis(20);

/// A node inside this program. Cloning it is cheap; all clones are the same node.
///
/// It works until [`Hookyard::stop`], or until the runtime in which it was opened ends, which is to it what a crash is:
/// the next one to open the directory goes on from there. Dropping it ends nothing.
#[derive(Clone)]
pub struct Hookyard {
    node: Arc<Node>,
    rules: Rules,
}

impl Hookyard {
    /// A node whose data lives in `directory`, which is made when it opens; one process at a time has it.
    pub fn builder(directory: impl Into<std::path::PathBuf>) -> Builder {
        Builder::new(directory.into())
    }

    /// Makes what this program declares be exactly `applications`.
    ///
    /// Afterwards each exists with the endpoints it names, and those that an earlier declaration had and this one has not
    /// are archived: they keep their history, and what was pending for them is cancelled. What stays as it was keeps its
    /// ids and what happened to it. With an error, nothing changed.
    pub async fn declare(
        &self,
        applications: impl IntoIterator<Item = Application>,
    ) -> Result<ImportReport, DeclareError> {
        let applications = declaration::checked(applications, self.rules)?;
        let (store, ids, now) = (self.node.store.as_ref(), &self.node.ids, self.node.clock.now());
        declaration::import(applications, store, ids, now).await
    }

    /// Publishes a message to an application, named by its uid or its id. Afterwards it is on disk with every delivery that
    /// it owes; a repeat of a request is answered with the message that the first one made.
    pub async fn publish(&self, application: &str, publish: Publish) -> Result<Published, PublishError> {
        let reference = reference(application).ok_or(PublishError::UnknownApplication)?;
        self.node.publisher.publish(organisation(), &reference, publish).await
    }

    /// Publishes several messages to one application in one transaction, in order; one answer for each. A request that
    /// breaks a rule has its own error and keeps none of the others back.
    pub async fn publish_batch(
        &self,
        application: &str,
        batch: Vec<Publish>,
    ) -> Result<Vec<Result<Published, PublishError>>, PublishError> {
        let reference = reference(application).ok_or(PublishError::UnknownApplication)?;
        self.node.publisher.publish_batch(organisation(), &reference, batch).await
    }

    /// What a message owes to which endpoint, and how that stands.
    pub async fn deliveries(&self, application: &str, message: MessageId) -> Result<Vec<Delivery>, ReadError> {
        let application = self.find(application).await?.application.id;
        Ok(self.node.store.deliveries(application, message).await?)
    }

    /// Every attempt that was made for a message, to whichever endpoint, the oldest first.
    pub async fn attempts(&self, application: &str, message: MessageId) -> Result<Vec<Attempt>, ReadError> {
        let application = self.find(application).await?.application.id;
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut start = PageStart::First;
        loop {
            let query = AttemptQuery {
                application,
                message: Some(message),
                endpoint: None,
                succeeded: None,
                status_class: None,
                before: None,
                after: None,
                page: PageRequest { limit: limits::PAGE, start, order: Order::Ascending },
            };
            let page = self.node.store.attempts(query).await?;
            let last = page.items.last().map(|attempt| attempt.id);
            attempts.extend(page.items);
            let next = page.examined_to.map(hookyard_model::AttemptId::from_raw).or(last);
            match next.filter(|_| !page.done) {
                Some(next) => start = PageStart::After(next),
                None => return Ok(attempts),
            }
        }
    }

    /// Waits until nothing of a message is pending or in flight, and tells how its deliveries ended.
    ///
    /// With the default schedule, a receiver that is down is tried for more than a day: bound the wait with
    /// `tokio::time::timeout`.
    pub async fn settled(&self, application: &str, message: MessageId) -> Result<Vec<Delivery>, ReadError> {
        let application = self.find(application).await?.application.id;
        loop {
            let deliveries = self.node.store.deliveries(application, message).await?;
            if deliveries.iter().all(|delivery| is_settled(&delivery.state)) {
                return Ok(deliveries);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Makes a delivery due again by hand, with a fresh schedule if it was given up; see [`Resent`] for what came of it.
    pub async fn resend(&self, application: &str, key: DeliveryKey) -> Result<Resent, ReadError> {
        let application = self.find(application).await?.application.id;
        Ok(self.node.publisher.resend(application, key, None).await?)
    }

    /// Enables an endpoint, named by its uid or its id; what was held for it is due again, and its failure is counted from
    /// scratch.
    pub async fn enable(&self, application: &str, endpoint: &str) -> Result<Arc<StoredEndpoint>, ReadError> {
        self.change(application, endpoint, StatusChange::Enable).await
    }

    /// Disables an endpoint, named by its uid or its id: what is pending for it is held, what is published meanwhile is not
    /// owed to it.
    pub async fn disable(&self, application: &str, endpoint: &str) -> Result<Arc<StoredEndpoint>, ReadError> {
        self.change(application, endpoint, StatusChange::Disable(DisableReason::Manual)).await
    }

    /// An application with its endpoints, as of one moment.
    pub async fn find(&self, application: &str) -> Result<Arc<ApplicationView>, ReadError> {
        let reference = reference(application).ok_or(ReadError::UnknownApplication)?;
        let found = self.node.store.application(organisation(), &reference).await?;
        found.ok_or(ReadError::UnknownApplication)
    }

    /// The applications in the data directory, whoever declared them, by id.
    pub async fn applications(&self) -> Result<Vec<Stored>, ReadError> {
        let mut applications: Vec<Stored> = Vec::new();
        loop {
            let after = applications.last().map(|application| application.id);
            let page = self.node.store.applications(organisation(), after, limits::PAGE).await?;
            if page.is_empty() {
                return Ok(applications);
            }
            applications.extend(page);
        }
    }

    /// The store itself, for every read that has no word of its own here.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.node.store)
    }

    /// What this node counts.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.node.metrics)
    }

    /// Stops: what is in flight has [`limits::SHUTDOWN_GRACE`] to end, what was not sent stays pending.
    ///
    /// Afterwards everything is on disk and the directory is free for another process; whatever is asked of a clone is
    /// answered with [`StoreError::Unavailable`]. A second call waits for the first.
    pub async fn stop(&self) {
        self.node.stop().await;
    }

    async fn change(
        &self,
        application: &str,
        endpoint: &str,
        change: StatusChange,
    ) -> Result<Arc<StoredEndpoint>, ReadError> {
        let view = self.find(application).await?;
        let named = |found: &&Arc<StoredEndpoint>| {
            found.uid.as_ref().is_some_and(|uid| uid.as_str() == endpoint) || found.id.to_string() == endpoint
        };
        let found = view.endpoints.iter().find(named).ok_or(ReadError::UnknownEndpoint)?;
        let changed = self.node.store.change_status(found.id, change, self.node.clock.now()).await?;
        changed.ok_or(ReadError::UnknownEndpoint)
    }
}

impl std::fmt::Debug for Hookyard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hookyard").finish_non_exhaustive()
    }
}

impl From<BeginError> for OpenError {
    fn from(error: BeginError) -> Self {
        Self::Begin(error.0)
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Whose rows these are; a program that embeds Hookyard is one organisation.
fn organisation() -> OrganisationId {
    OrganisationId::default_organisation()
}

/// An id is one by its form; a uid never has that form.
fn reference(application: &str) -> Option<ApplicationRef> {
    match application.parse() {
        Ok(id) => Some(ApplicationRef::Id(id)),
        Err(_) => application.parse().ok().map(ApplicationRef::Uid),
    }
}

fn is_settled(state: &DeliveryState) -> bool {
    match state {
        DeliveryState::Pending { .. } | DeliveryState::Leased { .. } => false,
        DeliveryState::Delivered { extra } => extra.is_none(),
        DeliveryState::Failed(_) | DeliveryState::Cancelled(_) => true,
    }
}
