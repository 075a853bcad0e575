//! What attempts do to the endpoint: failing, disabled, recovered.

use std::time::Duration;

use hookyard_engine::Settings;
use hookyard_model::{CancelReason, DeliveryState, DisableReason, EndpointStatus, Outcome, RetryPolicy};
use hookyard_ports::Clock;
use hookyard_ports::store::StatusChange;
use hookyard_ports::testkit::{Deed, Fault};

use crate::receivers::Reply;
use crate::world::{World, endpoint, id, numbered, plain, seconds};

/// A deployment that endures failure for ten minutes.
fn impatient() -> Settings {
    Settings { disable_after: seconds(600), ..Settings::default() }
}

/// An endpoint that is tried every minute for long.
fn patient(n: u64) -> hookyard_ports::store::ImportEndpoint {
    endpoint(n, |settings| settings.retry = Some(RetryPolicy::Fixed { delay: seconds(60), retries: 90 }))
}

/// An endpoint that is tried once.
fn once(n: u64) -> hookyard_ports::store::ImportEndpoint {
    endpoint(n, |settings| settings.retry = Some(RetryPolicy::Fixed { delay: seconds(60), retries: 0 }))
}

async fn is_disabled(world: &World, reason: DisableReason) -> bool {
    matches!(world.status(id(1)).await, EndpointStatus::Disabled { reason: found, .. } if found == reason)
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_gone_ends_the_delivery_and_disables_the_endpoint() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(410)]);
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    assert_eq!(world.state(message, id(1)).await, DeliveryState::Cancelled(CancelReason::EndpointGone));
    assert!(is_disabled(&world, DisableReason::Gone).await);
    let later = node.publish(numbered(2)).await;
    assert_eq!(world.owed(later).await, [], "what is accepted meanwhile owes it nothing");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn sustained_failure_disables_and_what_is_pending_is_held() {
    let world = World::with(vec![patient(1)], impatient()).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Status(500));
    let message = node.publish(numbered(1)).await;
    world.pass(seconds(598)).await;
    assert_eq!(world.status(id(1)).await, EndpointStatus::Enabled);
    world.until(seconds(120), "it is disabled", async || is_disabled(&world, DisableReason::Failing).await).await;
    let sent = world.receivers.count(id(1));
    assert_eq!(node.metrics.disabled.get(), 1);
    world.pass(seconds(600)).await;
    assert_eq!(world.receivers.count(id(1)), sent, "nothing is sent to it");
    assert!(matches!(world.state(message, id(1)).await, DeliveryState::Pending { .. }));
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn sustained_failure_is_remembered_across_restarts() {
    let world = World::with(vec![patient(1)], impatient()).await;
    world.receivers.always(id(1), Reply::Unreachable);
    let node = world.start().await;
    node.publish(numbered(1)).await;
    world.pass(seconds(250)).await;
    node.engine.stop(seconds(1)).await;
    let node = world.start().await;
    world.pass(seconds(250)).await;
    node.engine.kill().await;
    let node = world.start().await;
    world.pass(seconds(60)).await;
    assert_eq!(world.status(id(1)).await, EndpointStatus::Enabled);
    world.until(seconds(120), "it is disabled", async || is_disabled(&world, DisableReason::Failing).await).await;
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_the_failing_although_its_lane_was_forgotten_meanwhile() {
    let world = World::with(vec![once(1)], impatient()).await;
    let node = world.start().await;
    // The publisher remembers the endpoint from before it failed.
    world.receivers.script(id(1), [Reply::Status(204), Reply::Status(500)]);
    node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    node.publish(numbered(2)).await;
    world.quiet(seconds(1)).await;
    assert!(world.endpoint(id(1)).await.failing_since.is_some());
    world.pass(seconds(300)).await;
    node.publish(numbered(3)).await;
    world.quiet(seconds(1)).await;
    assert_eq!(world.endpoint(id(1)).await.failing_since, None, "a success is a success");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn one_failure_long_after_another_does_not_disable() {
    let world = World::with(vec![once(1), plain(2)], impatient()).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(500)]);
    node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    // Whoever reads the endpoint here sees it failing. Then it recovers, and its lane is forgotten.
    world.change(id(2), |settings| settings.description = "changed".to_owned()).await;
    node.publish(numbered(2)).await;
    world.quiet(seconds(1)).await;
    assert_eq!(world.endpoint(id(1)).await.failing_since, None);
    world.pass(seconds(1_200)).await;
    world.receivers.script(id(1), [Reply::Status(500)]);
    node.publish(numbered(3)).await;
    world.quiet(seconds(1)).await;
    assert_eq!(world.status(id(1)).await, EndpointStatus::Enabled, "a single failure is not sustained");
    let since = world.endpoint(id(1)).await.failing_since.expect("it failed");
    assert!(world.clock.now().since(since) <= seconds(1), "what came before the success is over");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn sustained_failure_disables_although_messages_are_rare() {
    let world = World::with(vec![once(1)], impatient()).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Status(500));
    // Between two messages the lane is forgotten, and the publisher remembers the endpoint as it was at first.
    for n in 0..4 {
        assert_eq!(world.status(id(1)).await, EndpointStatus::Enabled);
        node.publish(numbered(n)).await;
        world.pass(seconds(240)).await;
    }
    assert!(is_disabled(&world, DisableReason::Failing).await, "{:?}", world.endpoint(id(1)).await);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn enabling_begins_the_count_of_failure_afresh() {
    let world = World::with(vec![patient(1)], impatient()).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Status(500));
    node.publish(numbered(1)).await;
    world.until(seconds(720), "it is disabled", async || is_disabled(&world, DisableReason::Failing).await).await;
    world.switch(id(1), StatusChange::Enable).await;
    world.pass(seconds(500)).await;
    assert_eq!(world.status(id(1)).await, EndpointStatus::Enabled);
    world.until(seconds(220), "it is disabled", async || is_disabled(&world, DisableReason::Failing).await).await;
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_the_guard_blocks_does_not_count_for_the_endpoint() {
    let world = World::with(vec![patient(1)], impatient()).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Blocked);
    let message = node.publish(numbered(1)).await;
    world.pass(seconds(1_800)).await;
    let endpoint = world.endpoint(id(1)).await;
    assert_eq!((endpoint.status, endpoint.failing_since), (EndpointStatus::Enabled, None));
    let outcomes = world.outcomes(message, id(1)).await;
    assert!(outcomes.len() > 20 && outcomes.iter().all(|outcome| matches!(outcome, Outcome::Blocked(_))));
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_by_hand_never_disable() {
    let world = World::with(vec![once(1)], impatient()).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Status(500));
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    world.pass(seconds(1_200)).await;
    node.resend(message, id(1)).await;
    world.arrivals(id(1), 2, seconds(10)).await;
    world.quiet(seconds(10)).await;
    assert_eq!(world.status(id(1)).await, EndpointStatus::Enabled);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_store_is_asked_about_an_endpoint_only_when_its_standing_is_in_question() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    for n in 0..20 {
        node.publish(numbered(n)).await;
    }
    world.quiet(seconds(1)).await;
    assert_eq!(node.faults.count(Deed::Endpoint), 0, "successes need no read");
    node.faults.plan(|deed| if deed == Deed::Endpoint { Fault::Delay(Duration::from_millis(1)) } else { Fault::Pass });
    world.receivers.always(id(1), Reply::Status(500));
    for n in 20..40 {
        node.publish(numbered(n)).await;
    }
    world.pass(seconds(5)).await;
    assert!(node.faults.count(Deed::Endpoint) <= 2, "{} reads", node.faults.count(Deed::Endpoint));
    node.engine.kill().await;
}
