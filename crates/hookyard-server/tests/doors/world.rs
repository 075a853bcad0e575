//! A node without lanes, and a client of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use hookyard_accept::{Defaults, Publisher};
use hookyard_model::{ApplicationId, Outcome, RawId, Secret, Timestamp, limits};
use hookyard_ports::store::{Claim, MessageRef, Room, Settlement, StoredMessage};
use hookyard_ports::testkit::{Deed, Fault, FaultyStore, MemoryNode, MemoryStore, build};
use hookyard_ports::{Clock, Ids, Metrics, NoHandoff, Rng, Store};
use hookyard_server::{Doors, DoorsSettings, mint_token};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const APP: &str = "/api/v1/app/tenant-1";

/// A clock that goes on by a second each time it is read.
struct Ticking(Mutex<Timestamp>);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let mut now = self.0.lock();
        *now = now.plus(Duration::from_secs(1));
        *now
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Counting(AtomicU64);

impl Rng for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.fill(0);
        bytes[..8].copy_from_slice(&n);
    }
}

pub(crate) struct World {
    pub(crate) node: Arc<MemoryNode>,
    pub(crate) doors: Arc<Doors>,
    pub(crate) metrics: Arc<Metrics>,
    router: Router,
}

impl World {
    /// Applications `tenant-1` with endpoints `receiver-1` to `receiver-3`, and `tenant-2` without.
    pub(crate) async fn new() -> Self {
        Self::with(|settings| settings, |_| Fault::Pass).await
    }

    pub(crate) async fn failing(plan: impl FnMut(Deed) -> Fault + Send + 'static) -> Self {
        Self::with(|settings| settings, plan).await
    }

    pub(crate) async fn with(
        set: impl FnOnce(DoorsSettings) -> DoorsSettings,
        mut plan: impl FnMut(Deed) -> Fault + Send + 'static,
    ) -> Self {
        let node = Arc::new(MemoryStore::shared().node("a", build::NOW));
        let applications = vec![build::import_application(1, &[1, 2, 3]), build::import_application(2, &[])];
        node.import(build::import(applications)).await.expect("the store answers").expect("nothing is taken");
        let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&node), move |call| plan(call.deed)));
        let clock: Arc<dyn Clock> = Arc::new(Ticking(Mutex::new(build::NOW)));
        let ids = Arc::new(Ids::new(RawId::MIN, Arc::clone(&clock), Arc::new(Counting(AtomicU64::new(0)))));
        let metrics = Arc::new(Metrics::new());
        let publisher = Publisher::new(
            Arc::clone(&store),
            Arc::new(NoHandoff),
            Arc::clone(&clock),
            ids,
            Arc::clone(&metrics),
            Defaults::default(),
        );
        let settings = set(DoorsSettings::new(secret()));
        let doors = Arc::new(Doors::new(settings, store, publisher, clock, Arc::clone(&metrics)));
        Self { node, router: doors.router(), doors, metrics }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("the router always answers");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(ask(Method::GET, path).body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(ask(Method::POST, path).body(body.into()).expect("a request")).await
    }

    /// Publishes to `tenant-1` and gives the new message's id.
    pub(crate) async fn publish(&self, event_type: &str) -> String {
        let body = format!(r#"{{"eventType":"{event_type}","payload":{{"of":"{event_type}"}}}}"#);
        let answer = self.post(&format!("{APP}/msg"), body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn stored(&self, message: &str) -> StoredMessage {
        let reference = MessageRef::Id(message.parse().expect("an id"));
        let found = self.node.message(build::application_id(1), &reference).await;
        found.expect("the store answers").expect("the message is kept")
    }

    /// Claims what is due for an endpoint and settles each with an attempt of this outcome; attempts count from `first`.
    pub(crate) async fn attempt(&self, endpoint: u64, first: u64, outcome: &Outcome) -> usize {
        let room = Room { endpoint: build::endpoint_id(endpoint), count: 100, bytes: limits::LANE_BYTES };
        let claims = self.node.claim(Claim { rooms: vec![room], now: build::at(100_000) }).await.expect("answers");
        let next = if *outcome == Outcome::Delivered {
            hookyard_model::Next::Delivered
        } else {
            hookyard_model::Next::Retry { due: build::at(200_000), charged: 1, variant: 0 }
        };
        let settlements: Vec<Settlement> = claims
            .deliveries
            .iter()
            .zip(first..)
            .map(|(claimed, n)| Settlement {
                key: claimed.delivery.key,
                attempt: build::full_attempt(n, claimed.delivery.key, outcome.clone()),
                next,
                endpoint: None,
                operational: Vec::new(),
            })
            .collect();
        self.node.settle(settlements).await.expect("the store answers").len()
    }
}

pub(crate) fn secret() -> Secret<String> {
    Secret::new("a secret of some length".to_owned())
}

pub(crate) fn token(application: Option<ApplicationId>) -> String {
    mint_token(&secret(), build::organisation(), application, build::NOW)
}

/// A request with a token of the organisation.
pub(crate) fn ask(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", token(None)))
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the answer is text")
    }

    /// The ids of a list's items.
    pub(crate) fn ids(&self) -> Vec<String> {
        let json = self.json();
        let data = json["data"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        data.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    }
}
