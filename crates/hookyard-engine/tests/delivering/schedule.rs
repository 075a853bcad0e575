//! When attempts are made.

use hookyard_model::{DeliveryState, FailReason, Outcome, RetryPolicy, SigningKeys, limits};
use hookyard_ports::Clock;
use hookyard_ports::testkit::Deed;

use crate::receivers::Reply;
use crate::world::{World, endpoint, id, numbered, payload, plain, seconds};

#[tokio::test(start_paused = true)]
async fn a_first_attempt_leaves_at_once_and_without_a_claim() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.pass(seconds(1)).await;
    let now = world.clock.now();
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    let arrived = world.receivers.arrived(id(1));
    assert_eq!(arrived.len(), 1);
    assert_eq!((arrived[0].at, arrived[0].message()), (now, message));
    assert_eq!(&arrived[0].request.body[..], b"{\"n\":1}");
    assert_eq!(node.faults.count(Deed::Claim), 0, "the accept itself leased it");
    assert_eq!(world.state(message, id(1)).await, DeliveryState::Delivered { extra: None });
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_leaves_when_due_and_not_before_with_the_same_body() {
    let signed = endpoint(1, |settings| settings.keys = SigningKeys::single("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let world = World::new(vec![signed]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(500), Reply::Unreachable]);
    let begun = world.clock.now();
    let message = node.publish(payload("{\"b\": 1.0,  \"a\":\"\u{fc}\"}")).await;
    world.quiet(seconds(60)).await;
    let arrived = world.receivers.arrived(id(1));
    let waited: Vec<_> = arrived.iter().map(|one| one.at.since(begun).as_millis()).collect();
    assert!(matches!(waited[..], [0, 10_000..=10_005, 20_000..=20_010]), "{waited:?}");
    for one in &arrived {
        assert_eq!(one.request.body, arrived[0].request.body, "every attempt sends the same bytes");
        assert_eq!(one.message(), message);
        assert_eq!(one.header("content-type"), "application/json");
        assert_eq!(one.header("webhook-timestamp"), one.at.as_seconds().to_string());
        assert!(one.header("webhook-signature").starts_with("v1,"), "each attempt is signed");
        assert!(one.header("user-agent").starts_with("Hookyard/"));
    }
    assert_ne!(arrived[0].header("webhook-signature"), arrived[1].header("webhook-signature"), "signed afresh");
    let delivery = world.delivery(message, id(1)).await;
    assert_eq!((delivery.state, delivery.charged), (DeliveryState::Delivered { extra: None }, 2));
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn short_delays_are_kept_between_two_sweeps_of_the_due_index() {
    let quick = endpoint(1, |settings| settings.retry = Some(RetryPolicy::Fixed { delay: seconds(1), retries: 9 }));
    let world = World::new(vec![quick]).await;
    let node = world.start().await;
    world.receivers.script(id(1), vec![Reply::Status(500); 7]);
    let begun = world.clock.now();
    node.publish(numbered(1)).await;
    world.quiet(seconds(60)).await;
    for (n, arrived) in (0u32..).zip(world.receivers.arrived(id(1))) {
        let late = arrived.at.since(begun.plus(seconds(1) * n));
        assert!(arrived.at >= begun.plus(seconds(1) * n), "attempt {n} is early");
        assert!(late <= std::time::Duration::from_millis(20), "attempt {n} is {late:?} late");
    }
    assert_eq!(world.receivers.count(id(1)), 8);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn delays_count_from_the_end_of_the_attempt() {
    let world = World::new(vec![endpoint(1, |settings| settings.timeout = Some(seconds(20)))]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Hangs]);
    let begun = world.clock.now();
    node.publish(numbered(1)).await;
    world.quiet(seconds(60)).await;
    let waited = world.receivers.arrived(id(1))[1].at.since(begun);
    assert!((seconds(30)..seconds(31)).contains(&waited), "{waited:?}");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_spent_schedule_ends_the_delivery() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Status(500));
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(60)).await;
    assert_eq!(world.outcomes(message, id(1)).await, vec![Outcome::Refused; 4]);
    assert_eq!(world.state(message, id(1)).await, DeliveryState::Failed(FailReason::ScheduleSpent));
    world.pass(seconds(600)).await;
    assert_eq!(world.receivers.count(id(1)), 4, "what is given up stays so");
    node.engine.stop(seconds(1)).await;
}

/// For how many seconds a delivery waits whose first answer asked for patience.
async fn waits_for(retry_after: &str) -> u64 {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::With(503, "retry-after", retry_after.to_owned())]);
    let begun = world.clock.now();
    let message = node.publish(numbered(1)).await;
    world.pass(std::time::Duration::from_millis(1)).await;
    let state = world.state(message, id(1)).await;
    node.engine.stop(seconds(1)).await;
    let DeliveryState::Pending { due } = state else { panic!("`{retry_after}` led to {state:?}") };
    due.since(begun).as_secs()
}

#[tokio::test(start_paused = true)]
async fn retry_after_delays_up_to_its_cap_and_never_panics() {
    // The schedule says 10 s; the world's time begins at 2026-01-01T00:00:00Z.
    for (text, expected) in [
        ("1e300", 10),
        ("-5", 10),
        ("", 10),
        ("3", 10),
        ("90", 90),
        ("Thu, 01 Jan 2026 00:05:00 GMT", 300),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 10),
        ("99999999999999999999999999", limits::RETRY_AFTER.as_secs()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", limits::RETRY_AFTER.as_secs()),
    ] {
        assert_eq!(waits_for(text).await, expected, "`{text}`");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_delivered_later_waits_for_its_time() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let at = world.clock.now().plus(seconds(3_600));
    let message = node.publish(hookyard_accept::Publish { deliver_at: Some(at), ..numbered(1) }).await;
    world.pass(seconds(3_599)).await;
    assert_eq!(world.receivers.count(id(1)), 0);
    assert_eq!(world.state(message, id(1)).await, DeliveryState::Pending { due: at });
    world.quiet(seconds(2)).await;
    let arrived = world.receivers.arrived(id(1));
    assert!(arrived[0].at >= at && arrived[0].at.since(at) <= std::time::Duration::from_millis(5), "on time");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_connection_is_one_row_that_costs_nothing_and_is_repeated_at_once() {
    let once = endpoint(1, |settings| settings.retry = Some(RetryPolicy::Fixed { delay: seconds(10), retries: 0 }));
    let world = World::new(vec![once]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Stale]);
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    let arrived = world.receivers.arrived(id(1));
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0].at, arrived[1].at);
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::StaleConnection, Outcome::Delivered]);
    assert_eq!(world.delivery(message, id(1)).await.charged, 0);
    assert_eq!(world.endpoint(id(1)).await.failing_since, None);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_waits_is_not_delayed_by_a_fresh_message_that_hangs() {
    let world = World::new(vec![plain(1)]).await;
    let first = world.start().await;
    world.receivers.script(id(1), [Reply::Status(500)]);
    let message = first.publish(numbered(1)).await;
    world.pass(seconds(1)).await;
    first.engine.stop(seconds(1)).await;
    // The new node knows of the retry by a sweep of the due index alone when a fresh message makes the lane.
    let node = world.start().await;
    world.pass(seconds(6)).await;
    world.receivers.script(id(1), [Reply::Hangs]);
    node.publish(numbered(2)).await;
    world.pass(seconds(3)).await;
    assert_eq!(world.receivers.messages(id(1)).len(), 2);
    let due = world.delivery(message, id(1)).await;
    world.pass(seconds(2)).await;
    // The lane has one attempt at a time until one has ended, so the retry is at least in its hands.
    let state = world.state(message, id(1)).await;
    assert!(matches!(state, DeliveryState::Leased { .. }), "{due:?} became {state:?}");
    node.engine.kill().await;
}
