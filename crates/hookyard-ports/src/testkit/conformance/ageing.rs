//! Sweep, prune and expunge: what is over goes, and nothing that is owed goes with it.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{
    CancelReason, DeliveryState, DisableReason, ExtraAttempt, Message, Next, Outcome, Payload, Timestamp, limits,
};

use super::fixture::{WORKS, number, pending};
use super::{Fixture, Ground};
use crate::store::{
    Accept, Acceptance, DedupeKind, FirstState, MessageQuery, MessageRef, Order, PageRequest, PageStart, Payloads,
    StatusChange,
};
use crate::testkit::build::{self, application_id, at, dedupe, endpoint_id, key, message_id};

const SECOND: Duration = Duration::from_secs(1);
const DISABLE: StatusChange = StatusChange::Disable(DisableReason::Failing);

/// Accepts the `n`th message, which may be pruned at `expires` seconds.
async fn accept_until(fixture: &Fixture, n: u64, expires: u64, deliveries: &[(u64, FirstState)]) {
    let message = Message { expires: at(expires), ..build::message(n) };
    let keys = vec![dedupe(DedupeKind::EventId, &format!("event-{n}"))];
    fixture.offer(vec![Accept { dedupe: keys, ..build::accept(message, deliveries) }]).await;
}

/// Prunes step by step and gives how many messages went.
async fn prune(fixture: &Fixture, now: Timestamp, limit: usize) -> usize {
    let mut rows = 0;
    for _ in 0..100 {
        let swept = fixture.store().prune(now, limit).await.expect(WORKS);
        assert!(swept.rows <= limit);
        rows += swept.rows;
        if !swept.more {
            return rows;
        }
    }
    panic!("pruning never ends");
}

async fn sweep(fixture: &Fixture, now: Timestamp, limit: usize) -> usize {
    let mut rows = 0;
    for _ in 0..100 {
        let swept = fixture.store().sweep(now, limit).await.expect(WORKS);
        assert!(swept.rows <= limit);
        rows += swept.rows;
        if !swept.more {
            return rows;
        }
    }
    panic!("sweeping never ends");
}

pub async fn what_is_pending_for_an_archived_endpoint_is_cancelled(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for n in 1..=5 {
        fixture.accept(n, &[(3, build::pending(500)), (1, build::pending(500))]).await;
    }
    fixture.accept(6, &[(3, FirstState::Leased)]).await;
    fixture.import(build::import(vec![build::import_application(1, &[1, 2])])).await;
    assert_eq!(sweep(&fixture, at(10), 2).await, 5);
    for n in 1..=5 {
        assert_eq!(fixture.state(n, 3).await, DeliveryState::Cancelled(CancelReason::EndpointRemoved));
        assert_eq!(fixture.state(n, 1).await, pending(500), "enabled endpoints are left alone");
    }
    assert!(matches!(fixture.state(6, 3).await, DeliveryState::Leased { .. }), "what is in flight is left alone");
    fixture.settle(10, (6, 3), Outcome::Refused, Next::Retry { due: at(20), charged: 1, variant: 0 }).await;
    assert_eq!(sweep(&fixture, at(10), 2).await, 1, "and goes when it is pending again");
}

pub async fn what_is_held_too_long_is_cancelled(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(50))]).await;
    fixture.accept(2, &[(1, build::pending(1_000))]).await;
    fixture.change_status(1, DISABLE, at(100)).await;
    let by_disabling = at(100).plus(limits::HELD);
    assert_eq!(sweep(&fixture, by_disabling, 10).await, 0, "held until then");
    assert_eq!(sweep(&fixture, by_disabling.plus(SECOND), 10).await, 1);
    assert_eq!(fixture.state(1, 1).await, DeliveryState::Cancelled(CancelReason::HeldTooLong));
    let by_due_time = at(1_000).plus(limits::HELD);
    assert_eq!(sweep(&fixture, by_due_time, 10).await, 0, "the later of the two counts");
    assert_eq!(sweep(&fixture, by_due_time.plus(SECOND), 10).await, 1);
    assert_eq!(fixture.state(2, 1).await, DeliveryState::Cancelled(CancelReason::HeldTooLong));
}

pub async fn what_waits_for_an_enabled_endpoint_is_never_swept(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(0))]).await;
    fixture.change_status(1, DISABLE, at(100)).await;
    fixture.change_status(1, StatusChange::Enable, at(200)).await;
    assert_eq!(sweep(&fixture, Timestamp::MAX, 10).await, 0);
    assert_eq!(fixture.state(1, 1).await, pending(0));
}

pub async fn an_extra_attempt_that_cannot_be_made_is_dropped(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(3, FirstState::Leased), (1, FirstState::Leased)]).await;
    for (n, endpoint) in [(10, 1), (11, 3)] {
        fixture.settle(n, (1, endpoint), Outcome::Delivered, Next::Delivered).await;
        fixture.resend(1, endpoint, at(20)).await;
    }
    fixture.import(build::import(vec![build::import_application(1, &[1, 2])])).await;
    assert_eq!(sweep(&fixture, at(30), 10).await, 1);
    assert_eq!(fixture.state(1, 3).await, DeliveryState::Delivered { extra: None });
    let extra = Some(ExtraAttempt::Waiting { due: at(20) });
    assert_eq!(fixture.state(1, 1).await, DeliveryState::Delivered { extra });
}

pub async fn messages_are_pruned_when_their_retention_is_over(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for n in 1..=7 {
        accept_until(&fixture, n, 100 + n, &[(1, FirstState::Leased)]).await;
        fixture.settle(10 + n, (n, 1), Outcome::Delivered, Next::Delivered).await;
    }
    assert_eq!(prune(&fixture, at(100), 2).await, 0);
    assert_eq!(prune(&fixture, at(105), 2).await, 5, "at that instant");
    for n in 1..=7 {
        let kept = n > 5;
        assert_eq!(fixture.is_stored(n).await, kept, "message {n}");
        assert_eq!(fixture.is_logged(10 + n).await, kept, "its attempts go with it");
        assert_eq!(fixture.deliveries(n).await.len(), usize::from(kept), "its deliveries too");
    }
    let page = PageRequest { limit: 50, start: PageStart::First, order: Order::Ascending };
    let query = MessageQuery {
        application: application_id(1),
        event_types: Vec::new(),
        channel: None,
        before: None,
        after: None,
        payloads: Payloads::Read,
        page,
    };
    let left = fixture.store().messages(query).await.expect(WORKS).items;
    assert_eq!(left.iter().map(|stored| number(stored.message.id)).collect::<Vec<_>>(), [6, 7]);
}

pub async fn messages_that_owe_something_are_not_pruned(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    accept_until(&fixture, 1, 50, &[(1, build::pending(900)), (2, FirstState::Leased)]).await;
    accept_until(&fixture, 2, 50, &[(1, FirstState::Leased)]).await;
    accept_until(&fixture, 3, 50, &[(1, FirstState::Leased)]).await;
    fixture.settle(10, (1, 2), Outcome::Delivered, Next::Delivered).await;
    fixture.settle(11, (3, 1), Outcome::Delivered, Next::Delivered).await;
    fixture.resend(3, 1, at(20)).await;
    assert_eq!(prune(&fixture, at(999), 10).await, 0, "pending, leased, and an extra attempt that waits");
    assert_eq!(fixture.claim_all(1, at(30)).await, [3]);
    assert_eq!(prune(&fixture, at(999), 10).await, 0, "an extra attempt in flight");
    fixture.settle(12, (3, 1), Outcome::Delivered, Next::StaysDelivered).await;
    assert_eq!(prune(&fixture, at(999), 10).await, 1);
    assert!(fixture.store().cancel(key(1, 1), at(999)).await.expect(WORKS));
    assert_eq!(prune(&fixture, at(999), 10).await, 1);
    assert!(fixture.is_stored(2).await);
}

pub async fn held_deliveries_do_not_hold_back_pruning_for_ever(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    accept_until(&fixture, 1, 50, &[(1, build::pending(0))]).await;
    fixture.change_status(1, DISABLE, at(10)).await;
    let later = at(11).plus(limits::HELD);
    assert_eq!(sweep(&fixture, later, 10).await, 1);
    assert_eq!(prune(&fixture, later, 10).await, 1);
}

pub async fn pruning_frees_the_event_id(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let event_id: hookyard_model::EventId = "event-x".parse().expect("an event id");
    let offered = |n: u64| {
        let message = Message { event_id: Some(event_id.clone()), expires: at(50 + n), ..build::message(n) };
        Accept { dedupe: vec![dedupe(DedupeKind::EventId, "event-x")], ..build::accept(message, &[]) }
    };
    assert!(matches!(fixture.offer(vec![offered(1)]).await[..], [Acceptance::New { .. }]));
    assert!(matches!(fixture.offer(vec![offered(2)]).await[..], [Acceptance::Duplicate { .. }]));
    assert_eq!(prune(&fixture, at(60), 10).await, 1);
    let reference = MessageRef::EventId(event_id.clone());
    assert_eq!(fixture.store().message(application_id(1), &reference).await.expect(WORKS), None);
    assert!(matches!(fixture.offer(vec![offered(3)]).await[..], [Acceptance::New { .. }]));
    let found = fixture.store().message(application_id(1), &reference).await.expect(WORKS).expect("the new one");
    assert_eq!(found.message.id, message_id(3));
}

pub async fn pruning_removes_old_rollups(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture.settle(30, (1, 1), Outcome::Refused, Next::Retry { due: at(40), charged: 1, variant: 0 }).await;
    fixture.claim_all(1, at(40)).await;
    fixture.settle(7_200, (1, 1), Outcome::Delivered, Next::Delivered).await;
    prune(&fixture, at(3_600).plus(limits::RETENTION), 10).await;
    let left = fixture.store().rollups(endpoint_id(1), at(0), at(9_000)).await.expect(WORKS);
    assert_eq!(left.iter().map(|row| row.minute).collect::<Vec<_>>(), [at(7_200)]);
}

pub async fn ids_of_pruned_messages_are_remembered(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    accept_until(&fixture, 77, 100, &[]).await;
    assert_eq!(prune(&fixture, at(100), 10).await, 1);
    let fixture = fixture.crash(at(120)).await;
    assert!(fixture.store().highest_id().await.expect(WORKS) >= message_id(77).raw());
}

pub async fn an_expunged_message_keeps_everything_but_its_payload(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![build::accept(build::full_message(5), &[(1, FirstState::Leased)])]).await;
    fixture.settle(10, (5, 1), Outcome::Delivered, Next::Delivered).await;
    let expunge = async |application, message| {
        fixture.store().expunge(application_id(application), message_id(message)).await.expect(WORKS)
    };
    assert!(!expunge(2, 5).await, "not of this application");
    assert!(!expunge(1, 6).await);
    assert!(expunge(1, 5).await);
    assert!(expunge(1, 5).await, "a repeat is fine");
    let reference = MessageRef::Id(message_id(5));
    let found = fixture.store().message(application_id(1), &reference).await.expect(WORKS).expect("it is kept");
    assert_eq!(*found.message, Message { payload: Payload::Expunged, ..build::full_message(5) });
    assert!(fixture.is_logged(10).await);
    let fixture = fixture.crash(at(60)).await;
    let found = fixture.store().message(application_id(1), &reference).await.expect(WORKS).expect("it is kept");
    assert_eq!(found.message.payload, Payload::Expunged);
}

pub async fn an_empty_payload_is_not_an_expunged_one(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let message = Message { payload: Payload::Kept(bytes::Bytes::new()), ..build::message(1) };
    fixture.offer(vec![build::accept(message, &[(1, build::pending(0))])]).await;
    let claimed = fixture.claim(1, 1, at(60)).await;
    assert_eq!(claimed[0].message.payload, Payload::Kept(bytes::Bytes::new()));
}
