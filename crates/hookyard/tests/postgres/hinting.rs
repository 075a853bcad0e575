//! What one node leaves to others is not found by their asking now and then: they are told.

use std::sync::Arc;
use std::time::Duration;

use hookyard_egress::{Client, Policy, SystemResolver, Tls};
use hookyard_engine::{Engine, Parts, Settings};
use hookyard_model::{EndpointSettings, Secret};
use hookyard_ports::testkit::build;
use hookyard_ports::{Clock, Ids, Metrics, Store as _, SystemClock, SystemRng};
use hookyard_postgres::{Options, PostgresStore};
use hookyard_record::Keyring;

use crate::deployment::{endpoint, party};
use crate::receiver::Receiver;
use crate::schema::Schema;
use crate::within;

/// A node's store, which hears the others.
async fn store(schema: &Schema, name: &str, delivers: bool) -> Arc<PostgresStore> {
    let url = Secret::new(schema.url().to_owned());
    let keyring = Keyring::from_secrets(&[Secret::new("the main secret of several nodes".to_owned())]);
    let (metrics, clock) = (Arc::new(Metrics::new()), Arc::new(SystemClock::new()));
    let options = Options::new(url.clone(), name.to_owned(), keyring.expect("a secret"), metrics, clock);
    let options = Options { listen: Some(url), delivers, schema: schema.name().to_owned(), ..options };
    Arc::new(PostgresStore::open(options).await.expect("opens"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_door_accepts_is_delivered_by_a_node_that_does_not_ask_for_an_hour() {
    let Some(schema) = Schema::new() else { return };
    let receiver = Receiver::start().await;
    let (door, worker) = (store(&schema, "door", false).await, store(&schema, "worker", true).await);
    let mut application = build::import_application(1, &[1]);
    let url = receiver.url().parse().expect("a URL");
    let settings = EndpointSettings::new(url, "raw".parse().expect("the text is a dialect's name"));
    application.endpoints[0].settings = Arc::new(settings);
    door.import(build::import(vec![application])).await.expect("imports").expect("is new");

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let metrics = Arc::new(Metrics::new());
    let client = Arc::new(Client::new(hookyard_egress::Options {
        policy: Policy::default(),
        resolver: Arc::new(SystemResolver::new(Arc::clone(&clock))),
        tls: Tls::system([]),
        metrics: Arc::clone(&metrics),
        clock: Arc::clone(&clock),
    }));
    let last = worker.highest_id().await.expect("tells");
    let engine = Engine::start(Parts {
        store: Arc::clone(&worker) as _,
        transport: Arc::clone(&client) as _,
        clock: Arc::clone(&clock),
        rng: Arc::new(SystemRng),
        ids: Arc::new(Ids::new(last, clock, Arc::new(SystemRng))),
        metrics,
        settings: Settings { due_sweep: Duration::from_hours(1), ..Settings::default() },
    });
    let engine = engine.await.expect("starts");
    let (hints, handoff) = (worker.hints(), engine.handoff());
    let hearing = async {
        loop {
            for due in hints.next().await {
                handoff.hint(due.endpoint, due.first);
            }
        }
    };
    let delivered = async {
        // Nobody knows when the other has begun to listen; what is heard brings what was not.
        for number in 1.. {
            let message = build::message(number);
            let accepted = door.accept(vec![build::accept(message, &[(1, build::pending(0))])]).await;
            accepted.expect("accepts");
            let arrived = receiver.arrived(usize::try_from(number).expect("small"));
            if tokio::time::timeout(Duration::from_secs(1), arrived).await.is_ok() && number > 1 {
                return;
            }
        }
    };
    within("what the door accepted", async {
        tokio::select! {
            () = hearing => {}
            () = delivered => {}
        }
    })
    .await;
    engine.stop(Duration::from_secs(5)).await;
    client.shutdown().await;
    door.close().await;
    worker.close().await;
}

#[tokio::test]
async fn nodes_that_listen_tell_and_hear_what_is_due() {
    let Some(schema) = Schema::new() else { return };
    let receiver = Receiver::start().await;
    let config = party(&[&endpoint("crm", &receiver.url(), "")]);
    let node = |name: &str, role: &str| {
        let node = schema.node(name, &config).set("HOOKYARD_ROLE", role).set("HOOKYARD_LOG", "debug");
        node.set("HOOKYARD_DATABASE_LISTEN", schema.url())
    };
    let (doors, workers) = (node("a", "doors"), node("b", "workers"));
    let (doors, workers) = (doors.start().await, workers.start().await);
    let heard = async {
        loop {
            let message = doors.publish("1").await;
            doors.until_all(&message, "delivered").await;
            if workers.log().text().contains("heard from another node what is due") {
                return;
            }
        }
    };
    within("what the doors said", heard).await;
    doors.stop().await;
    workers.stop().await;
}
