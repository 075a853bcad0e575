//! Generates load: requests over kept-alive connections, as fast as they are answered or at a steady rate.
//!
//! At a steady rate the latency of a request counts from when it was to be sent, not from when a connection was free for
//! it, so that a stall is not hidden by the pause it causes. What a timer is late by is not a stall ([`TIMER`]).

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hdrhistogram::Histogram;
use hookyard_ports::Clock;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::measure::{self, Latency, nanoseconds};
use super::payload;
use super::wire::Connection;

/// How late the runtime's timers may be: they count whole milliseconds.
const TIMER: Duration = Duration::from_millis(2);

/// What to send, where to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Where to.
    pub address: SocketAddr,
    /// The path of the request.
    pub path: String,
    /// The bearer token; without one the payload is the whole body.
    pub token: Option<String>,
    /// How many connections.
    pub connections: usize,
    /// The number of the first message.
    pub first: u64,
    /// How many messages.
    pub messages: u64,
    /// How many of them in one request.
    pub batch: u64,
    /// Bytes of a payload.
    pub payload: usize,
    /// Messages per second; `None` is as fast as they are answered.
    pub rate: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Generated {
    /// Messages whose request was answered with 2xx.
    pub acknowledged: u64,
    /// Messages whose request was answered otherwise, or not at all. A connection that breaks ends its share of the load.
    pub failed: u64,
    /// The status of the first answer that was not 2xx.
    pub refused: Option<u16>,
    /// When the first was sent, in nanoseconds since the epoch.
    pub began: u64,
    /// From sending (or from when it was to be sent) to the answer.
    pub accept: Latency,
}

/// Sends the whole load. `acknowledged` is told the number of each message that was answered with 2xx.
pub(crate) async fn generate(
    load: Load,
    clock: Arc<dyn Clock>,
    acknowledged: impl Fn(u64) + Send + Sync + 'static,
) -> anyhow::Result<Generated> {
    let shared = Arc::new(Shared {
        next: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        refused: OnceLock::new(),
        accepted: AtomicU64::new(0),
        accept: Mutex::new(measure::histogram()?),
        acknowledged: Box::new(acknowledged),
        began: Instant::now(),
        clock: Arc::clone(&clock),
        load,
    });
    let began = nanoseconds(clock.now());
    let mut connections = JoinSet::new();
    for _ in 0..shared.load.connections {
        connections.spawn(Arc::clone(&shared).run());
    }
    while let Some(ended) = connections.join_next().await {
        ended?;
    }
    let accept = shared.accept.lock();
    Ok(Generated {
        acknowledged: shared.accepted.load(Ordering::Relaxed),
        failed: shared.failed.load(Ordering::Relaxed),
        refused: shared.refused.get().copied(),
        began,
        accept: Latency::of(&accept),
    })
}

struct Shared {
    load: Load,
    next: AtomicU64,
    failed: AtomicU64,
    refused: OnceLock<u16>,
    accepted: AtomicU64,
    accept: Mutex<Histogram<u64>>,
    acknowledged: Box<dyn Fn(u64) + Send + Sync>,
    began: Instant,
    clock: Arc<dyn Clock>,
}

impl Generated {
    /// Why messages were not accepted, as far as their answers tell.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.refused.map(|status| match status {
            503 => {
                "the server answered 503, because it is stopping, its disk is nearly full or it has too much pending"
                    .to_owned()
            }
            status => format!("the server answered {status}"),
        })
    }

    /// Fails unless every message was accepted; `what` names them.
    pub(crate) fn complete(&self, what: &str) -> anyhow::Result<()> {
        let failed = self.failed;
        let why = self.refusal().unwrap_or_else(|| "their connections broke off".to_owned());
        anyhow::ensure!(failed == 0, "{failed} {what} were not accepted: {why}");
        Ok(())
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut request = Vec::new();
        let mut connection: Option<Connection> = None;
        loop {
            let batch = self.load.batch.max(1);
            let index = self.next.fetch_add(batch, Ordering::Relaxed);
            if index >= self.load.messages {
                return;
            }
            let due = self.due(index);
            if let Some(due) = due {
                tokio::time::sleep_until(due).await;
            }
            let late = due.map_or(Duration::ZERO, |due| now().saturating_duration_since(due));
            let stalled = if late > TIMER { late } else { Duration::ZERO };
            let sent = now().checked_sub(stalled).unwrap_or_else(now);
            let numbers = self.load.first + index..self.load.first + (index + batch).min(self.load.messages);
            self.write(&mut request, numbers.clone(), stalled);
            match self.exchange(&mut connection, &request).await {
                Ok(status) if (200..300).contains(&status) => {
                    self.accepted.fetch_add(numbers.end - numbers.start, Ordering::Relaxed);
                    numbers.for_each(&self.acknowledged);
                    let took = now().saturating_duration_since(sent);
                    self.accept.lock().saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
                }
                answer => {
                    self.failed.fetch_add(numbers.end - numbers.start, Ordering::Relaxed);
                    let Ok(status) = answer else { return };
                    // The first one says enough.
                    let _ = self.refused.set(status);
                }
            }
        }
    }

    fn due(&self, index: u64) -> Option<Instant> {
        let rate = self.load.rate.filter(|rate| *rate > 0)?;
        Some(self.began + Duration::from_nanos(index.saturating_mul(1_000_000_000 / rate)))
    }

    async fn exchange(&self, connection: &mut Option<Connection>, request: &[u8]) -> std::io::Result<u16> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(Connection::new(TcpStream::connect(self.load.address).await?)?),
        };
        connection.write(request).await?;
        connection.response().await
    }

    fn write(&self, request: &mut Vec<u8>, numbers: Range<u64>, stalled: Duration) {
        use std::io::Write as _;
        const BEFORE: &str = r#"{"eventType":"bench.message","payload":"#;
        /// A batch without its messages; they come before the last two characters.
        const LIST: &str = r#"{"messages":[]}"#;
        request.clear();
        let Load { address, path, payload: size, token, batch, .. } = &self.load;
        let count = usize::try_from(numbers.end - numbers.start).expect("a request has room for its messages");
        let envelope = if token.is_some() { BEFORE.len() + 1 } else { 0 };
        // What stands between two of a batch, and around them.
        let list = if *batch > 1 { LIST.len() + count - 1 } else { 0 };
        let length = count * (payload::size(*size) + envelope) + list;
        let at = nanoseconds(self.clock.now().minus(stalled));
        write!(request, "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n")
            .expect("writing to memory cannot fail");
        if let Some(token) = token {
            write!(request, "authorization: Bearer {token}\r\n").expect("writing to memory cannot fail");
        }
        write!(request, "content-length: {length}\r\n\r\n").expect("writing to memory cannot fail");
        if *batch > 1 {
            request.extend_from_slice(&LIST.as_bytes()[..LIST.len() - 2]);
        }
        let first = numbers.start;
        for number in numbers {
            if number > first {
                request.push(b',');
            }
            if token.is_some() {
                request.extend_from_slice(BEFORE.as_bytes());
            }
            payload::write(request, *size, number, at);
            if token.is_some() {
                request.push(b'}');
            }
        }
        if *batch > 1 {
            request.extend_from_slice(&LIST.as_bytes()[LIST.len() - 2..]);
        }
    }
}

fn now() -> Instant {
    Instant::now()
}
