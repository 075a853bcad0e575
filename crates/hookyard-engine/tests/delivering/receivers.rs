//! Receivers that answer by a script, and a record of what they were sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hookyard_model::{BlockedBy, EndpointId, MessageId, Timestamp, Timings};
use hookyard_ports::{Clock, Exchange, Exchanged, Request, Response, Transport};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::world::SimClock;

/// What a receiver does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers at once.
    Status(u16),
    /// Answers at once, with one header.
    With(u16, &'static str, String),
    /// Takes it after so long.
    Takes(Duration),
    /// Takes it once the gate lets one through.
    Gate(Arc<Semaphore>),
    /// Never answers; the time limit ends it.
    Hangs,
    /// No connection.
    Unreachable,
    /// The kept-alive connection was closed.
    Stale,
    /// The guard does not let it out.
    Blocked,
    /// A defect on the way out.
    Panics,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) at: Timestamp,
    pub(crate) request: Request,
}

impl Arrived {
    /// A header as text, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.request.headers.get(name).map_or("", |value| value.to_str().expect("the tests send text"))
    }

    /// Which message it carries.
    pub(crate) fn message(&self) -> MessageId {
        self.header("webhook-id").parse().expect("the dialect names the message")
    }
}

#[derive(Debug, Default)]
struct Receiver {
    script: VecDeque<Reply>,
    /// What follows when the script is over; 204 unless it is set.
    afterwards: Option<Reply>,
    arrived: Vec<Arrived>,
    present: usize,
    most: usize,
}

/// All receivers, as the transport reaches them.
pub(crate) struct Receivers {
    clock: SimClock,
    by_endpoint: Mutex<BTreeMap<EndpointId, Receiver>>,
}

impl Receivers {
    pub(crate) fn new(clock: SimClock) -> Arc<Self> {
        Arc::new(Self { clock, by_endpoint: Mutex::default() })
    }

    /// What the receiver does with its next requests, in order; after them it goes on as before.
    pub(crate) fn script(&self, endpoint: EndpointId, replies: impl IntoIterator<Item = Reply>) {
        self.by_endpoint.lock().entry(endpoint).or_default().script.extend(replies);
    }

    /// What the receiver does with every request that no script is for.
    pub(crate) fn always(&self, endpoint: EndpointId, reply: Reply) {
        self.by_endpoint.lock().entry(endpoint).or_default().afterwards = Some(reply);
    }

    /// What arrived, in order.
    pub(crate) fn arrived(&self, endpoint: EndpointId) -> Vec<Arrived> {
        self.by_endpoint.lock().get(&endpoint).map(|receiver| receiver.arrived.clone()).unwrap_or_default()
    }

    /// How many requests arrived.
    pub(crate) fn count(&self, endpoint: EndpointId) -> usize {
        self.by_endpoint.lock().get(&endpoint).map_or(0, |receiver| receiver.arrived.len())
    }

    /// Which messages arrived, in order.
    pub(crate) fn messages(&self, endpoint: EndpointId) -> Vec<MessageId> {
        self.arrived(endpoint).iter().map(Arrived::message).collect()
    }

    /// How many requests a receiver had before it at the same time, at most.
    pub(crate) fn most_at_once(&self, endpoint: EndpointId) -> usize {
        self.by_endpoint.lock().get(&endpoint).map_or(0, |receiver| receiver.most)
    }

    fn arrive(&self, request: &Request) -> Reply {
        let mut receivers = self.by_endpoint.lock();
        let receiver = receivers.entry(request.endpoint).or_default();
        receiver.arrived.push(Arrived { at: self.clock.now(), request: request.clone() });
        receiver.present += 1;
        receiver.most = receiver.most.max(receiver.present);
        let afterwards = || receiver.afterwards.clone().unwrap_or(Reply::Status(204));
        receiver.script.pop_front().unwrap_or_else(afterwards)
    }
}

#[async_trait]
impl Transport for Receivers {
    async fn send(&self, request: Request) -> Exchange {
        let reply = self.arrive(&request);
        let began = self.clock.monotonic();
        let result = match reply {
            Reply::Status(status) => answer(status, None),
            Reply::With(status, name, value) => answer(status, Some((name, value))),
            Reply::Takes(span) => {
                tokio::time::sleep(span).await;
                answer(204, None)
            }
            Reply::Gate(gate) => {
                gate.acquire().await.expect("no test closes its gate").forget();
                answer(204, None)
            }
            Reply::Hangs => {
                tokio::time::sleep(request.timeout).await;
                Exchanged::TimedOut
            }
            Reply::Unreachable => Exchanged::ConnectFailed("connection refused".to_owned()),
            Reply::Stale => Exchanged::StaleConnection,
            Reply::Blocked => Exchanged::Blocked(BlockedBy {
                rule: "private".to_owned(),
                why: "it leads to a private network".to_owned(),
                hint: Some("egress.allow = [\"10.0.0.0/8\"]".to_owned()),
            }),
            Reply::Panics => panic!("planned: the way out has a defect"),
        };
        self.by_endpoint.lock().get_mut(&request.endpoint).expect("it arrived").present -= 1;
        let total = self.clock.monotonic().saturating_sub(began);
        Exchange { result, timings: Timings { total, ..Timings::default() }, peer: None }
    }

    fn forget(&self, _: EndpointId) {}
}

fn answer(status: u16, header: Option<(&'static str, String)>) -> Exchanged {
    let mut headers = HeaderMap::new();
    if let Some((name, value)) = header {
        headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).expect("a header value"));
    }
    Exchanged::Response(Response {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        body: Bytes::from_static(b"so it is"),
        truncated: false,
    })
}
