//! Settle: the log grows whatever happens, the state moves only for who holds the lease.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{
    Attempt, CancelReason, DeliveryState, DisableReason, EndpointChange, EndpointStatus, FailReason, Next, Outcome,
    Timings, Trigger,
};

use super::fixture::{WORKS, pending, retry};
use super::{Fixture, Ground};
use crate::store::{FirstState, RollupRow, Settled, Settlement, StatusChange};
use crate::testkit::build::{self, application_id, at, attempt_id, endpoint_id, key};

/// A store in which message 1 is leased for endpoint 1.
async fn leased(ground: Arc<dyn Ground>) -> Fixture {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture
}

pub async fn a_delivered_attempt_ends_its_delivery(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    assert_eq!(fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await, Settled::Moved);
    assert_eq!(fixture.state(1, 1).await, DeliveryState::Delivered { extra: None });
    assert!(fixture.is_logged(10).await);
    assert_eq!(fixture.claim_all(1, at(600)).await, [0; 0]);
}

pub async fn a_failed_attempt_makes_its_delivery_pending_until_due(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    let next = Next::Retry { due: at(300), charged: 2, variant: 1 };
    assert_eq!(fixture.settle(10, (1, 1), Outcome::Refused, next).await, Settled::Moved);
    let delivery = fixture.delivery(1, 1).await;
    assert_eq!(delivery.state, pending(300));
    assert_eq!((delivery.charged, delivery.variant, delivery.round), (2, 1, 0));
    assert_eq!(fixture.claim_all(1, at(299)).await, [0; 0]);
    let claimed = fixture.claim(1, 1, at(300)).await;
    assert_eq!((claimed[0].delivery.charged, claimed[0].delivery.variant), (2, 1));
}

pub async fn again_stays_leased_with_another_variant(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    let before = fixture.state(1, 1).await;
    let again = Next::Again { charged: 0, variant: 1 };
    assert_eq!(fixture.settle(10, (1, 1), Outcome::Refused, again).await, Settled::Moved);
    let delivery = fixture.delivery(1, 1).await;
    assert_eq!(delivery.state, before);
    assert_eq!((delivery.charged, delivery.variant), (0, 1));
    assert!(fixture.is_logged(10).await);
    assert_eq!(fixture.settle(11, (1, 1), Outcome::Delivered, Next::Delivered).await, Settled::Moved);
}

pub async fn a_given_up_delivery_keeps_the_reason(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let reasons = [FailReason::ScheduleSpent, FailReason::CannotBeEncoded, FailReason::Permanent];
    for (n, reason) in (1..).zip(reasons) {
        fixture.accept(n, &[(1, FirstState::Leased)]).await;
        fixture.settle(10 + n, (n, 1), Outcome::Refused, Next::Failed { reason, charged: 3 }).await;
        assert_eq!(fixture.state(n, 1).await, DeliveryState::Failed(reason));
        assert_eq!(fixture.delivery(n, 1).await.charged, 3);
    }
}

pub async fn a_called_off_delivery_keeps_the_reason(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let reasons = [
        CancelReason::EndpointRemoved,
        CancelReason::HeldTooLong,
        CancelReason::EndpointGone,
        CancelReason::ByHand,
        CancelReason::Expunged,
    ];
    for (n, reason) in (1..).zip(reasons) {
        fixture.accept(n, &[(1, FirstState::Leased)]).await;
        fixture.settle(10 + n, (n, 1), Outcome::Refused, Next::Cancelled { reason, charged: 1 }).await;
        assert_eq!(fixture.state(n, 1).await, DeliveryState::Cancelled(reason));
    }
}

pub async fn a_settlement_is_there_after_a_crash(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    fixture.settle(10, (1, 1), Outcome::Refused, retry(300, 1)).await;
    let before = fixture.delivery(1, 1).await;
    let fixture = fixture.crash(at(60)).await;
    assert_eq!(fixture.rescue(at(60), 20, 5).await, 0, "nothing was leased any more");
    assert_eq!(fixture.delivery(1, 1).await, before);
    assert!(fixture.is_logged(10).await);
}

pub async fn settlements_are_answered_in_order(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased), (2, build::pending(0)), (3, FirstState::Leased)]).await;
    let one = |n: u64| Settlement {
        key: key(1, n),
        attempt: build::attempt(10 + n, key(1, n), Outcome::Delivered),
        next: Next::Delivered,
        endpoint: None,
        operational: Vec::new(),
    };
    let answers = fixture.store().settle(vec![one(1), one(2), one(3)]).await.expect(WORKS);
    assert_eq!(answers, [Settled::Moved, Settled::LeaseLost, Settled::Moved]);
    assert_eq!(fixture.state(1, 2).await, pending(0));
    assert_eq!(fixture.store().settle(Vec::new()).await.expect(WORKS), []);
}

pub async fn a_lost_lease_still_records_the_attempt(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    let fixture = fixture.crash(at(60)).await;
    assert_eq!(fixture.rescue(at(60), 20, 5).await, 1);
    let change = EndpointChange::Disabled { since: at(61), reason: DisableReason::Gone };
    let settled = fixture.settle_with(10, (1, 1), Outcome::Delivered, Next::Delivered, Some(change)).await;
    assert_eq!(settled, Settled::LeaseLost);
    assert!(fixture.is_logged(10).await);
    assert_eq!(fixture.state(1, 1).await, pending(60), "the state is as others left it");
    assert_eq!(fixture.endpoint(1).await.status, EndpointStatus::Enabled, "only the log grew");
    let rollups = fixture.store().rollups(endpoint_id(1), at(0), at(60)).await.expect(WORKS);
    assert_eq!(rollups[0].outcomes, [("delivered".to_owned(), 1)]);
}

pub async fn what_another_incarnation_holds_is_not_moved(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    let fixture = fixture.crash(at(60)).await;
    let settled = fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await;
    assert_eq!(settled, Settled::LeaseLost, "the lease is of the node's former life");
    assert!(matches!(fixture.state(1, 1).await, DeliveryState::Leased { .. }));
}

pub async fn a_repeated_settlement_changes_nothing(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    assert_eq!(fixture.settle(10, (1, 1), Outcome::Refused, retry(20, 1)).await, Settled::Moved);
    assert_eq!(fixture.claim_all(1, at(20)).await, [1]);
    let before = fixture.delivery(1, 1).await;
    assert_eq!(fixture.settle(10, (1, 1), Outcome::Refused, retry(20, 1)).await, Settled::Moved);
    assert_eq!(fixture.delivery(1, 1).await, before, "the new lease is not touched by the old attempt");
    let rollups = fixture.store().rollups(endpoint_id(1), at(0), at(60)).await.expect(WORKS);
    assert_eq!(rollups[0].outcomes, [("refused".to_owned(), 1)], "counted once");
}

pub async fn a_repeated_again_tells_whether_the_lease_is_held(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    let again = Next::Again { charged: 0, variant: 1 };
    assert_eq!(fixture.settle(10, (1, 1), Outcome::Refused, again).await, Settled::Moved);
    assert_eq!(fixture.settle(10, (1, 1), Outcome::Refused, again).await, Settled::Moved);
    fixture.store().release(vec![key(1, 1)]).await.expect(WORKS);
    assert_eq!(fixture.settle(10, (1, 1), Outcome::Refused, again).await, Settled::LeaseLost);
}

pub async fn failing_since_keeps_the_earlier_time(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for (n, since, noted) in [(1, 100, 100), (2, 200, 100), (3, 50, 50)] {
        fixture.accept(n, &[(1, FirstState::Leased)]).await;
        let change = Some(EndpointChange::Failing { since: at(since) });
        fixture.settle_with(10 + n, (n, 1), Outcome::Refused, retry(900, 1), change).await;
        assert_eq!(fixture.endpoint(1).await.failing_since, Some(at(noted)));
    }
    let fixture = fixture.crash(at(300)).await;
    assert_eq!(fixture.endpoint(1).await.failing_since, Some(at(50)), "across restarts");
    assert_eq!(fixture.endpoint(2).await.failing_since, None);
}

pub async fn recovered_forgets_failing_since(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    fixture.accept(2, &[(1, FirstState::Leased)]).await;
    let revision = fixture.revision().await;
    let failing = Some(EndpointChange::Failing { since: at(9) });
    fixture.settle_with(10, (1, 1), Outcome::Refused, retry(900, 1), failing).await;
    fixture.settle_with(11, (2, 1), Outcome::Delivered, Next::Delivered, Some(EndpointChange::Recovered)).await;
    assert_eq!(fixture.endpoint(1).await.failing_since, None);
    assert_eq!(fixture.revision().await, revision, "neither is settings nor status");
}

pub async fn a_disabling_attempt_stops_claims_and_bumps_the_revision(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    fixture.accept(2, &[(1, build::pending(0))]).await;
    let before = fixture.revision().await;
    let change = EndpointChange::Disabled { since: at(9), reason: DisableReason::Failing };
    fixture.settle_with(10, (1, 1), Outcome::Refused, retry(20, 1), Some(change)).await;
    let status = EndpointStatus::Disabled { since: at(9), reason: DisableReason::Failing };
    let endpoint = fixture.endpoint(1).await;
    assert_eq!(endpoint.status, status);
    let after = fixture.revision().await;
    assert!(after > before);
    assert_eq!(endpoint.revision, after, "this form began with the new revision");
    assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0]);

    fixture.change_status(1, StatusChange::Enable, at(70)).await;
    assert_eq!(fixture.endpoint(1).await.failing_since, None);
    assert_eq!(fixture.claim_all(1, at(70)).await, [2, 1], "what was held is claimable again");
}

pub async fn disabling_what_is_disabled_changes_nothing(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    fixture.change_status(1, StatusChange::Disable(DisableReason::Manual), at(5)).await;
    let before = (fixture.endpoint(1).await, fixture.revision().await);
    let change = EndpointChange::Disabled { since: at(9), reason: DisableReason::Gone };
    let settled = fixture.settle_with(10, (1, 1), Outcome::Refused, retry(20, 1), Some(change)).await;
    assert_eq!(settled, Settled::Moved);
    assert_eq!((fixture.endpoint(1).await, fixture.revision().await), before);
}

pub async fn an_archived_endpoint_stays_as_it_is(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(3, FirstState::Leased)]).await;
    fixture.accept(2, &[(3, FirstState::Leased)]).await;
    fixture.import(build::import(vec![build::import_application(1, &[1, 2])])).await;
    let before = fixture.endpoint(3).await;
    let failing = Some(EndpointChange::Failing { since: at(9) });
    let settled = fixture.settle_with(10, (1, 3), Outcome::Refused, retry(20, 1), failing).await;
    assert_eq!(settled, Settled::Moved, "its delivery moves all the same");
    let disabled = Some(EndpointChange::Disabled { since: at(9), reason: DisableReason::Gone });
    fixture.settle_with(11, (2, 3), Outcome::Refused, retry(20, 1), disabled).await;
    assert_eq!(fixture.endpoint(3).await, before);
}

pub async fn rollups_count_outcomes_by_the_minute_of_the_start(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let outcomes = [
        (0, Outcome::Delivered),
        (59, Outcome::Refused),
        (30, Outcome::Refused),
        (60, Outcome::TimedOut),
        (200, Outcome::DnsFailed("no such name".to_owned())),
    ];
    for (second, outcome) in outcomes {
        let n = 10 + second;
        fixture.accept(n, &[(1, FirstState::Leased)]).await;
        let attempt = Attempt { started: at(second), ..build::attempt(n, key(n, 1), outcome) };
        let next = retry(9_000, 1);
        let settlement = Settlement { key: key(n, 1), attempt, next, endpoint: None, operational: Vec::new() };
        fixture.settle_one(settlement).await;
    }
    let rollups = |since, until| fixture.store().rollups(endpoint_id(1), at(since), at(until));
    let all = rollups(0, 600).await.expect(WORKS);
    let counted: Vec<_> = all.into_iter().map(|row| (row.minute, row.outcomes)).collect();
    let named = |counts: &[(&str, u64)]| counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let expected: Vec<(_, Vec<(String, u64)>)> = vec![
        (at(0), named(&[("delivered", 1), ("refused", 2)])),
        (at(60), named(&[("timed_out", 1)])),
        (at(180), named(&[("dns_failed", 1)])),
    ];
    assert_eq!(counted, expected);
    let minutes: Vec<_> = rollups(60, 180).await.expect(WORKS).into_iter().map(|row| row.minute).collect();
    assert_eq!(minutes, [at(60)], "from `since`, before `until`");
    assert_eq!(fixture.store().rollups(endpoint_id(2), at(0), at(600)).await.expect(WORKS), []);
}

pub async fn rollups_hold_a_histogram_of_total_times(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let micros = [0, 1_000, 1_001, 64_000, 65_536_000, 65_537_000, 300_000_000];
    for (n, total) in (1..).zip(micros) {
        fixture.accept(n, &[(1, FirstState::Leased)]).await;
        let timings = Timings { total: Duration::from_micros(total), ..Timings::default() };
        let attempt = Attempt { timings, started: at(0), ..build::attempt(10 + n, key(n, 1), Outcome::Delivered) };
        let next = Next::Delivered;
        let settlement = Settlement { key: key(n, 1), attempt, next, endpoint: None, operational: Vec::new() };
        fixture.settle_one(settlement).await;
    }
    let rollups = fixture.store().rollups(endpoint_id(1), at(0), at(60)).await.expect(WORKS);
    let mut expected = vec![0; RollupRow::BUCKETS.len() + 1];
    for (bucket, count) in [(0, 2), (1, 1), (6, 1), (16, 1), (17, 2)] {
        expected[bucket] = count;
    }
    assert_eq!(rollups[0].latency, expected);
}

pub async fn a_settlement_by_hand_returns_to_the_schedule(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(0))]).await;
    fixture.resend(1, 1, at(5)).await;
    assert_eq!(fixture.claim(1, 1, at(5)).await[0].delivery.trigger, Trigger::Manual);
    fixture.settle(10, (1, 1), Outcome::Refused, Next::Again { charged: 0, variant: 1 }).await;
    assert_eq!(fixture.delivery(1, 1).await.trigger, Trigger::Manual, "the same attempt in another variant");
    fixture.settle(11, (1, 1), Outcome::Refused, retry(20, 0)).await;
    assert_eq!(fixture.delivery(1, 1).await.trigger, Trigger::Scheduled);
}

pub async fn an_attempt_is_found_in_its_application_only(ground: Arc<dyn Ground>) {
    let fixture = leased(ground).await;
    fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await;
    let of = |application, attempt| fixture.store().attempt(application_id(application), attempt_id(attempt));
    assert_eq!(of(1, 10).await.expect(WORKS), Some(build::attempt(10, key(1, 1), Outcome::Delivered)));
    assert_eq!(of(2, 10).await.expect(WORKS), None);
    assert_eq!(of(1, 11).await.expect(WORKS), None);
}
