//! Receives load: answers at once and notes what arrived and when, or hangs, by the path of the request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hdrhistogram::Histogram;
use hookyard_ports::Clock;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::measure::{self, Latency, nanoseconds};
use super::payload;
use super::wire::Connection;

/// Requests to this path and below are read and never answered.
pub(crate) const HANG: &str = "/hang";

/// What arrived since the last reset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Different messages.
    pub messages: u64,
    /// Requests beyond the first of a message.
    pub duplicates: u64,
    /// Requests that hang or hung.
    pub hung: u64,
    /// When the last new message arrived, in nanoseconds since the epoch.
    pub last: u64,
    /// From sending by the generator to arriving here.
    pub delivery: Latency,
}

/// A receiver that listens on a port of its own.
pub(crate) struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

struct Seen {
    /// How often each number arrived, and the id it first arrived with, when ids are kept.
    counts: HashMap<u64, Arrival>,
    keep_ids: bool,
    first: u64,
    /// What was sent before it is of another run, in nanoseconds since the epoch.
    since: u64,
    duplicates: u64,
    hung: u64,
    last: u64,
    delivery: Histogram<u64>,
}

/// How a message arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// How often.
    pub times: u32,
    /// The id it came with.
    pub id: Option<String>,
}

impl Receiver {
    /// Begins to listen. What was sent before that is answered and not counted: a database keeps what an earlier run left.
    /// `keep_ids` keeps each message's id, which costs memory.
    pub(crate) async fn start(clock: Arc<dyn Clock>, keep_ids: bool) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let seen = Seen {
            counts: HashMap::new(),
            keep_ids,
            first: 0,
            since: nanoseconds(clock.now()),
            duplicates: 0,
            hung: 0,
            last: 0,
            delivery: measure::histogram()?,
        };
        let receiver = Self {
            address,
            seen: Arc::new(Mutex::new(seen)),
            stop: CancellationToken::new(),
            tracker: TaskTracker::new(),
        };
        let (seen, stop, tracker) = (Arc::clone(&receiver.seen), receiver.stop.clone(), receiver.tracker.clone());
        receiver.tracker.spawn(receiver.stop.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serve(stream, Arc::clone(&seen), Arc::clone(&clock));
                tracker.spawn(stop.clone().run_until_cancelled_owned(serving));
            }
        }));
        Ok(receiver)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What arrived since the last reset.
    pub(crate) fn received(&self) -> Received {
        let seen = self.seen.lock();
        Received {
            messages: seen.counts.len() as u64,
            duplicates: seen.duplicates,
            hung: seen.hung,
            last: seen.last,
            delivery: Latency::of(&seen.delivery),
        }
    }

    /// How a message arrived, if it did.
    pub(crate) fn arrival(&self, number: u64) -> Option<Arrival> {
        self.seen.lock().counts.get(&number).cloned()
    }

    /// How every message arrived.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.seen.lock().counts.values().cloned().collect()
    }

    /// Forgets what arrived, and minds no number below `first` any more: a straggler of an earlier part.
    pub(crate) fn reset(&self, first: u64) {
        let mut seen = self.seen.lock();
        seen.first = first;
        seen.counts.clear();
        seen.duplicates = 0;
        seen.hung = 0;
        seen.last = 0;
        seen.delivery.reset();
    }

    /// Closes everything.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Seen>>, clock: Arc<dyn Clock>) {
    // A peer that breaks off is what these benchmarks are about.
    let _ = answer_all(stream, &seen, clock.as_ref()).await;
}

async fn answer_all(stream: TcpStream, seen: &Mutex<Seen>, clock: &dyn Clock) -> std::io::Result<()> {
    let mut connection = Connection::new(stream)?;
    loop {
        let read = connection.request("webhook-id", |target, id, body| {
            if target.starts_with(HANG) {
                seen.lock().hung += 1;
                return false;
            }
            if let Some((number, sent)) = payload::read(body) {
                seen.lock().arrive(number, sent, nanoseconds(clock.now()), id);
            }
            true
        });
        match read.await? {
            Some(true) => connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?,
            Some(false) => return connection.hang().await,
            None => return Ok(()),
        }
    }
}

impl Seen {
    fn arrive(&mut self, number: u64, sent: u64, now: u64, id: &[u8]) {
        if number < self.first || sent < self.since {
            return;
        }
        let keep_ids = self.keep_ids;
        let arrival = self
            .counts
            .entry(number)
            .or_insert_with(|| Arrival { times: 0, id: keep_ids.then(|| String::from_utf8_lossy(id).into_owned()) });
        arrival.times += 1;
        if arrival.times > 1 {
            self.duplicates += 1;
        } else {
            self.last = now;
            self.delivery.saturating_record(now.saturating_sub(sent));
        }
    }
}
