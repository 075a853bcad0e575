//! How much processor time the store takes for a message that is accepted, delivered and settled.
//!
//! `cargo run --release -p hookyard-postgres --example throughput -- URL [messages] [publishers]`. Publishers accept
//! one message at a time, each with its delivery leased; one task settles what is accepted, as many at a time as wait. For
//! tuning; what the whole of Hookyard takes is measured by `hookyard bench`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hookyard_model::{Attempt, Message, Next, Outcome, Payload, RawId, Secret, Timings};
use hookyard_ports::store::{Accept, Accepted, FirstState, Settlement};
use hookyard_ports::testkit::build;
use hookyard_ports::{Clock as _, Ids, Metrics, Store as _, SystemClock, SystemRng};
use hookyard_postgres::{Options, PostgresStore};
use hookyard_record::Keyring;

const SETTLED_AT_ONCE: usize = 256;

fn argument(index: usize) -> Option<String> {
    std::env::args().nth(index)
}

/// User and system time of this process, and its resident bytes.
fn used() -> (Duration, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("the name is in brackets").split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number");
    let pages: u64 = fields[21].parse().expect("a number");
    (Duration::from_millis(ticks * 10), pages * 4_096)
}

async fn open(url: &str, metrics: &Arc<Metrics>) -> PostgresStore {
    let keyring = Keyring::from_secrets(&[Secret::new("main".to_owned())]).expect("a secret");
    let clock = Arc::new(SystemClock::new());
    let url = Secret::new(url.to_owned());
    let options = Options::new(url, "throughput".to_owned(), keyring, Arc::clone(metrics), clock);
    let options = Options { schema: "hookyard_throughput".to_owned(), ..options };
    PostgresStore::open(options).await.expect("the server lets it in")
}

fn settlement(message: &Message, attempt: Attempt) -> Settlement {
    let key = hookyard_model::DeliveryKey { message: message.id, endpoint: attempt.endpoint };
    Settlement { key, attempt, next: Next::Delivered, endpoint: None, operational: Vec::new() }
}

#[expect(clippy::cast_precision_loss, reason = "a few digits are enough to tune by")]
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let url = argument(1).expect("the URL of a database; its schema `hookyard_throughput` is used and stays");
    let messages: u64 = argument(2).map_or(100_000, |text| text.parse().expect("a number of messages"));
    let publishers: u64 = argument(3).map_or(256, |text| text.parse().expect("a number of publishers"));
    let metrics = Arc::new(Metrics::new());
    let store = Arc::new(open(&url, &metrics).await);
    let clock = Arc::new(SystemClock::new());
    let ids = Arc::new(Ids::new(RawId::MIN, Arc::<SystemClock>::clone(&clock), Arc::new(SystemRng)));
    store.import(build::import(vec![build::import_application(1, &[1])])).await.expect("imports").expect("is ours");

    let (accepted, mut to_settle) = tokio::sync::mpsc::channel::<Arc<Message>>(4 * SETTLED_AT_ONCE);
    let left = Arc::new(AtomicU64::new(messages));
    let (before, _) = used();
    let began = clock.monotonic();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..publishers {
        let (store, ids, left) = (Arc::clone(&store), Arc::clone(&ids), Arc::clone(&left));
        let (accepted, clock) = (accepted.clone(), Arc::clone(&clock));
        tasks.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let now = clock.now();
                let payload = Payload::Kept(Bytes::from(vec![b'x'; 200]));
                let message = Message { id: ids.message(now), accepted: now, payload, ..build::message(1) };
                let accept = build::accept(message, &[(1, FirstState::Leased)]);
                let message = Arc::clone(&accept.message);
                let answer = store.accept(vec![Accept { ..accept }]).await.expect("accepts");
                assert!(matches!(answer, Accepted::Committed(_)), "{answer:?}");
                accepted.send(message).await.expect("the settler lives");
            }
        });
    }
    drop(accepted);
    let mut waiting = Vec::new();
    while to_settle.recv_many(&mut waiting, SETTLED_AT_ONCE).await > 0 {
        let settlements = waiting.drain(..).map(|message: Arc<Message>| {
            let key = build::key(1, 1);
            let timings = Timings { total: Duration::from_millis(3), ..Timings::default() };
            let attempt = build::attempt(1, key, Outcome::Delivered);
            let attempt = Attempt {
                id: ids.attempt(),
                message: message.id,
                started: message.accepted,
                timings,
                request_headers: "content-type: application/json\nuser-agent: Hookyard/0.1.0\n".repeat(5),
                ..attempt
            };
            settlement(&message, attempt)
        });
        let settlements = settlements.collect();
        store.settle(settlements).await.expect("settles");
    }
    tasks.join_all().await;
    let took = clock.monotonic().saturating_sub(began);
    let (after, resident) = used();
    let each = |span: Duration| span.as_secs_f64() * 1e6 / messages as f64;
    let commits = metrics.commits.get();
    println!(
        "{:.0} messages/s, {:.1} us of CPU each, {commits} commits of {:.1} messages, {} MiB resident",
        messages as f64 / took.as_secs_f64(),
        each(after.saturating_sub(before)),
        messages as f64 / commits.max(1) as f64,
        resident / 1024 / 1024,
    );
    for line in metrics.render().lines().filter(|line| line.starts_with("hookyard_store") && line.contains("_sum")) {
        println!("{line}");
    }
    let closing = clock.monotonic();
    store.close().await;
    println!("closed in {:?}", clock.monotonic().saturating_sub(closing));
    let opening = clock.monotonic();
    drop(store);
    let _store = open(&url, &metrics).await;
    println!("opened again in {:?}", clock.monotonic().saturating_sub(opening));
}
