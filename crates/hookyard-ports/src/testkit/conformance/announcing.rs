//! Operational messages: in the transaction of the settlement that they are about, or not at all.

use std::sync::Arc;

use hookyard_model::{
    DeliveryState, DisableReason, EndpointChange, EndpointStatus, Message, Next, Origin, Outcome, Revision,
};

use super::fixture::{WORKS, retry};
use super::{Fixture, Ground};
use crate::store::{Accept, Dedupe, DedupeKind, FirstState, MessageRef, Settled, Settlement};
use crate::testkit::build::{self, application_id, at, endpoint_id, key, message_id};

/// A store in which application 2 listens with endpoint 20 for what happens to application 1.
async fn listening(ground: Arc<dyn Ground>) -> Fixture {
    let fixture = Fixture::new(ground).await;
    let applications = vec![build::import_application(1, &[1, 2, 3]), build::import_application(2, &[20])];
    fixture.import(build::import(applications)).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    fixture
}

/// The `n`th message, to application 2 at `revision`.
fn announcement(n: u64, revision: u64) -> Accept {
    let message = Message {
        application: application_id(2),
        origin: Origin::Operational,
        revision: Revision(revision),
        ..build::message(n)
    };
    build::accept(message, &[(20, build::pending(0))])
}

fn failed(operational: Vec<Accept>) -> Settlement {
    Settlement {
        key: key(1, 1),
        attempt: build::attempt(10, key(1, 1), Outcome::Refused),
        next: retry(100, 1),
        endpoint: None,
        operational,
    }
}

async fn is_announced(fixture: &Fixture, n: u64) -> bool {
    let reference = MessageRef::Id(message_id(n));
    fixture.store().message(application_id(2), &reference).await.expect(WORKS).is_some()
}

pub async fn an_operational_message_is_accepted_with_its_settlement(ground: Arc<dyn Ground>) {
    let fixture = listening(ground).await;
    assert_eq!(fixture.settle_one(failed(vec![announcement(50, 1), announcement(51, 1)])).await, Settled::Moved);
    assert!(is_announced(&fixture, 50).await && is_announced(&fixture, 51).await);
    assert_eq!(fixture.claim_all(20, at(60)).await, [50, 51]);
}

pub async fn a_stale_operational_message_is_dropped_and_the_rest_happens(ground: Arc<dyn Ground>) {
    let fixture = listening(ground).await;
    let settled = fixture.settle_one(failed(vec![announcement(50, 7), announcement(51, 1)])).await;
    assert_eq!(settled, Settled::Moved);
    assert_eq!(fixture.state(1, 1).await, super::fixture::pending(100));
    assert!(fixture.is_logged(10).await);
    assert!(!is_announced(&fixture, 50).await);
    assert!(is_announced(&fixture, 51).await, "each stands by itself");
}

pub async fn an_operational_message_with_a_taken_key_is_dropped(ground: Arc<dyn Ground>) {
    let fixture = listening(ground).await;
    let keys = || -> Vec<Dedupe> { vec![build::dedupe(DedupeKind::Provider, "once")] };
    let batch =
        vec![Accept { dedupe: keys(), ..announcement(50, 1) }, Accept { dedupe: keys(), ..announcement(51, 1) }];
    assert_eq!(fixture.settle_one(failed(batch)).await, Settled::Moved);
    assert!(is_announced(&fixture, 50).await && !is_announced(&fixture, 51).await);
}

pub async fn a_lost_lease_announces_nothing(ground: Arc<dyn Ground>) {
    let fixture = listening(ground).await;
    fixture.store().release(vec![key(1, 1)]).await.expect(WORKS);
    assert_eq!(fixture.settle_one(failed(vec![announcement(50, 1)])).await, Settled::LeaseLost);
    assert!(!is_announced(&fixture, 50).await);
}

pub async fn a_repeated_settlement_announces_nothing(ground: Arc<dyn Ground>) {
    let fixture = listening(ground).await;
    fixture.settle_one(failed(vec![announcement(50, 1)])).await;
    assert_eq!(fixture.settle_one(failed(vec![announcement(51, 1)])).await, Settled::Moved);
    assert!(!is_announced(&fixture, 51).await);
}

pub async fn an_endpoints_own_disabling_does_not_make_its_announcement_stale(ground: Arc<dyn Ground>) {
    let fixture = listening(ground).await;
    let leased = build::accept(announcement(50, 1).message.as_ref().clone(), &[(20, FirstState::Leased)]);
    fixture.store().accept(vec![leased]).await.expect(WORKS);
    let key = key(50, 20);
    let settlement = Settlement {
        key,
        attempt: build::attempt(10, key, Outcome::Refused),
        next: Next::Retry { due: at(100), charged: 1, variant: 0 },
        endpoint: Some(EndpointChange::Disabled { since: at(9), reason: DisableReason::Failing }),
        operational: vec![announcement(51, 1)],
    };
    assert_eq!(fixture.settle_one(settlement).await, Settled::Moved);
    assert!(is_announced(&fixture, 51).await);
    assert!(matches!(fixture.endpoint(20).await.status, EndpointStatus::Disabled { .. }));
    let deliveries = fixture.store().deliveries(application_id(2), message_id(51)).await.expect(WORKS);
    assert_eq!(deliveries[0].key.endpoint, endpoint_id(20));
    assert!(matches!(deliveries[0].state, DeliveryState::Pending { .. }), "held until it is enabled again");
}
