//! Claim: only what has room, the longest due first, in order where order is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{
    CancelReason, DeliveryState, DisableReason, EndpointStatus, Message, Next, OrderKey, Outcome, Payload, Timestamp,
};

use super::fixture::{WORKS, number, retry};
use super::{Fixture, Ground};
use crate::store::{Accept, Claim, Due, FirstState, Room, StatusChange};
use crate::testkit::build::{self, application_id, at, endpoint_id, key, message_id};

const DISABLE: StatusChange = StatusChange::Disable(DisableReason::Manual);

/// The `n`th message, with deliveries that wait behind a key.
fn ordered(n: u64, order_keys: &[(u64, i64)]) -> Accept {
    let states: Vec<(u64, FirstState)> =
        order_keys.iter().map(|(endpoint, _)| (*endpoint, build::pending(0))).collect();
    let mut accept = build::accept(build::message(n), &states);
    for (delivery, (_, order_key)) in accept.deliveries.iter_mut().zip(order_keys) {
        delivery.order_key = Some(OrderKey(*order_key));
    }
    accept
}

/// A message whose payload has `bytes` bytes.
fn sized(n: u64, bytes: usize) -> Accept {
    let payload = Payload::Kept(Bytes::from(vec![b'x'; bytes]));
    build::accept(Message { payload, ..build::message(n) }, &[(1, build::pending(n))])
}

async fn claim_bytes(fixture: &Fixture, count: usize, bytes: usize) -> Vec<u64> {
    let rooms = vec![Room { endpoint: endpoint_id(1), count, bytes }];
    let claims = fixture.store().claim(Claim { rooms, now: at(60) }).await.expect(WORKS);
    claims.deliveries.iter().map(|claimed| number(claimed.delivery.key.message)).collect()
}

async fn next_of(fixture: &Fixture, endpoint: u64, now: Timestamp) -> Option<Timestamp> {
    let rooms = vec![Room { endpoint: endpoint_id(endpoint), count: 0, bytes: 0 }];
    let claims = fixture.store().claim(Claim { rooms, now }).await.expect(WORKS);
    assert!(claims.deliveries.is_empty(), "no room was given");
    assert_eq!(claims.next.len(), 1, "one for each endpoint asked for");
    assert_eq!(claims.next[0].0, endpoint_id(endpoint));
    claims.next[0].1
}

pub async fn what_is_claimed_is_held_by_this_incarnation(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(3))]).await;
    let claimed = fixture.claim(1, 5, at(10)).await;
    assert_eq!(claimed.len(), 1);
    let holder = fixture.store().incarnation();
    assert_eq!(claimed[0].delivery.state, DeliveryState::Leased { holder, due: at(3) });
    assert_eq!(claimed[0].delivery, fixture.delivery(1, 1).await, "what is returned is what is stored");
    assert_eq!(*claimed[0].message, build::message(1), "the message comes with its payload");
    assert_eq!(claimed[0].endpoint_revision, fixture.endpoint(1).await.revision);
    assert_eq!(fixture.claim_all(1, at(10)).await, [0; 0], "nothing is claimed twice");
}

pub async fn nothing_is_claimed_before_it_is_due(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(30))]).await;
    assert_eq!(fixture.claim_all(1, at(29)).await, [0; 0]);
    assert_eq!(fixture.claim_all(1, at(30)).await, [1]);
}

pub async fn the_longest_due_come_first(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for (n, due) in [(1, 30), (2, 10), (3, 20), (5, 10), (4, 10)] {
        fixture.accept(n, &[(1, build::pending(due))]).await;
    }
    assert_eq!(fixture.claim_all(1, at(60)).await, [2, 5, 4, 3, 1], "then by the order of acceptance");
}

pub async fn the_longest_due_are_taken_when_room_is_short(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for (n, due) in [(1, 30), (2, 10), (3, 20)] {
        fixture.accept(n, &[(1, build::pending(due))]).await;
    }
    let taken: Vec<u64> =
        fixture.claim(1, 2, at(60)).await.iter().map(|one| number(one.delivery.key.message)).collect();
    assert_eq!(taken, [2, 3]);
    assert_eq!(fixture.claim_all(1, at(60)).await, [1]);
}

pub async fn room_is_kept_for_each_endpoint_by_itself(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for n in 1..=4 {
        fixture.accept(n, &[(1, build::pending(0)), (2, build::pending(0)), (3, build::pending(0))]).await;
    }
    let room = |endpoint, count| Room { endpoint: endpoint_id(endpoint), count, bytes: usize::MAX };
    let claim = Claim { rooms: vec![room(1, 3), room(2, 0), room(3, 9)], now: at(60) };
    let claims = fixture.store().claim(claim).await.expect(WORKS);
    let of =
        |endpoint| claims.deliveries.iter().filter(|one| one.delivery.key.endpoint == endpoint_id(endpoint)).count();
    assert_eq!((of(1), of(2), of(3)), (3, 0, 4));
}

pub async fn bytes_bound_what_is_claimed(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![sized(1, 400), sized(2, 500), sized(3, 200), sized(4, 50)]).await;
    assert_eq!(claim_bytes(&fixture, 9, 1_000).await, [1, 2], "the first that does not fit ends it");
    assert_eq!(claim_bytes(&fixture, 9, 250).await, [3, 4], "what fits exactly fits");
}

pub async fn one_delivery_is_claimed_even_if_it_is_larger_than_the_room(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![sized(1, 5_000), sized(2, 1)]).await;
    assert_eq!(claim_bytes(&fixture, 9, 10).await, [1]);
    assert_eq!(claim_bytes(&fixture, 9, 0).await, [2]);
}

pub async fn only_endpoints_that_are_asked_for_are_claimed(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(0)), (2, build::pending(0))]).await;
    assert_eq!(fixture.claim_all(2, at(60)).await, [1]);
    assert_eq!(fixture.state(1, 1).await, super::fixture::pending(0));
    let nobody = fixture.store().claim(Claim { rooms: Vec::new(), now: at(60) }).await.expect(WORKS);
    assert!(nobody.deliveries.is_empty() && nobody.next.is_empty());
}

pub async fn a_disabled_endpoint_is_not_claimed_and_its_deliveries_are_held(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(0))]).await;
    fixture.change_status(1, DISABLE, at(5)).await;
    assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0]);
    assert_eq!(next_of(&fixture, 1, at(60)).await, None);
    assert_eq!(fixture.store().due(None, 10).await.expect(WORKS), []);
    assert_eq!(fixture.state(1, 1).await, super::fixture::pending(0), "held as it was");
    fixture.change_status(1, StatusChange::Enable, at(70)).await;
    assert_eq!(fixture.claim_all(1, at(70)).await, [1], "claimable once it is enabled again");
}

pub async fn an_archived_endpoint_is_not_claimed(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(3, build::pending(0))]).await;
    fixture.import(build::import(vec![build::import_application(1, &[1, 2])])).await;
    assert!(matches!(fixture.endpoint(3).await.status, EndpointStatus::Archived { .. }));
    assert_eq!(fixture.claim_all(3, at(60)).await, [0; 0]);
    assert_eq!(next_of(&fixture, 3, at(60)).await, None);
    assert_eq!(fixture.store().due(None, 10).await.expect(WORKS), []);
}

pub async fn an_unknown_endpoint_has_nothing_to_claim(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    assert_eq!(fixture.claim_all(99, at(60)).await, [0; 0]);
    assert_eq!(next_of(&fixture, 99, at(60)).await, None);
}

pub async fn claims_tell_when_the_next_is_due(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    assert_eq!(next_of(&fixture, 1, at(0)).await, None);
    fixture.accept(1, &[(1, build::pending(50))]).await;
    fixture.accept(2, &[(1, build::pending(20))]).await;
    assert_eq!(next_of(&fixture, 1, at(10)).await, Some(at(20)), "future ones included");
    let rooms = vec![Room { endpoint: endpoint_id(1), count: 1, bytes: 1_000 }];
    let claims = fixture.store().claim(Claim { rooms, now: at(60) }).await.expect(WORKS);
    assert_eq!(claims.deliveries.len(), 1);
    assert_eq!(claims.next, [(endpoint_id(1), Some(at(50)))], "of what is still pending, due or not");
    assert_eq!(fixture.claim_all(1, at(60)).await, [1]);
    assert_eq!(next_of(&fixture, 1, at(60)).await, None, "what is leased is not pending");
}

pub async fn a_claim_names_the_revision_of_the_endpoints_present_form(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(0)), (2, build::pending(0))]).await;
    fixture.change_status(1, DISABLE, at(5)).await;
    let present = fixture.change_status(1, StatusChange::Enable, at(6)).await.revision;
    assert_eq!(fixture.claim(1, 1, at(60)).await[0].endpoint_revision, present);
    assert!(fixture.claim(2, 1, at(60)).await[0].endpoint_revision < present, "endpoint 2 has its first form");
}

pub async fn an_ordered_endpoint_is_claimed_one_by_one(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![ordered(3, &[(1, 0)]), ordered(1, &[(1, 0)]), ordered(2, &[(1, 0)])]).await;
    for (n, expected) in [(10, 3), (11, 1), (12, 2)] {
        assert_eq!(fixture.claim_all(1, at(60)).await, [expected], "in the order of acceptance, not of ids");
        assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0], "the earlier one is leased");
        fixture.settle(n, (expected, 1), Outcome::Delivered, Next::Delivered).await;
    }
}

pub async fn an_ordered_delivery_waits_for_an_earlier_one_that_is_tried_again(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![ordered(1, &[(1, 0)]), ordered(2, &[(1, 0)])]).await;
    fixture.claim_all(1, at(10)).await;
    fixture.settle(10, (1, 1), Outcome::Refused, retry(100, 1)).await;
    assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0], "the earlier one is pending, due later");
    assert_eq!(fixture.claim_all(1, at(100)).await, [1]);
    let given_up = Next::Failed { reason: hookyard_model::FailReason::ScheduleSpent, charged: 2 };
    fixture.settle(11, (1, 1), Outcome::Refused, given_up).await;
    assert_eq!(fixture.claim_all(1, at(100)).await, [2], "what is given up holds nobody back");
}

pub async fn other_order_keys_and_other_endpoints_are_free(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let batch = vec![
        ordered(1, &[(1, 7), (2, 7)]),
        ordered(2, &[(1, 7)]),
        ordered(3, &[(1, -7)]),
        build::accept(build::message(4), &[(1, build::pending(0))]),
    ];
    fixture.offer(batch).await;
    assert_eq!(fixture.claim_all(1, at(60)).await, [1, 3, 4]);
    assert_eq!(fixture.claim_all(2, at(60)).await, [1]);
    fixture.settle(10, (1, 2), Outcome::Delivered, Next::Delivered).await;
    assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0], "message 1 is still leased for endpoint 1");
}

pub async fn room_is_not_spent_on_what_waits_behind_an_order_key(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer((1..=5).map(|n| ordered(n, &[(1, 7)])).collect()).await;
    fixture.offer(vec![ordered(6, &[(1, 8)])]).await;
    let taken: Vec<u64> =
        fixture.claim(1, 2, at(60)).await.iter().map(|one| number(one.delivery.key.message)).collect();
    assert_eq!(taken, [1, 6]);
}

pub async fn what_waits_behind_an_order_key_is_due_all_the_same(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![ordered(1, &[(1, 7)]), ordered(2, &[(1, 7)])]).await;
    fixture.claim_all(1, at(60)).await;
    assert_eq!(next_of(&fixture, 1, at(60)).await, Some(at(0)));
}

pub async fn an_extra_attempt_stands_outside_the_order(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![ordered(1, &[(1, 7)]), ordered(2, &[(1, 7)]), ordered(3, &[(1, 7)])]).await;
    assert!(fixture.store().cancel(key(1, 1), at(5)).await.expect(WORKS));
    assert_eq!(fixture.claim_all(1, at(10)).await, [2]);
    fixture.settle(10, (2, 1), Outcome::Delivered, Next::Delivered).await;
    fixture.resend(2, 1, at(20)).await;
    assert_eq!(fixture.claim_all(1, at(30)).await, [3, 2], "it holds nobody back");
    fixture.settle(11, (2, 1), Outcome::Delivered, Next::StaysDelivered).await;
    fixture.settle(12, (3, 1), Outcome::Refused, retry(900, 1)).await;

    fixture.resend(1, 1, at(40)).await;
    fixture.resend(2, 1, at(45)).await;
    assert_eq!(fixture.claim_all(1, at(50)).await, [1, 2], "it waits for nobody, though message 1 is pending again");
    assert_eq!(fixture.claim_all(1, at(900)).await, [0; 0], "message 3 waits for message 1");
    fixture.settle(13, (1, 1), Outcome::Delivered, Next::Delivered).await;
    assert_eq!(fixture.claim_all(1, at(900)).await, [3]);
}

pub async fn an_expunged_message_is_cancelled_instead_of_claimed(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(0))]).await;
    fixture.accept(2, &[(1, build::pending(1))]).await;
    assert!(fixture.store().expunge(application_id(1), message_id(1)).await.expect(WORKS));
    let taken: Vec<u64> =
        fixture.claim(1, 1, at(60)).await.iter().map(|one| number(one.delivery.key.message)).collect();
    assert_eq!(taken, [2], "it takes no room");
    assert_eq!(fixture.state(1, 1).await, DeliveryState::Cancelled(CancelReason::Expunged));
}

pub async fn an_expunged_message_keeps_its_deliveries_delivered(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await;
    fixture.resend(1, 1, at(20)).await;
    fixture.store().expunge(application_id(1), message_id(1)).await.expect(WORKS);
    assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0]);
    assert_eq!(fixture.state(1, 1).await, DeliveryState::Delivered { extra: None });
}

pub async fn due_lists_enabled_endpoints_with_their_earliest_due_time(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(50)), (3, build::pending(500))]).await;
    fixture.accept(2, &[(1, build::pending(20)), (2, FirstState::Leased)]).await;
    let due = |endpoint, first| Due { endpoint: endpoint_id(endpoint), first: at(first) };
    assert_eq!(fixture.store().due(None, 10).await.expect(WORKS), [due(1, 20), due(3, 500)]);
    assert_eq!(fixture.store().due(None, 1).await.expect(WORKS), [due(1, 20)]);
    assert_eq!(fixture.store().due(Some(endpoint_id(1)), 10).await.expect(WORKS), [due(3, 500)]);
    assert_eq!(fixture.store().due(Some(endpoint_id(2)), 10).await.expect(WORKS), [due(3, 500)]);
    assert_eq!(fixture.store().due(Some(endpoint_id(3)), 10).await.expect(WORKS), []);
}

pub async fn due_skips_disabled_endpoints_without_ending_a_page(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(1)), (2, build::pending(2)), (3, build::pending(3))]).await;
    fixture.change_status(1, DISABLE, at(5)).await;
    let listed = fixture.store().due(None, 2).await.expect(WORKS);
    let ids: Vec<_> = listed.iter().map(|due| due.endpoint).collect();
    assert_eq!(ids, [endpoint_id(2), endpoint_id(3)]);
}

pub async fn released_leases_are_pending_as_they_were(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(3)), (2, build::pending(4))]).await;
    let before = fixture.deliveries(1).await;
    fixture.claim_all(1, at(60)).await;
    fixture.store().release(vec![key(1, 1), key(1, 2), key(99, 1)]).await.expect(WORKS);
    assert_eq!(fixture.deliveries(1).await, before, "due when it was due, and no trace");
    assert_eq!(fixture.rescue(at(61), 10, 5).await, 0);
    assert!(!fixture.is_logged(10).await);
    assert_eq!(fixture.claim_all(1, at(60)).await, [1]);
}

pub async fn a_release_leaves_what_is_not_held_alone(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased), (2, FirstState::Leased)]).await;
    fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await;
    fixture.store().release(vec![key(1, 1)]).await.expect(WORKS);
    assert_eq!(fixture.state(1, 1).await, DeliveryState::Delivered { extra: None });
    assert!(matches!(fixture.state(1, 2).await, DeliveryState::Leased { .. }), "it was not named");
}

pub async fn what_is_claimed_survives_being_claimed_in_pieces(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for n in 1..=20 {
        fixture.accept(n, &[(1, build::pending(20 - n))]).await;
    }
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        for claimed in fixture.claim(1, 3, at(60)).await {
            assert!(seen.insert(number(claimed.delivery.key.message)), "claimed twice");
        }
    }
    assert_eq!(seen.len(), 20);
}
