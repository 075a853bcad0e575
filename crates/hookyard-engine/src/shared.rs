//! What the engine's loops share, and the handoff through which accepted messages reach them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookyard_model::{DeliveryKey, Endpoint, EndpointId, Timestamp, limits};
use hookyard_ports::store::Result;
use hookyard_ports::{Clock, Handed, Handoff, Ids, Metrics, Rng, Store, Transport};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Settings;
use crate::encode::Threads;
use crate::lanes::{Lanes, Start};
use crate::outage::Outage;
use crate::prepared::Prepared;
use crate::settle::Finished;

/// How long a store that does not answer is left alone.
const PAUSE: Duration = Duration::from_millis(250);

/// What an engine is made of.
pub struct Parts {
    /// Where deliveries are.
    pub store: Arc<dyn Store>,
    /// How requests leave.
    pub transport: Arc<dyn Transport>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where jitter comes from.
    pub rng: Arc<dyn Rng>,
    /// Where ids come from.
    pub ids: Arc<Ids>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// The deployment's defaults and bounds.
    pub settings: Settings,
}

pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) lanes: Mutex<Lanes>,
    /// Ended attempts on their way to the store; bounded by the rooms of the lanes.
    pub(crate) finished: mpsc::UnboundedSender<Finished>,
    /// Leases to give back; bounded by the rooms of the lanes.
    pub(crate) given_back: mpsc::UnboundedSender<Vec<DeliveryKey>>,
    /// How many leases are on their way back.
    pub(crate) giving_back: AtomicUsize,
    /// Something may be due for a claim.
    pub(crate) claim: Notify,
    /// The pulse has something new to wait for.
    pub(crate) pulse: Notify,
    /// An attempt ended or was settled while stopping.
    pub(crate) quiet: Notify,
    /// When the store last confirmed that this incarnation lives, by the monotonic clock.
    pub(crate) confirmed: Mutex<Duration>,
    /// Since when this incarnation was never taken for dead, by the monotonic clock: leases from before may be with others.
    pub(crate) unbroken: Mutex<Duration>,
    /// Whether the store is away, and what the log has said of it.
    pub(crate) outage: Outage,
    pub(crate) tracker: TaskTracker,
    /// Where large payloads are encoded.
    pub(crate) encoders: Threads,
    /// Begin nothing new.
    pub(crate) stop: CancellationToken,
    /// Drop everything.
    pub(crate) kill: CancellationToken,
}

impl Shared {
    /// The attempt whose turn it is, and whether others may follow at once.
    pub(crate) fn next_start(&self) -> Option<(Start, bool)> {
        let mut lanes = self.lanes.lock();
        let start = lanes.start(self.parts.clock.monotonic());
        if lanes.wants_tick() {
            self.pulse.notify_one();
        }
        start.map(|start| (start, lanes.has_waiting()))
    }

    /// Begins every attempt that may begin.
    pub(crate) fn pump(self: &Arc<Self>) {
        while let Some((start, more)) = self.next_start() {
            let shared = Arc::clone(self);
            let kill = self.kill.clone();
            self.tracker.spawn(async move {
                kill.run_until_cancelled(crate::deliver::deliver(shared, start)).await;
            });
            if !more {
                return;
            }
        }
    }

    /// Whether leases taken by this incarnation still count: another node may free them once its heartbeat is too old.
    pub(crate) fn holds_leases(&self) -> bool {
        self.parts.clock.monotonic().saturating_sub(*self.confirmed.lock()) < limits::LEASE_TRUSTED
    }

    /// The store confirmed what was true at `before`. What was leased before a gap in which others may have freed it is
    /// given back unsent, whatever the heartbeat says since.
    pub(crate) fn confirm(&self, before: Duration) {
        let gap = before.saturating_sub(*self.confirmed.lock());
        if gap >= limits::LEASE_TRUSTED {
            // Until the last line nothing counts as leased, so nothing leaves between the two.
            *self.unbroken.lock() = before;
            let queued = self.lanes.lock().drain_all();
            tracing::warn!(
                deliveries = queued.len(),
                "gave back what waited here, because this node was not heard of for so long that others may have it"
            );
            self.give_back(queued);
            self.claim.notify_one();
        }
        *self.confirmed.lock() = before;
    }

    /// Passes what came of an attempt to the settling loop.
    pub(crate) fn finish(&self, finished: Finished) {
        // The loop outlives every attempt; if it is gone, the process is being killed and rescue will log it.
        let _ = self.finished.send(finished);
    }

    /// Asks the store until it can be reached; the process may be killed meanwhile.
    pub(crate) async fn ask<T, F: Future<Output = Result<T>>>(&self, question: impl Fn() -> F) -> Result<T> {
        loop {
            match question().await {
                Err(error) if error.is_retryable() => {
                    self.complain(&error, "the store cannot say what an attempt needs");
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    /// Gives leases back.
    pub(crate) fn give_back(&self, handed: impl IntoIterator<Item = Handed>) {
        self.give_back_keys(handed.into_iter().map(|handed| handed.delivery.key).collect());
    }

    /// Gives leases back by their keys.
    pub(crate) fn give_back_keys(&self, keys: Vec<DeliveryKey>) {
        if !keys.is_empty() {
            self.giving_back.fetch_add(keys.len(), Ordering::Relaxed);
            // The loop ends after everything else; when it has ended, rescue will free them.
            let _ = self.given_back.send(keys);
        }
    }

    /// Waits until every lease that was given back is with the store, or the process is being killed.
    pub(crate) async fn all_given_back(&self) {
        while self.giving_back.load(Ordering::Relaxed) > 0 {
            self.quiet.notified().await;
        }
    }

    /// Reads an endpoint's present form for its lane; one that is not sent to loses what is queued.
    pub(crate) async fn refresh(&self, id: EndpointId) -> Result<()> {
        let endpoint = self.parts.store.endpoint(id).await?;
        let prepared = endpoint.map(|endpoint| Arc::new(Prepared::new(endpoint, &self.parts.settings)));
        let enabled = {
            let mut lanes = self.lanes.lock();
            let enabled = lanes.introduce(id, prepared, self.parts.clock.monotonic());
            if !enabled {
                self.give_back(lanes.drain(id));
            }
            enabled
        };
        if !enabled {
            self.parts.transport.forget(id);
        }
        Ok(())
    }
}

/// The engine's side of [`Handoff`].
pub(crate) struct Lane(pub(crate) Arc<Shared>);

impl Handoff for Lane {
    fn try_reserve(&self, endpoint: &Arc<Endpoint>, bytes: usize) -> bool {
        if !self.0.holds_leases() {
            return false;
        }
        let clock = &self.0.parts.clock;
        let (at, now) = (clock.now(), clock.monotonic());
        let prepare = || Arc::new(Prepared::remembered(Arc::clone(endpoint), &self.0.parts.settings));
        self.0.lanes.lock().try_reserve(endpoint, bytes, at, now, prepare)
    }

    fn unreserve(&self, endpoint: EndpointId, bytes: usize) {
        self.0.lanes.lock().unreserve(endpoint, bytes);
        self.0.claim.notify_one();
        self.0.quiet.notify_one();
    }

    fn hand_over(&self, handed: Handed) {
        {
            // Under the lock: a stop that sees the room free must see the lease on its way back.
            let mut lanes = self.0.lanes.lock();
            let refused = lanes.enqueue(handed);
            self.0.give_back(refused);
        }
        self.0.pump();
    }

    fn hint(&self, endpoint: EndpointId, due: Timestamp) {
        self.0.lanes.lock().hint(endpoint, due);
        self.0.claim.notify_one();
    }
}
