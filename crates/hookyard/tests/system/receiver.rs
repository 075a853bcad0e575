//! Whom the binary delivers to: a port, and a script that says how each request is treated.
//!
//! Below HTTP libraries on purpose, because most of what receivers do wrong no library would do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::within;

/// What is fine.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// How many requests this connection had carried before.
    pub(crate) earlier_on_connection: usize,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// The head as it came, request line included.
    pub(crate) head: String,
    pub(crate) body: Bytes,
}

impl Arrived {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("`{name}` is missing in {self:?}"));
        value.to_str().expect("a header of text")
    }
}

/// How a request is treated.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// These bytes, and the connection stays open.
    Answer(Vec<u8>),
    /// These bytes, and the connection is closed.
    AnswerAndClose(Vec<u8>),
    /// These bytes, then this piece again and again for as long as somebody reads.
    Endless { first: Vec<u8>, piece: Vec<u8> },
    /// These bytes, then a byte in each span.
    Drip { first: Vec<u8>, every: Duration },
    /// Nothing for this long; then [`OK`].
    Late(Duration),
    /// Nothing, until the gate opens; then [`OK`].
    Hold(watch::Receiver<bool>),
    /// Closed without a byte.
    Close,
}

impl Manner {
    pub(crate) fn ok() -> Self {
        Self::Answer(OK.to_vec())
    }

    /// An answer of this status, without a body.
    pub(crate) fn status(line: &str) -> Self {
        Self::answer(line, "")
    }

    /// An answer with this status line and these further header lines, each ended.
    pub(crate) fn answer(line: &str, headers: &str) -> Self {
        Self::Answer(format!("HTTP/1.1 {line}\r\n{headers}content-length: 0\r\n\r\n").into_bytes())
    }
}

type Script = dyn Fn(usize, &Arrived) -> Manner + Send + Sync;

struct Shared {
    script: Box<Script>,
    arrived: Mutex<Vec<Arrived>>,
    connections: Mutex<usize>,
    changed: Notify,
}

/// A receiver; gone when dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    _listening: JoinSet<()>,
}

impl Receiver {
    /// Takes everything.
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| Manner::ok()).await
    }

    /// Treats requests as the script says, which is given how many arrived before.
    pub(crate) async fn with(script: impl Fn(usize, &Arrived) -> Manner + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            arrived: Mutex::default(),
            connections: Mutex::default(),
            changed: Notify::new(),
        });
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, Arc::clone(&shared)));
        Self { address, shared, _listening: listening }
    }

    /// Treats every request the same.
    pub(crate) async fn always(manner: Manner) -> Self {
        Self::with(move |_, _| manner.clone()).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Everything that has arrived.
    pub(crate) fn so_far(&self) -> Vec<Arrived> {
        self.shared.arrived.lock().clone()
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock()
    }

    /// Waits until `count` requests have arrived.
    pub(crate) async fn arrived(&self, count: usize) -> Vec<Arrived> {
        let level = async {
            loop {
                let changed = self.shared.changed.notified();
                let so_far = self.so_far();
                if so_far.len() >= count {
                    return so_far;
                }
                changed.await;
            }
        };
        within(&format!("{count} requests"), level).await
    }

    /// Waits for the first request.
    pub(crate) async fn first(&self) -> Arrived {
        self.arrived(1).await.swap_remove(0)
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        *shared.connections.lock() += 1;
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // A sender that goes away is no failure of the receiver.
            let _ = converse(stream, &shared).await;
        });
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    let mut earlier = 0;
    while let Some(arrived) = read(&mut stream, &mut buffer, earlier).await? {
        earlier += 1;
        let manner = {
            let mut all = shared.arrived.lock();
            let manner = (shared.script)(all.len(), &arrived);
            all.push(arrived);
            manner
        };
        shared.changed.notify_waiters();
        match manner {
            Manner::Answer(bytes) => stream.write_all(&bytes).await?,
            Manner::AnswerAndClose(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Manner::Endless { first, piece } => {
                stream.write_all(&first).await?;
                loop {
                    stream.write_all(&piece).await?;
                }
            }
            Manner::Drip { first, every } => {
                stream.write_all(&first).await?;
                let mut turn = tokio::time::interval(every);
                loop {
                    turn.tick().await;
                    stream.write_all(b"x").await?;
                }
            }
            Manner::Late(span) => {
                tokio::time::sleep(span).await;
                stream.write_all(OK).await?;
            }
            Manner::Hold(mut gate) => {
                // Whoever holds the gate may be gone, which opens nothing.
                if gate.wait_for(|open| *open).await.is_err() {
                    return Ok(());
                }
                stream.write_all(OK).await?;
            }
            Manner::Close => return Ok(()),
        }
    }
    Ok(())
}

/// The next request; `None` when the sender has closed the connection.
async fn read(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    earlier_on_connection: usize,
) -> std::io::Result<Option<Arrived>> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).map_err(std::io::Error::other)?;
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name = HeaderName::try_from(name).map_err(std::io::Error::other)?;
        headers.append(name, HeaderValue::try_from(value.trim()).map_err(std::io::Error::other)?);
    }
    let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = Bytes::from(buffer.drain(..length).collect::<Vec<u8>>());
    Ok(Some(Arrived { earlier_on_connection, target, headers, head, body }))
}
