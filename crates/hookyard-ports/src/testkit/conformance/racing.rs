//! Many tasks at once: one lease has one holder, one key has one message.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookyard_model::{Next, Outcome};
use tokio::task::JoinSet;

use super::fixture::WORKS;
use super::{Fixture, Ground};
use crate::store::{Accept, Acceptance, Accepted, Claim, DedupeKind, Room, Settled, Settlement};
use crate::testkit::build::{self, at, dedupe, endpoint_id};

pub async fn claims_of_many_tasks_never_lease_one_delivery_twice(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let batch = |from: u64| {
        (from..from + 100).map(|n| build::accept(build::message(n), &[(1, build::pending(0)), (2, build::pending(0))]))
    };
    for from in [0, 100, 200] {
        fixture.offer(batch(from).collect()).await;
    }
    let other = fixture.other_node("two", at(0)).await;
    let stores: Vec<_> = [Some(&fixture), other.as_ref()].into_iter().flatten().map(Fixture::handle).collect();
    let mut tasks = JoinSet::new();
    for n in 0..16 {
        let store = Arc::clone(&stores[n % stores.len()]);
        tasks.spawn(async move {
            let rooms = [1, 2].map(|n| Room { endpoint: endpoint_id(n), count: 7, bytes: usize::MAX }).to_vec();
            let mut mine = Vec::new();
            loop {
                let claims = store.claim(Claim { rooms: rooms.clone(), now: at(900) }).await.expect(WORKS);
                if claims.deliveries.is_empty() {
                    return mine;
                }
                mine.extend(claims.deliveries.into_iter().map(|claimed| claimed.delivery.key));
            }
        });
    }
    let mut seen = BTreeSet::new();
    while let Some(mine) = tasks.join_next().await {
        for key in mine.expect("no task panics") {
            assert!(seen.insert(key), "{key:?} was leased twice");
        }
    }
    assert_eq!(seen.len(), 600, "and nothing was left out");
}

pub async fn accepts_of_many_tasks_with_one_event_id_give_one_message(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let mut tasks = JoinSet::new();
    for n in 1..=24 {
        let store = fixture.handle();
        tasks.spawn(async move {
            let dedupe = vec![dedupe(DedupeKind::EventId, "once")];
            let accept = Accept { dedupe, ..build::accept(build::message(n), &[(1, build::pending(0))]) };
            match store.accept(vec![accept]).await.expect(WORKS) {
                Accepted::Committed(mut answers) => answers.remove(0),
                Accepted::Stale(application) => panic!("{application} did not change"),
            }
        });
    }
    let mut named = BTreeSet::new();
    let mut new = 0;
    while let Some(answer) = tasks.join_next().await {
        match answer.expect("no task panics") {
            Acceptance::New { .. } => new += 1,
            Acceptance::Duplicate { message, .. } => {
                named.insert(message);
            }
        }
    }
    assert_eq!((new, named.len()), (1, 1), "all others name the same message");
    let claimed = fixture.claim(1, 99, at(900)).await;
    assert_eq!(claimed.len(), 1);
    assert!(named.contains(&claimed[0].message.id));
}

pub async fn accepts_of_many_tasks_each_have_their_own_seq(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let mut tasks = JoinSet::new();
    for n in 1..=24 {
        let store = fixture.handle();
        tasks.spawn(async move { store.accept(vec![build::accept(build::message(n), &[])]).await.expect(WORKS) });
    }
    let mut seqs = BTreeSet::new();
    while let Some(answer) = tasks.join_next().await {
        let answer = answer.expect("no task panics");
        let Accepted::Committed(answers) = answer else { panic!("it did not change: {answer:?}") };
        let [Acceptance::New { seq }] = answers[..] else { panic!("it is new: {answers:?}") };
        assert!(seqs.insert(seq), "{seq:?} was given twice");
    }
    assert_eq!(seqs.len(), 24);
}

pub async fn one_failing_deed_fails_alone(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(100, &[]).await;
    let mut tasks = JoinSet::new();
    for n in 1..=24 {
        let store = fixture.handle();
        tasks.spawn(async move {
            let id = if n % 4 == 0 { 100 } else { n };
            (n, store.accept(vec![build::accept(build::message(id), &[])]).await.is_ok())
        });
    }
    while let Some(answer) = tasks.join_next().await {
        let (n, went_well) = answer.expect("no task panics");
        assert_eq!(went_well, n % 4 != 0, "message {n}");
        assert_eq!(fixture.is_stored(n).await, n % 4 != 0, "message {n}");
    }
}

pub async fn settlements_of_many_tasks_move_one_lease_once(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, crate::store::FirstState::Leased)]).await;
    let mut tasks = JoinSet::new();
    for n in 10..26 {
        let store = fixture.handle();
        tasks.spawn(async move {
            let key = build::key(1, 1);
            let attempt = build::attempt(n, key, Outcome::Delivered);
            let next = Next::Delivered;
            let settlement = Settlement { key, attempt, next, endpoint: None, operational: Vec::new() };
            store.settle(vec![settlement]).await.expect(WORKS)
        });
    }
    let mut moved = 0;
    while let Some(answer) = tasks.join_next().await {
        moved += usize::from(answer.expect("no task panics") == [Settled::Moved]);
    }
    assert_eq!(moved, 1);
    for n in 10..26 {
        assert!(fixture.is_logged(n).await, "every attempt is in the log");
    }
}
