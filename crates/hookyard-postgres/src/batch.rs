//! Commits together what waits together: one transaction, and one fsync of the server, for many callers.
//!
//! Accepts and settlements each have a worker. It takes all that wait, does them in statements over arrays, commits, and
//! answers each; meanwhile the next ones gather. When the database refuses a group for what is in it, each of it is tried
//! alone, so that only the guilty one fails. When it cannot be reached, all are told so at once: the answer may be lost
//! where the commit is not, and that is for each caller to find out.

use std::future::Future;
use std::sync::Arc;

use hookyard_model::limits;
use hookyard_ports::StoreError;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::node::{Deed, Node};

/// Deeds that may wait; callers beyond it wait before they send.
const WAITING: usize = 4 * limits::GROUP_COMMIT;
/// Bytes of payloads and responses in one group, at which it is complete: a parameter of the protocol has its limit, and
/// a group of the largest messages must not keep the small ones waiting.
const GROUP_BYTES: usize = 16 * 1024 * 1024;

/// Deeds of one kind, done in one transaction. Its answers are in their order; a deed that is refused by its own rules has
/// written nothing.
pub(crate) trait Group: Deed<Answer = Vec<Result<Self::One, StoreError>>> {
    /// What one caller asks.
    type Ask: Send + Sync + 'static;
    /// What one caller gets.
    type One: Send + 'static;

    /// A group of deeds.
    fn of(asks: Vec<Self::Ask>) -> Self;
    /// The deeds again.
    fn into_asks(self) -> Vec<Self::Ask>;
    /// About how many bytes one takes.
    fn bytes(ask: &Self::Ask) -> usize;
}

type Answer<G> = oneshot::Sender<Result<<G as Group>::One, StoreError>>;

/// Where callers leave their deeds.
pub(crate) struct Batches<G: Group> {
    sender: Mutex<Option<Sender<G>>>,
}

type Sender<G> = mpsc::Sender<(<G as Group>::Ask, Answer<G>)>;

impl<G: Group> Batches<G> {
    /// A queue, and what works it off.
    pub(crate) fn new(node: Arc<Node>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender: Mutex::new(Some(sender)) }, work::<G>(node, receiver))
    }

    /// Has a deed done.
    pub(crate) async fn ask(&self, ask: G::Ask) -> Result<G::One, StoreError> {
        let stopped = || StoreError::Unavailable("its writer has stopped".to_owned());
        let sender = self.sender.lock().clone().ok_or_else(stopped)?;
        let (answer, answered) = oneshot::channel();
        sender.send((ask, answer)).await.map_err(|_| stopped())?;
        drop(sender);
        answered.await.map_err(|_| stopped())?
    }

    /// Takes no more deeds in; what waits is still done.
    pub(crate) fn close(&self) {
        drop(self.sender.lock().take());
    }
}

async fn work<G: Group>(node: Arc<Node>, mut waiting: mpsc::Receiver<(G::Ask, Answer<G>)>) {
    let mut taken = Vec::new();
    let mut is_failing = false;
    while waiting.recv_many(&mut taken, limits::GROUP_COMMIT).await > 0 {
        let mut rest = taken.drain(..).peekable();
        while rest.peek().is_some() {
            let (mut asks, mut answers, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
            while let Some((ask, answer)) = rest.next_if(|_| bytes < GROUP_BYTES) {
                bytes = bytes.saturating_add(G::bytes(&ask));
                asks.push(ask);
                answers.push(answer);
            }
            write::<G>(&node, asks, answers, &mut is_failing).await;
        }
    }
}

/// Does a group, or each of it alone. What keeps failing is said once until something succeeds: callers hear it each time.
async fn write<G: Group>(node: &Arc<Node>, asks: Vec<G::Ask>, answers: Vec<Answer<G>>, is_failing: &mut bool) {
    let group = G::of(asks);
    let fault = match node.attempt(&group).await {
        Ok(done) => {
            *is_failing = false;
            node.metrics.commit_deeds.observe(f64::from(u32::try_from(done.len()).unwrap_or(u32::MAX)));
            // A caller who went away does not need the answer; the deed is done all the same.
            answers.into_iter().zip(done).for_each(|(answer, done)| drop(answer.send(done)));
            return;
        }
        Err(fault) => fault,
    };
    if answers.len() > 1 && !fault.is_outage() {
        for (ask, answer) in group.into_asks().into_iter().zip(answers) {
            Box::pin(write::<G>(node, vec![ask], vec![answer], is_failing)).await;
        }
        return;
    }
    let error = fault.into_error();
    if !*is_failing && !matches!(error, StoreError::Conflict { .. }) {
        *is_failing = true;
        tracing::warn!(%error, deeds = answers.len(), "deeds failed and were rolled back");
    }
    for answer in answers {
        drop(answer.send(Err(error.clone())));
    }
}
