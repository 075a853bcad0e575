//! Publishing to several nodes at once, and receivers that know what came when.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::PATIENCE;
use crate::deployment::{APP, Node, data, id};
use crate::receiver::{Manner, Receiver};
use crate::wire::{Answer, ask};

/// How long a node may take to answer before another one is asked.
const ANSWER: Duration = Duration::from_secs(3);
/// The pace of each publisher.
const PACE: Duration = Duration::from_millis(100);

/// Where a node is published to, whether it lives or not.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    address: SocketAddr,
    authorization: String,
}

impl Door {
    pub(crate) fn of(node: &Node<'_>) -> Self {
        Self { address: node.address(), authorization: node.authorization.clone() }
    }

    /// Publishes a number under a key of its own, so that it can be repeated; `None` when nobody answers.
    pub(crate) async fn publish(&self, number: u64) -> Option<Answer> {
        let key = format!("number {number}");
        let headers = [("authorization", self.authorization.as_str()), ("idempotency-key", &key)];
        let body = Bytes::from(format!("{{\"eventType\":\"a\",\"payload\":{number}}}"));
        let path = format!("/api/v1/app/{APP}/msg");
        let asked = ask(self.address, Method::POST, &path, &headers, body);
        tokio::time::timeout(ANSWER, asked).await.ok()?.ok()
    }
}

/// A message that a node took responsibility for.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) publisher: usize,
    pub(crate) number: u64,
    pub(crate) message: String,
    /// When it was first published.
    pub(crate) began: Instant,
}

/// Publishes until told to stop, one publisher for each door; whoever is not acknowledged goes to the next door.
pub(crate) async fn publish(doors: &[Door], stop: watch::Receiver<bool>) -> Vec<Acknowledged> {
    let numbers = AtomicU64::new(0);
    let publishers = doors.iter().enumerate().map(|(publisher, _)| one(publisher, doors, &numbers, stop.clone()));
    join_all(publishers).await.concat()
}

async fn one(publisher: usize, doors: &[Door], numbers: &AtomicU64, stop: watch::Receiver<bool>) -> Vec<Acknowledged> {
    let (mut acknowledged, mut door) = (Vec::new(), publisher);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stop.borrow() {
        pace.tick().await;
        let (number, began) = (numbers.fetch_add(1, Ordering::Relaxed), Instant::now());
        let message = loop {
            match doors[door].publish(number).await {
                Some(answer) if answer.status.as_u16() == 202 => break id(&answer.json()),
                Some(answer) => assert_eq!(answer.status.as_u16(), 503, "{answer:?}"),
                None => {}
            }
            assert!(began.elapsed() < PATIENCE, "no node takes {number}");
            door = (door + 1) % doors.len();
            pace.tick().await;
        };
        acknowledged.push(Acknowledged { publisher, number, message, began });
    }
    acknowledged
}

/// A receiver of numbers that takes its time, and remembers what came when.
pub(crate) struct Ledger {
    receiver: Receiver,
    arrivals: Arc<Mutex<Vec<(u64, Instant)>>>,
    takes: Duration,
}

impl Ledger {
    /// One that takes this long for each.
    pub(crate) async fn taking(takes: Duration) -> Self {
        let arrivals: Arc<Mutex<Vec<(u64, Instant)>>> = Arc::default();
        let written = Arc::clone(&arrivals);
        let receiver = Receiver::with(move |_, arrived| {
            let number = std::str::from_utf8(&arrived.body).ok().and_then(|text| text.parse().ok());
            written.lock().push((number.expect("a number"), Instant::now()));
            Manner::Late(takes)
        })
        .await;
        Self { receiver, arrivals, takes }
    }

    pub(crate) fn url(&self) -> String {
        self.receiver.url()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn arrived(&self, count: usize) {
        self.receiver.arrived(count).await;
    }

    pub(crate) fn arrivals(&self) -> Vec<(u64, Instant)> {
        self.arrivals.lock().clone()
    }

    /// How often each number came.
    pub(crate) fn counts(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for (number, _) in self.arrivals() {
            *counts.entry(number).or_default() += 1;
        }
        counts
    }

    /// Pairs of requests that came one after the other and were in flight at the same time.
    pub(crate) fn overlaps(&self) -> Vec<(u64, u64)> {
        let arrivals = self.arrivals();
        let pairs = arrivals.iter().zip(arrivals.iter().skip(1));
        pairs.filter(|(a, b)| b.1 - a.1 < self.takes).map(|(a, b)| (a.0, b.0)).collect()
    }
}

/// The outcomes of a message's attempts at an endpoint, the oldest first.
pub(crate) fn outcomes(attempts: &[Value], endpoint: &str) -> Vec<String> {
    let of_endpoint = attempts.iter().filter(|attempt| attempt["endpointId"] == endpoint);
    of_endpoint.map(|attempt| attempt["outcome"].as_str().expect("an outcome").to_owned()).collect()
}

/// Every message is delivered, by what the node says.
pub(crate) async fn all_delivered(node: &Node<'_>, acknowledged: &[Acknowledged]) {
    for taken in acknowledged {
        node.until_all(&taken.message, "delivered").await;
    }
}

/// The ids of the application's endpoints by their uids.
pub(crate) async fn endpoints(node: &Node<'_>) -> BTreeMap<String, String> {
    let uid = |endpoint: &Value| endpoint["uid"].as_str().expect("a uid").to_owned();
    data(&node.of_app("/endpoint").await).iter().map(|endpoint| (uid(endpoint), id(endpoint))).collect()
}
