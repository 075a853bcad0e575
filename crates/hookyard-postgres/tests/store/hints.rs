//! What one node leaves to others reaches them without their asking.

use std::time::Duration;

use crate::ground::TestSchema;
use hookyard_model::{DeliveryKey, OrderKey, Secret};
use hookyard_ports::Store as _;
use hookyard_ports::store::{Due, FirstState, Resend, Resent};
use hookyard_ports::testkit::build::{self, application_id, at, endpoint_id};
use hookyard_postgres::{Options, PostgresStore};

/// How long a test waits for what must come; nothing waits this long when it passes.
const SOON: Duration = Duration::from_secs(20);

/// A node that hears the others, on application 1 with endpoints 1 to 3.
async fn node(schema: &TestSchema, name: &str, delivers: bool) -> PostgresStore {
    let options = Options { listen: Some(Secret::new(schema.url.clone())), delivers, ..schema.options(name, at(0)) };
    let store = PostgresStore::open(options).await.expect("opens");
    let import = build::import(vec![build::import_application(1, &[1, 2, 3])]);
    store.import(import).await.expect("imports").expect("is nobody else's");
    store
}

fn due(endpoint: u64, first: u64) -> Due {
    Due { endpoint: endpoint_id(endpoint), first: at(first) }
}

/// Does something that tells of endpoint 3 until it is heard: nobody knows when a listener has begun to listen.
async fn listens(teller: &PostgresStore, listener: &PostgresStore, mut message: u64) {
    let hints = listener.hints();
    let heard = async {
        loop {
            message += 1;
            let accept = build::accept(build::message(message), &[(3, build::pending(0))]);
            teller.accept(vec![accept]).await.expect("accepts");
            let heard = tokio::time::timeout(Duration::from_millis(200), hints.next()).await;
            if heard.is_ok_and(|heard| heard == [due(3, 0)]) {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, heard).await.expect("it listens");
}

/// The next hints that are not about endpoint 3.
async fn heard(listener: &PostgresStore) -> Vec<Due> {
    let hints = listener.hints();
    let heard = async {
        loop {
            let mut heard = hints.next().await;
            heard.retain(|due| due.endpoint != endpoint_id(3));
            if !heard.is_empty() {
                return heard;
            }
        }
    };
    tokio::time::timeout(SOON, heard).await.expect("it is heard")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_door_accepts_or_resends_is_heard_with_its_due_time() {
    let Some(schema) = TestSchema::new() else { return };
    let (door, worker) = (node(&schema, "door", false).await, node(&schema, "worker", true).await);
    listens(&door, &worker, 1_000).await;
    let mut ordered = build::accept(build::message(1), &[(1, build::pending(70))]);
    ordered.deliveries[0].order_key = Some(OrderKey(1));
    door.accept(vec![ordered]).await.expect("accepts");
    assert_eq!(heard(&worker).await, [due(1, 70)]);

    let key = DeliveryKey { message: build::message_id(1), endpoint: endpoint_id(2) };
    let resend = Resend { application: application_id(1), key, now: at(80), idempotency: None };
    assert_eq!(door.resend(resend).await.expect("resends"), Resent::Queued);
    assert_eq!(heard(&worker).await, [due(2, 80)]);
    door.close().await;
    worker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_delivers_tells_of_what_it_had_no_room_for_and_of_what_it_gives_back() {
    let Some(schema) = TestSchema::new() else { return };
    let (one, other) = (node(&schema, "one", true).await, node(&schema, "other", true).await);
    listens(&one, &other, 1_000).await;
    let mut ordered = build::accept(build::message(1), &[(1, build::pending(0))]);
    ordered.deliveries[0].order_key = Some(OrderKey(1));
    let delayed = build::accept(build::message(2), &[(1, build::pending(9_000))]);
    one.accept(vec![ordered]).await.expect("accepts");
    one.accept(vec![delayed]).await.expect("accepts");
    one.accept(vec![build::accept(build::message(3), &[(2, build::pending(0))])]).await.expect("accepts");
    assert_eq!(heard(&other).await, [due(2, 0)], "what it takes by itself is not told");

    one.accept(vec![build::accept(build::message(4), &[(1, FirstState::Leased)])]).await.expect("accepts");
    let key = DeliveryKey { message: build::message_id(4), endpoint: endpoint_id(1) };
    one.release(vec![key]).await.expect("gives back");
    assert_eq!(heard(&other).await, [due(1, 0)]);
    one.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_notice_of_a_node_is_passed_over() {
    let Some(schema) = TestSchema::new() else { return };
    let (door, worker) = (node(&schema, "door", false).await, node(&schema, "worker", true).await);
    listens(&door, &worker, 1_000).await;
    let stranger = schema.client().await;
    for words in ["", "x", "7", "7 ep_x 1", "7 ep_1", "-1 ep_1 1", "99999999999999999999 ep_1 1"] {
        let notify = format!("NOTIFY \"{}_due\", '{words}'", schema.name);
        stranger.batch_execute(&notify).await.expect("anybody may");
    }
    door.accept(vec![build::accept(build::message(1), &[(1, build::pending(0))])]).await.expect("accepts");
    assert_eq!(heard(&worker).await, [due(1, 0)]);
    door.close().await;
    worker.close().await;
}
