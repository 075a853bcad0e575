//! What a backlog costs: resident memory, time to open after a clean stop and after a crash, and the speed of claims.
//!
//! `cargo run --release -p hookyard-sqlite --example backlog -- [messages] [endpoints] [directory]`. Each message is owed to
//! one of the endpoints, in turn, and pending.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{Message, Payload, Secret};
use hookyard_ports::store::{Claim, Room};
use hookyard_ports::testkit::build;
use hookyard_ports::{Clock as _, Metrics, Store as _, SystemClock};
use hookyard_record::Keyring;
use hookyard_sqlite::{Options, SqliteStore};

const BATCH: u64 = 1_000;

fn argument(index: usize) -> Option<String> {
    std::env::args().nth(index)
}

fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages: u64 = statm.split_whitespace().nth(1).expect("resident pages").parse().expect("a number");
    pages * 4_096 / 1024 / 1024
}

fn open(directory: &Path) -> SqliteStore {
    let keyring = Keyring::from_secrets(&[Secret::new("main".to_owned())]).expect("a secret");
    let (metrics, clock) = (Arc::new(Metrics::new()), Arc::new(SystemClock::new()));
    let began = clock.monotonic();
    let options = Options::new(directory.to_owned(), keyring, metrics, Arc::<SystemClock>::clone(&clock));
    let store = SqliteStore::open(options).expect("the directory is free");
    println!("opened in {:?}, {} MiB resident", clock.monotonic().saturating_sub(began), resident_mib());
    store
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let messages: u64 = argument(1).map_or(1_000_000, |text| text.parse().expect("a number of messages"));
    let endpoints: u64 = argument(2).map_or(4, |text| text.parse().expect("a number of endpoints"));
    let temporary = tempfile::tempdir().expect("a directory");
    let directory = argument(3).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let clock = SystemClock::new();
    let store = open(&directory);
    let numbers: Vec<u64> = (1..=endpoints).collect();
    store.import(build::import(vec![build::import_application(1, &numbers)])).await.expect("imports").expect("is new");

    let began = clock.monotonic();
    for batch in 0..messages / BATCH {
        let accepts = (1..=BATCH).map(|n| {
            let n = batch * BATCH + n;
            let payload = Payload::Kept(Bytes::from(vec![b'x'; 200]));
            let message = Message { payload, accepted: build::NOW, ..build::message(n) };
            build::accept(message, &[(1 + n % endpoints, build::pending(n % 60))])
        });
        store.accept(accepts.collect()).await.expect("accepts");
    }
    println!("accepted in {:?}, {} MiB resident", clock.monotonic().saturating_sub(began), resident_mib());
    let began = clock.monotonic();
    store.close().await;
    drop(store);
    println!("closed in {:?}", clock.monotonic().saturating_sub(began));

    let store = open(&directory);
    drop(store);
    println!("dropped without a close");
    let store = open(&directory);
    let began = clock.monotonic();
    let due = store.due(None, 1_000).await.expect("reads");
    println!("{} endpoints are due, read in {:?}", due.len(), clock.monotonic().saturating_sub(began));
    let began = clock.monotonic();
    let mut claimed = 0;
    for _ in 0..100 {
        let rooms = due.iter().map(|due| Room { endpoint: due.endpoint, count: 100, bytes: 1 << 20 }).collect();
        claimed += store.claim(Claim { rooms, now: build::at(60) }).await.expect("claims").deliveries.len();
    }
    let took = clock.monotonic().saturating_sub(began);
    println!("claimed {claimed} in {took:?}, {} MiB resident", resident_mib());
    let began = clock.monotonic();
    store.close().await;
    println!("closed in {:?}", clock.monotonic().saturating_sub(began));
}
