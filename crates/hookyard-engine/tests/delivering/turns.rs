//! Whose turn it is: order, rates, and receivers that hang.

use std::sync::Arc;
use std::time::Duration;

use hookyard_engine::Settings;
use hookyard_model::{Ordered, RetryPolicy, limits};
use hookyard_ports::Clock;
use hookyard_ports::testkit::{Deed, Fault};
use tokio::sync::Semaphore;

use crate::receivers::Reply;
use crate::world::{World, endpoint, id, numbered, payload, plain, seconds};

#[tokio::test(start_paused = true)]
async fn an_ordered_endpoint_gets_one_at_a_time_in_order() {
    let world = World::new(vec![endpoint(1, |settings| settings.ordered = Ordered::Endpoint)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Takes(seconds(2)), Reply::Status(500), Reply::Unreachable]);
    world.receivers.always(id(1), Reply::Takes(Duration::from_millis(20)));
    let mut messages = Vec::new();
    for n in 0..12 {
        messages.push(node.publish(numbered(n)).await);
    }
    world.quiet(seconds(60)).await;
    let mut arrived = world.receivers.messages(id(1));
    assert_eq!(arrived.len(), 14, "two were repeated");
    arrived.dedup();
    assert_eq!(arrived, messages, "none overtook another, retries included");
    assert_eq!(world.receivers.most_at_once(id(1)), 1);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_ordered_endpoint_loses_no_time_between_two() {
    let world = World::new(vec![endpoint(1, |settings| settings.ordered = Ordered::Endpoint)]).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Takes(Duration::from_millis(20)));
    let begun = world.clock.now();
    for n in 0..100 {
        node.publish(numbered(n)).await;
    }
    world.quiet(seconds(30)).await;
    let took = world.clock.now().since(begun);
    assert!(took < Duration::from_millis(2_500), "100 attempts of 20 ms took {took:?}");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_endpoint_do_not_wait_for_each_other() {
    let by_owner = endpoint(1, |settings| settings.ordered = Ordered::Pointer("/owner".to_owned()));
    let world = World::new(vec![by_owner]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(500)]);
    let first = node.publish(payload("{\"owner\":1,\"n\":1}")).await;
    world.arrivals(id(1), 1, seconds(1)).await;
    let behind = node.publish(payload("{\"owner\":1,\"n\":2}")).await;
    let free = node.publish(payload("{\"owner\":2,\"n\":1}")).await;
    world.arrivals(id(1), 2, seconds(1)).await;
    assert_eq!(world.receivers.messages(id(1)), [first, free]);
    world.quiet(seconds(30)).await;
    assert_eq!(world.receivers.messages(id(1)), [first, free, first, behind]);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_holds_over_time_and_delays_no_more_than_it_must() {
    let limited = endpoint(1, |settings| settings.rate_limit = Some("10/s".parse().expect("a rate")));
    let world = World::new(vec![limited, plain(2)]).await;
    let node = world.start().await;
    let begun = world.clock.now();
    for n in 0..200 {
        node.publish(numbered(n)).await;
    }
    world.until(seconds(1), "the other endpoint is done", async || world.receivers.count(id(2)) == 200).await;
    world.quiet(seconds(60)).await;
    let times: Vec<_> = world.receivers.arrived(id(1)).iter().map(|arrived| arrived.at.since(begun)).collect();
    assert_eq!(times.len(), 200);
    for (index, from) in times.iter().enumerate() {
        let within = times[index..].iter().filter(|at| **at < *from + seconds(1)).count();
        assert!(within <= 20, "{within} in the second after {from:?}: a burst and the rate at most");
    }
    let took = times[199];
    assert!((seconds(18)..=seconds(21)).contains(&took), "200 at 10/s took {took:?}");
    node.engine.stop(seconds(1)).await;
}

/// Endpoint 1 answers; so many others never do.
fn hanging(count: u64) -> Vec<hookyard_ports::store::ImportEndpoint> {
    (1..=count + 1)
        .map(|n| endpoint(n, |settings| settings.retry = Some(RetryPolicy::Fixed { delay: seconds(1), retries: 100 })))
        .collect()
}

/// Publishes to the endpoint that answers once a second; returns the longest that one of them took.
async fn slowest(world: &World, node: &crate::world::Node, count: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for n in 0..count {
        let published = world.clock.now();
        let before = world.receivers.count(id(1));
        let only = hookyard_accept::Publish { targets: Some(vec![id(1)]), ..numbered(n as u64) };
        node.publish(only).await;
        world.arrivals(id(1), before + 1, seconds(60)).await;
        let last = world.receivers.arrived(id(1)).last().expect("it arrived").at;
        slowest = slowest.max(last.since(published));
        world.pass(seconds(1)).await;
    }
    slowest
}

#[tokio::test(start_paused = true)]
async fn a_thousand_endpoints_that_hang_never_delay_the_one_that_answers() {
    let world = World::new(hanging(1_000)).await;
    for n in 2..=1_001 {
        world.receivers.always(id(n), Reply::Hangs);
    }
    let node = world.start().await;
    for n in 0..5 {
        node.publish(numbered(n)).await;
    }
    let took = slowest(&world, &node, 40).await;
    assert!(took <= Duration::from_millis(5), "{took:?}");
    node.engine.kill().await;
    // The next life finds everything due at once, the dead ones first.
    let node = world.start().await;
    let took = slowest(&world, &node, 20).await;
    assert!(took <= Duration::from_millis(5), "after a restart: {took:?}");
    node.engine.kill().await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_to_mind_late_does_not_wait_for_the_backlog_of_the_others() {
    let first = limits::CLAIM_LANES as u64;
    let world = World::new(hanging(first)).await;
    for n in 1..=first + 1 {
        world.receivers.always(id(n), Reply::Hangs);
    }
    let node = world.start().await;
    for n in 0..200 {
        node.publish(numbered(n)).await;
    }
    node.engine.kill().await;
    world.pass(seconds(1)).await;
    for n in 1..=first + 1 {
        world.receivers.always(id(n), Reply::Takes(Duration::from_millis(1)));
    }
    let before: usize = (1..=first).map(|n| world.receivers.count(id(n))).sum();
    let last_before = world.receivers.count(id(first + 1));
    let node = world.start().await;
    node.faults.plan(|deed| if deed == Deed::Claim { Fault::Late(Duration::from_millis(30)) } else { Fault::Pass });
    world.arrivals(id(first + 1), last_before + 1, seconds(1)).await;
    let others: usize = (1..=first).map(|n| world.receivers.count(id(n))).sum::<usize>() - before;
    assert!(others < 1_500, "it came after {others} of 6,400 were delivered to the others");
    node.engine.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_on_large_messages_leaves_memory_to_the_others() {
    let settings = Settings { lane_bytes: 4 * 1024 * 1024, ..Settings::default() };
    let world = World::with(hanging(1), settings).await;
    let node = world.start().await;
    world.receivers.script(id(2), [Reply::Status(204)]);
    node.publish(numbered(0)).await;
    world.quiet(seconds(1)).await;
    world.receivers.always(id(2), Reply::Hangs);
    let large = format!("\"{}\"", "x".repeat(100_000));
    for _ in 0..100 {
        let only = hookyard_accept::Publish { targets: Some(vec![id(2)]), ..payload(large.clone()) };
        node.publish(only).await;
    }
    world.pass(seconds(2)).await;
    let took = slowest(&world, &node, 30).await;
    assert!(took <= Duration::from_millis(5), "{took:?}");
    // What waits in the store is served as well.
    world.receivers.script(id(1), [Reply::Status(500)]);
    let only = hookyard_accept::Publish { targets: Some(vec![id(1)]), ..numbered(1) };
    let before = world.receivers.count(id(1));
    node.publish(only).await;
    world.arrivals(id(1), before + 2, Duration::from_millis(1_100)).await;
    node.engine.kill().await;
}

#[tokio::test(start_paused = true)]
async fn payloads_in_memory_never_exceed_their_bound_and_all_arrive() {
    let limit = 4 * 1024 * 1024;
    let settings = Settings { lane_bytes: limit, gauges: Duration::from_millis(1), ..Settings::default() };
    let world = World::with((1..=4).map(plain).collect(), settings).await;
    let node = world.start().await;
    for n in 1..=4 {
        world.receivers.always(id(n), Reply::Takes(Duration::from_millis(30)));
    }
    let large = format!("\"{}\"", "x".repeat(200_000));
    let mut most = 0;
    for _ in 0..40 {
        node.publish(payload(large.clone())).await;
        most = most.max(node.metrics.lane_bytes.get());
        world.pass(Duration::from_millis(2)).await;
    }
    while !world.is_quiet().await {
        most = most.max(node.metrics.lane_bytes.get());
        world.pass(Duration::from_millis(2)).await;
        assert!(world.clock.monotonic() < seconds(60), "all arrive");
    }
    let limit = i64::try_from(limit).expect("it is small");
    assert!(most <= limit, "{most} bytes");
    assert!(most > limit / 4, "the bound was put to the test: {most} bytes");
    for n in 1..=4 {
        assert_eq!(world.receivers.count(id(n)), 40);
    }
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_larger_than_the_bound_is_delivered_alone() {
    let settings = Settings { lane_bytes: 64 * 1024, ..Settings::default() };
    let world = World::with(vec![plain(1)], settings).await;
    let node = world.start().await;
    let gate = Arc::new(Semaphore::new(0));
    world.receivers.always(id(1), Reply::Gate(Arc::clone(&gate)));
    for _ in 0..3 {
        node.publish(payload(format!("\"{}\"", "x".repeat(100_000)))).await;
    }
    world.pass(seconds(1)).await;
    assert_eq!(world.receivers.count(id(1)), 1);
    gate.add_permits(3);
    world.quiet(seconds(60)).await;
    assert_eq!(world.receivers.count(id(1)), 3);
    node.engine.stop(seconds(1)).await;
}
