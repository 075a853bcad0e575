//! A node of its own for each input: the doors before a store in memory, at a time that stands still.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use bytes::Bytes;
use hookyard_accept::{Defaults, Publisher};
use hookyard_model::{RawId, Secret, Timestamp};
use hookyard_ports::testkit::{MemoryStore, build};
use hookyard_ports::{Clock, Ids, Metrics, NoHandoff, Rng, Store};
use hookyard_server::{Doors, DoorsSettings, mint_token};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// A clock that stands still.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        build::NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// No randomness: ids count up.
pub(crate) struct Zeros;

impl Rng for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// The doors, with applications `tenant-1` to `tenant-3`, between which no id or key is shared.
pub(crate) struct Node {
    router: Router,
    token: HeaderValue,
}

impl Node {
    pub(crate) async fn new() -> Self {
        let node = Arc::new(MemoryStore::shared().node("a", build::NOW));
        let applications = (1..=3).map(|n| build::import_application(n, &[n])).collect();
        node.import(build::import(applications)).await.expect("the store answers").expect("nothing is taken");
        let (clock, metrics) = (Arc::new(Still), Arc::new(Metrics::new()));
        let ids = Arc::new(Ids::new(RawId::MIN, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(Zeros)));
        let publisher = Publisher::new(
            Arc::clone(&node) as Arc<dyn Store>,
            Arc::new(NoHandoff),
            Arc::clone(&clock) as Arc<dyn Clock>,
            ids,
            Arc::clone(&metrics),
            Defaults::default(),
        );
        let secret = Secret::new("a secret of some length".to_owned());
        let token = format!("Bearer {}", mint_token(&secret, build::organisation(), None, build::NOW));
        let doors = Doors::new(DoorsSettings::new(secret), node, publisher, clock, metrics);
        Self { router: Arc::new(doors).router(), token: token.parse().expect("a token is visible ASCII") }
    }

    /// Sends a request with these headers, and with a valid token unless they have one.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> (StatusCode, Bytes) {
        let mut request = Request::new(Body::from(Bytes::copy_from_slice(body)));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("the path is a URI");
        request.headers_mut().clone_from(headers);
        request.headers_mut().entry(header::AUTHORIZATION).or_insert_with(|| self.token.clone());
        let (head, body) = self.router.clone().oneshot(request).await.expect("the router always answers").into_parts();
        (head.status, body.collect().await.expect("the answer is whole").to_bytes())
    }
}
