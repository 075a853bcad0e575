//! Several nodes on one schema: order, leases, names, and connections that are lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::ground::TestSchema;
use hookyard_model::{DisableReason, Message, Next, OrderKey, Outcome, Secret, limits};
use hookyard_ports::store::{
    Accept, Acceptance, Accepted, Claim, DedupeKind, FirstState, Room, Settled, Settlement, StatusChange,
};
use hookyard_ports::testkit::build::{self, at, endpoint_id};
use hookyard_ports::{Store, StoreError};
use hookyard_postgres::{Options, PostgresStore};
use tokio::task::JoinSet;

/// How long a test waits for what must come; nothing waits this long when it passes.
const SOON: Duration = Duration::from_secs(8);

/// Two nodes of a schema that has application 1 with endpoint 1.
async fn two(schema: &TestSchema) -> [Arc<PostgresStore>; 2] {
    let (one, two) = (schema.open("one", at(0)).await, schema.open("two", at(0)).await);
    one.import(build::import(vec![build::import_application(1, &[1])])).await.expect("imports").expect("is new");
    [Arc::new(one), Arc::new(two)]
}

fn ordered(n: u64) -> Accept {
    let mut accept = build::accept(build::message(n), &[(1, build::pending(0))]);
    accept.deliveries[0].order_key = Some(OrderKey(7));
    accept
}

fn new_seq(accepted: &Accepted) -> u64 {
    let Accepted::Committed(answers) = accepted else { panic!("nothing changed meanwhile: {accepted:?}") };
    let [Acceptance::New { seq }] = answers[..] else { panic!("it is new: {answers:?}") };
    seq.0
}

fn delivered(attempt: u64, key: hookyard_model::DeliveryKey) -> Settlement {
    let attempt = build::attempt(attempt, key, Outcome::Delivered);
    Settlement { key, attempt, next: Next::Delivered, endpoint: None, operational: Vec::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_several_nodes_accept_for_one_key_is_sent_in_the_order_of_acceptance() {
    const EACH: u64 = 60;
    let Some(schema) = TestSchema::new() else { return };
    let nodes = two(&schema).await;
    let mut accepting = JoinSet::new();
    for n in 1..=2 * EACH {
        let node = Arc::clone(&nodes[usize::try_from(n % 2).expect("small")]);
        accepting.spawn(async move { new_seq(&node.accept(vec![ordered(n)]).await.expect("accepts")) });
    }
    // Both claim while both accept, and one at a time is in flight.
    let sent = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let mut sending = JoinSet::new();
    for (node, from) in nodes.iter().zip([1_000, 2_000]) {
        let (node, sent) = (Arc::clone(node), Arc::clone(&sent));
        sending.spawn(async move {
            let mut attempt = from;
            while sent.lock().len() < usize::try_from(2 * EACH).expect("small") {
                let rooms = vec![Room { endpoint: endpoint_id(1), count: 5, bytes: usize::MAX }];
                let claims = node.claim(Claim { rooms, now: at(900) }).await.expect("claims");
                assert!(claims.deliveries.len() <= 1, "of one key one is in flight");
                for claimed in claims.deliveries {
                    sent.lock().push(claimed.delivery.seq.0);
                    attempt += 1;
                    let settled = node.settle(vec![delivered(attempt, claimed.delivery.key)]).await.expect("settles");
                    assert_eq!(settled, [Settled::Moved]);
                }
            }
        });
    }
    let mut accepted = accepting.join_all().await;
    tokio::time::timeout(4 * SOON, sending.join_all()).await.expect("everything is sent");
    accepted.sort_unstable();
    assert_eq!(*sent.lock(), accepted, "in the order of their places, and every one once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_what_ended_while_it_was_accepted() {
    let Some(schema) = TestSchema::new() else { return };
    let [one, two] = two(&schema).await;
    for n in (1..160).step_by(2) {
        let mut first = ordered(n);
        first.deliveries[0].state = FirstState::Leased;
        one.accept(vec![first]).await.expect("accepts");
        let settling = one.settle(vec![delivered(n, build::key(n, 1))]);
        let (settled, accepted) = tokio::join!(settling, two.accept(vec![ordered(n + 1)]));
        assert_eq!(settled.expect("settles"), [Settled::Moved]);
        new_seq(&accepted.expect("accepts"));
        let rooms = vec![Room { endpoint: endpoint_id(1), count: 5, bytes: usize::MAX }];
        let claims = one.claim(Claim { rooms, now: at(900) }).await.expect("claims");
        let keys: Vec<_> = claims.deliveries.iter().map(|claimed| claimed.delivery.key).collect();
        assert_eq!(keys, [build::key(n + 1, 1)], "the one before it has ended");
        one.settle(vec![delivered(n + 1, keys[0])]).await.expect("settles");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_before_what_has_an_earlier_place_and_is_not_committed_yet() {
    let Some(schema) = TestSchema::new() else { return };
    let [one, two] = two(&schema).await;
    for n in (1..160).step_by(2) {
        let sending = async {
            let mut sent = Vec::new();
            while sent.len() < 2 {
                let rooms = vec![Room { endpoint: endpoint_id(1), count: 5, bytes: usize::MAX }];
                for claimed in one.claim(Claim { rooms, now: at(900) }).await.expect("claims").deliveries {
                    sent.push(claimed.delivery.seq.0);
                    let attempt = n + sent.len() as u64;
                    one.settle(vec![delivered(attempt, claimed.delivery.key)]).await.expect("settles");
                }
            }
            sent
        };
        let sending = tokio::time::timeout(SOON, sending);
        let (a, b, sent) = tokio::join!(one.accept(vec![ordered(n)]), two.accept(vec![ordered(n + 1)]), sending);
        let mut places = [a, b].map(|accepted| new_seq(&accepted.expect("accepts")));
        places.sort_unstable();
        assert_eq!(sent.expect("both are sent"), places);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_that_several_nodes_accept_at_once_is_one_message() {
    let Some(schema) = TestSchema::new() else { return };
    let nodes = two(&schema).await;
    let mut accepting = JoinSet::new();
    for n in 1..=40 {
        let node = Arc::clone(&nodes[usize::try_from(n % 2).expect("small")]);
        accepting.spawn(async move {
            let dedupe = vec![build::dedupe(DedupeKind::EventId, &format!("event-{}", n % 4))];
            let accept = Accept { dedupe, ..build::accept(build::message(n), &[(1, build::pending(0))]) };
            match node.accept(vec![accept]).await.expect("accepts") {
                Accepted::Committed(answers) => (n % 4, answers[0].clone()),
                Accepted::Stale(application) => panic!("{application} did not change"),
            }
        });
    }
    let mut new: BTreeMap<u64, usize> = BTreeMap::new();
    for (key, answer) in accepting.join_all().await {
        *new.entry(key).or_default() += usize::from(matches!(answer, Acceptance::New { .. }));
    }
    assert_eq!(new, BTreeMap::from([(0, 1), (1, 1), (2, 1), (3, 1)]));
}

#[tokio::test]
async fn a_change_on_one_node_is_heard_by_another_that_listens() {
    let Some(schema) = TestSchema::new() else { return };
    let [one, _] = two(&schema).await;
    let listen = Some(Secret::new(schema.url.clone()));
    let listening = PostgresStore::open(Options { listen, ..schema.options("three", at(0)) }).await.expect("opens");
    let mut cursor = listening.changes_since(None).await.expect("reads").cursor;
    for (second, change) in [(5, StatusChange::Disable(DisableReason::Manual)), (6, StatusChange::Enable)] {
        let waiting = listening.changes_since(Some(cursor));
        let changing = one.change_status(endpoint_id(1), change, at(second));
        let (heard, changed) = tokio::join!(tokio::time::timeout(SOON, waiting), changing);
        changed.expect("changes").expect("it is there");
        let heard = heard.expect("sooner than it would be asked for").expect("reads");
        assert_eq!(heard.endpoints, [endpoint_id(1)]);
        cursor = heard.cursor;
    }
    listening.close().await;
}

#[tokio::test]
async fn a_cursor_of_another_database_may_have_missed_any_change() {
    let Some(schema) = TestSchema::new() else { return };
    let [one, _] = two(&schema).await;
    let changes = one.changes_since(Some(1_000_000)).await.expect("reads");
    assert_eq!(changes.endpoints, [endpoint_id(1)]);
}

#[tokio::test]
async fn a_node_whose_name_another_process_took_is_told() {
    let Some(schema) = TestSchema::new() else { return };
    let first = schema.open("one", at(0)).await;
    first.heartbeat(at(1)).await.expect("it is alone");
    let second = schema.open("one", at(2)).await;
    let told = first.heartbeat(at(3)).await;
    assert!(matches!(&told, Err(StoreError::Other(why)) if why.contains("`one`")), "{told:?}");
    second.heartbeat(at(3)).await.expect("the later one has the name");
    second.close().await;
    first.heartbeat(at(4)).await.expect("the other one has gone");
}

#[tokio::test]
async fn a_node_that_was_forgotten_is_told_and_what_it_takes_is_rescued() {
    let Some(schema) = TestSchema::new() else { return };
    let [one, two] = two(&schema).await;
    let long_after = at(0).plus(Duration::from_hours(48));
    one.prune(long_after, limits::SWEEP_ROWS).await.expect("prunes");
    let told = two.heartbeat(long_after).await;
    assert!(matches!(told, Err(StoreError::Other(_))), "{told:?}");
    two.accept(vec![build::accept(build::message(1), &[(1, FirstState::Leased)])]).await.expect("accepts");
    assert_eq!(one.rescue(long_after, vec![build::attempt_id(1)]).await.expect("rescues"), 1);
}

/// A store whose connections can be told from those of other tests, and who ends them.
async fn cut_off(schema: &TestSchema) -> (PostgresStore, impl AsyncFn()) {
    let mark = if schema.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{mark}application_name={}", schema.url, schema.name);
    let options = Options { database: Secret::new(url), ..schema.options("one", at(0)) };
    let store = PostgresStore::open(options).await.expect("opens");
    store.import(build::import(vec![build::import_application(1, &[1])])).await.expect("imports").expect("is new");
    let (client, name) = (schema.client().await, schema.name.clone());
    let cut = async move || {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}' AND pid <> pg_backend_pid()"
        );
        client.batch_execute(&end).await.expect("ends them");
    };
    (store, cut)
}

#[tokio::test]
async fn a_store_whose_connections_were_cut_goes_on_with_new_ones() {
    let Some(schema) = TestSchema::new() else { return };
    let (store, cut) = cut_off(&schema).await;
    for n in 1..=5 {
        cut().await;
        let mut tries = 0;
        loop {
            tries += 1;
            match store.accept(vec![build::accept(build::message(n), &[(1, FirstState::Leased)])]).await {
                Ok(accepted) => break assert!(new_seq(&accepted) > 0),
                Err(StoreError::Unavailable(_)) => assert!(tries < 10, "a new connection is made"),
                Err(error) => panic!("{error}"),
            }
        }
    }
    cut().await;
    assert_eq!(store.held(None, 9).await.expect("reads").len(), 5);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_whenever_connections_are_cut() {
    let Some(schema) = TestSchema::new() else { return };
    let (store, cut) = cut_off(&schema).await;
    let store = Arc::new(store);
    let mut accepting = JoinSet::new();
    for from in [0, 1_000, 2_000, 3_000] {
        let store = Arc::clone(&store);
        accepting.spawn(async move {
            let mut kept = Vec::new();
            for n in from..from + 60 {
                match store.accept(vec![build::accept(build::message(n), &[(1, build::pending(0))])]).await {
                    Ok(accepted) => kept.push((n, new_seq(&accepted))),
                    Err(StoreError::Unavailable(_)) => {}
                    Err(error) => panic!("message {n}: {error}"),
                }
            }
            kept
        });
    }
    for _ in 0..6 {
        cut().await;
        tokio::task::yield_now().await;
    }
    let kept: Vec<(u64, u64)> = accepting.join_all().await.concat();
    assert!(kept.len() > 60, "most of it came through: {}", kept.len());
    for (n, seq) in kept {
        let reference = hookyard_ports::store::MessageRef::Id(build::message_id(n));
        let stored = store.message(build::application_id(1), &reference).await.expect("reads");
        assert_eq!(stored.map(|stored| stored.seq.0), Some(seq), "message {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_crash_of_the_server() {
    #[expect(clippy::disallowed_methods, reason = "how to crash the server only the environment knows")]
    let crash = std::env::var("HOOKYARD_TEST_POSTGRES_CRASH").ok().filter(|command| !command.is_empty());
    let (Some(schema), Some(crash)) = (TestSchema::new(), crash) else {
        eprintln!("passed over: HOOKYARD_TEST_POSTGRES_CRASH names no command that crashes the server");
        return;
    };
    let [store, _] = two(&schema).await;
    let mut accepting = JoinSet::new();
    let is_back = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for from in [0, 100_000, 200_000, 300_000] {
        let (store, is_back) = (Arc::clone(&store), Arc::clone(&is_back));
        accepting.spawn(async move {
            let (mut kept, mut after) = (Vec::new(), 0);
            for n in from.. {
                let was_back = is_back.load(std::sync::atomic::Ordering::Acquire);
                match store.accept(vec![build::accept(build::message(n), &[(1, build::pending(0))])]).await {
                    Ok(accepted) => {
                        kept.push((n, new_seq(&accepted)));
                        after += u32::from(was_back);
                    }
                    Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("message {n}: {error}"),
                }
                if after == 20 {
                    break;
                }
            }
            kept
        });
    }
    let crashed = tokio::task::spawn_blocking(move || std::process::Command::new(crash).status());
    assert!(crashed.await.expect("no panic").expect("it runs").success(), "the server is back");
    is_back.store(true, std::sync::atomic::Ordering::Release);
    let kept: Vec<(u64, u64)> =
        tokio::time::timeout(8 * SOON, accepting.join_all()).await.expect("it goes on").concat();
    for (n, seq) in kept {
        let reference = hookyard_ports::store::MessageRef::Id(build::message_id(n));
        let stored = store.message(build::application_id(1), &reference).await.expect("reads");
        assert_eq!(stored.map(|stored| stored.seq.0), Some(seq), "message {n}");
    }
}

#[tokio::test]
async fn a_payload_of_the_largest_size_and_many_small_ones_are_accepted_together() {
    let Some(schema) = TestSchema::new() else { return };
    let [one, _] = two(&schema).await;
    let sized = |n: u64| {
        let bytes = if n.is_multiple_of(8) { limits::API_BODY_BYTES } else { 10 };
        let payload = hookyard_model::Payload::Kept(bytes::Bytes::from(vec![b'x'; bytes]));
        build::accept(Message { payload, ..build::message(n) }, &[(1, build::pending(n))])
    };
    let answers = futures_util::future::join_all((1..=40).map(|n| one.accept(vec![sized(n)]))).await;
    for answer in answers {
        new_seq(&answer.expect("accepts"));
    }
}

#[tokio::test]
async fn what_must_not_wait_has_connections_of_its_own() {
    let Some(schema) = TestSchema::new() else { return };
    let [one, _] = two(&schema).await;
    let client = schema.client().await;
    // Reads of rollups wait for this lock, and so hold all the connections that reads have.
    let hold = format!("BEGIN; LOCK TABLE \"{}\".rollup IN ACCESS EXCLUSIVE MODE", schema.name);
    client.batch_execute(&hold).await.expect("locks");
    let mut reading = JoinSet::new();
    for _ in 0..20 {
        let one = Arc::clone(&one);
        reading.spawn(async move { one.rollups(endpoint_id(1), at(0), at(60)).await });
    }
    for n in 1..=3 {
        let accepting = one.accept(vec![build::accept(build::message(n), &[(1, FirstState::Leased)])]);
        new_seq(&tokio::time::timeout(SOON, accepting).await.expect("it does not wait").expect("accepts"));
        tokio::time::timeout(SOON, one.heartbeat(at(n))).await.expect("it does not wait").expect("beats");
    }
    client.batch_execute("ROLLBACK").await.expect("lets go");
    for read in reading.join_all().await {
        assert_eq!(read.expect("reads"), []);
    }
}

#[tokio::test]
async fn a_file_of_thousands_of_endpoints_is_imported_at_once() {
    let Some(schema) = TestSchema::new() else { return };
    let store = schema.open("one", at(0)).await;
    let many: Vec<u64> = (1..=limits::ENDPOINTS_PER_APPLICATION as u64).collect();
    let file = || build::import(vec![build::import_application(1, &many)]);
    for created in [many.len() + 1, 0] {
        let imported = tokio::time::timeout(3 * SOON, store.import(file())).await;
        let report = imported.expect("in a few statements").expect("imports").expect("is ours");
        assert_eq!(report.created, created);
    }
    let reference = hookyard_ports::store::ApplicationRef::Id(build::application_id(1));
    let view = store.application(build::organisation(), &reference).await.expect("reads").expect("it is there");
    assert_eq!(view.endpoints.len(), many.len());
}
