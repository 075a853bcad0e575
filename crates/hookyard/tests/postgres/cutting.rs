//! A line to the database that refuses, resets and falls silent.

use crate::deployment::{Node, endpoint, party};
use crate::load::Door;
use crate::proxy::{Line, Proxy};
use crate::receiver::Receiver;
use crate::schema::Schema;

/// A message that is not taken for now: the answer says so, and when to come again.
async fn check_refused(node: &Node<'_>) {
    let refused = node.publish_body(r#"{"eventType":"a","payload":0}"#).await.expect(503);
    assert_eq!(refused.json()["code"], "unavailable");
    assert_eq!(refused.headers["retry-after"], "5");
    node.get("/health/ready").await.expect(503);
    node.get("/health/live").await.expect(200);
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

#[tokio::test]
async fn a_line_that_is_cut_and_comes_back_loses_nothing() {
    let Some(schema) = Schema::new() else { return };
    let mut proxy = Proxy::before(schema.url()).await;
    let receiver = Receiver::start().await;
    let url = proxy.url(schema.url());
    let deployment = schema.node_through(&url, "a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let mut taken = vec![until_taken(&node, 0).await];

    proxy.set(Line::Reset);
    check_refused(&node).await;
    proxy.set(Line::Open);
    taken.push(until_taken(&node, 1).await);

    proxy.refuse().await;
    check_refused(&node).await;
    proxy.listen().await;
    taken.push(until_taken(&node, 2).await);

    for message in &taken {
        node.until_all(message, "delivered").await;
        assert_eq!(node.outcomes(message).await, ["delivered"]);
    }
    assert_eq!(receiver.so_far().len(), 3, "each came once");
    node.stop().await;
}

#[tokio::test]
async fn a_line_that_falls_silent_is_not_waited_for_without_end() {
    let Some(schema) = Schema::new() else { return };
    let proxy = Proxy::before(schema.url()).await;
    let receiver = Receiver::start().await;
    let url = proxy.url(schema.url());
    let deployment = schema.node_through(&url, "a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let before = until_taken(&node, 0).await;
    node.until_all(&before, "delivered").await;

    proxy.set(Line::Silent);
    check_refused(&node).await;
    proxy.set(Line::Open);
    let after = until_taken(&node, 1).await;
    node.until_all(&after, "delivered").await;
    assert_eq!(receiver.so_far().len(), 2, "each came once");
    node.stop().await;
}

#[tokio::test]
async fn a_node_whose_line_is_silent_past_its_lease_begins_nothing_that_another_one_has() {
    let Some(schema) = Schema::new() else { return };
    let proxy = Proxy::before(schema.url()).await;
    let (_gate, closed) = tokio::sync::watch::channel(false);
    let receiver = Receiver::with(move |before, _| match before {
        0 => crate::receiver::Manner::Hold(closed.clone()),
        _ => crate::receiver::Manner::ok(),
    })
    .await;
    let config = party(&[&endpoint("crm", &receiver.url(), "concurrency = 1\ntimeout = \"3s\"")]);
    let (a, b) = (schema.node_through(&proxy.url(schema.url()), "a", &config), schema.node("b", &config));
    let (cut, other) = (a.start().await, b.start().await);
    let mut held = Vec::new();
    for number in 0..5 {
        held.push(until_taken(&cut, number).await);
    }
    receiver.first().await;
    proxy.set(Line::Silent);
    other.log().until("freed deliveries whose node died").await;
    for message in &held {
        other.until_all(message, "delivered").await;
    }
    proxy.set(Line::Open);
    let back = until_taken(&cut, 5).await;
    cut.until_all(&back, "delivered").await;
    let requests = receiver.so_far().len();
    let mut rows = 0;
    for message in held.iter().chain([&back]) {
        let outcomes = cut.outcomes(message).await;
        rows += outcomes.len();
        assert!(outcomes.iter().any(|outcome| outcome == "delivered"), "{outcomes:?}");
    }
    assert!(requests <= rows, "every request is a row: {requests} requests, {rows} rows");
    cut.stop().await;
    other.stop().await;
}
