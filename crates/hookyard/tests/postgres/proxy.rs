//! A TCP proxy between a node and its database, which can be cut in several ways.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// Bytes pass.
    Open,
    /// Connections are reset, old ones and new ones.
    Reset,
    /// Connections stay, and no byte passes.
    Silent,
}

/// The proxy; gone when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    upstream: String,
    listening: Option<JoinSet<()>>,
}

impl Proxy {
    /// One before the server of a URL.
    pub(crate) async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let upstream = place(url);
        let line = watch::Sender::new(Line::Open);
        let listening = Some(listening(listener, &upstream, &line));
        Self { address, line, upstream, listening }
    }

    /// The same URL, through the proxy.
    pub(crate) fn url(&self, direct: &str) -> String {
        direct.replace(&self.upstream, &self.address.to_string())
    }

    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// Breaks everything off and listens no more: connections are refused.
    pub(crate) async fn refuse(&mut self) {
        if let Some(mut listening) = self.listening.take() {
            listening.shutdown().await;
        }
    }

    /// Listens again after [`Self::refuse`].
    pub(crate) async fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("nobody else took the port");
        self.set(Line::Open);
        self.listening = Some(listening(listener, &self.upstream, &self.line));
    }
}

/// Host and port of a URL.
fn place(url: &str) -> String {
    let url = url::Url::parse(url).expect("a URL");
    format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(5432))
}

fn listening(listener: TcpListener, upstream: &str, line: &watch::Sender<Line>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (upstream, line): (Arc<str>, _) = (Arc::from(upstream), line.subscribe());
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((near, _)) = listener.accept().await {
            connections.spawn(carry(near, Arc::clone(&upstream), line.clone()));
        }
    });
    tasks
}

async fn carry(near: TcpStream, upstream: Arc<str>, line: watch::Receiver<Line>) {
    // With no time to linger, closing is a reset.
    near.set_zero_linger().expect("the option is known");
    let carried = async {
        until_passing(&mut line.clone()).await?;
        let far = TcpStream::connect(&*upstream).await.ok()?;
        let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
        let (there, back) = (pass(near_read, far_write, line.clone()), pass(far_read, near_write, line.clone()));
        tokio::join!(there, back);
        Some(())
    };
    let mut watched = line.clone();
    let reset = watched.wait_for(|line| *line == Line::Reset);
    tokio::select! {
        biased;
        _ = reset => {}
        _ = carried => {}
    }
}

/// Waits until bytes may pass; `None` when the proxy is gone.
async fn until_passing(line: &mut watch::Receiver<Line>) -> Option<()> {
    line.wait_for(|line| *line == Line::Open).await.ok().map(drop)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut line: watch::Receiver<Line>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if until_passing(&mut line).await.is_none() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // One side has said everything; the other may still speak.
    let _ = tokio::time::timeout(Duration::from_secs(1), to.shutdown()).await;
}
