//! What Hookyard says about itself.

use hookyard_engine::Settings;
use hookyard_model::{DeliveryState, EndpointStatus, RetryPolicy};
use hookyard_ports::store::ImportApplication;
use hookyard_ports::testkit::{Fault, build};

use crate::receivers::Reply;
use crate::world::{World, endpoint, id, numbered, plain, seconds};

/// The endpoint of the operational application.
const OPERATOR: u64 = 9;

/// A world in which somebody listens to announcements.
async fn listened(settings: Settings) -> World {
    let six = endpoint(1, |settings| settings.retry = Some(RetryPolicy::Fixed { delay: seconds(10), retries: 5 }));
    let world = World::with(vec![six], settings).await;
    world
        .declare(|applications| {
            applications.push(ImportApplication {
                uid: "operational".parse().expect("a uid"),
                endpoints: vec![plain(OPERATOR)],
                ..build::import_application(2, &[])
            });
        })
        .await;
    world
}

fn names(announced: &[(String, serde_json::Value)]) -> Vec<&str> {
    announced.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_gone_endpoint_is_announced_to_the_operators_endpoint() {
    let world = listened(Settings::default()).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(410)]);
    let message = node.publish(numbered(1)).await;
    world.arrivals(id(OPERATOR), 1, seconds(6)).await;
    let arrived = world.receivers.arrived(id(OPERATOR));
    let body: serde_json::Value = serde_json::from_slice(&arrived[0].request.body).expect("it is JSON");
    assert_eq!(body["type"], "endpoint.disabled");
    assert_eq!(body["data"]["endpointId"], id(1).to_string());
    assert_eq!(body["data"]["appId"], build::application_id(1).to_string());
    assert_eq!(body["data"]["msgId"], message.to_string());
    assert_eq!(body["data"]["lastAttempt"]["responseStatusCode"], 410);
    world.quiet(seconds(1)).await;
    assert_eq!(names(&world.announced().await), ["endpoint.disabled"]);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn several_attempts_that_find_it_gone_announce_it_once() {
    let world = listened(Settings::default()).await;
    let node = world.start().await;
    for n in 0..4 {
        node.publish(numbered(n)).await;
        world.quiet(seconds(1)).await;
    }
    world.receivers.always(id(1), Reply::Status(410));
    for n in 4..12 {
        node.publish(numbered(n)).await;
    }
    world.quiet(seconds(1)).await;
    assert!(world.receivers.count(id(1)) > 5, "several were in flight");
    assert_eq!(names(&world.announced().await), ["endpoint.disabled"]);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_announcement_leaves_at_once() {
    let world = listened(Settings::default()).await;
    let node = world.start().await;
    // The sweep of the due index is not what finds it.
    world.pass(seconds(1)).await;
    world.receivers.script(id(1), [Reply::Status(410)]);
    node.publish(numbered(1)).await;
    world.arrivals(id(OPERATOR), 1, seconds(1)).await;
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_delivery_is_announced_at_its_fourth_failure_and_when_it_recovers() {
    let world = listened(Settings::default()).await;
    let node = world.start().await;
    world.receivers.script(id(1), vec![Reply::Status(500); 5]);
    node.publish(numbered(1)).await;
    world.pass(seconds(25)).await;
    assert_eq!(names(&world.announced().await), [""; 0]);
    world.pass(seconds(10)).await;
    assert_eq!(names(&world.announced().await), ["message.attempt.failing"]);
    world.quiet(seconds(60)).await;
    assert_eq!(names(&world.announced().await), ["message.attempt.failing", "message.attempt.recovered"]);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_spent_schedule_is_announced() {
    let world = listened(Settings::default()).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Status(500));
    node.publish(numbered(1)).await;
    world.quiet(seconds(120)).await;
    assert_eq!(names(&world.announced().await), ["message.attempt.failing", "message.attempt.exhausted"]);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_announced_about_announcements() {
    let world = listened(Settings { disable_after: seconds(5), ..Settings::default() }).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(410)]);
    world.receivers.always(id(OPERATOR), Reply::Status(500));
    node.publish(numbered(1)).await;
    world.pass(seconds(300)).await;
    assert!(matches!(world.status(id(OPERATOR)).await, EndpointStatus::Disabled { .. }), "it failed for long");
    assert_eq!(names(&world.announced().await), ["endpoint.disabled"]);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_announcement_outlives_a_store_that_cannot_be_reached() {
    let world = listened(Settings::default()).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Takes(seconds(1)), Reply::Status(410)]);
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(5)).await;
    let gone = node.publish(numbered(2)).await;
    node.faults.cut_off();
    world.pass(seconds(5)).await;
    node.faults.heal();
    world.arrivals(id(OPERATOR), 1, seconds(30)).await;
    assert_eq!(names(&world.announced().await), ["endpoint.disabled"]);
    assert!(matches!(world.state(message, id(1)).await, DeliveryState::Delivered { .. }));
    assert!(matches!(world.state(gone, id(1)).await, DeliveryState::Cancelled(_)));
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_announcement_whose_settlement_is_repeated_is_made_once() {
    let world = listened(Settings::default()).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(410)]);
    node.faults.once(hookyard_ports::testkit::Deed::Settle, Fault::After);
    node.publish(numbered(1)).await;
    world.arrivals(id(OPERATOR), 1, seconds(10)).await;
    world.quiet(seconds(10)).await;
    assert_eq!(names(&world.announced().await), ["endpoint.disabled"]);
    assert_eq!(world.receivers.count(id(OPERATOR)), 1);
    node.engine.stop(seconds(1)).await;
}
