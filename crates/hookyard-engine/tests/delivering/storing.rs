//! A store that is away, loses answers, or refuses.

use std::sync::Arc;
use std::time::Duration;

use hookyard_accept::Publish;
use hookyard_model::{DeliveryState, Ordered, Outcome, limits};
use hookyard_ports::Clock;
use hookyard_ports::testkit::{Deed, Fault};
use tokio::sync::Semaphore;

use crate::receivers::Reply;
use crate::world::{World, endpoint, id, numbered, plain, publish, seconds};

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_a_minute_costs_time_and_nothing_else() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let gate = Arc::new(Semaphore::new(0));
    world.receivers.script(id(1), [Reply::Status(204)]);
    world.receivers.always(id(1), Reply::Gate(Arc::clone(&gate)));
    node.publish(numbered(0)).await;
    world.quiet(seconds(1)).await;
    let mut messages = Vec::new();
    for n in 1..=8 {
        messages.push(node.publish(numbered(n)).await);
    }
    world.arrivals(id(1), 9, seconds(1)).await;
    node.faults.cut_off();
    gate.add_permits(100);
    world.pass(seconds(30)).await;
    assert!(publish(&node.publisher, numbered(99)).await.is_err(), "what cannot be kept is not accepted");
    world.pass(seconds(30)).await;
    node.faults.heal();
    world.quiet(seconds(10)).await;
    for message in messages {
        assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Delivered]);
    }
    // What reconciles leases has had time to be wrong.
    world.pass(seconds(180)).await;
    assert_eq!(world.receivers.count(id(1)), 9, "nothing was sent twice");
    let message = node.publish(numbered(100)).await;
    world.quiet(seconds(1)).await;
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Delivered]);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_that_wait_long_to_be_settled_are_not_sent_again() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    node.faults.plan(|deed| if deed == Deed::Settle { Fault::Before } else { Fault::Pass });
    let message = node.publish(numbered(1)).await;
    world.pass(seconds(300)).await;
    assert!(matches!(world.state(message, id(1)).await, DeliveryState::Leased { .. }));
    node.faults.heal();
    world.quiet(seconds(10)).await;
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Delivered]);
    assert_eq!(world.receivers.count(id(1)), 1);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_the_store_refuses_for_good_is_interrupted_at_the_next_start_and_not_before() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    node.faults.plan(|deed| if deed == Deed::Settle { Fault::Broken } else { Fault::Pass });
    let message = node.publish(numbered(1)).await;
    world.pass(seconds(10)).await;
    node.faults.heal();
    world.pass(seconds(600)).await;
    assert_eq!(world.receivers.count(id(1)), 1, "it is not sent over and over");
    let other = node.publish(numbered(2)).await;
    world.pass(seconds(1)).await;
    assert_eq!(world.outcomes(other, id(1)).await, [Outcome::Delivered], "the others go on");
    let stopping = world.clock.now();
    node.engine.stop(seconds(20)).await;
    assert!(world.clock.now().since(stopping) < seconds(1), "nobody waits for it");
    let node = world.start().await;
    world.quiet(seconds(10)).await;
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Interrupted, Outcome::Delivered]);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn one_broken_settlement_keeps_no_other_back() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let message = node.publish(numbered(0)).await;
    world.quiet(seconds(1)).await;
    let gate = Arc::new(Semaphore::new(0));
    world.receivers.always(id(1), Reply::Gate(Arc::clone(&gate)));
    for n in 1..=4 {
        node.publish(numbered(n)).await;
    }
    world.arrivals(id(1), 3, seconds(1)).await;
    // The batch fails as a whole, then the first of it five times.
    let mut left = 6;
    node.faults.plan(move |deed| {
        if deed != Deed::Settle || left == 0 {
            return Fault::Pass;
        }
        left -= 1;
        Fault::Broken
    });
    gate.add_permits(4);
    world.pass(seconds(30)).await;
    let logged = world.logged(None, id(1)).await;
    assert_eq!(logged.iter().filter(|attempt| attempt.outcome == Outcome::Delivered).count(), 4, "all but one");
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Delivered]);
    assert_eq!(world.receivers.count(id(1)), 5);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_settlement_whose_answer_is_lost_is_told_again_and_logged_once() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(500)]);
    node.faults.once(Deed::Settle, Fault::After);
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(60)).await;
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Refused, Outcome::Delivered]);
    assert_eq!(world.delivery(message, id(1)).await.charged, 1);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_comes_back_and_is_delivered() {
    let world = World::new(vec![endpoint(1, |settings| settings.ordered = Ordered::Endpoint)]).await;
    let node = world.start().await;
    node.faults.once(Deed::Claim, Fault::After);
    let message = node.publish(numbered(1)).await;
    world.pass(seconds(10)).await;
    assert!(matches!(world.state(message, id(1)).await, DeliveryState::Leased { .. }), "held by nobody who knows");
    world.quiet(seconds(120)).await;
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Delivered], "without a trace in the log");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_late_is_not_taken_for_a_lost_one() {
    let world = World::new(vec![endpoint(1, |settings| settings.ordered = Ordered::Endpoint)]).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Takes(seconds(3)));
    // Leases are compared once a minute, which falls into the tenth of these claims and into the twentieth.
    world.pass(seconds(5)).await;
    let mut messages = Vec::new();
    for n in 0..25 {
        node.faults.once(Deed::Claim, Fault::Late(Duration::from_millis(2_900)));
        messages.push(node.publish(numbered(n)).await);
        world.pass(seconds(6)).await;
    }
    world.quiet(seconds(60)).await;
    assert_eq!(world.receivers.messages(id(1)), messages, "each was sent once");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_accept_whose_answer_is_lost_is_delivered_all_the_same() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    node.faults.once(Deed::Accept, Fault::After);
    assert!(publish(&node.publisher, numbered(1)).await.is_err());
    // Nobody here knows of the lease, until the node compares what it holds with the store.
    world.arrivals(id(1), 1, seconds(90)).await;
    world.quiet(seconds(1)).await;
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn leases_whose_giving_back_fails_are_given_back_later() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Takes(seconds(3))]);
    node.publish(numbered(1)).await;
    let message = node.publish(numbered(2)).await;
    world.arrivals(id(1), 1, seconds(1)).await;
    let mut left = 4;
    node.faults.plan(move |deed| {
        if deed != Deed::Release || left == 0 {
            return Fault::Pass;
        }
        left -= 1;
        Fault::Before
    });
    node.engine.stop(seconds(20)).await;
    assert!(matches!(world.state(message, id(1)).await, DeliveryState::Pending { .. }));
}

#[tokio::test(start_paused = true)]
async fn without_a_confirmed_heartbeat_sending_stops_before_others_may_take_over() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Takes(Duration::from_millis(500)));
    for n in 0..400 {
        node.publish(numbered(n)).await;
    }
    world.pass(seconds(3)).await;
    let cut = world.clock.now();
    node.faults.plan(|deed| if deed == Deed::Heartbeat { Fault::Before } else { Fault::Pass });
    world.pass(seconds(60)).await;
    let sent = world.receivers.arrived(id(1));
    let last = sent.last().expect("some were sent").at;
    assert!(last > cut, "one missed beat is no reason to stop");
    assert!(last <= cut.plus(limits::LEASE_TRUSTED), "{:?} after the last beat", last.since(cut));
    node.faults.heal();
    world.quiet(seconds(60)).await;
    let count = world.receivers.count(id(1));
    assert_eq!(count, 400, "each was sent once");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_for_a_missing_heartbeat_leaves_as_soon_as_it_beats_again() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let gate = Arc::new(Semaphore::new(0));
    world.receivers.script(id(1), [Reply::Gate(Arc::clone(&gate))]);
    node.publish(numbered(1)).await;
    node.publish(numbered(2)).await;
    world.arrivals(id(1), 1, seconds(1)).await;
    node.faults.plan(|deed| if deed == Deed::Heartbeat { Fault::Before } else { Fault::Pass });
    world.pass(seconds(12)).await;
    gate.add_permits(1);
    world.pass(seconds(1)).await;
    assert_eq!(world.receivers.count(id(1)), 1, "the second was dropped");
    node.faults.heal();
    world.arrivals(id(1), 2, seconds(4)).await;
    world.quiet(seconds(1)).await;
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn another_node_takes_over_what_a_silent_one_held() {
    let world = World::new(vec![plain(1)]).await;
    let silent = world.start_as("silent").await;
    world.receivers.script(id(1), [Reply::Takes(seconds(14))]);
    let message = silent.publish(numbered(1)).await;
    world.arrivals(id(1), 1, seconds(1)).await;
    silent.faults.cut_off();
    let other = world.start_as("other").await;
    world.quiet(seconds(30)).await;
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Interrupted, Outcome::Delivered]);
    world.pass(seconds(10)).await;
    silent.faults.heal();
    world.pass(seconds(30)).await;
    let outcomes = world.outcomes(message, id(1)).await;
    assert_eq!(outcomes.len(), 3, "the silent node's attempt is logged, too: {outcomes:?}");
    assert_eq!(world.receivers.count(id(1)), 2);
    assert!(matches!(world.state(message, id(1)).await, DeliveryState::Delivered { .. }));
    silent.engine.stop(seconds(1)).await;
    other.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_read_holds_up_no_other() {
    let world = World::new(vec![plain(1), plain(2)]).await;
    let node = world.start().await;
    world.receivers.script(id(2), [Reply::Status(500)]);
    node.publish(Publish { targets: Some(vec![id(2)]), ..numbered(1) }).await;
    world.arrivals(id(2), 1, seconds(1)).await;
    world.pass(seconds(1)).await;
    node.engine.kill().await;
    let node = world.start().await;
    node.faults.plan(|deed| if deed == Deed::Endpoint { Fault::Broken } else { Fault::Pass });
    world.receivers.script(id(1), [Reply::Status(500)]);
    node.publish(Publish { targets: Some(vec![id(1)]), ..numbered(2) }).await;
    world.arrivals(id(1), 2, seconds(30)).await;
    node.faults.heal();
    world.arrivals(id(2), 2, seconds(30)).await;
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_cannot_be_claimed_for_holds_up_no_other() {
    let world = World::new(vec![plain(1), plain(2)]).await;
    let node = world.start().await;
    for n in 1..=2 {
        world.receivers.script(id(n), [Reply::Status(500)]);
    }
    node.publish(numbered(1)).await;
    world.arrivals(id(2), 1, seconds(1)).await;
    world.pass(seconds(1)).await;
    let mut claims = 0;
    node.faults.plan(move |deed| {
        claims += usize::from(deed == Deed::Claim);
        // For both, and then for the first alone.
        if deed == Deed::Claim && claims <= 2 { Fault::Broken } else { Fault::Pass }
    });
    world.quiet(seconds(30)).await;
    let again = |n| world.receivers.arrived(id(n))[1].at.since(world.receivers.arrived(id(n))[0].at);
    assert!(again(2) < Duration::from_millis(10_100), "{:?}", again(2));
    assert!(again(1) < seconds(16), "the due index names it again: {:?}", again(1));
    node.engine.stop(seconds(1)).await;
}
