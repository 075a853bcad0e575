//! What the embedded store keeps to beyond the port: bounds, the log's size, counts across stops, secrets at rest.

mod ground;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ground::options;
use hookyard_model::{EndpointSettings, HeaderPair, Message, Next, Outcome, Payload, RawId, Secret, StateKind, limits};
use hookyard_ports::store::{Acceptance, Accepted, FirstState, MessageRef, Settlement};
use hookyard_ports::testkit::build::{self, at, pending};
use hookyard_ports::{Store, StoreError};
use hookyard_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

/// A store with application 1 and its endpoint 1.
async fn opened(options: Options) -> SqliteStore {
    let store = SqliteStore::open(options).expect("the directory is free");
    let imported = store.import(build::import(vec![build::import_application(1, &[1])])).await.expect("imports");
    imported.expect("nobody else has the uid");
    store
}

fn message_of(n: u64, bytes: usize) -> Message {
    Message { payload: Payload::Kept(Bytes::from(vec![b'x'; bytes])), ..build::message(n) }
}

async fn accept(store: &SqliteStore, message: Message, state: FirstState) -> Result<Accepted, StoreError> {
    store.accept(vec![build::accept(message, &[(1, state)])]).await
}

async fn settle(store: &SqliteStore, attempt: u64, message: u64) {
    let key = build::key(message, 1);
    let attempt = build::attempt(attempt, key, Outcome::Delivered);
    let settlement = Settlement { key, attempt, next: Next::Delivered, endpoint: None, operational: Vec::new() };
    store.settle(vec![settlement]).await.expect("settles");
}

async fn open_counts(store: &SqliteStore) -> Vec<(StateKind, u64)> {
    store.overview(at(0)).await.expect("reads").open
}

async fn is_stored(store: &SqliteStore, n: u64) -> bool {
    let reference = MessageRef::Id(build::message_id(n));
    store.message(build::application_id(1), &reference).await.expect("reads").is_some()
}

#[tokio::test]
async fn a_copy_of_the_files_at_any_moment_has_every_acknowledged_message() {
    let (data, copy) = (directory(), directory());
    let store = opened(options(data.path())).await;
    for n in 1..=20 {
        accept(&store, message_of(n, 100), pending(0)).await.expect("accepts");
    }
    for name in ["hookyard.sqlite", "hookyard.sqlite-wal"] {
        std::fs::copy(data.path().join(name), copy.path().join(name)).expect("copies");
    }
    let copied = SqliteStore::open(options(copy.path())).expect("it recovers");
    for n in 1..=20 {
        assert!(is_stored(&copied, n).await, "message {n}");
    }
    assert_eq!(copied.highest_id().await.expect("reads"), store.highest_id().await.expect("reads"));
    assert_ne!(copied.incarnation(), store.incarnation());
}

#[tokio::test]
async fn what_is_open_is_counted_across_a_crash_and_a_clean_stop() {
    let data = directory();
    let store = opened(options(data.path())).await;
    for n in 1..=4 {
        accept(&store, message_of(n, 10), pending(0)).await.expect("accepts");
    }
    accept(&store, message_of(5, 10), FirstState::Leased).await.expect("accepts");
    accept(&store, message_of(6, 10), FirstState::Leased).await.expect("accepts");
    settle(&store, 1, 6).await;
    let resend = hookyard_ports::store::Resend {
        application: build::application_id(1),
        key: build::key(6, 1),
        now: at(9),
        idempotency: None,
    };
    store.resend(resend).await.expect("resends");
    let expected = vec![(StateKind::Pending, 4), (StateKind::Leased, 1)];
    assert_eq!(open_counts(&store).await, expected, "while it is open");
    drop(store);
    let store = SqliteStore::open(options(data.path())).expect("opens");
    assert_eq!(open_counts(&store).await, expected, "after a crash");
    store.close().await;
    let store = SqliteStore::open(options(data.path())).expect("opens");
    assert_eq!(open_counts(&store).await, expected, "after a clean stop");
}

#[tokio::test]
async fn the_highest_id_and_the_order_outlive_pruning_and_a_crash() {
    let data = directory();
    let store = opened(options(data.path())).await;
    for n in 1..=3 {
        let message = Message { expires: at(10), ..message_of(n, 10) };
        accept(&store, message, FirstState::Leased).await.expect("accepts");
        settle(&store, n, n).await;
    }
    let highest = store.highest_id().await.expect("reads");
    assert!(highest > RawId::MIN);
    assert_eq!(store.prune(at(20), 100).await.expect("prunes").rows, 3);
    drop(store);
    let store = SqliteStore::open(options(data.path())).expect("opens");
    assert_eq!(store.highest_id().await.expect("reads"), highest);
    let accepted = accept(&store, message_of(4, 10), FirstState::Leased).await.expect("accepts");
    let Accepted::Committed(answers) = accepted else { panic!("{accepted:?}") };
    let [Acceptance::New { seq }] = answers[..] else { panic!("{answers:?}") };
    assert!(seq.0 > 3, "{seq:?} was given before");
}

#[tokio::test]
async fn accepting_stops_at_the_limit_of_what_is_open_and_goes_on_below_it() {
    let data = directory();
    let store = opened(Options { pending_limit: 2, ..options(data.path()) }).await;
    accept(&store, message_of(1, 10), FirstState::Leased).await.expect("accepts");
    accept(&store, message_of(2, 10), pending(0)).await.expect("accepts");
    let refused = accept(&store, message_of(3, 10), pending(0)).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert!(!is_stored(&store, 3).await);
    settle(&store, 1, 1).await;
    accept(&store, message_of(3, 10), pending(0)).await.expect("accepts");
}

#[tokio::test]
async fn accepting_stops_when_too_little_of_the_disk_is_free() {
    let data = directory();
    // All of the disk is never free.
    let store = opened(Options { free_disk_share: 1, ..options(data.path()) }).await;
    let refused = accept(&store, message_of(1, 10), pending(0)).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_file_that_was_removed_or_replaced() {
    for replaced in [false, true] {
        let data = directory();
        let store = opened(options(data.path())).await;
        let file = data.path().join("hookyard.sqlite");
        let away = data.path().join("away");
        std::fs::rename(&file, &away).expect("it is there");
        if replaced {
            std::fs::copy(&away, &file).expect("it is there");
        }
        let refused = accept(&store, message_of(1, 10), pending(0)).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_full_database_refuses_what_does_not_fit_and_works_on() {
    const LARGE: usize = 100_000;
    let data = directory();
    let store = opened(Options { page_limit: Some(300), ..options(data.path()) }).await;
    let mut kept = 0;
    let error = loop {
        match accept(&store, message_of(kept + 1, LARGE), FirstState::Leased).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "300 pages have no room for that");
    };
    assert!(matches!(error, StoreError::Full(_)) && kept > 0, "{error:?} after {kept}");
    assert!(!is_stored(&store, kept + 1).await);
    settle(&store, 1, 1).await;
    assert!(store.expunge(build::application_id(1), build::message_id(1)).await.expect("expunges"));
    accept(&store, message_of(kept + 1, LARGE), FirstState::Leased).await.expect("there is room again");
    assert!(is_stored(&store, kept + 1).await);
}

#[tokio::test]
async fn the_write_ahead_log_stays_within_its_bound() {
    const WAL_LIMIT: u64 = 2 * 1024 * 1024;
    let data = directory();
    let small = Options { checkpoint_bytes: 256 * 1024, wal_limit: WAL_LIMIT, ..options(data.path()) };
    let store = opened(small).await;
    let mut largest = 0;
    for n in 1..=400 {
        accept(&store, message_of(n, 60_000), FirstState::Leased).await.expect("accepts");
        settle(&store, n, n).await;
        largest = largest.max(std::fs::metadata(data.path().join("hookyard.sqlite-wal")).expect("it is there").len());
    }
    // What one group appends comes on top of the bound.
    assert!(largest < WAL_LIMIT + 512 * 1024, "the log grew to {largest} bytes");
}

#[tokio::test]
async fn a_clean_stop_leaves_no_log_to_recover() {
    let data = directory();
    let store = opened(options(data.path())).await;
    accept(&store, message_of(1, 10), pending(0)).await.expect("accepts");
    store.close().await;
    let wal = std::fs::metadata(data.path().join("hookyard.sqlite-wal")).map_or(0, |file| file.len());
    assert_eq!(wal, 0);
    let late = accept(&store, message_of(2, 10), pending(0)).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    let late = store.endpoint(build::endpoint_id(1)).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
}

#[tokio::test]
async fn what_was_asked_before_a_stop_is_done() {
    let data = directory();
    let store = Arc::new(opened(options(data.path())).await);
    let accepts = (1..=50).map(|n| accept(&store, message_of(n, 10), pending(0)));
    let (answers, ()) = tokio::join!(futures_util::future::join_all(accepts), store.close());
    for (n, answer) in (1..).zip(answers) {
        answer.unwrap_or_else(|error| panic!("message {n}: {error}"));
    }
    drop(store);
    let store = SqliteStore::open(options(data.path())).expect("opens");
    assert_eq!(open_counts(&store).await[0], (StateKind::Pending, 50));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    let data = directory();
    let store = opened(options(data.path())).await;
    accept(&store, message_of(7, 10), pending(0)).await.expect("accepts");
    store.close().await;
    let damaged = rusqlite::Connection::open(data.path().join("hookyard.sqlite")).expect("opens");
    damaged.execute("UPDATE message SET event_type = 'no event type'", []).expect("writes");
    drop(damaged);
    let store = SqliteStore::open(options(data.path())).expect("opens");
    let reference = MessageRef::Id(build::message_id(7));
    let error = store.message(build::application_id(1), &reference).await.expect_err("it cannot be read");
    assert_eq!(error.to_string(), "store row is corrupt: table `message`, column `event_type`, id 1");
}

fn holds(directory: &Path, needle: &[u8]) -> bool {
    let files = std::fs::read_dir(directory).expect("reads");
    files
        .map(|file| std::fs::read(file.expect("reads").path()).expect("reads"))
        .any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
}

#[tokio::test]
async fn no_secret_of_an_endpoint_is_readable_on_the_disk() {
    let data = directory();
    let store = SqliteStore::open(options(data.path())).expect("opens");
    let mut application = build::import_application(1, &[1]);
    let value = Secret::new("canary-of-a-header".to_owned());
    application.endpoints[0].settings = Arc::new(EndpointSettings {
        url: "https://receiver.example/canary-of-a-url".parse().expect("a url"),
        headers: vec![HeaderPair { name: "X-Key".to_owned(), value }],
        ..build::settings(1)
    });
    store.import(build::import(vec![application])).await.expect("imports").expect("is new");
    assert!(!holds(data.path(), b"canary"));
    store.close().await;
    assert!(!holds(data.path(), b"canary"));
    assert!(holds(data.path(), b"Tenant 1"), "the names of applications are not secret, so the search does search");
}

#[tokio::test]
async fn an_expunged_payload_leaves_the_database_file() {
    let data = directory();
    let store = opened(options(data.path())).await;
    let payload = Payload::Kept(Bytes::from("canary of a payload ".repeat(1_000)));
    accept(&store, Message { payload, ..build::message(1) }, pending(0)).await.expect("accepts");
    store.close().await;
    assert!(holds(data.path(), b"canary of a payload"));
    let store = SqliteStore::open(options(data.path())).expect("opens");
    assert!(store.expunge(build::application_id(1), build::message_id(1)).await.expect("expunges"));
    store.close().await;
    assert!(!holds(data.path(), b"canary of a payload"));
}

#[tokio::test]
async fn a_claim_calls_off_many_expunged_messages_in_bounded_steps() {
    let data = directory();
    let store = opened(options(data.path())).await;
    let count = 2 * limits::CLAIM_ROWS as u64 + 1;
    let accepts = (1..=count).map(|n| build::accept(message_of(n, 10), &[(1, pending(0))])).collect();
    store.accept(accepts).await.expect("accepts");
    for n in 1..=count {
        assert!(store.expunge(build::application_id(1), build::message_id(n)).await.expect("expunges"));
    }
    let room = hookyard_ports::store::Room { endpoint: build::endpoint_id(1), count: 10, bytes: usize::MAX };
    let mut claims = 0;
    loop {
        let claim = hookyard_ports::store::Claim { rooms: vec![room], now: at(1) };
        let answer = store.claim(claim).await.expect("claims");
        assert!(answer.deliveries.is_empty());
        claims += 1;
        if answer.next == [(build::endpoint_id(1), None)] {
            break;
        }
    }
    assert_eq!(claims, 3);
}
