//! The loops that deliver.
//!
//! [`Engine::start`] begins them over a store, a transport, a clock and randomness; [`Engine::handoff`] is how accepted
//! messages reach them; [`Engine::stop`] ends them with nothing lost. Between two transactions, claim and settle, a
//! delivery is in a lane of this node and a request may be in flight; no transaction is open while a socket is.
//!
//! What it promises: every leased delivery is settled, given back, or (after a crash) rescued; one receiver's trouble
//! delays no other's deliveries; what is in memory is bounded in number and in bytes. What it leaves to others: what an
//! attempt means (`hookyard-core`), how a request looks (`hookyard-dialects`), how it leaves (`hookyard-egress`), and
//! what is on disk (the store).

mod age;
mod attempt;
mod board;
mod claim;
mod deliver;
mod encode;
mod lane;
mod lanes;
mod memory;
mod operational;
mod outage;
mod prepared;
mod reconcile;
mod release;
mod rescue;
mod settings;
mod settle;
mod shared;
mod standing;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use hookyard_ports::Handoff;
use hookyard_ports::store::Result;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use settings::Settings;
pub use shared::Parts;

use crate::encode::Threads;
use crate::lanes::Lanes;
use crate::shared::Shared;

/// How long a stop waits for the store to take leases back.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// The running loops of one node.
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// Frees what a former life of this node held, and begins to deliver.
    ///
    /// Must be called within a tokio runtime. Fails when the store cannot free the leases; then nothing runs.
    pub async fn start(parts: Parts) -> Result<Self> {
        let (finished, finished_queue) = mpsc::unbounded_channel();
        let (given_back, given_back_queue) = mpsc::unbounded_channel();
        let tracker = TaskTracker::new();
        let shared = Arc::new(Shared {
            lanes: Mutex::new(Lanes::new(&parts.settings)),
            confirmed: Mutex::new(parts.clock.monotonic()),
            unbroken: Mutex::new(parts.clock.monotonic()),
            outage: outage::Outage::default(),
            parts,
            finished,
            given_back,
            giving_back: AtomicUsize::new(0),
            claim: Notify::new(),
            pulse: Notify::new(),
            quiet: Notify::new(),
            encoders: Threads::new(tracker.clone()),
            tracker,
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
        });
        rescue::confirm(&shared).await?;
        rescue::rescue(&shared).await?;
        let engine = Self { shared };
        engine.begin(claim::run(engine.share()));
        engine.begin(watch::run(engine.share()));
        engine.begin(rescue::run(engine.share()));
        engine.begin(reconcile::run(engine.share()));
        engine.begin(age::run(engine.share()));
        engine.begin(age::gauge(engine.share()));
        engine.begin(pulse(engine.share()));
        engine.begin(settle::run(engine.share(), finished_queue));
        engine.begin(release::run(engine.share(), given_back_queue));
        Ok(engine)
    }

    /// How accepted messages reach the lanes.
    pub fn handoff(&self) -> Arc<dyn Handoff> {
        Arc::new(shared::Lane(self.share()))
    }

    /// Stops: nothing new begins, what is in flight has `grace` to end, what was not sent is given back to the store.
    ///
    /// Afterwards every attempt that ended is in the store, and no task of the engine runs. An attempt that outlived the
    /// grace stays leased; the next start logs it as interrupted.
    pub async fn stop(self, grace: Duration) {
        let queued = self.shared.lanes.lock().close();
        self.shared.stop.cancel();
        self.shared.give_back(queued);
        let ended = async {
            while self.shared.lanes.lock().unfinished() > 0 {
                self.shared.quiet.notified().await;
            }
        };
        if tokio::time::timeout(grace, ended).await.is_err() {
            let unfinished = self.shared.lanes.lock().unfinished();
            tracing::warn!(
                attempts = unfinished,
                "attempts outlived the grace period; the next start logs them as interrupted"
            );
        }
        if tokio::time::timeout(GIVE_BACK, self.shared.all_given_back()).await.is_err() {
            tracing::warn!("the store did not take back all leases; the next start frees them");
        }
        self.kill().await;
    }

    /// Drops everything at once, as a crash would; for tests that need one.
    pub async fn kill(self) {
        self.shared.kill.cancel();
        self.shared.stop.cancel();
        self.shared.tracker.close();
        self.shared.tracker.wait().await;
    }

    fn share(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    fn begin(&self, task: impl Future<Output = ()> + Send + 'static) {
        let kill = self.shared.kill.clone();
        self.shared.tracker.spawn(async move {
            kill.run_until_cancelled(task).await;
        });
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// Lets time pass for the lanes: slow ones, and those that wait for their rate.
async fn pulse(shared: Arc<Shared>) {
    loop {
        let next = {
            let mut lanes = shared.lanes.lock();
            let (next, relieved) = lanes.tick(shared.parts.clock.monotonic());
            shared.give_back(relieved);
            next
        };
        shared.pump();
        let wait = next.map(|at| at.saturating_sub(shared.parts.clock.monotonic()));
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = shared.pulse.notified() => {}
            () = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }
}
