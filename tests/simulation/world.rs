//! The world of one seed: its workers, its endpoints, a storm and the calm after it.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use hookyard_accept::{Defaults, Publish, Publisher};
use hookyard_engine::{Engine, Parts, Settings};
use hookyard_model::{Delivery, DeliveryState, EndpointId, MessageId, Ordered, RetryPolicy};
use hookyard_ports::store::ApplicationRef;
use hookyard_ports::testkit::{Shares, build};
use hookyard_ports::{Clock, Ids, Metrics, Store};
use parking_lot::Mutex;

use crate::network::{Behaviour, Seen, SimClock, SimNetwork, SimRng};
use crate::place::Place;

/// How many endpoints every message is owed to.
pub(crate) const ENDPOINTS: u64 = 5;
/// The endpoint whose deliveries wait for earlier ones.
pub(crate) const ORDERED: u64 = 4;
const MESSAGES: u64 = 24;
/// How long the world misbehaves, and how long a run may take in simulated time.
const STORM: Duration = Duration::from_mins(2);
const PATIENCE: Duration = Duration::from_hours(2);

/// A worker, while it lives.
struct Worker {
    engine: Engine,
    publisher: Publisher,
    /// Its store, without faults.
    store: Arc<dyn Store>,
}

/// A world and what happened in it.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) seen: Arc<Mutex<Seen>>,
    /// What was acknowledged.
    pub(crate) accepted: Vec<MessageId>,
    /// How often a worker ended.
    pub(crate) ends: usize,
    rng: Arc<SimRng>,
    place: Arc<Place>,
    clocks: Vec<Arc<SimClock>>,
    workers: Vec<Option<Worker>>,
    behaviour: Arc<Mutex<BTreeMap<EndpointId, Behaviour>>>,
    failing: bool,
}

impl World {
    pub(crate) fn new(seed: u64, place: Arc<Place>) -> Self {
        let rng = SimRng::new(seed);
        let workers = 0..place.workers();
        let clocks = workers.clone().map(|_| Arc::new(SimClock::new(Duration::from_millis(rng.below(300))))).collect();
        Self {
            seed,
            place,
            clocks,
            workers: workers.map(|_| None).collect(),
            seen: Arc::default(),
            behaviour: Arc::default(),
            accepted: Vec::new(),
            failing: true,
            ends: 0,
            rng,
        }
    }

    /// Declares the endpoints: each with another policy, one of them ordered, one with a rate.
    async fn declare(&self) {
        let mut application = build::import_application(1, &(1..=ENDPOINTS).collect::<Vec<_>>());
        for (index, endpoint) in application.endpoints.iter_mut().enumerate() {
            let settings = Arc::make_mut(&mut endpoint.settings);
            settings.timeout = Some(Duration::from_secs(5));
            settings.retry = Some(match index {
                0 => RetryPolicy::Fixed { delay: Duration::from_secs(3), retries: 60 },
                1 => RetryPolicy::Exponential {
                    delay: Duration::from_secs(1),
                    factor: 2.0,
                    max_delay: Duration::from_mins(1),
                    retries: 40,
                    jitter: 0.3,
                },
                2 => RetryPolicy::Schedule { delays: vec![Duration::from_secs(20); 30], jitter: 0.2 },
                3 => RetryPolicy::Fixed { delay: Duration::from_secs(2), retries: 80 },
                _ => RetryPolicy::Fixed { delay: Duration::from_secs(1), retries: 2 },
            });
            settings.ordered = if endpoint.id == build::endpoint_id(ORDERED) { Ordered::Endpoint } else { Ordered::No };
            settings.concurrency = NonZeroU16::new(1 + u16::try_from(index).expect("small"));
            settings.rate_limit = (index == 1).then(|| "20/s".parse().expect("a rate"));
            self.behaviour
                .lock()
                .insert(endpoint.id, Behaviour { failing: self.rng.below(70), hanging: self.rng.below(15) });
        }
        let store = self.place.open("declarer", build::NOW).await;
        let store = self.place.faulty(store, 0, Shares::default());
        let imported = store.import(build::import(vec![application])).await;
        imported.expect("nothing fails yet").expect("nothing is taken");
        store.close().await;
    }

    async fn start(&mut self, index: usize) {
        let clock = Arc::clone(&self.clocks[index]);
        let store = self.place.open(&format!("worker-{index}"), clock.now()).await;
        let shares = if self.failing { Shares { before: 40, after: 25, delay: 60 } } else { Shares::default() };
        let faulty = self.place.faulty(Arc::clone(&store), self.rng.next(), shares);
        let store = self.place.faulty(store, 0, Shares::default());
        let rng = SimRng::new(self.rng.next());
        let highest = store.highest_id().await.expect("this handle does not fail");
        let ids = Arc::new(Ids::new(highest, Arc::clone(&clock) as _, Arc::clone(&rng) as _));
        let metrics = Arc::new(Metrics::new());
        let network =
            SimNetwork { rng: Arc::clone(&rng), seen: Arc::clone(&self.seen), behaviour: Arc::clone(&self.behaviour) };
        let started = Engine::start(Parts {
            store: Arc::clone(&faulty),
            transport: Arc::new(network),
            clock: Arc::clone(&clock) as _,
            rng,
            ids: Arc::clone(&ids),
            metrics: Arc::clone(&metrics),
            settings: Settings { slots: 8, ..Settings::default() },
        })
        .await;
        // A worker whose store fails right at the start is one that did not come up.
        let Ok(engine) = started else { return };
        let publisher = Publisher::new(faulty, engine.handoff(), clock, ids, metrics, Defaults::default());
        self.workers[index] = Some(Worker { engine, publisher, store });
    }

    /// The storm: publishing, failing, dying, coming back.
    pub(crate) async fn live(&mut self) {
        self.declare().await;
        for index in 0..self.workers.len() {
            self.start(index).await;
        }
        let began = tokio::time::Instant::now();
        let mut published = 0;
        while began.elapsed() < STORM || published < MESSAGES {
            tokio::time::sleep(Duration::from_millis(self.rng.below(2_500))).await;
            let index = usize::try_from(self.rng.below(self.place.workers())).expect("small");
            match self.rng.below(10) {
                0 => {
                    if let Some(worker) = self.workers[index].take() {
                        self.ends += 1;
                        self.end(worker).await;
                    }
                }
                1..=3 if self.workers[index].is_none() => self.start(index).await,
                _ if published < MESSAGES => {
                    published += 1;
                    self.publish(index, published).await;
                }
                _ => {}
            }
        }
    }

    /// Half of the ends are crashes, half are orderly.
    async fn end(&self, worker: Worker) {
        if self.rng.chance(50) {
            worker.engine.kill().await;
        } else {
            worker.engine.stop(Duration::from_secs(2)).await;
            worker.store.close().await;
        }
    }

    async fn publish(&mut self, index: usize, number: u64) {
        let Some(worker) = &self.workers[index] else { return };
        let application = ApplicationRef::Id(build::application_id(1));
        let payload = format!("{{\"n\":{number}}}").into();
        let publish = Publish::json("sim.event".parse().expect("an event type"), payload);
        // An error may hide an accepted message; only what was acknowledged is promised.
        if let Ok(published) = worker.publisher.publish(build::organisation(), &application, publish).await {
            self.accepted.push(published.message().id);
        }
    }

    /// The storm is over: receivers answer, the store works, every worker is up. Waits until nothing is open.
    pub(crate) async fn heal(&mut self) {
        self.failing = false;
        for behaviour in self.behaviour.lock().values_mut() {
            *behaviour = Behaviour { failing: 0, hanging: 0 };
        }
        for index in 0..self.workers.len() {
            if let Some(worker) = self.workers[index].take() {
                worker.engine.kill().await;
            }
            self.start(index).await;
        }
        let began = tokio::time::Instant::now();
        loop {
            let open = self.open().await;
            if open.is_empty() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "seed {}: still open after {PATIENCE:?}: {open:?}", self.seed);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// A store that does not fail, of whichever worker.
    pub(crate) fn store(&self) -> &dyn Store {
        let worker = self.workers.iter().flatten().next().expect("a worker lives");
        &*worker.store
    }

    /// What is owed for everything that was acknowledged.
    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for message in &self.accepted {
            let of = self.store().deliveries(build::application_id(1), *message).await;
            deliveries.extend(of.expect("this handle does not fail"));
        }
        deliveries
    }

    async fn open(&self) -> Vec<Delivery> {
        let mut deliveries = self.deliveries().await;
        deliveries.retain(|delivery| match delivery.state {
            DeliveryState::Pending { .. } | DeliveryState::Leased { .. } => true,
            DeliveryState::Delivered { extra } => extra.is_some(),
            DeliveryState::Failed(_) | DeliveryState::Cancelled(_) => false,
        });
        deliveries
    }
}
