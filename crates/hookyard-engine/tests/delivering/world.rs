//! A store with what is declared in it, nodes that start and stop on it, and questions about what became of things.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hookyard_accept::{Defaults, Publish, PublishError, Publisher};
use hookyard_engine::{Engine, Parts, Settings};
use hookyard_model::{
    Attempt, Delivery, DeliveryKey, DeliveryState, Endpoint, EndpointId, EndpointSettings, EndpointStatus, MessageId,
    Outcome, RetryPolicy, Timestamp,
};
use hookyard_ports::store::{
    ApplicationRef, AttemptQuery, ImportApplication, ImportEndpoint, MessageQuery, Order, PageRequest, PageStart,
    Payloads, StatusChange,
};
use hookyard_ports::testkit::{Deed, Fault, FaultyStore, MemoryNode, MemoryStore, build};
use hookyard_ports::{Clock, Ids, Metrics, Rng, Store};
use parking_lot::Mutex;

use crate::receivers::Receivers;

/// Follows tokio's paused time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimClock(tokio::time::Instant);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        build::NOW.plus(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Counts up: every id differs, and no delay is jittered by chance.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Rng for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.fill(0);
        let end = bytes.len().min(8);
        bytes[..end].copy_from_slice(&n[8 - end..]);
    }
}

/// What the store does with a deed.
type Plan = Box<dyn FnMut(Deed) -> Fault + Send>;

/// Decides over the store's faults, and counts its deeds.
#[derive(Clone)]
pub(crate) struct Faults {
    plan: Arc<Mutex<Plan>>,
    counts: Arc<Mutex<BTreeMap<Deed, usize>>>,
}

impl Faults {
    fn new() -> Self {
        Self { plan: Arc::new(Mutex::new(Box::new(|_| Fault::Pass))), counts: Arc::default() }
    }

    /// From here on the store does what `plan` says.
    pub(crate) fn plan(&self, plan: impl FnMut(Deed) -> Fault + Send + 'static) {
        *self.plan.lock() = Box::new(plan);
    }

    /// The next time that `deed` is called, this happens.
    pub(crate) fn once(&self, deed: Deed, fault: Fault) {
        let mut left = Some(fault);
        self.plan(move |called| if called == deed { left.take().unwrap_or(Fault::Pass) } else { Fault::Pass });
    }

    /// From here on the store cannot be reached.
    pub(crate) fn cut_off(&self) {
        self.plan(|_| Fault::Before);
    }

    /// From here on all is well.
    pub(crate) fn heal(&self) {
        self.plan(|_| Fault::Pass);
    }

    /// How often a deed was called.
    pub(crate) fn count(&self, deed: Deed) -> usize {
        self.counts.lock().get(&deed).copied().unwrap_or(0)
    }

    fn decide(&self, deed: Deed) -> Fault {
        *self.counts.lock().entry(deed).or_default() += 1;
        (self.plan.lock())(deed)
    }
}

/// What outlives a node: the store, the receivers, the time.
pub(crate) struct World {
    memory: MemoryStore,
    /// Reads for the test and writes what operators write; never a worker.
    pub(crate) store: MemoryNode,
    pub(crate) clock: SimClock,
    pub(crate) receivers: Arc<Receivers>,
    pub(crate) settings: Settings,
    declared: Mutex<Vec<ImportApplication>>,
}

/// A node that delivers.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) publisher: Publisher,
    pub(crate) faults: Faults,
    pub(crate) metrics: Arc<Metrics>,
}

/// The `n`th endpoint's id.
pub(crate) fn id(n: u64) -> EndpointId {
    build::endpoint_id(n)
}

/// The `n`th endpoint: retried three times after ten seconds each, save for what `change` says.
pub(crate) fn endpoint(n: u64, change: impl FnOnce(&mut EndpointSettings)) -> ImportEndpoint {
    let mut endpoint = build::import_endpoint(n);
    let settings = Arc::make_mut(&mut endpoint.settings);
    settings.retry = Some(RetryPolicy::Fixed { delay: Duration::from_secs(10), retries: 3 });
    change(settings);
    endpoint
}

/// The `n`th endpoint as [`endpoint`] makes it.
pub(crate) fn plain(n: u64) -> ImportEndpoint {
    endpoint(n, |_| {})
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A payload that tells them apart.
pub(crate) fn numbered(n: u64) -> Publish {
    payload(format!("{{\"n\":{n}}}"))
}

/// A message with this payload.
pub(crate) fn payload(text: impl Into<Bytes>) -> Publish {
    Publish::json("thing.happened".parse().expect("an event type"), text.into())
}

impl World {
    /// A world whose application 1 has these endpoints.
    pub(crate) async fn new(endpoints: Vec<ImportEndpoint>) -> Self {
        Self::with(endpoints, Settings::default()).await
    }

    /// The same for a deployment with settings of its own.
    pub(crate) async fn with(endpoints: Vec<ImportEndpoint>, settings: Settings) -> Self {
        let clock = SimClock(tokio::time::Instant::now());
        let memory = MemoryStore::shared();
        let application = ImportApplication { endpoints, ..build::import_application(1, &[]) };
        let world = Self {
            store: memory.node("operator", clock.now()),
            memory,
            clock,
            receivers: Receivers::new(clock),
            settings,
            declared: Mutex::new(vec![application]),
        };
        world.declare(|_| {}).await;
        world
    }

    /// Changes what the file declares and imports it.
    pub(crate) async fn declare(&self, change: impl FnOnce(&mut Vec<ImportApplication>)) {
        let applications = {
            let mut declared = self.declared.lock();
            change(&mut declared);
            declared.clone()
        };
        let imported = self.store.import(build::import(applications)).await;
        imported.expect("the memory store works").expect("nothing is taken");
    }

    /// Changes the settings of an endpoint of application 1.
    pub(crate) async fn change(&self, endpoint: EndpointId, change: impl FnOnce(&mut EndpointSettings)) {
        self.declare(|applications| {
            let endpoints = &mut applications[0].endpoints;
            let found = endpoints.iter_mut().find(|declared| declared.id == endpoint).expect("it is declared");
            change(Arc::make_mut(&mut found.settings));
        })
        .await;
    }

    /// Switches an endpoint on or off by hand.
    pub(crate) async fn switch(&self, endpoint: EndpointId, change: StatusChange) {
        let changed = self.store.change_status(endpoint, change, self.clock.now()).await;
        changed.expect("the memory store works").expect("it is declared");
    }

    /// A node begins to deliver. A second call is its next life.
    pub(crate) async fn start(&self) -> Node {
        self.start_as("worker").await
    }

    /// The node of this name begins to deliver.
    pub(crate) async fn start_as(&self, name: &str) -> Node {
        let memory = Arc::new(self.memory.node(name, self.clock.now()));
        let highest = memory.highest_id().await.expect("the memory store works");
        let faults = Faults::new();
        let deciding = faults.clone();
        let store: Arc<dyn Store> = Arc::new(FaultyStore::new(memory, move |call| deciding.decide(call.deed)));
        let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(self.clock), Arc::new(Counting::default()));
        let ids = Arc::new(Ids::new(highest, Arc::clone(&clock), Arc::clone(&rng)));
        let metrics = Arc::new(Metrics::new());
        let parts = Parts {
            store: Arc::clone(&store),
            transport: Arc::clone(&self.receivers) as _,
            clock: Arc::clone(&clock),
            rng,
            ids: Arc::clone(&ids),
            metrics: Arc::clone(&metrics),
            settings: self.settings.clone(),
        };
        let engine = Engine::start(parts).await.expect("the store works");
        let handoff = engine.handoff();
        let publisher = Publisher::new(store, handoff, clock, ids, Arc::clone(&metrics), Defaults::default());
        Node { engine, publisher, faults, metrics }
    }

    /// Waits until `level` is reached, for at most `patience` of simulated time.
    pub(crate) async fn until<F: Future<Output = bool>>(
        &self,
        patience: Duration,
        what: &str,
        mut level: impl FnMut() -> F,
    ) {
        let deadline = self.clock.monotonic() + patience;
        let step = (patience / 1_000).clamp(Duration::from_millis(1), seconds(1));
        while !level().await {
            assert!(self.clock.monotonic() < deadline, "within {patience:?} it was not so: {what}");
            tokio::time::sleep(step).await;
        }
    }

    /// Waits until a receiver has had `count` requests.
    pub(crate) async fn arrivals(&self, endpoint: EndpointId, count: usize, patience: Duration) {
        self.until(patience, &format!("{count} requests arrived"), async || self.receivers.count(endpoint) >= count)
            .await;
    }

    /// Whether nothing is pending or leased.
    pub(crate) async fn is_quiet(&self) -> bool {
        let overview = self.store.overview(self.clock.now()).await.expect("the memory store works");
        overview.open.iter().all(|(_, count)| *count == 0)
    }

    /// Waits until nothing is pending or leased.
    pub(crate) async fn quiet(&self, patience: Duration) {
        self.until(patience, "nothing is open", async || self.is_quiet().await).await;
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// What a message owes.
    pub(crate) async fn owed(&self, message: MessageId) -> Vec<Delivery> {
        self.store.deliveries(build::application_id(1), message).await.expect("the memory store works")
    }

    pub(crate) async fn delivery(&self, message: MessageId, endpoint: EndpointId) -> Delivery {
        self.owed(message).await.into_iter().find(|delivery| delivery.key.endpoint == endpoint).expect("it is owed")
    }

    pub(crate) async fn state(&self, message: MessageId, endpoint: EndpointId) -> DeliveryState {
        self.delivery(message, endpoint).await.state
    }

    /// The attempts of a delivery, in order.
    pub(crate) async fn attempts(&self, message: MessageId, endpoint: EndpointId) -> Vec<Attempt> {
        self.logged(Some(message), endpoint).await
    }

    /// The attempts at an endpoint, in order.
    pub(crate) async fn logged(&self, message: Option<MessageId>, endpoint: EndpointId) -> Vec<Attempt> {
        let query = AttemptQuery {
            application: build::application_id(1),
            message,
            endpoint: Some(endpoint),
            succeeded: None,
            status_class: None,
            before: None,
            after: None,
            page: PageRequest { limit: 250, start: PageStart::First, order: Order::Ascending },
        };
        self.store.attempts(query).await.expect("the memory store works").items
    }

    /// What came of the attempts of a delivery, in order.
    pub(crate) async fn outcomes(&self, message: MessageId, endpoint: EndpointId) -> Vec<Outcome> {
        self.attempts(message, endpoint).await.into_iter().map(|attempt| attempt.outcome).collect()
    }

    pub(crate) async fn endpoint(&self, endpoint: EndpointId) -> Endpoint {
        let found = self.store.endpoint(endpoint).await.expect("the memory store works");
        Endpoint::clone(&found.expect("it is declared"))
    }

    pub(crate) async fn status(&self, endpoint: EndpointId) -> EndpointStatus {
        self.endpoint(endpoint).await.status
    }

    /// The event types and payloads of what application 2 was told, in order.
    pub(crate) async fn announced(&self) -> Vec<(String, serde_json::Value)> {
        let query = MessageQuery {
            application: build::application_id(2),
            event_types: Vec::new(),
            channel: None,
            before: None,
            after: None,
            payloads: Payloads::Read,
            page: PageRequest { limit: 250, start: PageStart::First, order: Order::Ascending },
        };
        let messages = self.store.messages(query).await.expect("the memory store works").items;
        let told = messages.iter().map(|stored| {
            let payload = stored.message.payload.bytes().expect("nobody expunged it");
            (stored.message.event_type.to_string(), serde_json::from_slice(payload).expect("it is JSON"))
        });
        told.collect()
    }
}

/// Publishes to application 1, or says why not.
pub(crate) async fn publish(publisher: &Publisher, message: Publish) -> Result<MessageId, PublishError> {
    let application = ApplicationRef::Id(build::application_id(1));
    let answer = publisher.publish(build::organisation(), &application, message).await?;
    Ok(answer.message().id)
}

impl Node {
    /// Publishes to application 1.
    pub(crate) async fn publish(&self, message: Publish) -> MessageId {
        publish(&self.publisher, message).await.expect("the message is taken")
    }

    /// Sends a delivery again by hand.
    pub(crate) async fn resend(&self, message: MessageId, endpoint: EndpointId) {
        let key = DeliveryKey { message, endpoint };
        let resent = self.publisher.resend(build::application_id(1), key, None).await;
        resent.expect("the memory store works");
    }
}
