//! Tests of the group commit: what one deed does to the others of its group.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use hookyard_model::{Next, Outcome, Secret, StateKind};
use hookyard_ports::store::{FirstState, Settled, Settlement};
use hookyard_ports::testkit::build;
use hookyard_ports::{Metrics, Store as _, StoreError, SystemClock};
use hookyard_record::Keyring;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::books::Books;
use crate::fault::Fault;
use crate::writer::{Deed, Run};
use crate::{Options, SqliteStore};

fn open() -> (TempDir, SqliteStore) {
    let data = TempDir::new().expect("a directory");
    let keyring = Keyring::from_secrets(&[Secret::new("main".to_owned())]).expect("a secret");
    let (metrics, clock) = (Arc::new(Metrics::new()), Arc::new(SystemClock::new()));
    let options = Options::new(data.path().to_owned(), keyring, metrics, clock);
    let store = SqliteStore::open(options).expect("the directory is free");
    (data, store)
}

/// Holds the writer until the test lets it go, so that what is asked meanwhile becomes one group.
struct Gate {
    reached: mpsc::Sender<()>,
    opened: Mutex<mpsc::Receiver<()>>,
}

impl Deed for Gate {
    type Answer = ();

    fn run(&self, _: &mut Books<'_>) -> Run<()> {
        self.reached.send(()).expect("the test waits");
        self.opened.lock().recv().expect("the test lets it go");
        Ok(Ok(()))
    }
}

/// Writes a line, counting how often it runs.
struct Line {
    name: &'static str,
    runs: Arc<AtomicUsize>,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Succeed,
    Fail,
    Refuse,
    Panic,
}

impl Deed for Line {
    type Answer = usize;

    fn run(&self, books: &mut Books<'_>) -> Run<usize> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        if matches!(self.then, Then::Refuse) {
            return Ok(Err(StoreError::Full("of refusals".to_owned())));
        }
        books.connection.execute("INSERT INTO meta (name, value) VALUES (?1, 1)", [self.name])?;
        match self.then {
            Then::Succeed | Then::Refuse => Ok(Ok(self.runs.load(Ordering::Relaxed))),
            Then::Fail => Err(Fault::Store(StoreError::Conflict { constraint: "of the test" })),
            Then::Panic => panic!("a defect"),
        }
    }
}

/// Asks for lines in one group, and gives the answers and how often each ran.
async fn group(store: &SqliteStore, lines: &[(&'static str, Then)]) -> Vec<(Result<usize, StoreError>, usize)> {
    let ((open, opened), (reached, closed)) = (mpsc::channel(), mpsc::channel());
    let asked = lines.iter().map(|(name, then)| {
        let runs = Arc::new(AtomicUsize::new(0));
        let line = Line { name, runs: Arc::clone(&runs), then: *then };
        async move { (store.writer().ask(line).await, runs.load(Ordering::Relaxed)) }
    });
    let held = store.writer().ask(Gate { reached, opened: Mutex::new(opened) });
    // Polled in this order: the writer stands at the gate, then all wait in the queue, then the gate opens.
    let (_, (), answers, ()) = tokio::join!(
        biased;
        held,
        async move { closed.recv().expect("the writer comes to the gate") },
        futures_util::future::join_all(asked),
        async move { open.send(()).expect("the writer stands at the gate") }
    );
    answers
}

async fn is_written(store: &SqliteStore, name: &'static str) -> bool {
    let found = store.readers().ask(move |connection, _| {
        let mut statement = connection.prepare("SELECT 1 FROM meta WHERE name = ?1")?;
        Ok(statement.exists([name])?)
    });
    found.await.expect("reads")
}

#[tokio::test]
async fn deeds_that_wait_are_committed_together() {
    let (_data, store) = open();
    let before = store.metrics().commits.get();
    let answers = group(&store, &[("a", Then::Succeed), ("b", Then::Succeed), ("c", Then::Succeed)]).await;
    assert!(answers.iter().all(|(answer, runs)| matches!(answer, Ok(1)) && *runs == 1), "{answers:?}");
    assert_eq!(store.metrics().commits.get() - before, 2, "the gate, and the group");
}

#[tokio::test]
async fn a_failing_deed_fails_alone() {
    let (_data, store) = open();
    let answers = group(&store, &[("a", Then::Succeed), ("b", Then::Fail), ("c", Then::Succeed)]).await;
    assert!(matches!(answers[0], (Ok(2), 2)), "it ran in the group and alone: {answers:?}");
    assert!(matches!(answers[1], (Err(StoreError::Conflict { .. }), 2)), "{answers:?}");
    assert!(matches!(answers[2], (Ok(1), 1)), "the group broke off before it: {answers:?}");
    for (name, expected) in [("a", true), ("b", false), ("c", true)] {
        assert_eq!(is_written(&store, name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_refusal_costs_the_others_nothing() {
    let (_data, store) = open();
    let answers = group(&store, &[("a", Then::Succeed), ("b", Then::Refuse), ("c", Then::Succeed)]).await;
    assert!(matches!(answers[1], (Err(StoreError::Full(_)), 1)), "{answers:?}");
    assert!(matches!((&answers[0], &answers[2]), ((Ok(1), 1), (Ok(1), 1))), "{answers:?}");
}

#[tokio::test]
async fn a_lease_outlives_a_rollback() {
    let (_data, store) = open();
    store.import(build::import(vec![build::import_application(1, &[1])])).await.expect("imports").expect("is new");
    for n in [1, 2] {
        store.accept(vec![build::accept(build::message(n), &[(1, FirstState::Leased)])]).await.expect("accepts");
    }
    group(&store, &[("a", Then::Fail)]).await;
    let key = build::key(1, 1);
    let attempt = build::attempt(1, key, Outcome::Delivered);
    let settlement = Settlement { key, attempt, next: Next::Delivered, endpoint: None, operational: Vec::new() };
    assert_eq!(store.settle(vec![settlement]).await.expect("settles"), [Settled::Moved]);
    store.release(vec![build::key(2, 1)]).await.expect("releases");
    let overview = store.overview(build::NOW).await.expect("reads");
    assert_eq!(overview.open, [(StateKind::Pending, 1), (StateKind::Leased, 0)]);
}

#[tokio::test]
async fn a_panic_is_told_to_every_caller_and_writes_nothing() {
    let (_data, store) = open();
    let answers = group(&store, &[("a", Then::Succeed), ("b", Then::Panic), ("c", Then::Succeed)]).await;
    for (answer, _) in &answers {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answers:?}");
    }
    assert!(!is_written(&store, "a").await, "nobody was told that it is written");
    let late = store.release(Vec::new()).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    store.close().await;
}
