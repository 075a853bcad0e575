//! What every deed and read of an open store can reach, and how a deed is done.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookyard_model::Incarnation;
use hookyard_ports::{Clock, Metrics, Rng, StoreError};
use hookyard_record::{Keyring, OpenedSettings};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::fault::{Attempted, Fault};
use crate::hint::Heard;
use crate::partition::Day;
use crate::pool::{Pools, Sessions, Share};
use crate::schema::Schema;
use crate::transaction::{Mode, Tx};

/// How often a deed begins again when others were faster, before its caller is asked to come back.
const ROUNDS: usize = 8;
/// How long a deed may take that nobody waits for who has something better to do meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every part of an open store can reach.
pub(crate) struct Node {
    pub(crate) pools: Pools,
    pub(crate) schema: Schema,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) name: String,
    pub(crate) incarnation: Incarnation,
    /// A setting that only sessions of this life have.
    pub(crate) mark: String,
    pub(crate) pending_limit: u64,
    /// Whether `synchronous_commit` is set as high as is needed without us.
    pub(crate) is_commit_durable: bool,
    /// Whose the sessions are.
    sessions_are_ours: AtomicBool,
    /// Days whose partitions are there.
    pub(crate) days: Mutex<BTreeSet<Day>>,
    /// How many deliveries are open, and when they were counted.
    pub(crate) open: Mutex<Option<(Duration, u64)>>,
    /// Bytes on disk, and when they were counted.
    pub(crate) bytes: Mutex<Option<(Duration, u64)>>,
    /// Where the last step of pruning stopped, so that what cannot go yet is not looked at by every step.
    pub(crate) pruned_to: Mutex<Option<(i64, hookyard_model::RawId)>>,
    /// Days that are over and stay, and when that was said.
    pub(crate) reported: Mutex<BTreeSet<(Day, Day)>>,
    /// What this node says to others and hears from them.
    pub(crate) heard: Heard,
    woken: watch::Sender<u64>,
    /// Only reads use it: a transaction that writes may see a form of its own that will never be.
    pub(crate) settings: OpenedSettings,
}

/// What a node begins with.
pub(crate) struct Beginning {
    pub(crate) pools: Pools,
    pub(crate) schema: Schema,
    pub(crate) incarnation: Incarnation,
    pub(crate) mark: String,
    pub(crate) is_commit_durable: bool,
    pub(crate) sessions: Sessions,
}

/// One transaction's worth of work. May run several times: what an earlier run wrote was rolled back then.
pub(crate) trait Deed: Send + Sync + 'static {
    /// What the caller gets.
    type Answer: Send + 'static;
    /// What it does.
    const MODE: Mode = Mode::Write;
    /// Which connections it may use.
    const SHARE: Share = Share::Other;
    /// How long it may take in all; what takes longer hangs.
    const PATIENCE: Duration = PATIENCE;

    /// What must be there before its transaction begins.
    fn prepare(&self, _node: &Arc<Node>) -> impl Future<Output = Attempted<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Does it.
    fn run(&self, tx: &Tx) -> impl Future<Output = Attempted<Self::Answer>> + Send;
}

impl Node {
    pub(crate) fn new(options: crate::Options, beginning: Beginning) -> Self {
        let Beginning { pools, schema, incarnation, mark, is_commit_durable, sessions } = beginning;
        Self {
            pools,
            schema,
            heard: Heard::new(options.delivers),
            keyring: options.keyring,
            clock: options.clock,
            rng: options.rng,
            metrics: options.metrics,
            name: options.node,
            incarnation,
            mark,
            pending_limit: options.pending_limit,
            is_commit_durable,
            sessions_are_ours: AtomicBool::new(sessions == Sessions::Ours),
            days: Mutex::new(BTreeSet::new()),
            open: Mutex::new(None),
            bytes: Mutex::new(None),
            pruned_to: Mutex::new(None),
            reported: Mutex::new(BTreeSet::new()),
            woken: watch::Sender::new(0),
            settings: OpenedSettings::default(),
        }
    }

    /// Does a deed, again when others were faster.
    pub(crate) async fn perform<D: Deed>(self: &Arc<Self>, deed: &D) -> Result<D::Answer, StoreError> {
        self.attempt(deed).await.map_err(Fault::into_error)
    }

    /// Does a deed as [`Node::perform`], and tells what went wrong in the store's own words.
    pub(crate) async fn attempt<D: Deed>(self: &Arc<Self>, deed: &D) -> Attempted<D::Answer> {
        let rounds = async {
            let mut round = 1;
            loop {
                match self.once(deed).await {
                    Err(fault) if fault.is_race() && round < ROUNDS => round += 1,
                    // What was only read is read again; whether something was written, its caller must find out.
                    Err(fault) if D::MODE == Mode::Read && fault.is_outage() && round == 1 => round += 1,
                    done => return done,
                }
            }
        };
        let hangs = |_| {
            Fault::Store(StoreError::Unavailable(format!(
                "the database gave no answer within {} s",
                D::PATIENCE.as_secs()
            )))
        };
        tokio::time::timeout(D::PATIENCE, rounds).await.map_err(hangs)?
    }

    async fn once<D: Deed>(self: &Arc<Self>, deed: &D) -> Attempted<D::Answer> {
        deed.prepare(self).await?;
        let tx = match Tx::begin(self, D::MODE, D::SHARE).await {
            Ok(tx) => tx,
            Err(fault) => {
                self.lose_sessions_after(&fault);
                return Err(fault);
            }
        };
        match deed.run(&tx).await {
            Ok(answer) => {
                let began = self.clock.monotonic();
                tx.commit().await?;
                if D::MODE == Mode::Write {
                    self.metrics.commits.inc();
                    let took = self.clock.monotonic().saturating_sub(began);
                    self.metrics.commit_seconds.observe(took.as_secs_f64());
                }
                Ok(answer)
            }
            Err(fault) => {
                tx.roll_back().await;
                self.lose_sessions_after(&fault);
                if fault.misses_partition() {
                    self.forget_days();
                }
                Err(fault)
            }
        }
    }

    /// Takes sessions for anybody's once one was lost.
    pub(crate) fn lose_sessions_after(&self, fault: &Fault) {
        if fault.loses_session() && self.sessions_are_ours.swap(false, Ordering::Relaxed) {
            tracing::warn!("a connection lost what was prepared on it; statements are planned each time from here on");
        }
    }

    /// Whose the sessions are, as far as is known.
    pub(crate) fn sessions(&self) -> Sessions {
        if self.sessions_are_ours.load(Ordering::Relaxed) { Sessions::Ours } else { Sessions::Anybodys }
    }

    /// Wakes whoever waits for changes in this process.
    pub(crate) fn wake(&self) {
        self.woken.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells when [`Node::wake`] is called.
    pub(crate) fn wakes(&self) -> watch::Receiver<u64> {
        self.woken.subscribe()
    }
}
