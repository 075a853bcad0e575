//! What surrounds a worker: a clock that follows the runtime's paused time, a seeded source of randomness, and a network of
//! receivers that misbehave by the seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hookyard_model::{DeliveryKey, EndpointId, MessageId, Timestamp, Timings};
use hookyard_ports::testkit::build;
use hookyard_ports::{Clock, Exchange, Exchanged, Request, Response, Rng, Transport};
use parking_lot::Mutex;

/// A small generator with a good spread (`SplitMix64`); the same seed gives the same run.
#[derive(Debug)]
pub(crate) struct SimRng(Mutex<u64>);

impl SimRng {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(seed)))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Rng for SimRng {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

/// Follows tokio's paused time; the wall clock of each node may be off by some.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimClock {
    began: tokio::time::Instant,
    ahead: Duration,
}

impl SimClock {
    pub(crate) fn new(ahead: Duration) -> Self {
        Self { began: tokio::time::Instant::now(), ahead }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        build::NOW.plus(self.began.elapsed() + self.ahead)
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}

/// What receivers have seen, for all workers together.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests under way, by delivery; those of a worker that died are over.
    pub(crate) under_way: BTreeMap<DeliveryKey, u32>,
    /// Requests that began while another one of the same delivery was under way.
    pub(crate) beside: BTreeMap<DeliveryKey, u32>,
    /// Answers of 2xx that reached the sender.
    pub(crate) taken: BTreeMap<DeliveryKey, u32>,
    /// In which order each endpoint took messages.
    pub(crate) order: BTreeMap<EndpointId, Vec<MessageId>>,
}

/// How a receiver behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behaviour {
    /// Percent of requests that fail in some way.
    pub(crate) failing: u64,
    /// Percent of requests that are never answered.
    pub(crate) hanging: u64,
}

/// One worker's view of the network.
pub(crate) struct SimNetwork {
    pub(crate) rng: Arc<SimRng>,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) behaviour: Arc<Mutex<BTreeMap<EndpointId, Behaviour>>>,
}

impl SimNetwork {
    fn key(request: &Request) -> DeliveryKey {
        let id = request.headers.get("webhook-id").and_then(|value| value.to_str().ok());
        let message = id.and_then(|id| id.parse().ok()).expect("the dialect names the message");
        DeliveryKey { message, endpoint: request.endpoint }
    }
}

/// A request under way; over when dropped.
struct UnderWay {
    key: DeliveryKey,
    seen: Arc<Mutex<Seen>>,
}

impl UnderWay {
    fn begin(key: DeliveryKey, seen: &Arc<Mutex<Seen>>) -> Self {
        let mut noted = seen.lock();
        let before = noted.under_way.entry(key).or_default();
        *before += 1;
        if *before > 1 {
            *noted.beside.entry(key).or_default() += 1;
        }
        drop(noted);
        Self { key, seen: Arc::clone(seen) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(count) = self.seen.lock().under_way.get_mut(&self.key) {
            *count -= 1;
        }
    }
}

#[async_trait]
impl Transport for SimNetwork {
    async fn send(&self, request: Request) -> Exchange {
        let key = Self::key(&request);
        let _under_way = UnderWay::begin(key, &self.seen);
        let behaviour = self.behaviour.lock().get(&request.endpoint).copied();
        let behaviour = behaviour.unwrap_or(Behaviour { failing: 0, hanging: 0 });
        let took = Duration::from_millis(1 + self.rng.below(400));
        let exchange =
            |result, took| Exchange { result, timings: Timings { total: took, ..Timings::default() }, peer: None };
        if self.rng.chance(behaviour.hanging) {
            tokio::time::sleep(request.timeout).await;
            return exchange(Exchanged::TimedOut, request.timeout);
        }
        if self.rng.chance(behaviour.failing) {
            tokio::time::sleep(took).await;
            let result = match self.rng.below(6) {
                0 => Exchanged::ConnectFailed("connection refused".to_owned()),
                1 => Exchanged::StaleConnection,
                2 => Exchanged::BrokenOff("connection reset".to_owned()),
                3 => answer(503, Some("7")),
                4 => answer(500, Some("1e300")),
                _ => answer(404, None),
            };
            return exchange(result, took);
        }
        tokio::time::sleep(took).await;
        let mut seen = self.seen.lock();
        *seen.taken.entry(key).or_default() += 1;
        seen.order.entry(key.endpoint).or_default().push(key.message);
        exchange(answer(204, None), took)
    }

    fn forget(&self, _: EndpointId) {}
}

fn answer(status: u16, retry_after: Option<&str>) -> Exchanged {
    let mut headers = http::HeaderMap::new();
    if let Some(value) = retry_after {
        headers.insert(http::header::RETRY_AFTER, value.parse().expect("a header value"));
    }
    Exchanged::Response(Response {
        status: http::StatusCode::from_u16(status).expect("a status"),
        headers,
        body: Bytes::from_static(b"answer"),
        truncated: false,
    })
}
