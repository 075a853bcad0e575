//! Two nodes on one database under load, and one of them dies or is taken for dead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::deployment::{Node, endpoint, party};
use crate::load::{Acknowledged, Door, Ledger, all_delivered, endpoints, outcomes, publish};
use crate::receiver::{Manner, Receiver};
use crate::schema::Schema;
use crate::world::{Way, World, on_every_way};

on_every_way! {
    what_a_killed_node_held_is_delivered_by_the_other
    what_a_node_holds_that_is_stopped_past_its_lease_is_delivered_once_by_the_other
    what_waited_on_a_node_that_was_stopped_is_not_sent_again_once_it_is_back
    a_node_that_comes_back_frees_what_its_former_life_held_before_it_listens
}

/// Each with an endpoint of its own: one that is quick, one that always has something in flight, and one that wants its
/// messages one by one in their order.
struct Receivers {
    quick: Ledger,
    slow: Ledger,
    ordered: Ledger,
}

impl Receivers {
    async fn start() -> Self {
        Self {
            quick: Ledger::taking(Duration::from_millis(5)).await,
            slow: Ledger::taking(Duration::from_millis(500)).await,
            ordered: Ledger::taking(Duration::from_millis(5)).await,
        }
    }

    fn config(&self) -> String {
        party(&[
            &endpoint("quick", &self.quick.url(), ""),
            &endpoint("slow", &self.slow.url(), "concurrency = 64"),
            &endpoint("ordered", &self.ordered.url(), "ordered = \"endpoint\""),
        ])
    }

    fn by_uid(&self) -> [(&'static str, &Ledger); 3] {
        [("quick", &self.quick), ("slow", &self.slow), ("ordered", &self.ordered)]
    }

    /// Nothing is lost, and what came twice was held by the node that was lost at `lost`, which the log says.
    async fn check(&self, node: &Node<'_>, acknowledged: &[Acknowledged], lost: Instant) {
        let ids = endpoints(node).await;
        let mut interrupted = BTreeMap::<&str, BTreeSet<u64>>::new();
        for taken in acknowledged {
            let attempts = node.attempts(&taken.message).await;
            for (uid, ledger) in self.by_uid() {
                let outcomes = outcomes(&attempts, &ids[uid]);
                let came = ledger.counts().get(&taken.number).copied().unwrap_or(0);
                let about = format!("{} at `{uid}` came {came} times: {outcomes:?}\n{attempts:#?}", taken.number);
                assert!(came > 0 && outcomes.iter().any(|outcome| outcome == "delivered"), "{about}");
                assert!(came <= outcomes.len(), "every request is a row: {about}");
                if outcomes.iter().any(|outcome| outcome == "interrupted") {
                    assert!(taken.began <= lost, "nobody could hold it when the node was lost: {about}");
                    interrupted.entry(uid).or_default().insert(taken.number);
                } else {
                    assert_eq!(outcomes.len(), 1, "it was held once: {about}");
                }
            }
        }
        assert!(!interrupted["slow"].is_empty(), "nothing was in flight when the node was lost");
        let excused = interrupted.get("ordered").cloned().unwrap_or_default();
        for (one, other) in self.ordered.overlaps() {
            assert!(excused.contains(&one) || excused.contains(&other), "{one} and {other} were held at once");
        }
        self.check_order(acknowledged);
    }

    /// What one publisher published one after the other came first in this order.
    fn check_order(&self, acknowledged: &[Acknowledged]) {
        let publisher: BTreeMap<u64, usize> =
            acknowledged.iter().map(|taken| (taken.number, taken.publisher)).collect();
        let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
        for (number, _) in self.ordered.arrivals() {
            let Some(&publisher) = publisher.get(&number) else { continue };
            if seen.insert(number) {
                let before = last.insert(publisher, number);
                assert!(before < Some(number), "{number} came after {before:?} of the same publisher");
            }
        }
    }
}

async fn what_a_killed_node_held_is_delivered_by_the_other(way: Way) {
    let Some(world) = World::new(way).await else { return };
    let receivers = Receivers::start().await;
    let config = receivers.config();
    let (a, b) = (world.node("a", &config), world.node("b", &config));
    let (doomed, survivor) = (a.start().await, b.start().await);
    let doors = [Door::of(&doomed), Door::of(&survivor)];
    let (stop, stopped) = watch::channel(false);
    let story = async {
        receivers.ordered.arrived(40).await;
        receivers.slow.arrived(40).await;
        let lost = Instant::now();
        doomed.kill().await;
        let lost = lost.max(Instant::now());
        rescued(&survivor).await;
        stop.send_replace(true);
        lost
    };
    let (acknowledged, lost) = tokio::join!(publish(&doors, stopped), story);
    all_delivered(&survivor, &acknowledged).await;
    receivers.check(&survivor, &acknowledged, lost).await;
    survivor.stop().await;
}

async fn what_a_node_holds_that_is_stopped_past_its_lease_is_delivered_once_by_the_other(way: Way) {
    let Some(world) = World::new(way).await else { return };
    let receivers = Receivers::start().await;
    let config = receivers.config();
    let (a, b) = (world.node("a", &config), world.node("b", &config));
    let (sleeper, survivor) = (a.start().await, b.start().await);
    let doors = [Door::of(&sleeper), Door::of(&survivor)];
    let (stop, stopped) = watch::channel(false);
    let story = async {
        receivers.ordered.arrived(40).await;
        receivers.slow.arrived(40).await;
        sleeper.signal(Signal::STOP);
        let lost = Instant::now();
        rescued(&survivor).await;
        sleeper.signal(Signal::CONT);
        sleeper.log().until("an attempt ended after its lease was lost").await;
        // It takes part again.
        let message = sleeper.publish("1000000").await;
        sleeper.until_all(&message, "delivered").await;
        stop.send_replace(true);
        lost
    };
    let (acknowledged, lost) = tokio::join!(publish(&doors, stopped), story);
    all_delivered(&survivor, &acknowledged).await;
    receivers.check(&survivor, &acknowledged, lost).await;
    sleeper.stop().await;
    survivor.stop().await;
}

async fn what_waited_on_a_node_that_was_stopped_is_not_sent_again_once_it_is_back(way: Way) {
    let Some(world) = World::new(way).await else { return };
    let (gate, closed) = watch::channel(false);
    let receiver = Receiver::with(move |before, _| match before {
        0 => Manner::Hold(closed.clone()),
        _ => Manner::ok(),
    })
    .await;
    let config = party(&[&endpoint("crm", &receiver.url(), "concurrency = 1\ntimeout = \"60s\"")]);
    let (a, b) = (world.node("a", &config), world.node("b", &config));
    let (sleeper, survivor) = (a.start().await, b.start().await);
    let mut held = Vec::new();
    for number in 0..5 {
        held.push(sleeper.publish(&number.to_string()).await);
    }
    receiver.first().await;
    sleeper.signal(Signal::STOP);
    for message in &held {
        survivor.until_all(message, "delivered").await;
    }
    sleeper.signal(Signal::CONT);
    sleeper.log().until("gave back what waited here").await;
    gate.send_replace(true);
    // It takes its turn behind whatever still waits there.
    let message = sleeper.publish("5").await;
    sleeper.until_all(&message, "delivered").await;
    sleeper.log().until("an attempt ended after its lease was lost").await;
    assert_eq!(sleeper.outcomes(&held[0]).await.len(), 3, "the one in flight is logged as interrupted, twice as sent");
    let mut waiting = Vec::new();
    for message in &held[1..] {
        waiting.push(sleeper.outcomes(message).await);
    }
    assert!(
        waiting.contains(&vec!["interrupted".to_owned(), "delivered".to_owned()]),
        "nothing waited there: {waiting:?}"
    );
    let once = |outcomes: &Vec<String>| outcomes.iter().filter(|outcome| *outcome == "delivered").count() == 1;
    assert!(waiting.iter().all(once), "{waiting:?}");
    assert_eq!(receiver.so_far().len(), 7, "only the one in flight came twice");
    sleeper.stop().await;
    survivor.stop().await;
}

/// Waits until the node has freed what another one held.
async fn rescued(node: &Node<'_>) {
    node.log().until("freed deliveries whose node died").await;
}

async fn a_node_that_comes_back_frees_what_its_former_life_held_before_it_listens(way: Way) {
    let Some(world) = World::new(way).await else { return };
    let (_gate, closed) = watch::channel(false);
    let receiver = Receiver::with(move |before, _| match before {
        0 => Manner::Hold(closed.clone()),
        _ => Manner::ok(),
    })
    .await;
    let deployment = world.node("a", &party(&[&endpoint("crm", &receiver.url(), "concurrency = 1")]));
    let node = deployment.start().await;
    let message = node.publish("1").await;
    receiver.first().await;
    node.kill().await;

    let node = deployment.start().await;
    let log = node.log().text();
    assert!(log.contains("freed deliveries whose node died"), "{log}");
    node.until_all(&message, "delivered").await;
    assert_eq!(node.outcomes(&message).await, ["interrupted", "delivered"]);
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_only_delivers_takes_what_another_one_only_accepts() {
    let Some(schema) = Schema::new() else { return };
    let receiver = Receiver::start().await;
    let config = party(&[&endpoint("crm", &receiver.url(), "")]);
    let doors = schema.node("a", &config).set("HOOKYARD_ROLE", "doors");
    let workers = schema.node("b", &config).set("HOOKYARD_ROLE", "workers");
    let (doors, workers) = (doors.start().await, workers.start().await);
    let message = doors.publish("1").await;
    doors.until_all(&message, "delivered").await;
    assert_eq!(doors.outcomes(&message).await, ["delivered"]);
    workers.stop().await;
    let meanwhile = doors.publish("2").await;
    assert_eq!(doors.deliveries(&meanwhile).await[0]["state"], "pending");
    doors.stop().await;
}
