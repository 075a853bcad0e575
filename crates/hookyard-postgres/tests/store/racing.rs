//! Random deeds of two nodes at once, each taking the other for dead: whatever they do, the tables agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hookyard_model::{DeliveryKey, DisableReason, FailReason, Next, OrderKey, Outcome};
use hookyard_ports::Store as _;
use hookyard_ports::store::{Accepted, Claim, FirstState, Resend, Room, Settled, Settlement, StatusChange};
use hookyard_ports::testkit::Seed;
use hookyard_ports::testkit::build::{self, at, endpoint_id};
use hookyard_postgres::PostgresStore;
use tokio::task::JoinSet;

use crate::ground::TestSchema;

const TASKS: u64 = 6;
const DEEDS: u64 = 60;
/// Late enough that every heartbeat is too old.
const LATE: u64 = 1_000;

/// What all tasks number their things by.
#[derive(Default)]
struct Numbers {
    messages: AtomicU64,
    attempts: AtomicU64,
}

impl Numbers {
    fn attempt(&self) -> u64 {
        self.attempts.fetch_add(1, Ordering::Relaxed) + 1
    }
}

struct Player {
    node: Arc<PostgresStore>,
    seed: Seed,
    numbers: Arc<Numbers>,
    held: Vec<DeliveryKey>,
}

impl Player {
    async fn play(mut self) {
        for _ in 0..DEEDS {
            match self.seed.below(20) {
                0..=4 => self.accept().await,
                5..=8 => self.claim().await,
                9..=13 => self.settle().await,
                14 => self.release().await,
                15..=16 => self.resend().await,
                17 => {
                    let key = self.some_delivery();
                    self.node.cancel(key, at(LATE)).await.expect("answers");
                }
                18 => {
                    let ids = (0..3).map(|_| build::attempt_id(self.numbers.attempt())).collect();
                    self.node.rescue(at(LATE), ids).await.expect("rescues");
                }
                _ => self.change().await,
            }
        }
    }

    fn some_delivery(&mut self) -> DeliveryKey {
        let last = self.numbers.messages.load(Ordering::Relaxed).max(1);
        let back = self.seed.below(last.min(12));
        build::key(last - back, 1 + self.seed.below(2))
    }

    async fn accept(&mut self) {
        let accepts = (0..=self.seed.below(2)).map(|_| {
            let n = self.numbers.messages.fetch_add(1, Ordering::Relaxed) + 1;
            let state = if self.seed.below(3) == 0 { FirstState::Leased } else { build::pending(0) };
            let mut accept = build::accept(build::message(n), &[(1, state), (2, build::pending(0))]);
            for delivery in &mut accept.deliveries {
                delivery.order_key = (self.seed.below(4) > 0).then_some(OrderKey(0));
            }
            accept
        });
        let accepts: Vec<_> = accepts.collect();
        let leased = accepts.iter().flat_map(|accept| accept.deliveries.iter().map(|new| (accept.message.id, new)));
        let leased = leased.filter(|(_, new)| new.state == FirstState::Leased);
        let keys: Vec<_> = leased.map(|(message, new)| DeliveryKey { message, endpoint: new.endpoint }).collect();
        // Where the configuration moved on meanwhile, nothing was accepted.
        if let Accepted::Committed(_) = self.node.accept(accepts).await.expect("answers") {
            self.held.extend(keys);
        }
    }

    async fn claim(&mut self) {
        let rooms = [1, 2].map(|n| Room { endpoint: endpoint_id(n), count: 3, bytes: usize::MAX }).to_vec();
        let claims = self.node.claim(Claim { rooms, now: at(LATE) }).await.expect("claims");
        self.held.extend(claims.deliveries.into_iter().map(|claimed| claimed.delivery.key));
    }

    async fn settle(&mut self) {
        let settlements = self.held.drain(..).map(|key| {
            let (outcome, next) = match self.seed.below(4) {
                0 => (Outcome::Refused, Next::Retry { due: at(0), charged: 1, variant: 0 }),
                1 => (Outcome::Refused, Next::Failed { reason: FailReason::ScheduleSpent, charged: 2 }),
                _ => (Outcome::Delivered, Next::Delivered),
            };
            let attempt = build::attempt(self.numbers.attempt(), key, outcome);
            Settlement { key, attempt, next, endpoint: None, operational: Vec::new() }
        });
        self.node.settle(settlements.collect()).await.expect("settles");
    }

    async fn release(&mut self) {
        let keys = self.held.drain(..).collect();
        self.node.release(keys).await.expect("releases");
    }

    async fn resend(&mut self) {
        let (application, key) = (build::application_id(1), self.some_delivery());
        let resend = Resend { application, key, now: at(LATE), idempotency: None };
        self.node.resend(resend).await.expect("answers");
    }

    async fn change(&mut self) {
        match self.seed.below(6) {
            0 => {
                let key = self.some_delivery();
                self.node.expunge(build::application_id(1), key.message).await.expect("answers");
            }
            1 => {
                // The fan-outs of this test all say revision 1, so only an endpoint of another application is switched.
                let change = StatusChange::Disable(DisableReason::Manual);
                self.node.change_status(endpoint_id(20), change, at(LATE)).await.expect("answers");
            }
            _ => {
                self.node.sweep(at(LATE), 100).await.expect("sweeps");
            }
        }
    }
}

/// Counts what must not be.
async fn check(schema: &TestSchema) {
    let client = schema.client().await;
    let broken = [
        ("a delivery is in both tables", "SELECT count(*) FROM @owed JOIN @ended USING (message, endpoint)"),
        (
            "the first open delivery of a key waits, or a later one does not",
            "SELECT count(*) FROM (SELECT waits, row_number() OVER (PARTITION BY endpoint, order_key ORDER BY seq) AS n \
             FROM @owed WHERE state = 0 AND order_key IS NOT NULL) o WHERE waits <> (n > 1)",
        ),
        (
            "a message lacks a delivery",
            "SELECT count(*) FROM @message m WHERE 2 <> (SELECT count(*) FROM @owed o WHERE o.message = m.id) \
             + (SELECT count(*) FROM @ended e WHERE e.message = m.id)",
        ),
        (
            "the rollups do not count the log",
            "SELECT abs((SELECT count(*) FROM @attempt) - (SELECT coalesce(sum(n), 0)::int8 FROM @rollup, unnest(outcomes) n))",
        ),
    ];
    for (what, query) in broken {
        let query = query.replace('@', &format!("\"{}\".", schema.name));
        let count: i64 = client.query_typed_one(&query, &[]).await.expect(what).get(0);
        assert_eq!(count, 0, "{what}");
    }
}

async fn run(schema: &TestSchema, seed: u64) {
    let (one, two) = (schema.open("one", at(0)).await, schema.open("two", at(0)).await);
    let applications = vec![build::import_application(1, &[1, 2]), build::import_application(2, &[20])];
    one.import(build::import(applications)).await.expect("imports").expect("is new");
    let (nodes, numbers) = ([Arc::new(one), Arc::new(two)], Arc::new(Numbers::default()));
    let mut playing = JoinSet::new();
    for n in 0..TASKS {
        let node = Arc::clone(&nodes[usize::try_from(n % 2).expect("small")]);
        let player = Player { node, seed: Seed::new(100 * seed + n), numbers: Arc::clone(&numbers), held: Vec::new() };
        playing.spawn(player.play());
    }
    playing.join_all().await;
    check(schema).await;

    // One node is left, and works everything off.
    let [one, _] = nodes;
    for _ in 0..10_000 {
        let ids = (0..50).map(|_| build::attempt_id(numbers.attempt())).collect();
        one.rescue(at(LATE), ids).await.expect("rescues");
        let held = one.held(None, 1_000).await.expect("reads");
        one.release(held).await.expect("releases");
        let rooms = [1, 2].map(|n| Room { endpoint: endpoint_id(n), count: 9, bytes: usize::MAX }).to_vec();
        let claims = one.claim(Claim { rooms, now: at(LATE) }).await.expect("claims");
        if claims.deliveries.is_empty() && one.due(None, 9).await.expect("reads").is_empty() {
            break;
        }
        for claimed in claims.deliveries {
            let attempt = build::attempt(numbers.attempt(), claimed.delivery.key, Outcome::Delivered);
            let key = claimed.delivery.key;
            let settlement =
                Settlement { key, attempt, next: Next::Delivered, endpoint: None, operational: Vec::new() };
            assert_eq!(one.settle(vec![settlement]).await.expect("settles"), [Settled::Moved]);
        }
    }
    check(schema).await;
    let left = format!("SELECT count(*) FROM \"{}\".owed", schema.name);
    let left: i64 = schema.client().await.query_typed_one(&left, &[]).await.expect("reads").get(0);
    assert_eq!(left, 0, "everything came to an end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_agree_whatever_two_nodes_do_at_once() {
    for seed in 1..=3 {
        let Some(schema) = TestSchema::new() else { return };
        run(&schema, seed).await;
    }
}
