//! A line to the database that refuses, resets and falls silent.

use crate::deployment::{Node, endpoint, party};
use crate::load::Door;
use crate::proxy::Line;
use crate::receiver::Receiver;
use crate::world::{At, Cuttable, Way, check_log, check_refused, on_every_way};

on_every_way! {
    a_line_that_is_cut_and_comes_back_loses_nothing
    a_line_that_falls_silent_is_not_waited_for_without_end
    a_node_whose_line_is_silent_past_its_lease_begins_nothing_that_another_one_has
}

/// Publishes a number until the node takes it, and gives the message.
pub(crate) async fn until_taken(node: &Node<'_>, number: u64) -> String {
    let door = Door::of(node);
    node.until(&format!("{number} to be taken"), async || match door.publish(number).await {
        Some(answer) if answer.status.as_u16() == 202 => Ok(crate::deployment::id(&answer.json())),
        Some(answer) => Err(answer.json()),
        None => Err(serde_json::Value::Null),
    })
    .await
}

async fn a_line_that_is_cut_and_comes_back_loses_nothing(way: Way) {
    check_cut(way, At::Server).await;
}

#[tokio::test]
async fn a_line_to_a_pooler_that_is_cut_and_comes_back_loses_nothing() {
    check_cut(Way::PooledListening, At::Node).await;
}

async fn check_cut(way: Way, at: At) {
    let Some(mut cut) = Cuttable::new(way, at).await else { return };
    let receiver = Receiver::start().await;
    let deployment = cut.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let mut taken = vec![until_taken(&node, 0).await];

    cut.proxy.set(Line::Reset);
    check_refused(&node).await;
    cut.proxy.set(Line::Open);
    taken.push(until_taken(&node, 1).await);

    cut.proxy.refuse().await;
    check_refused(&node).await;
    cut.proxy.listen().await;
    taken.push(until_taken(&node, 2).await);

    for message in &taken {
        node.until_all(message, "delivered").await;
        assert_eq!(node.outcomes(message).await, ["delivered"]);
    }
    assert_eq!(receiver.so_far().len(), 3, "each came once");
    check_log(&node.stop().await, 2);
}

async fn a_line_that_falls_silent_is_not_waited_for_without_end(way: Way) {
    check_silent(way, At::Server).await;
}

#[tokio::test]
async fn a_line_to_a_pooler_that_falls_silent_is_not_waited_for_without_end() {
    check_silent(Way::PooledListening, At::Node).await;
}

async fn check_silent(way: Way, at: At) {
    let Some(cut) = Cuttable::new(way, at).await else { return };
    let receiver = Receiver::start().await;
    let deployment = cut.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let before = until_taken(&node, 0).await;
    node.until_all(&before, "delivered").await;

    cut.proxy.set(Line::Silent);
    check_refused(&node).await;
    cut.proxy.set(Line::Open);
    let after = until_taken(&node, 1).await;
    node.until_all(&after, "delivered").await;
    assert_eq!(receiver.so_far().len(), 2, "each came once");
    check_log(&node.stop().await, 1);
}

async fn a_node_whose_line_is_silent_past_its_lease_begins_nothing_that_another_one_has(way: Way) {
    let Some(cut) = Cuttable::new(way, At::Server).await else { return };
    let (_gate, closed) = tokio::sync::watch::channel(false);
    let receiver = Receiver::with(move |before, _| match before {
        0 => crate::receiver::Manner::Hold(closed.clone()),
        _ => crate::receiver::Manner::ok(),
    })
    .await;
    let config = party(&[&endpoint("crm", &receiver.url(), "concurrency = 1\ntimeout = \"3s\"")]);
    let (a, b) = (cut.node("a", &config), cut.other("b", &config));
    let (lost, other) = (a.start().await, b.start().await);
    let mut held = Vec::new();
    for number in 0..5 {
        held.push(until_taken(&lost, number).await);
    }
    receiver.first().await;
    cut.proxy.set(Line::Silent);
    other.log().until("freed deliveries whose node died").await;
    for message in &held {
        other.until_all(message, "delivered").await;
    }
    cut.proxy.set(Line::Open);
    let back = until_taken(&lost, 5).await;
    lost.until_all(&back, "delivered").await;
    let requests = receiver.so_far().len();
    let mut rows = 0;
    for message in held.iter().chain([&back]) {
        let outcomes = lost.outcomes(message).await;
        rows += outcomes.len();
        assert!(outcomes.iter().any(|outcome| outcome == "delivered"), "{outcomes:?}");
    }
    assert!(requests <= rows, "every request is a row: {requests} requests, {rows} rows");
    lost.stop().await;
    other.stop().await;
}
