//! The built-in receiver: verifies what arrives, counts it, and fails when it is told to.
//!
//! What anybody's receiver does: it checks the signature over the raw body with the dialect's own rule and answers 204, or
//! 401 when it does not match. `POST /fail` and `POST /recover` are for whoever tries the demo; `GET /` shows the counts.
//! Bounded like a door, because every process of the machine can reach it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
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
use super::systems::SYSTEMS;
use super::{GOOD, SHAKY};

/// Connections at once: more than all endpoints use together.
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
    /// What each path is called in the counts, and what verifies and reads what arrives there.
    paths: BTreeMap<&'static str, &'static dyn Inbound>,
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
    /// What arrived, by path.
    verified: BTreeMap<&'static str, u64>,
    failed: u64,
    unverified: u64,
    /// Failed attempts by path and body, which is the same on every attempt, until it arrives.
    tries: HashMap<(&'static str, u64), u32>,
}

impl Receiver {
    /// Begins to listen on a free port of 127.0.0.1.
    pub(super) async fn start(secret: Secret<String>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let name: DialectName = "standard".parse().expect("it is a dialect's name");
        let standard = hookyard_dialects::find(&name).and_then(hookyard_dialects::Dialect::inbound);
        let standard = standard.expect("the dialect `standard` verifies");
        let own = [(GOOD, standard), (SHAKY, standard)];
        let paths = own.into_iter().chain(SYSTEMS.iter().map(|system| (system.dialect, system.inbound())));
        let fault = Mutex::new(Fault::new(clock.monotonic()));
        let shared = Arc::new(Shared { secret, paths: paths.collect(), clock, fault, tally: Arc::default() });
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
        let Counts { verified, failed, unverified, .. } = &*self.counts.lock();
        let verified: Vec<String> = verified.iter().map(|(path, count)| format!("{count} at `{path}`")).collect();
        let verified = if verified.is_empty() { "none".to_owned() } else { verified.join(", ") };
        let shown = format!("verified {verified}, and answered 503 to {failed}");
        if *unverified == 0 { shown } else { format!("{shown}; {unverified} had a wrong signature") }
    }

    fn json(&self) -> String {
        let Counts { verified, failed, unverified, .. } = &*self.counts.lock();
        json!({ "verified": verified, "failed": failed, "unverified": unverified }).to_string()
    }

    fn fail(&self, path: &'static str, body: &[u8]) {
        let counts = &mut *self.counts.lock();
        counts.failed += 1;
        let key = (path, digest(body));
        if counts.tries.len() < REMEMBERED || counts.tries.contains_key(&key) {
            *counts.tries.entry(key).or_default() += 1;
        }
    }

    /// Counts an arrival, and tells how often it failed before.
    fn arrive(&self, path: &'static str, body: &[u8]) -> u32 {
        let counts = &mut *self.counts.lock();
        *counts.verified.entry(path).or_default() += 1;
        counts.tries.remove(&(path, digest(body))).unwrap_or(0)
    }
}

/// Tells bodies apart well enough for a line of the log.
fn digest(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
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
            (&Method::POST, path) => match self.paths.get_key_value(path.trim_start_matches('/')) {
                Some((path, inbound)) => self.receive(path, *inbound, &head, &body.to_bytes()),
                None => nothing_here(),
            },
            _ => nothing_here(),
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
    fn receive(&self, path: &'static str, inbound: &dyn Inbound, head: &http::request::Parts, body: &Bytes) -> Answer {
        let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let request = RawRequest { method: &head.method, target, headers: &head.headers, body };
        let secrets = std::slice::from_ref(&self.secret);
        if let Verified::Refused(why) = inbound.verify(&request, secrets, self.clock.now()) {
            self.tally.counts.lock().unverified += 1;
            tracing::warn!(endpoint = path, "the demo's receiver refused a request: {why}");
            return text(StatusCode::UNAUTHORIZED, why.to_string());
        }
        let decoded = match inbound.decode(&request) {
            Ok(decoded) => decoded,
            Err(why) => {
                tracing::warn!(endpoint = path, "the demo's receiver cannot read a request: {why}");
                return text(StatusCode::BAD_REQUEST, why.to_string());
            }
        };
        if self.fault.lock().holds(path == SHAKY, self.clock.monotonic()) {
            self.tally.fail(path, body);
            return text(StatusCode::SERVICE_UNAVAILABLE, "this receiver fails for a while, as a demonstration");
        }
        let failed = self.tally.arrive(path, body);
        if failed > 0 {
            let event_type = decoded.event_type;
            tracing::info!(endpoint = path, %event_type, "arrived on attempt {}, its sender verified", failed + 1);
        }
        let mut answer = text(StatusCode::NO_CONTENT, "");
        answer.headers_mut().remove(header::CONTENT_TYPE);
        answer
    }
}

fn nothing_here() -> Answer {
    text(StatusCode::NOT_FOUND, "here are: GET /, POST /fail?seconds=30, POST /recover")
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
            tally.fail(SHAKY, format!("m{n}").as_bytes());
        }
        tally.fail(SHAKY, b"m0");
        assert_eq!(tally.counts.lock().tries.len(), REMEMBERED);
        assert_eq!(tally.arrive(GOOD, b"m0"), 0, "the other endpoint's failures are its own");
        assert_eq!(tally.arrive(SHAKY, b"m0"), 2);
        assert_eq!(tally.arrive(SHAKY, b"m0"), 0);
        assert_eq!(tally.counts.lock().tries.len(), REMEMBERED - 1);
        assert_eq!(
            tally.shown(),
            format!("verified 1 at `good`, 2 at `shaky`, and answered 503 to {}", REMEMBERED + 11)
        );
    }
}
