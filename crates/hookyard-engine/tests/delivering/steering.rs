//! What operators change while deliveries wait.

use std::sync::Arc;

use hookyard_model::{CancelReason, DeliveryState, DisableReason};
use hookyard_ports::store::StatusChange;
use hookyard_ports::testkit::{Deed, Fault, build};
use tokio::sync::Semaphore;

use crate::receivers::Reply;
use crate::world::{World, endpoint, id, numbered, plain, seconds};

#[tokio::test(start_paused = true)]
async fn disabling_gives_queued_deliveries_back_without_a_trace_and_enabling_sends_them() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let gate = Arc::new(Semaphore::new(0));
    world.receivers.script(id(1), [Reply::Gate(Arc::clone(&gate))]);
    let mut messages = Vec::new();
    for n in 0..20 {
        messages.push(node.publish(numbered(n)).await);
    }
    world.arrivals(id(1), 1, seconds(1)).await;
    world.switch(id(1), StatusChange::Disable(DisableReason::Manual)).await;
    world.pass(seconds(1)).await;
    for message in &messages[1..] {
        let delivery = world.delivery(*message, id(1)).await;
        assert!(matches!(delivery.state, DeliveryState::Pending { .. }), "{:?}", delivery.state);
        assert_eq!(world.outcomes(*message, id(1)).await, []);
        assert_eq!(delivery.charged, 0);
    }
    gate.add_permits(1);
    world.pass(seconds(60)).await;
    assert_eq!(world.receivers.count(id(1)), 1, "what was in flight ended; nothing else was sent");
    assert!(matches!(world.state(messages[0], id(1)).await, DeliveryState::Delivered { .. }));
    world.switch(id(1), StatusChange::Enable).await;
    world.quiet(seconds(1)).await;
    assert_eq!(world.receivers.count(id(1)), 20);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn switching_off_and_on_at_once_loses_no_time() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let gate = Arc::new(Semaphore::new(0));
    world.receivers.script(id(1), [Reply::Gate(Arc::clone(&gate))]);
    for n in 0..5 {
        node.publish(numbered(n)).await;
    }
    world.arrivals(id(1), 1, seconds(1)).await;
    // The store is slow to take the leases back, and the endpoint is on again before it has.
    let slow = Fault::Delay(seconds(1));
    node.faults.once(Deed::Release, slow);
    world.switch(id(1), StatusChange::Disable(DisableReason::Manual)).await;
    world.pass(std::time::Duration::from_millis(100)).await;
    world.switch(id(1), StatusChange::Enable).await;
    gate.add_permits(1);
    world.quiet(seconds(2)).await;
    assert_eq!(world.receivers.count(id(1)), 5);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_changed_while_deliveries_wait_is_sent_to_in_its_new_form() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let gate = Arc::new(Semaphore::new(0));
    world.receivers.script(id(1), [Reply::Gate(Arc::clone(&gate)), Reply::Status(500)]);
    for n in 0..3 {
        node.publish(numbered(n)).await;
    }
    world.arrivals(id(1), 1, seconds(1)).await;
    world.change(id(1), |settings| settings.url = build::settings(77).url).await;
    world.pass(seconds(1)).await;
    gate.add_permits(1);
    world.quiet(seconds(60)).await;
    let hosts: Vec<_> = world
        .receivers
        .arrived(id(1))
        .iter()
        .map(|arrived| arrived.request.url.host_str().expect("it has one").to_owned())
        .collect();
    let (old, new) = ("receiver-1.example", "receiver-77.example");
    assert_eq!(hosts, [old, new, new, new], "retries included");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_archived_endpoint_is_cancelled() {
    let world = World::new(vec![plain(1), plain(2)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(500)]);
    let message = node.publish(numbered(1)).await;
    world.pass(seconds(1)).await;
    world.declare(|applications| applications[0].endpoints.retain(|declared| declared.id == id(2))).await;
    world.quiet(seconds(120)).await;
    assert_eq!(world.state(message, id(1)).await, DeliveryState::Cancelled(CancelReason::EndpointRemoved));
    assert_eq!(world.receivers.count(id(1)), 1);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_disabled_endpoint_holds_for_too_long_is_cancelled() {
    let hourly = hookyard_engine::Settings { ageing: seconds(3_600), ..hookyard_engine::Settings::default() };
    let world = World::with(vec![plain(1)], hourly).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::Status(500)]);
    let message = node.publish(numbered(1)).await;
    world.pass(seconds(1)).await;
    world.switch(id(1), StatusChange::Disable(DisableReason::Manual)).await;
    node.engine.stop(seconds(1)).await;
    world.pass(hookyard_model::limits::HELD).await;
    let node = world.start().await;
    world.quiet(seconds(7_200)).await;
    assert_eq!(world.state(message, id(1)).await, DeliveryState::Cancelled(CancelReason::HeldTooLong));
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_resend_by_hand_leaves_at_once_and_stays_delivered_whatever_comes_back() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    world.pass(seconds(1)).await;
    world.receivers.script(id(1), [Reply::Status(500)]);
    node.resend(message, id(1)).await;
    world.arrivals(id(1), 2, seconds(1)).await;
    world.pass(seconds(60)).await;
    assert_eq!(world.state(message, id(1)).await, DeliveryState::Delivered { extra: None });
    assert_eq!(world.receivers.count(id(1)), 2, "an extra attempt is one attempt");
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn more_concurrency_is_used_at_once() {
    let narrow = endpoint(1, |settings| settings.concurrency = std::num::NonZeroU16::new(1));
    let world = World::new(vec![narrow]).await;
    let node = world.start().await;
    node.publish(numbered(0)).await;
    world.quiet(seconds(1)).await;
    let gate = Arc::new(Semaphore::new(0));
    world.receivers.always(id(1), Reply::Gate(Arc::clone(&gate)));
    for n in 1..9 {
        node.publish(numbered(n)).await;
    }
    world.pass(std::time::Duration::from_millis(10)).await;
    assert_eq!(world.receivers.count(id(1)), 2);
    world.change(id(1), |settings| settings.concurrency = std::num::NonZeroU16::new(4)).await;
    world.pass(std::time::Duration::from_millis(10)).await;
    assert_eq!(world.receivers.count(id(1)), 5, "four at once");
    gate.add_permits(8);
    world.quiet(seconds(10)).await;
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_whose_new_form_cannot_be_read_keeps_no_other_to_its_former_one() {
    let world = World::new(vec![plain(1), plain(2)]).await;
    let node = world.start().await;
    let gate = Arc::new(Semaphore::new(0));
    for n in 1..=2 {
        world.receivers.script(id(n), [Reply::Gate(Arc::clone(&gate))]);
    }
    let first = node.publish(numbered(0)).await;
    let second = node.publish(numbered(1)).await;
    world.arrivals(id(2), 1, seconds(1)).await;
    let mut asked = 0;
    node.faults.plan(move |deed| {
        asked += usize::from(deed == Deed::Endpoint);
        if deed == Deed::Endpoint && asked % 2 == 1 { Fault::Broken } else { Fault::Pass }
    });
    let new = build::settings(77).url;
    world
        .declare(|applications| {
            for endpoint in &mut applications[0].endpoints {
                Arc::make_mut(&mut endpoint.settings).url = new.clone();
            }
        })
        .await;
    world.pass(seconds(1)).await;
    gate.add_permits(2);
    world.quiet(seconds(1)).await;
    assert_ne!(world.attempts(first, id(2)).await[0].url, new.as_str());
    assert_eq!(world.attempts(second, id(2)).await[0].url, new.as_str());
    node.engine.stop(seconds(1)).await;
}
