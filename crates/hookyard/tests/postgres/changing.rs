//! What one node is told reaches the others.

use rustix::process::Signal;

use crate::deployment::{Deployment, endpoint, party};
use crate::receiver::{Manner, Receiver};
use crate::schema::Schema;

/// Again soon, and for long.
const AGAIN: &str = "retry = { policy = \"fixed\", delay = \"200ms\", retries = 90 }";

/// One node reads its file again; another one, which only delivers, then sends what it retries to the new place.
async fn check_reach(schema: &Schema, prepare: impl Fn(Deployment) -> Deployment) {
    let before = Receiver::always(Manner::status("503 Busy")).await;
    let after = Receiver::start().await;
    let config = |receiver: &Receiver| party(&[&endpoint("crm", &receiver.url(), AGAIN)]);
    let doors = prepare(schema.node("a", &config(&before)).set("HOOKYARD_ROLE", "doors"));
    let workers = prepare(schema.node("b", &config(&before)).set("HOOKYARD_ROLE", "workers"));
    let (told, delivering) = (doors.start().await, workers.start().await);
    let message = told.publish("1").await;
    before.first().await;

    doors.configure(&config(&after));
    told.signal(Signal::HUP);
    told.log().until("updated=1").await;
    let reached = tokio::time::Instant::now();
    after.first().await;
    let reached = reached.elapsed();
    assert!(reached.as_secs() < 8, "the change took {reached:?} to reach the other node");
    told.until_all(&message, "delivered").await;
    told.stop().await;
    delivering.stop().await;
}

#[tokio::test]
async fn what_one_node_reads_again_reaches_another_that_asks_for_it() {
    let Some(schema) = Schema::new() else { return };
    check_reach(&schema, |node| node).await;
}

#[tokio::test]
async fn what_one_node_reads_again_reaches_another_that_listens() {
    let Some(schema) = Schema::new() else { return };
    let url = schema.url().to_owned();
    check_reach(&schema, |node| node.set("HOOKYARD_DATABASE_LISTEN", &url)).await;
}

#[tokio::test]
async fn an_endpoint_that_one_node_is_told_of_is_owed_what_another_accepts_next() {
    let Some(schema) = Schema::new() else { return };
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let one = endpoint("one", &first.url(), "");
    let two = endpoint("two", &second.url(), "");
    let (a, b) = (schema.node("a", &party(&[&one])), schema.node("b", &party(&[&one])));
    let (told, other) = (a.start().await, b.start().await);
    let before = other.publish("1").await;
    assert_eq!(other.until_all(&before, "delivered").await.len(), 1);

    a.configure(&party(&[&one, &two]));
    told.signal(Signal::HUP);
    told.log().until("created=1 updated=0 archived=0").await;
    let after = other.publish("2").await;
    assert_eq!(other.until_all(&after, "delivered").await.len(), 2);
    assert_eq!(second.first().await.body, "2");
    told.stop().await;
    other.stop().await;
}
