//! Tells the other nodes what is due and not delivered here, so that they do not find it by asking now and then.
//!
//! Deeds say it while they run ([`crate::transaction::Tx::say_due`]); once they have committed it is gathered, and one task
//! notifies the others in a transaction of its own. `NOTIFY` takes a lock of the whole server at its commit, so it is never
//! in the transaction of a deed, it waits for no disk, and while one is under way the next ones gather into one. A node that
//! delivers and is alone says nothing at all.
//!
//! All of it is hints: one may be lost with a connection, or be about what was claimed meanwhile. The due index is the truth.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookyard_model::{EndpointId, Incarnation, Timestamp};
use hookyard_ports::store::{Due, FirstState, NewDelivery};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_postgres::types::Type;

use crate::node::Node;
use crate::transaction;

/// Endpoints of which a hint waits, at most; what is beyond is found by asking.
const GATHERED: usize = 4_096;
/// Endpoints in one notice: the database takes 8,000 bytes.
const IN_ONE: usize = 100;
/// How long notices are apart at least, so that a busy door wakes the others some hundred times a second and not for each
/// group.
const APART: Duration = Duration::from_millis(2);
/// How long saying it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells it: notices in one statement, whose commit waits for no disk, because nothing of it is kept.
const NOTIFY: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, n) FROM unnest($2) AS n";

/// What is due, gathered until somebody takes it.
#[derive(Default)]
struct Gathered {
    due: Mutex<BTreeMap<EndpointId, Timestamp>>,
    came: Notify,
}

impl Gathered {
    fn add(&self, endpoint: EndpointId, due: Timestamp) {
        {
            let mut gathered = self.due.lock();
            if gathered.len() >= GATHERED && !gathered.contains_key(&endpoint) {
                return;
            }
            gathered.entry(endpoint).and_modify(|known| *known = due.min(*known)).or_insert(due);
        }
        self.came.notify_one();
    }

    /// Takes what there is; waits until there is something.
    async fn take(&self) -> Vec<Due> {
        loop {
            let gathered = std::mem::take(&mut *self.due.lock());
            if !gathered.is_empty() {
                return gathered.into_iter().map(|(endpoint, first)| Due { endpoint, first }).collect();
            }
            self.came.notified().await;
        }
    }
}

/// What this node says to others and hears from them.
pub(crate) struct Heard {
    delivers: bool,
    /// Whether another node was alive at the last heartbeat. Until then there may be one.
    has_others: AtomicBool,
    to_others: Gathered,
    from_others: Gathered,
}

impl Heard {
    /// Nothing yet.
    pub(crate) fn new(delivers: bool) -> Self {
        let (to_others, from_others) = (Gathered::default(), Gathered::default());
        Self { delivers, has_others: AtomicBool::new(true), to_others, from_others }
    }

    /// Whether this node delivers what is due.
    pub(crate) fn delivers(&self) -> bool {
        self.delivers
    }

    /// Another node is alive, or none is.
    pub(crate) fn others(&self, is_there: bool) {
        self.has_others.store(is_there, Ordering::Relaxed);
    }

    /// Others deliver this, if there are any.
    pub(crate) fn tell(&self, endpoint: EndpointId, due: Timestamp) {
        if !self.delivers || self.has_others.load(Ordering::Relaxed) {
            self.to_others.add(endpoint, due);
        }
    }

    /// This node delivers this, if it delivers.
    pub(crate) fn hear(&self, endpoint: EndpointId, due: Timestamp) {
        if self.delivers {
            self.from_others.add(endpoint, due);
        }
    }

    /// When others must be told of an accepted delivery, if at all: a node that delivers takes what is ordered or delayed
    /// by itself, and tells of what it had no room for.
    pub(crate) fn of_accepted(&self, new: &NewDelivery, accepted: Timestamp) -> Option<Timestamp> {
        match new.state {
            FirstState::Leased => None,
            FirstState::Pending { due } if !self.delivers => Some(due),
            FirstState::Pending { due } => (new.order_key.is_none() && due <= accepted).then_some(due),
        }
    }
}

/// What other nodes say is due; a hint is never the only way to learn it.
pub struct Hints {
    node: Arc<Node>,
}

impl Hints {
    pub(crate) fn of(node: &Arc<Node>) -> Self {
        Self { node: Arc::clone(node) }
    }

    /// The next ones: each endpoint with the earliest due time that was heard. Waits until there is one.
    pub async fn next(&self) -> Vec<Due> {
        let due = self.node.heard.from_others.take().await;
        tracing::debug!(endpoints = due.len(), "heard from another node what is due");
        due
    }
}

impl std::fmt::Debug for Hints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hints").finish_non_exhaustive()
    }
}

/// Tells the others until the store is closed, and what is left then.
pub(crate) async fn tell(node: Arc<Node>, mut ended: watch::Receiver<bool>) {
    loop {
        let due = tokio::select! {
            biased;
            due = node.heard.to_others.take() => due,
            () = over(&mut ended) => return,
        };
        say(&node, &due).await;
        tokio::select! {
            biased;
            () = over(&mut ended) => {}
            () = tokio::time::sleep(APART) => {}
        }
    }
}

/// Waits until the store is closed.
async fn over(ended: &mut watch::Receiver<bool>) {
    drop(ended.wait_for(|ended| *ended).await);
}

async fn say(node: &Arc<Node>, due: &[Due]) {
    let channel = node.schema.due_channel();
    let notices: Vec<String> = due.chunks(IN_ONE).map(|due| notice(node.incarnation, due)).collect();
    let parameters: [crate::column::Parameter<'_>; 2] = [(&channel, Type::TEXT), (&notices, Type::TEXT_ARRAY)];
    let said = tokio::time::timeout(PATIENCE, transaction::alone(node, NOTIFY, &parameters)).await;
    match said {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::debug!(error = %fault.into_error(), "others could not be told what is due"),
        Err(_) => tracing::debug!("others could not be told in time what is due"),
    }
}

/// A notice: who says it, then endpoints and their due times in microseconds.
fn notice(from: Incarnation, due: &[Due]) -> String {
    use std::fmt::Write as _;
    let mut text = from.0.to_string();
    for Due { endpoint, first } in due {
        write!(text, " {endpoint} {}", first.as_micros()).expect("writing to memory cannot fail");
    }
    text
}

/// Passes on what a notice of another node says. Anybody who may use the database can say anything on a channel, so what
/// is no notice is passed over.
pub(crate) fn heard(node: &Node, notice: &str) {
    let mut words = notice.split_ascii_whitespace();
    let from = words.next().and_then(|from| from.parse().ok());
    if from.is_none_or(|from| Incarnation(from) == node.incarnation) {
        return;
    }
    while let (Some(endpoint), Some(due)) = (words.next(), words.next()) {
        let (Ok(endpoint), Ok(due)) = (endpoint.parse(), due.parse()) else { return };
        node.heard.hear(endpoint, Timestamp::from_micros(due));
    }
}

#[cfg(test)]
mod tests {
    use hookyard_model::OrderKey;
    use hookyard_ports::testkit::build::{at, endpoint_id};

    use super::*;

    #[tokio::test]
    async fn what_is_gathered_is_told_once_with_its_earliest_time() {
        let gathered = Gathered::default();
        for (endpoint, due) in [(1, 5), (2, 3), (1, 4), (1, 9)] {
            gathered.add(endpoint_id(endpoint), at(due));
        }
        let due = |endpoint, due| Due { endpoint: endpoint_id(endpoint), first: at(due) };
        assert_eq!(gathered.take().await, [due(1, 4), due(2, 3)]);
        gathered.add(endpoint_id(1), at(7));
        assert_eq!(gathered.take().await, [due(1, 7)], "nothing is told twice");
    }

    #[test]
    fn a_full_notice_fits() {
        let due = vec![Due { endpoint: endpoint_id(1), first: Timestamp::from_micros(i64::MIN) }; IN_ONE];
        assert!(notice(Incarnation(u64::MAX), &due).len() < 8_000);
    }

    #[test]
    fn a_node_tells_of_what_it_does_not_deliver_itself() {
        let now = at(100);
        let later = FirstState::Pending { due: at(101) };
        let at_once = FirstState::Pending { due: now };
        for (delivers, state, order_key, told) in [
            (false, at_once, None, Some(now)),
            (false, later, None, Some(at(101))),
            (false, at_once, Some(OrderKey(1)), Some(now)),
            (true, at_once, None, Some(now)),
            (true, at_once, Some(OrderKey(1)), None),
            (true, later, None, None),
            (true, FirstState::Leased, None, None),
        ] {
            let new = NewDelivery { endpoint: endpoint_id(1), state, order_key };
            assert_eq!(Heard::new(delivers).of_accepted(&new, now), told, "{delivers} {new:?}");
        }
    }

    #[tokio::test]
    async fn a_node_that_is_alone_and_delivers_says_nothing() {
        for (delivers, has_others, says) in [(true, true, true), (true, false, false), (false, false, true)] {
            let heard = Heard::new(delivers);
            heard.others(has_others);
            heard.tell(endpoint_id(1), at(1));
            assert_eq!(!heard.to_others.due.lock().is_empty(), says, "{delivers} {has_others}");
        }
    }
}
