//! Accept: all or nothing, once per dedupe key, in order.

use std::sync::Arc;

use hookyard_model::{DeliveryState, EventId, Message, Revision, Trigger};

use super::fixture::{WORKS, pending};
use super::{Fixture, Ground};
use crate::store::{
    Accept, Acceptance, Accepted, Dedupe, DedupeKind, FirstState, MessageRef, Resend, Resent, StoreError,
};
use crate::testkit::build::{self, application_id, at, dedupe, key, message_id};

/// The `n`th message, owed to endpoint 1, under these keys.
fn keyed(n: u64, dedupe: &[Dedupe]) -> Accept {
    Accept { dedupe: dedupe.to_vec(), ..build::accept(build::message(n), &[(1, build::pending(0))]) }
}

fn duplicate(kind: DedupeKind, of: u64, same_request: bool) -> Acceptance {
    Acceptance::Duplicate { kind, message: message_id(of), same_request }
}

fn idempotency(fingerprint: u8, expires: u64) -> Dedupe {
    Dedupe {
        fingerprint: Some([fingerprint; 32]),
        expires: Some(at(expires)),
        ..dedupe(DedupeKind::Idempotency, "key")
    }
}

pub async fn an_accepted_message_is_stored_with_every_delivery_it_owes(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let seq = fixture.accept(1, &[(3, build::pending(5)), (1, build::pending(0))]).await;
    let stored = fixture.store().message(application_id(1), &MessageRef::Id(message_id(1))).await.expect(WORKS);
    let stored = stored.expect("it was accepted");
    assert_eq!(*stored.message, build::message(1));
    assert_eq!(stored.seq, seq);

    let deliveries = fixture.deliveries(1).await;
    let keys: Vec<_> = deliveries.iter().map(|delivery| delivery.key).collect();
    assert_eq!(keys, [key(1, 1), key(1, 3)], "by endpoint, endpoint 2 is owed nothing");
    assert_eq!(deliveries[1].state, pending(5));
    for delivery in deliveries {
        assert_eq!(delivery.application, application_id(1));
        assert_eq!(delivery.seq, seq);
        assert_eq!((delivery.charged, delivery.round, delivery.variant), (0, 0, 0));
        assert_eq!(delivery.trigger, Trigger::Scheduled);
    }
}

pub async fn what_was_accepted_is_there_after_a_crash(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(9)), (2, build::pending(0))]).await;
    let before = fixture.deliveries(1).await;
    let fixture = fixture.crash(at(60)).await;
    assert!(fixture.is_stored(1).await);
    assert_eq!(fixture.deliveries(1).await, before);
    assert_eq!(fixture.view().await.endpoints.len(), 3);
}

pub async fn a_message_that_owes_nothing_is_kept(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[]).await;
    assert!(fixture.is_stored(1).await);
    assert_eq!(fixture.deliveries(1).await, []);
}

pub async fn accepting_nothing_is_fine(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    assert_eq!(fixture.store().accept(Vec::new()).await.expect(WORKS), Accepted::Committed(Vec::new()));
}

pub async fn seq_is_given_in_order(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let first = fixture.accept(9, &[]).await;
    let batch = [4, 8, 2].map(|n| build::accept(build::message(n), &[]));
    let answers = fixture.offer(batch.to_vec()).await;
    let mut last = first;
    for answer in answers {
        let Acceptance::New { seq } = answer else { panic!("all are new: {answer:?}") };
        assert!(seq > last, "{seq:?} follows {last:?}");
        last = seq;
    }
    let fixture = fixture.crash(at(60)).await;
    assert!(fixture.accept(1, &[]).await > last, "the order goes on after a crash");
}

pub async fn a_first_state_leased_is_held_by_this_incarnation(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(7, &[(1, FirstState::Leased), (2, build::pending(7))]).await;
    let holder = fixture.store().incarnation();
    assert_eq!(fixture.state(7, 1).await, DeliveryState::Leased { holder, due: at(7) });
    assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0], "what is leased is not claimed");
    assert_eq!(fixture.claim_all(2, at(60)).await, [7]);
}

pub async fn a_stale_revision_accepts_nothing(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.import(build::import(vec![build::import_application(1, &[1, 2])])).await;
    let present = fixture.revision().await;
    assert!(present > Revision(1));
    let fresh = Message { revision: present, ..build::message(1) };
    let stale = Message { revision: Revision(1), ..build::message(2) };
    let batch = vec![build::accept(fresh, &[(1, build::pending(0))]), build::accept(stale, &[(3, build::pending(0))])];
    assert_eq!(fixture.store().accept(batch).await.expect(WORKS), Accepted::Stale(application_id(1)));
    assert!(!fixture.is_stored(1).await && !fixture.is_stored(2).await);
    assert_eq!(fixture.claim_all(1, at(60)).await, [0; 0]);
}

pub async fn an_unknown_or_archived_application_is_stale(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let elsewhere = Message { application: application_id(99), ..build::message(1) };
    let answer = fixture.store().accept(vec![build::accept(elsewhere, &[])]).await.expect(WORKS);
    assert_eq!(answer, Accepted::Stale(application_id(99)));

    let last = fixture.revision().await;
    fixture.import(build::import(Vec::new())).await;
    for revision in [last, Revision(last.0 + 1)] {
        let gone = Message { revision, ..build::message(1) };
        let answer = fixture.store().accept(vec![build::accept(gone, &[])]).await.expect(WORKS);
        assert_eq!(answer, Accepted::Stale(application_id(1)));
    }
}

pub async fn staleness_is_said_before_a_duplicate_is(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let keys = [dedupe(DedupeKind::EventId, "same")];
    fixture.offer(vec![keyed(1, &keys)]).await;
    let mut again = keyed(2, &keys);
    again.message = Arc::new(Message { revision: Revision(77), ..build::message(2) });
    assert_eq!(fixture.store().accept(vec![again]).await.expect(WORKS), Accepted::Stale(application_id(1)));
}

pub async fn a_stored_message_id_is_a_conflict_and_nothing_happens(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, build::pending(0))]).await;
    let batch =
        vec![build::accept(build::message(2), &[]), build::accept(build::message(1), &[(2, build::pending(0))])];
    let answer = fixture.store().accept(batch).await;
    assert!(matches!(answer, Err(StoreError::Conflict { .. })), "{answer:?}");
    assert!(!fixture.is_stored(2).await, "all or none");
    assert_eq!(fixture.deliveries(1).await.len(), 1);
}

pub async fn a_taken_key_adds_nothing_and_names_the_message_that_has_it(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for kind in [DedupeKind::EventId, DedupeKind::Provider, DedupeKind::JobTime, DedupeKind::Idempotency] {
        let n = 10 * (kind as u64 + 1);
        let keys = [dedupe(kind, "one key for all kinds")];
        assert!(matches!(fixture.offer(vec![keyed(n, &keys)]).await[..], [Acceptance::New { .. }]), "{kind:?}");
        assert_eq!(fixture.offer(vec![keyed(n + 1, &keys)]).await, [duplicate(kind, n, true)]);
        assert!(!fixture.is_stored(n + 1).await);
        assert_eq!(fixture.deliveries(n + 1).await, []);
    }
}

pub async fn keys_of_different_applications_are_different(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let applications = vec![build::import_application(1, &[1, 2, 3]), build::import_application(2, &[4])];
    fixture.import(build::import(applications)).await;
    let keys = vec![dedupe(DedupeKind::EventId, "same")];
    let elsewhere = Message { application: application_id(2), ..build::message(2) };
    let batch = vec![
        Accept { dedupe: keys.clone(), ..build::accept(build::message(1), &[]) },
        Accept { dedupe: keys, ..build::accept(elsewhere, &[]) },
    ];
    let answer = fixture.store().accept(batch).await.expect(WORKS);
    let Accepted::Committed(answers) = answer else { panic!("both are at revision 1: {answer:?}") };
    assert!(answers.iter().all(|answer| matches!(answer, Acceptance::New { .. })), "{answers:?}");
}

pub async fn one_key_in_a_batch_twice_is_one_message(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let keys = [dedupe(DedupeKind::EventId, "same")];
    let answers = fixture.offer(vec![keyed(1, &keys), keyed(2, &keys), keyed(3, &[])]).await;
    assert!(matches!(answers[0], Acceptance::New { .. }));
    assert_eq!(answers[1], duplicate(DedupeKind::EventId, 1, true));
    assert!(matches!(answers[2], Acceptance::New { .. }), "the others of the batch are accepted");
    assert_eq!(fixture.claim_all(1, at(60)).await, [1, 3]);
}

pub async fn a_duplicate_leaves_its_other_keys_free(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let (event, other) = (dedupe(DedupeKind::EventId, "same"), dedupe(DedupeKind::Provider, "free"));
    fixture.offer(vec![keyed(1, std::slice::from_ref(&event))]).await;
    let answers = fixture.offer(vec![keyed(2, &[other.clone(), event])]).await;
    assert_eq!(answers, [duplicate(DedupeKind::EventId, 1, true)]);
    assert!(matches!(fixture.offer(vec![keyed(3, &[other])]).await[..], [Acceptance::New { .. }]));
}

pub async fn of_several_taken_keys_the_first_answers(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let (event, provider) = (dedupe(DedupeKind::EventId, "e"), dedupe(DedupeKind::Provider, "p"));
    fixture.offer(vec![keyed(1, std::slice::from_ref(&event)), keyed(2, std::slice::from_ref(&provider))]).await;
    let both = [event.clone(), provider.clone()];
    assert_eq!(fixture.offer(vec![keyed(3, &both)]).await, [duplicate(DedupeKind::EventId, 1, true)]);
    let both = [provider, event];
    assert_eq!(fixture.offer(vec![keyed(3, &both)]).await, [duplicate(DedupeKind::Provider, 2, true)]);
}

pub async fn a_fingerprint_tells_a_repeat_from_another_request(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![keyed(1, &[idempotency(7, 1_000)])]).await;
    let kind = DedupeKind::Idempotency;
    assert_eq!(fixture.offer(vec![keyed(2, &[idempotency(7, 1_000)])]).await, [duplicate(kind, 1, true)]);
    assert_eq!(fixture.offer(vec![keyed(3, &[idempotency(8, 1_000)])]).await, [duplicate(kind, 1, false)]);
    let without = dedupe(kind, "key");
    assert_eq!(fixture.offer(vec![keyed(4, &[without])]).await, [duplicate(kind, 1, true)]);
}

pub async fn a_key_that_ran_out_is_free_again(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![keyed(1, &[idempotency(7, 100)])]).await;
    let kind = DedupeKind::Idempotency;
    assert_eq!(fixture.offer(vec![keyed(99, &[idempotency(8, 500)])]).await, [duplicate(kind, 1, false)]);
    assert!(
        matches!(fixture.offer(vec![keyed(100, &[idempotency(8, 500)])]).await[..], [Acceptance::New { .. }]),
        "a key counts until it expires, not at that instant"
    );
    assert_eq!(fixture.offer(vec![keyed(101, &[idempotency(8, 500)])]).await, [duplicate(kind, 100, true)]);
}

pub async fn keys_are_taken_after_a_crash_too(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![keyed(1, &[idempotency(7, 1_000)])]).await;
    let fixture = fixture.crash(at(60)).await;
    let answers = fixture.offer(vec![keyed(61, &[idempotency(8, 2_000)])]).await;
    assert_eq!(answers, [duplicate(DedupeKind::Idempotency, 1, false)]);
}

pub async fn a_message_is_found_by_its_event_id(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let message = build::full_message(5);
    let event_id: EventId = message.event_id.clone().expect("built with one");
    let keys = vec![dedupe(DedupeKind::EventId, event_id.as_str())];
    fixture.offer(vec![Accept { dedupe: keys, ..build::accept(message, &[]) }]).await;
    let by_event_id = MessageRef::EventId(event_id);
    let found = fixture.store().message(application_id(1), &by_event_id).await.expect(WORKS).expect("it is stored");
    assert_eq!(found.message.id, message_id(5));
    assert_eq!(fixture.store().message(application_id(2), &by_event_id).await.expect(WORKS), None);
    let unknown = MessageRef::EventId("other".parse().expect("an event id"));
    assert_eq!(fixture.store().message(application_id(1), &unknown).await.expect(WORKS), None);
}

pub async fn a_resend_shares_its_keys_with_accept(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.offer(vec![keyed(1, &[idempotency(7, 1_000)])]).await;
    let resend =
        Resend { application: application_id(1), key: key(1, 2), now: at(5), idempotency: Some(idempotency(8, 1_000)) };
    assert_eq!(fixture.store().resend(resend).await.expect(WORKS), Resent::Conflicting);
    assert_eq!(fixture.deliveries(1).await.len(), 1);
}
