//! Rescue: what a dead node held is logged as interrupted and due at once, and nothing is taken from its schedule.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{DeliveryState, ExtraAttempt, Next, Outcome, Timings, Trigger, limits};

use super::fixture::{WORKS, pending, retry};
use super::{Fixture, Ground};
use crate::store::{FirstState, Settled, StoreError};
use crate::testkit::build::{self, application_id, at, attempt_id, endpoint_id, key};

pub async fn a_crash_leaves_nothing_leased_for_ever(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased), (2, build::pending(0))]).await;
    fixture.accept(2, &[(1, build::pending(300))]).await;
    fixture.claim_all(2, at(10)).await;
    let fixture = fixture.crash(at(60)).await;
    assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0], "leased until somebody rescues");
    assert_eq!(fixture.rescue(at(61), 10, 5).await, 2);
    assert_eq!(fixture.state(1, 1).await, pending(61), "due at once");
    assert_eq!(fixture.state(1, 2).await, pending(61));
    assert_eq!(fixture.state(2, 1).await, pending(300), "what was not leased is as it was");
    assert_eq!(fixture.claim_all(1, at(61)).await, [1]);
}

pub async fn an_interrupted_attempt_is_logged(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    let fixture = fixture.crash(at(60)).await;
    fixture.rescue(at(61), 10, 1).await;
    let attempt = fixture.store().attempt(application_id(1), attempt_id(10)).await.expect(WORKS).expect("it is logged");
    assert_eq!((attempt.message, attempt.endpoint), (key(1, 1).message, endpoint_id(1)));
    assert_eq!(attempt.outcome, Outcome::Interrupted);
    assert_eq!(attempt.trigger, Trigger::Scheduled);
    assert_eq!(attempt.started, at(61));
    assert_eq!((attempt.timings, attempt.peer, attempt.response), (Timings::default(), None, None));
    assert_eq!((attempt.url.as_str(), attempt.request_headers.as_str()), ("", ""));
    let rollups = fixture.store().rollups(endpoint_id(1), at(60), at(120)).await.expect(WORKS);
    assert_eq!(rollups[0].outcomes, [("interrupted".to_owned(), 1)]);
}

pub async fn a_rescue_takes_nothing_from_the_schedule(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture.settle(10, (1, 1), Outcome::Refused, Next::Retry { due: at(20), charged: 3, variant: 1 }).await;
    fixture.resend(1, 1, at(25)).await;
    fixture.claim_all(1, at(30)).await;
    let before = fixture.delivery(1, 1).await;
    let fixture = fixture.crash(at(60)).await;
    assert_eq!(fixture.rescue(at(60), 20, 5).await, 1);
    let after = fixture.delivery(1, 1).await;
    assert_eq!(after, hookyard_model::Delivery { state: pending(60), ..before });
    assert_eq!((after.charged, after.trigger), (3, Trigger::Manual));
}

pub async fn a_rescue_frees_at_most_as_many_as_there_are_ids(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for n in 1..=5 {
        fixture.accept(n, &[(1, FirstState::Leased)]).await;
    }
    let fixture = fixture.crash(at(60)).await;
    assert_eq!(fixture.rescue(at(61), 10, 0).await, 0);
    assert_eq!(fixture.rescue(at(61), 10, 2).await, 2);
    assert_eq!(fixture.rescue(at(62), 20, 2).await, 2);
    assert_eq!(fixture.rescue(at(63), 30, 2).await, 1, "fewer than ids: none is left");
    assert_eq!(fixture.rescue(at(64), 40, 2).await, 0);
    let mut logged = 0;
    for n in [10, 11, 20, 21, 30, 31, 40, 41] {
        logged += usize::from(fixture.is_logged(n).await);
    }
    assert_eq!(logged, 5, "one attempt for each");
    assert_eq!(fixture.claim_all(1, at(99)).await.len(), 5);
}

pub async fn a_living_node_rescues_nothing_of_its_own(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture.store().heartbeat(at(3_600)).await.expect(WORKS);
    assert_eq!(fixture.rescue(at(3_601), 10, 5).await, 0);
    assert_eq!(fixture.settle(20, (1, 1), Outcome::Delivered, Next::Delivered).await, Settled::Moved);
}

pub async fn a_rescue_with_a_used_id_is_a_conflict_and_frees_nothing(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased), (2, FirstState::Leased), (3, FirstState::Leased)]).await;
    fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await;
    let fixture = fixture.crash(at(60)).await;
    let answer = fixture.store().rescue(at(61), vec![attempt_id(20), attempt_id(10)]).await;
    assert!(matches!(answer, Err(StoreError::Conflict { .. })), "{answer:?}");
    assert!(!fixture.is_logged(20).await);
    assert_eq!(fixture.rescue(at(61), 30, 5).await, 2);
}

pub async fn an_interrupted_extra_attempt_waits_again(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await;
    fixture.resend(1, 1, at(20)).await;
    fixture.claim_all(1, at(20)).await;
    let fixture = fixture.crash(at(60)).await;
    assert_eq!(fixture.rescue(at(61), 20, 5).await, 1);
    let extra = Some(ExtraAttempt::Waiting { due: at(61) });
    assert_eq!(fixture.state(1, 1).await, DeliveryState::Delivered { extra });
    let logged = fixture.store().attempt(application_id(1), attempt_id(20)).await.expect(WORKS).expect("logged");
    assert_eq!(logged.trigger, Trigger::Manual);
}

pub async fn a_second_crash_is_rescued_too(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    let fixture = fixture.crash(at(60)).await;
    fixture.accept(2, &[(1, FirstState::Leased)]).await;
    let fixture = fixture.crash(at(120)).await;
    assert_eq!(fixture.rescue(at(121), 10, 5).await, 2, "of both former lives");
}

pub async fn another_node_rescues_only_when_the_heartbeat_is_too_old(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let Some(other) = fixture.other_node("two", at(0)).await else { return };
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture.store().heartbeat(at(100)).await.expect(WORKS);
    let limit = at(100).plus(limits::HEARTBEAT_LIMIT);
    assert_eq!(other.rescue(limit, 10, 5).await, 0, "older than the limit, not as old");
    let later = limit.plus(Duration::from_millis(1));
    assert_eq!(other.rescue(later, 10, 5).await, 1);
    assert_eq!(other.claim_all(1, later).await, [1]);
    let late = fixture.settle(20, (1, 1), Outcome::Refused, retry(900, 1)).await;
    assert_eq!(late, Settled::LeaseLost, "it came back too late");
    assert!(other.is_logged(20).await);
    assert_eq!(other.settle(21, (1, 1), Outcome::Delivered, Next::Delivered).await, Settled::Moved);
}

pub async fn a_node_that_comes_back_frees_what_its_former_self_held_at_once(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let Some(other) = fixture.other_node("two", at(0)).await else { return };
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    other.accept(2, &[(2, FirstState::Leased)]).await;
    let fixture = fixture.crash(at(1)).await;
    assert_eq!(other.rescue(at(1), 10, 5).await, 0, "its heartbeat is young");
    assert_eq!(fixture.rescue(at(1), 20, 5).await, 1, "its own, and not what the other one holds");
    assert_eq!(fixture.state(1, 1).await, pending(1));
    assert!(matches!(fixture.state(2, 2).await, DeliveryState::Leased { .. }));
}

pub async fn nodes_do_not_move_what_others_hold(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let Some(other) = fixture.other_node("two", at(0)).await else { return };
    assert_ne!(fixture.store().incarnation(), other.store().incarnation());
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    other.store().release(vec![key(1, 1)]).await.expect(WORKS);
    assert_eq!(other.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await, Settled::LeaseLost);
    assert_eq!(other.claim_all(1, at(60)).await, [0; 0]);
    let holder = fixture.store().incarnation();
    assert_eq!(other.state(1, 1).await, DeliveryState::Leased { holder, due: at(1) });
}
