//! Resend and cancel: what people do to deliveries by hand.

use std::sync::Arc;

use hookyard_model::{
    CancelReason, DeliveryKey, DeliveryState, DisableReason, ExtraAttempt, FailReason, Next, Outcome, Trigger,
};

use super::fixture::{WORKS, pending, retry};
use super::{Fixture, Ground};
use crate::store::{Dedupe, DedupeKind, FirstState, Resend, Resent, Settled, StatusChange};
use crate::testkit::build::{self, application_id, at, endpoint_id, key, message_id};

/// A store in which message 1 was delivered to endpoint 1.
async fn delivered(ground: Arc<dyn Ground>) -> Fixture {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await;
    fixture
}

fn under_key(fingerprint: u8, now: u64, expires: u64) -> Resend {
    let idempotency = Dedupe {
        fingerprint: Some([fingerprint; 32]),
        expires: Some(at(expires)),
        ..build::dedupe(DedupeKind::Idempotency, "by hand")
    };
    Resend { application: application_id(1), key: key(1, 1), now: at(now), idempotency: Some(idempotency) }
}

pub async fn what_failed_is_queued_with_a_fresh_schedule(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    for round in 0..2u16 {
        let n = 10 * (u64::from(round) + 1);
        fixture.settle(n, (1, 1), Outcome::Refused, Next::Again { charged: 4, variant: 2 }).await;
        let spent = Next::Failed { reason: FailReason::ScheduleSpent, charged: 5 };
        assert_eq!(fixture.settle(n + 1, (1, 1), Outcome::Refused, spent).await, Settled::Moved);
        assert_eq!(fixture.resend(1, 1, at(n)).await, Resent::Queued);
        let delivery = fixture.delivery(1, 1).await;
        assert_eq!(delivery.state, DeliveryState::Pending { due: at(n) });
        assert_eq!((delivery.round, delivery.charged, delivery.variant), (round + 1, 0, 0));
        assert_eq!(delivery.trigger, Trigger::Manual);
        assert_eq!(fixture.claim_all(1, at(n)).await, [1]);
    }
}

pub async fn what_was_cancelled_is_queued_with_a_fresh_schedule(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(0))]).await;
    assert!(fixture.store().cancel(key(1, 1), at(5)).await.expect(WORKS));
    assert_eq!(fixture.resend(1, 1, at(9)).await, Resent::Queued);
    let delivery = fixture.delivery(1, 1).await;
    assert_eq!((delivery.state, delivery.round), (pending(9), 1));
}

pub async fn an_endpoint_that_was_not_owed_a_message_gets_a_new_delivery(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let seq = fixture.accept(1, &[]).await;
    assert_eq!(fixture.resend(1, 2, at(9)).await, Resent::Queued);
    let delivery = fixture.delivery(1, 2).await;
    assert_eq!(delivery.state, pending(9));
    assert_eq!((delivery.round, delivery.charged, delivery.variant), (0, 0, 0));
    assert_eq!((delivery.trigger, delivery.order_key, delivery.seq), (Trigger::Manual, None, seq));
    assert_eq!(fixture.claim_all(2, at(9)).await, [1]);
}

pub async fn what_was_delivered_gets_one_extra_attempt_and_stays_delivered(ground: Arc<dyn Ground>) {
    let fixture = delivered(ground).await;
    let round = fixture.delivery(1, 1).await.round;
    assert_eq!(fixture.resend(1, 1, at(20)).await, Resent::ExtraAttempt);
    let waiting = DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { due: at(20) }) };
    assert_eq!(fixture.state(1, 1).await, waiting);
    let due = fixture.store().due(None, 9).await.expect(WORKS);
    assert_eq!(due.iter().map(|due| (due.endpoint, due.first)).collect::<Vec<_>>(), [(endpoint_id(1), at(20))]);

    let claimed = fixture.claim(1, 5, at(20)).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].delivery.trigger, Trigger::Manual);
    let holder = fixture.store().incarnation();
    let leased = DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { holder, due: at(20) }) };
    assert_eq!(claimed[0].delivery.state, leased);
    assert_eq!(fixture.state(1, 1).await, leased);
    assert_eq!(fixture.claim_all(1, at(20)).await, [0; 0]);

    assert_eq!(fixture.settle(11, (1, 1), Outcome::Refused, Next::StaysDelivered).await, Settled::Moved);
    let delivery = fixture.delivery(1, 1).await;
    assert_eq!(delivery.state, DeliveryState::Delivered { extra: None });
    assert_eq!((delivery.round, delivery.trigger), (round, Trigger::Scheduled));
    assert!(fixture.is_logged(11).await);
}

pub async fn an_extra_attempt_ends_delivered_whatever_comes_back(ground: Arc<dyn Ground>) {
    let fixture = delivered(ground).await;
    let given_up = Next::Failed { reason: FailReason::Permanent, charged: 9 };
    for (n, next) in (20..).zip([Next::Delivered, retry(900, 9), given_up]) {
        fixture.resend(1, 1, at(n)).await;
        assert_eq!(fixture.claim_all(1, at(n)).await, [1]);
        assert_eq!(fixture.settle(n, (1, 1), Outcome::Refused, next).await, Settled::Moved);
        let delivery = fixture.delivery(1, 1).await;
        assert_eq!((delivery.state, delivery.charged), (DeliveryState::Delivered { extra: None }, 0), "{next:?}");
    }
}

pub async fn an_extra_attempt_may_go_on_in_another_variant(ground: Arc<dyn Ground>) {
    let fixture = delivered(ground).await;
    fixture.resend(1, 1, at(20)).await;
    fixture.claim_all(1, at(20)).await;
    let before = fixture.state(1, 1).await;
    fixture.settle(20, (1, 1), Outcome::Refused, Next::Again { charged: 0, variant: 1 }).await;
    let delivery = fixture.delivery(1, 1).await;
    assert_eq!((delivery.state, delivery.variant), (before, 1));
}

pub async fn a_released_extra_attempt_waits_as_it_did(ground: Arc<dyn Ground>) {
    let fixture = delivered(ground).await;
    fixture.resend(1, 1, at(20)).await;
    let before = fixture.delivery(1, 1).await;
    fixture.claim_all(1, at(30)).await;
    fixture.store().release(vec![key(1, 1)]).await.expect(WORKS);
    assert_eq!(fixture.delivery(1, 1).await, before);
}

pub async fn a_second_resend_is_the_same_extra_attempt(ground: Arc<dyn Ground>) {
    let fixture = delivered(ground).await;
    assert_eq!(fixture.resend(1, 1, at(20)).await, Resent::ExtraAttempt);
    assert_eq!(fixture.resend(1, 1, at(21)).await, Resent::ExtraAttempt);
    assert_eq!(fixture.claim_all(1, at(30)).await, [1]);
    assert_eq!(fixture.resend(1, 1, at(31)).await, Resent::InFlight);
}

pub async fn what_is_pending_is_due_now_with_its_schedule_as_it_was(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture.settle(10, (1, 1), Outcome::Refused, Next::Retry { due: at(900), charged: 3, variant: 1 }).await;
    assert_eq!(fixture.resend(1, 1, at(20)).await, Resent::DueNow);
    let delivery = fixture.delivery(1, 1).await;
    assert_eq!(delivery.state, pending(20));
    assert_eq!((delivery.round, delivery.charged, delivery.variant), (0, 3, 1));
    assert_eq!(delivery.trigger, Trigger::Manual);
    assert_eq!(fixture.claim_all(1, at(20)).await, [1]);
}

pub async fn what_is_in_flight_is_left_alone(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    let before = fixture.delivery(1, 1).await;
    assert_eq!(fixture.resend(1, 1, at(20)).await, Resent::InFlight);
    assert_eq!(fixture.delivery(1, 1).await, before);
    assert_eq!(fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await, Settled::Moved);
}

pub async fn a_repeat_under_the_same_key_resends_nothing(ground: Arc<dyn Ground>) {
    let fixture = delivered(ground).await;
    assert_eq!(fixture.store().resend(under_key(1, 20, 500)).await.expect(WORKS), Resent::ExtraAttempt);
    fixture.claim_all(1, at(20)).await;
    fixture.settle(20, (1, 1), Outcome::Delivered, Next::StaysDelivered).await;
    let before = fixture.delivery(1, 1).await;
    assert_eq!(fixture.store().resend(under_key(1, 30, 500)).await.expect(WORKS), Resent::Repeated);
    assert_eq!(fixture.store().resend(under_key(2, 30, 500)).await.expect(WORKS), Resent::Conflicting);
    assert_eq!(fixture.delivery(1, 1).await, before);
    assert_eq!(fixture.store().resend(under_key(2, 500, 900)).await.expect(WORKS), Resent::ExtraAttempt, "it ran out");
}

pub async fn a_key_is_kept_only_when_something_changed(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    assert_eq!(fixture.store().resend(under_key(1, 20, 500)).await.expect(WORKS), Resent::InFlight);
    fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await;
    assert_eq!(fixture.store().resend(under_key(2, 30, 500)).await.expect(WORKS), Resent::ExtraAttempt);
}

pub async fn what_is_expunged_is_not_resent(ground: Arc<dyn Ground>) {
    let fixture = delivered(ground).await;
    fixture.store().expunge(application_id(1), message_id(1)).await.expect(WORKS);
    assert_eq!(fixture.resend(1, 1, at(20)).await, Resent::Expunged);
    assert_eq!(fixture.resend(1, 2, at(20)).await, Resent::Expunged);
    assert_eq!(fixture.state(1, 1).await, DeliveryState::Delivered { extra: None });
    assert_eq!(fixture.deliveries(1).await.len(), 1);
}

pub async fn what_does_not_exist_is_not_resent(ground: Arc<dyn Ground>) {
    let fixture = delivered(ground).await;
    let applications = vec![build::import_application(1, &[1, 2]), build::import_application(2, &[20])];
    fixture.import(build::import(applications)).await;
    for (application, key, why) in [
        (1, key(9, 1), "no such message"),
        (1, key(1, 9), "no such endpoint"),
        (1, key(1, 20), "the endpoint is of another application"),
        (2, key(1, 20), "the message is of another application"),
        (1, key(1, 3), "the endpoint is archived"),
        (9, key(1, 1), "no such application"),
    ] {
        let resend = Resend { application: application_id(application), key, now: at(20), idempotency: None };
        assert_eq!(fixture.store().resend(resend).await.expect(WORKS), Resent::NotFound, "{why}");
    }
    assert_eq!(fixture.deliveries(1).await.len(), 1);
}

pub async fn a_resend_to_a_disabled_endpoint_is_held(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[]).await;
    fixture.change_status(1, StatusChange::Disable(DisableReason::Manual), at(5)).await;
    assert_eq!(fixture.resend(1, 1, at(9)).await, Resent::Queued);
    assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0]);
    fixture.change_status(1, StatusChange::Enable, at(70)).await;
    assert_eq!(fixture.claim_all(1, at(70)).await, [1]);
}

pub async fn only_what_is_pending_is_cancelled_by_hand(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(500)), (2, FirstState::Leased), (3, build::pending(0))]).await;
    let cancel = async |key: DeliveryKey| fixture.store().cancel(key, at(9)).await.expect(WORKS);
    assert!(cancel(key(1, 1)).await);
    assert_eq!(fixture.state(1, 1).await, DeliveryState::Cancelled(CancelReason::ByHand));
    assert!(!cancel(key(1, 1)).await, "it is cancelled already");
    assert!(!cancel(key(1, 2)).await, "it is in flight");
    assert!(!cancel(key(9, 9)).await, "it does not exist");
    fixture.settle(10, (1, 2), Outcome::Delivered, Next::Delivered).await;
    fixture.resend(1, 2, at(20)).await;
    let before = fixture.state(1, 2).await;
    assert!(!cancel(key(1, 2)).await, "it is delivered, an extra attempt or not");
    assert_eq!(fixture.state(1, 2).await, before);
    assert_eq!(fixture.claim_all(3, at(60)).await, [1], "the others are as they were");
    assert_eq!(fixture.claim_all(1, at(900)).await, [0; 0]);
}
