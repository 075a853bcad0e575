//! How a node ends, and what the next life of it finds.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{DeliveryState, Ordered, Outcome};
use hookyard_ports::Clock;
use hookyard_ports::testkit::{Deed, Fault};
use tokio::sync::Semaphore;

use crate::receivers::Reply;
use crate::world::{World, endpoint, id, numbered, plain, publish, seconds};

fn is_pending(state: &DeliveryState) -> bool {
    matches!(state, DeliveryState::Pending { .. })
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_back_what_was_not_sent_and_waits_for_what_is_in_flight() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Takes(seconds(5))]);
    let mut messages = Vec::new();
    for n in 0..10 {
        messages.push(node.publish(numbered(n)).await);
    }
    let due = world.clock.now();
    world.arrivals(id(1), 1, seconds(1)).await;
    node.engine.stop(seconds(20)).await;
    assert!(world.clock.now() >= due.plus(seconds(5)), "it waited");
    assert!(world.clock.now() < due.plus(seconds(6)), "and no longer than it had to");
    assert_eq!(world.outcomes(messages[0], id(1)).await, [Outcome::Delivered]);
    for message in &messages[1..] {
        let delivery = world.delivery(*message, id(1)).await;
        assert_eq!(delivery.state, DeliveryState::Pending { due }, "as it was before it was leased");
        assert_eq!(world.outcomes(*message, id(1)).await, [], "without a trace");
    }
    let node = world.start().await;
    world.quiet(seconds(10)).await;
    assert_eq!(world.receivers.count(id(1)), 10);
    assert_eq!(node.metrics.rescued.get(), 0);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_outlives_the_grace_is_interrupted_at_the_next_start_and_sent_again() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Takes(seconds(14))]);
    let message = node.publish(numbered(1)).await;
    world.arrivals(id(1), 1, seconds(1)).await;
    node.engine.stop(seconds(2)).await;
    assert!(matches!(world.state(message, id(1)).await, DeliveryState::Leased { .. }));
    let node = world.start().await;
    world.quiet(seconds(10)).await;
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Interrupted, Outcome::Delivered]);
    assert_eq!(world.delivery(message, id(1)).await.charged, 0, "it costs the schedule nothing");
    assert_eq!(node.metrics.rescued.get(), 1);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_interrupts_what_was_leased_and_the_next_life_sends_all_of_it() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), vec![Reply::Hangs; 1]);
    let mut messages = Vec::new();
    for n in 0..10 {
        messages.push(node.publish(numbered(n)).await);
    }
    world.arrivals(id(1), 1, seconds(1)).await;
    node.engine.kill().await;
    let node = world.start().await;
    world.quiet(seconds(10)).await;
    for message in messages {
        assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Interrupted, Outcome::Delivered]);
    }
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_claim_gives_back_what_the_claim_brings() {
    let world = World::new(vec![endpoint(1, |settings| settings.ordered = Ordered::Endpoint)]).await;
    let node = world.start().await;
    node.faults.once(Deed::Claim, Fault::Late(seconds(1)));
    let message = node.publish(numbered(1)).await;
    world.until(seconds(1), "a claim is under way", async || node.faults.count(Deed::Claim) == 1).await;
    world
        .until(seconds(1), "it is leased", async || {
            matches!(world.state(message, id(1)).await, DeliveryState::Leased { .. })
        })
        .await;
    node.engine.stop(seconds(20)).await;
    assert_eq!(world.receivers.count(id(1)), 0);
    assert!(is_pending(&world.state(message, id(1)).await), "{:?}", world.state(message, id(1)).await);
    let node = world.start().await;
    world.quiet(seconds(10)).await;
    assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Delivered], "nothing was interrupted");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_an_accept_gives_back_what_the_accept_leased() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    node.faults.once(Deed::Accept, Fault::Late(seconds(1)));
    let (published, ()) = tokio::join!(publish(&node.publisher, numbered(1)), async {
        world.pass(Duration::from_millis(100)).await;
        node.engine.stop(seconds(20)).await;
    });
    let message = published.expect("it is on disk");
    assert!(is_pending(&world.state(message, id(1)).await), "{:?}", world.state(message, id(1)).await);
    assert_eq!(world.outcomes(message, id(1)).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_nothing_new_in() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let gate = Arc::new(Semaphore::new(0));
    world.receivers.always(id(1), Reply::Gate(Arc::clone(&gate)));
    node.publish(numbered(1)).await;
    world.arrivals(id(1), 1, seconds(1)).await;
    let ((), late) = tokio::join!(node.engine.stop(seconds(10)), async {
        world.pass(seconds(1)).await;
        let late = publish(&node.publisher, numbered(2)).await.expect("it is on disk");
        world.pass(seconds(1)).await;
        gate.add_permits(1);
        late
    });
    assert!(is_pending(&world.state(late, id(1)).await), "accepted, and left for the next life");
    assert_eq!(world.receivers.count(id(1)), 1);
}
