//! Resending, enabling and disabling by hand.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use hookyard_model::{Outcome, StateKind};
use hookyard_ports::Store;
use hookyard_ports::testkit::build;

use crate::world::{APP, World, ask};

#[tokio::test]
async fn a_resend_is_202_and_a_repeat_of_it_sends_nothing() {
    let world = World::new().await;
    let id = world.publish("a").await;
    world.attempt(1, 1, &Outcome::Delivered).await;
    let path = format!("{APP}/msg/{id}/endpoint/receiver-1/resend");
    let keyed = async |key: &str, body: &'static str| {
        let request = ask(Method::POST, &path).header("idempotency-key", key).body(Body::from(body));
        world.send(request.expect("a request")).await
    };
    let first = keyed("k", "").await;
    assert_eq!((first.status, first.text()), (StatusCode::ACCEPTED, "{}"));
    assert_eq!(world.attempt(1, 2, &Outcome::Delivered).await, 1);
    assert_eq!(keyed("k", "").await.status, StatusCode::ACCEPTED);
    assert_eq!(world.attempt(1, 3, &Outcome::Delivered).await, 0, "the repeat queued nothing");
    assert_eq!(keyed("k", "{}").await.json()["code"], "idempotency_conflict");
    assert_eq!(keyed("k2", "").await.status, StatusCode::ACCEPTED);
    assert_eq!(world.attempt(1, 4, &Outcome::Delivered).await, 1);
    let owed = world.node.deliveries(build::application_id(1), id.parse().expect("an id")).await.expect("answers");
    assert_eq!(owed[0].state.kind(), StateKind::Delivered);
}

#[tokio::test]
async fn an_endpoint_is_switched_off_and_on_and_the_next_message_knows() {
    let world = World::new().await;
    world.publish("a").await;
    let off = world.post(&format!("{APP}/endpoint/receiver-1/disable"), "").await;
    assert_eq!(off.status, StatusCode::OK);
    assert_eq!((&off.json()["disabled"], &off.json()["disabledReason"]), (&true.into(), &"manual".into()));
    let id = world.publish("a").await;
    let owed = world.node.deliveries(build::application_id(1), id.parse().expect("an id")).await.expect("answers");
    assert!(owed.iter().all(|delivery| delivery.key.endpoint != build::endpoint_id(1)));
    let on = world.post(&format!("{APP}/endpoint/{}/enable/", build::endpoint_id(1)), "").await;
    assert_eq!((on.status, &on.json()["disabled"]), (StatusCode::OK, &false.into()));
    assert_eq!(world.get(&format!("{APP}/endpoint/receiver-1")).await.text(), on.text());
    let id = world.publish("a").await;
    let owed = world.node.deliveries(build::application_id(1), id.parse().expect("an id")).await.expect("answers");
    assert_eq!(owed.len(), 3);
}
