//! The built-in receiver: verifies what arrives, counts it, and fails when it is told to.
//!
//! What anybody's receiver does: it checks the signature over the raw body with the dialect's own rule and answers 204, or
//! 401 when it does not match. `POST /fail` and `POST /recover` are for whoever tries the demo; `GET /` shows the counts.
//! Bounded like a door, because every process of the machine can reach it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookyard_dialects::{Inbound, RawRequest, Verified};
use hookyard_model::{DialectName, Secret, limits};
use hookyard_ports::Clock;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fault::Fault;
use super::{GOOD, SHAKY};

/// Connections at once: more than both endpoints use together.
const CONNECTIONS: usize = 256;
/// Messages whose failed attempts are remembered.
const REMEMBERED: usize = 1_000;
/// The longest failure that may be asked for: shorter than the schedule of the demo's endpoints.
const LONGEST: Duration = Duration::from_mins(1);
/// How long a failure takes when the request does not say.
const USUAL: Duration = Duration::from_secs(30);

/// A receiver that listens.
pub(super) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    connections: TaskTracker,
}

struct Shared {
    secret: Secret<String>,
    inbound: &'static dyn Inbound,
    clock: Arc<dyn Clock>,
    fault: Mutex<Fault>,
    tally: Arc<Tally>,
}

/// What arrived.
#[derive(Default)]
pub(super) struct Tally {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    good: u64,
    shaky: u64,
    failed: u64,
    unverified: u64,
    /// Failed attempts by message and endpoint, until it arrives.
    tries: HashMap<(String, &'static str), u32>,
}

impl Receiver {
    /// Begins to listen on a free port of 127.0.0.1.
    pub(super) async fn start(secret: Secret<String>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let name: DialectName = "standard".parse().expect("it is a dialect's name");
        let inbound = hookyard_dialects::find(&name).and_then(hookyard_dialects::Dialect::inbound);
        let fault = Mutex::new(Fault::new(clock.monotonic()));
        let inbound = inbound.expect("the dialect `standard` verifies");
        let shared = Arc::new(Shared { secret, inbound, clock, fault, tally: Arc::default() });
        let receiver = Self { address, shared, stop: CancellationToken::new(), connections: TaskTracker::new() };
        let accepting =
            accept(listener, Arc::clone(&receiver.shared), receiver.stop.clone(), receiver.connections.clone());
        receiver.connections.spawn(receiver.stop.clone().run_until_cancelled_owned(accepting));
        Ok(receiver)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What arrived.
    pub(super) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.shared.tally)
    }

    /// Closes the port and every connection.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}

impl Tally {
    /// The counts in words.
    pub(super) fn shown(&self) -> String {
        let Counts { good, shaky, failed, unverified, .. } = &*self.counts.lock();
        let verified = format!("verified {good} at `{GOOD}` and {shaky} at `{SHAKY}`, and answered 503 to {failed}");
        if *unverified == 0 { verified } else { format!("{verified}; {unverified} had a wrong signature") }
    }

    fn json(&self) -> String {
        let Counts { good, shaky, failed, unverified, .. } = &*self.counts.lock();
        json!({ "good": good, "shaky": shaky, "failed": failed, "unverified": unverified }).to_string()
    }

    fn fail(&self, message: &str, endpoint: &'static str) {
        let counts = &mut *self.counts.lock();
        counts.failed += 1;
        let key = (message.to_owned(), endpoint);
        if counts.tries.len() < REMEMBERED || counts.tries.contains_key(&key) {
            *counts.tries.entry(key).or_default() += 1;
        }
    }

    /// Counts an arrival, and tells how often it failed before.
    fn arrive(&self, message: &str, endpoint: &'static str) -> u32 {
        let counts = &mut *self.counts.lock();
        *(if endpoint == SHAKY { &mut counts.shaky } else { &mut counts.good }) += 1;
        counts.tries.remove(&(message.to_owned(), endpoint)).unwrap_or(0)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken, connections: TaskTracker) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let serving = serve(stream, Arc::clone(&shared));
        connections.spawn(stop.clone().run_until_cancelled_owned(async move {
            serving.await;
            drop(permit);
        }));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, std::convert::Infallible>(shared.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_READ)
        .serve_connection(TokioIo::new(stream), service);
    // A caller that breaks off harms nobody; the sender's log has its side of it.
    let _ = connection.await;
}

type Answer = Response<Full<Bytes>>;

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let collected = tokio::time::timeout(limits::BODY_READ, Limited::new(body, limits::API_BODY_BYTES).collect());
        let Ok(Ok(body)) = collected.await else {
            return text(StatusCode::BAD_REQUEST, "the body is too long or did not come");
        };
        match (&head.method, head.uri.path()) {
            (&Method::POST, "/fail") => self.begin_fault(head.uri.query()),
            (&Method::POST, "/recover") => {
                self.fault.lock().end(self.clock.monotonic());
                tracing::info!("the demo's receiver was told to recover");
                text(StatusCode::OK, "recovered: what waits is delivered within 5 s")
            }
            (&Method::GET, "/") => {
                let mut answer = text(StatusCode::OK, self.tally.json());
                let json = header::HeaderValue::from_static("application/json");
                answer.headers_mut().insert(header::CONTENT_TYPE, json);
                answer
            }
            (&Method::POST, "/good") => self.receive(GOOD, &head, &body.to_bytes()),
            (&Method::POST, "/shaky") => self.receive(SHAKY, &head, &body.to_bytes()),
            _ => text(StatusCode::NOT_FOUND, "here are: GET /, POST /fail?seconds=30, POST /recover"),
        }
    }

    fn begin_fault(&self, query: Option<&str>) -> Answer {
        let span = match query.filter(|query| !query.is_empty()) {
            None => Some(USUAL),
            Some(query) => query.strip_prefix("seconds=").and_then(|text| text.parse().ok()).map(Duration::from_secs),
        };
        let Some(span) = span.filter(|span| !span.is_zero() && *span <= LONGEST) else {
            let most = LONGEST.as_secs();
            return text(StatusCode::BAD_REQUEST, format!("write `/fail?seconds=30`, with 1 to {most} seconds"));
        };
        self.fault.lock().begin(span, self.clock.monotonic());
        let seconds = span.as_secs();
        tracing::info!("the demo's receiver was told to fail for {seconds} s");
        text(StatusCode::OK, format!("every delivery is answered with 503 for {seconds} s; `POST /recover` ends it"))
    }

    /// Does with a delivery what a receiver does.
    fn receive(&self, endpoint: &'static str, head: &http::request::Parts, body: &Bytes) -> Answer {
        let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let request = RawRequest { method: &head.method, target, headers: &head.headers, body };
        let secrets = std::slice::from_ref(&self.secret);
        if let Verified::Refused(why) = self.inbound.verify(&request, secrets, self.clock.now()) {
            self.tally.counts.lock().unverified += 1;
            tracing::warn!(%endpoint, "the demo's receiver refused a request: {why}");
            return text(StatusCode::UNAUTHORIZED, why.to_string());
        }
        let message = head.headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        if self.fault.lock().holds(endpoint == SHAKY, self.clock.monotonic()) {
            self.tally.fail(message, endpoint);
            return text(StatusCode::SERVICE_UNAVAILABLE, "this receiver fails for a while, as a demonstration");
        }
        let failed = self.tally.arrive(message, endpoint);
        if failed > 0 {
            tracing::info!(message_id = %message, %endpoint, "arrived on attempt {}, signature verified", failed + 1);
        }
        let mut answer = text(StatusCode::NO_CONTENT, "");
        answer.headers_mut().remove(header::CONTENT_TYPE);
        answer
    }
}

fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    let mut text = text.into();
    if !text.is_empty() {
        text.push('\n');
    }
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_failures_is_bounded_and_forgotten_on_arrival() {
        let tally = Tally::default();
        for n in 0..REMEMBERED + 10 {
            tally.fail(&format!("m{n}"), SHAKY);
        }
        tally.fail("m0", SHAKY);
        assert_eq!(tally.counts.lock().tries.len(), REMEMBERED);
        assert_eq!(tally.arrive("m0", GOOD), 0, "the other endpoint's failures are its own");
        assert_eq!(tally.arrive("m0", SHAKY), 2);
        assert_eq!(tally.arrive("m0", SHAKY), 0);
        assert_eq!(tally.counts.lock().tries.len(), REMEMBERED - 1);
        assert_eq!(
            tally.shown(),
            format!("verified 1 at `good` and 2 at `shaky`, and answered 503 to {}", REMEMBERED + 11)
        );
    }
}
