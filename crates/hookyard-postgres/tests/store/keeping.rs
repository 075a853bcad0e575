//! What the store for several nodes keeps to beyond the port: days, bounds, texts.

use std::time::Duration;

use crate::ground::TestSchema;
use hookyard_model::{Message, MessageId, Next, Outcome, RawId, Timestamp, limits};
use hookyard_ports::store::{Accepted, FirstState, MessageRef, Resend, Resent, Settlement, Swept};
use hookyard_ports::testkit::build::{self, at};
use hookyard_ports::{Store as _, StoreError};
use hookyard_postgres::{Options, PostgresStore};

const DAY: Duration = Duration::from_hours(24);

async fn opened(options: Options) -> PostgresStore {
    let store = PostgresStore::open(options).await.expect("opens");
    store.import(build::import(vec![build::import_application(1, &[1])])).await.expect("imports").expect("is new");
    store
}

/// The `n`th message of a day, kept for as long as by default.
fn message(day: u32, n: u64) -> Message {
    let accepted = at(0).plus(day * DAY);
    let mut bytes = *RawId::first_of(accepted).as_bytes();
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    let id = MessageId::from_raw(RawId::from_bytes(bytes));
    Message { id, accepted, expires: accepted.plus(limits::RETENTION), ..build::message(n) }
}

async fn accept(store: &PostgresStore, message: Message, state: FirstState) -> Result<Accepted, StoreError> {
    store.accept(vec![build::accept(message, &[(1, state)])]).await
}

async fn settle(store: &PostgresStore, n: u64, message: MessageId) {
    let key = hookyard_model::DeliveryKey { message, endpoint: build::endpoint_id(1) };
    let attempt = build::attempt(n, key, Outcome::Delivered);
    let settlement = Settlement { key, attempt, next: Next::Delivered, endpoint: None, operational: Vec::new() };
    store.settle(vec![settlement]).await.expect("settles");
}

async fn prune(store: &PostgresStore, now: Timestamp) -> usize {
    let mut rows = 0;
    for _ in 0..100 {
        let Swept { rows: gone, more } = store.prune(now, 10).await.expect("prunes");
        rows += gone;
        if !more {
            return rows;
        }
    }
    panic!("pruning never ends");
}

async fn is_stored(store: &PostgresStore, message: &Message) -> bool {
    store.message(build::application_id(1), &MessageRef::Id(message.id)).await.expect("reads").is_some()
}

async fn days(schema: &TestSchema) -> Vec<String> {
    let query = format!(
        "SELECT relname::text FROM pg_class WHERE relnamespace = '{}'::regnamespace AND relname ~ '^message_[0-9]+$' ORDER BY 1",
        schema.name
    );
    schema.client().await.query_typed(&query, &[]).await.expect("reads").iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn days_are_there_before_they_begin() {
    let Some(schema) = TestSchema::new() else { return };
    let _store = schema.open("one", at(0)).await;
    assert_eq!(days(&schema).await, ["message_20260101", "message_20260102", "message_20260103", "message_20260104"]);
}

#[tokio::test]
async fn a_message_of_any_day_is_accepted() {
    let Some(schema) = TestSchema::new() else { return };
    let store = opened(schema.options("one", at(0))).await;
    for day in [400, 7, 40_000] {
        let message = message(day, 1);
        accept(&store, message.clone(), build::pending(0)).await.expect("accepts");
        assert!(is_stored(&store, &message).await, "day {day}");
    }
    let oldest = Message { id: MessageId::from_raw(RawId::MIN), ..build::message(1) };
    let newest = Message { id: MessageId::from_raw(RawId::MAX), ..build::message(1) };
    for message in [oldest, newest] {
        accept(&store, message.clone(), build::pending(0)).await.expect("accepts");
        assert!(is_stored(&store, &message).await);
    }
}

#[tokio::test]
async fn a_day_that_is_over_is_dropped_whole() {
    let Some(schema) = TestSchema::new() else { return };
    let store = opened(schema.options("one", at(0))).await;
    for n in 1..=15 {
        accept(&store, message(0, n), FirstState::Leased).await.expect("accepts");
        settle(&store, n, message(0, n).id).await;
    }
    accept(&store, message(1, 1), FirstState::Leased).await.expect("accepts");
    settle(&store, 99, message(1, 1).id).await;
    let highest = store.highest_id().await.expect("reads");
    let over = at(0).plus(limits::RETENTION);
    assert_eq!(prune(&store, over.minus(DAY)).await, 0);
    assert!(prune(&store, over).await > 0, "all of the first day ran out at once");
    assert!(!is_stored(&store, &message(0, 3)).await);
    assert!(is_stored(&store, &message(1, 1)).await);
    assert!(!days(&schema).await.contains(&"message_20260101".to_owned()));
    let key = hookyard_model::DeliveryKey { message: message(0, 3).id, endpoint: build::endpoint_id(1) };
    settle(&store, 200, key.message).await;
    let rollups = store.rollups(build::endpoint_id(1), at(0), at(600)).await.expect("reads");
    assert!(!rollups.is_empty(), "a late attempt of a message that is gone is counted all the same");
    assert!(store.highest_id().await.expect("reads") >= highest);
    accept(&store, message(0, 3), build::pending(0)).await.expect("its day is made again");
    assert!(is_stored(&store, &message(0, 3)).await);
}

#[tokio::test]
async fn a_day_that_still_owes_something_stays() {
    let Some(schema) = TestSchema::new() else { return };
    let store = opened(schema.options("one", at(0))).await;
    accept(&store, message(0, 1), build::pending(0)).await.expect("accepts");
    accept(&store, message(0, 2), FirstState::Leased).await.expect("accepts");
    settle(&store, 2, message(0, 2).id).await;
    accept(&store, message(1, 3), FirstState::Leased).await.expect("accepts");
    settle(&store, 3, message(1, 3).id).await;
    let over = at(0).plus(limits::RETENTION).plus(DAY);
    assert!(prune(&store, over).await > 0);
    assert!(is_stored(&store, &message(0, 1)).await, "it is owed");
    assert!(!is_stored(&store, &message(1, 3)).await, "the next day does not wait for it");
    let key = hookyard_model::DeliveryKey { message: message(0, 1).id, endpoint: build::endpoint_id(1) };
    assert!(store.cancel(key, over).await.expect("cancels"));
    assert!(prune(&store, over).await > 0);
    assert!(!is_stored(&store, &message(0, 1)).await);
    let resend = Resend { application: build::application_id(1), key, now: over, idempotency: None };
    assert_eq!(store.resend(resend).await.expect("answers"), Resent::NotFound);
}

#[tokio::test]
async fn a_day_in_its_last_hours_is_left_to_go_whole() {
    let Some(schema) = TestSchema::new() else { return };
    let store = opened(schema.options("one", at(0))).await;
    for n in 1..=3 {
        let expires = at(0).plus(limits::RETENTION).plus(n * Duration::from_hours(6));
        let message = Message { expires, ..message(0, u64::from(n)) };
        store.accept(vec![build::accept(message, &[])]).await.expect("accepts");
    }
    let late = at(0).plus(limits::RETENTION).plus(Duration::from_hours(13));
    assert_eq!(prune(&store, late).await, 0, "two of three ran out, and the third follows within the day");
    assert_eq!(prune(&store, late.plus(DAY)).await, 3);
}

#[tokio::test]
async fn keys_go_with_their_day() {
    let Some(schema) = TestSchema::new() else { return };
    let store = opened(schema.options("one", at(0))).await;
    let keyed = |day, n: u64| hookyard_ports::store::Accept {
        dedupe: vec![build::dedupe(hookyard_ports::store::DedupeKind::EventId, &format!("event-{}", n % 25))],
        ..build::accept(message(day, n), &[])
    };
    store.accept((0..25).map(|n| keyed(0, n)).collect()).await.expect("accepts");
    assert!(prune(&store, at(0).plus(limits::RETENTION)).await > 0);
    let again = store.accept((0..25).map(|n| keyed(100, n)).collect()).await.expect("accepts");
    let Accepted::Committed(answers) = again else { panic!("{again:?}") };
    assert!(
        answers.iter().all(|answer| matches!(answer, hookyard_ports::store::Acceptance::New { .. })),
        "{answers:?}"
    );
}

#[tokio::test]
async fn accepting_stops_at_the_limit_of_what_is_open() {
    let Some(schema) = TestSchema::new() else { return };
    let store = opened(Options { pending_limit: 2, ..schema.options("one", at(0)) }).await;
    for n in 1..=2 {
        accept(&store, message(0, n), build::pending(0)).await.expect("accepts");
    }
    let refused = accept(&store, message(0, 3), build::pending(0)).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert!(!is_stored(&store, &message(0, 3)).await);
    store.accept(vec![build::accept(message(0, 4), &[])]).await.expect("what owes nothing is accepted");
}

#[tokio::test]
async fn a_zero_character_in_an_answer_is_logged_as_a_sign_for_it() {
    let Some(schema) = TestSchema::new() else { return };
    let store = opened(schema.options("one", at(0))).await;
    accept(&store, build::message(1), FirstState::Leased).await.expect("accepts");
    let key = build::key(1, 1);
    let attempt = build::attempt(5, key, Outcome::BrokenOff("a\0b".to_owned()));
    let next = Next::Retry { due: at(9), charged: 1, variant: 0 };
    let settlement = Settlement { key, attempt, next, endpoint: None, operational: Vec::new() };
    store.settle(vec![settlement]).await.expect("settles");
    let logged =
        store.attempt(build::application_id(1), build::attempt_id(5)).await.expect("reads").expect("is logged");
    assert_eq!(logged.outcome, Outcome::BrokenOff("a\u{2400}b".to_owned()));
}
