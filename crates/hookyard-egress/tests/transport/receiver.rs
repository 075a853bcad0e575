//! Receivers on loopback that behave as badly as a test wants, and a client to reach them with.

use std::collections::VecDeque;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hookyard_egress::{Client, Options, Policy, Resolve, ResolveError, Tls};
use hookyard_model::{EndpointId, Method, RawId, Timestamp, Trust};
use hookyard_ports::{Clock, Exchange, Exchanged, Metrics, Request, Response, Transport};
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A receiver; it stops when dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Runs `script` for every connection that comes.
    pub(crate) async fn start<F, S>(script: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0", script).await
    }

    pub(crate) async fn start_at<F, S>(address: &str, script: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("loopback addresses can be listened on");
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = Arc::clone(&accepted);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(script(stream));
            }
        });
        Self { address, accepted, _tasks: tasks }
    }

    /// How many connections came.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
}

/// Reads one request whole; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    let mut wanted = None;
    loop {
        if wanted.is_none()
            && let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            wanted = Some(head + 4 + length.unwrap_or(0_usize));
        }
        if wanted.is_some_and(|wanted| request.len() >= wanted) {
            return Some(String::from_utf8_lossy(&request).into_owned());
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

/// A clock that stands until it is moved.
#[derive(Default)]
pub(crate) struct StandingClock(AtomicU64);

impl StandingClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_767_225_600)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

type Answers = VecDeque<Result<Vec<IpAddr>, ResolveError>>;

/// Answers as it was told, one answer after the other; the last one stays.
#[derive(Default)]
pub(crate) struct Names(Mutex<Vec<(String, Answers)>>);

impl Names {
    pub(crate) fn answer(&self, name: &str, addresses: &[&str]) {
        self.put(name, Ok(addresses.iter().map(|address| address.parse().unwrap()).collect()));
    }

    pub(crate) fn put(&self, name: &str, answer: Result<Vec<IpAddr>, ResolveError>) {
        let mut names = self.0.lock();
        match names.iter_mut().find(|(known, _)| known == name) {
            Some((_, answers)) => answers.push_back(answer),
            None => names.push((name.to_owned(), VecDeque::from([answer]))),
        }
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let mut names = self.0.lock();
        let (_, answers) = names.iter_mut().find(|(known, _)| known == name).ok_or(ResolveError::NoSuchName)?;
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    }
}

/// A client and what it was made of.
pub(crate) struct World {
    pub(crate) client: Arc<Client>,
    pub(crate) clock: Arc<StandingClock>,
    pub(crate) names: Arc<Names>,
    pub(crate) metrics: Arc<Metrics>,
}

impl World {
    /// A client that lets through what `allow` lists.
    pub(crate) fn new(allow: &[&str]) -> Self {
        let allow = allow.iter().map(|entry| entry.parse().expect(entry)).collect();
        Self::with(Policy { allow, ..Policy::default() }, Tls::trusting(rustls::RootCertStore::empty()))
    }

    pub(crate) fn with(policy: Policy, tls: Tls) -> Self {
        let (clock, names, metrics) =
            (Arc::<StandingClock>::default(), Arc::<Names>::default(), Arc::<Metrics>::default());
        let client = Client::new(Options {
            policy,
            resolver: names.clone(),
            tls,
            metrics: metrics.clone(),
            clock: clock.clone(),
        });
        Self { client: Arc::new(client), clock, names, metrics }
    }

    pub(crate) async fn post(&self, url: &str) -> Exchange {
        self.client.send(request(url)).await
    }

    /// Posts, and gives the answer that must have come.
    pub(crate) async fn answer(&self, url: &str) -> Response {
        response(self.post(url).await)
    }
}

#[track_caller]
pub(crate) fn response(exchange: Exchange) -> Response {
    match exchange.result {
        Exchanged::Response(response) => response,
        other => panic!("no answer but {other:?}"),
    }
}

/// The rule and the hint of a refusal.
#[track_caller]
pub(crate) fn blocked(exchange: &Exchange) -> (&str, Option<&str>) {
    match &exchange.result {
        Exchanged::Blocked(by) => (&by.rule, by.hint.as_deref()),
        other => panic!("not blocked but {other:?}"),
    }
}

pub(crate) fn endpoint(number: u8) -> EndpointId {
    EndpointId::from_raw(RawId::from_bytes([number; 20]))
}

/// A small POST from a stranger's endpoint, with time enough for a busy machine.
pub(crate) fn request(url: &str) -> Request {
    Request {
        endpoint: endpoint(1),
        url: url.parse().expect(url),
        trust: Trust::Strict,
        method: Method::Post,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{\"a\":1}"),
        timeout: Duration::from_secs(20),
    }
}
