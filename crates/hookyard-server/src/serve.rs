//! The loop that takes connections.
//!
//! HTTP/1.1 with keep-alive. Bounded: connections at once, bytes of headers, the time to send them and to take an answer. A
//! stop closes the listener, lets the requests in flight finish and closes what is idle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookyard_model::limits;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::doors::Doors;
use crate::patience::Impatient;

/// How long the loop rests when the system has no file for another connection.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How often it is said that no connection more is served.
const FULL_TOLD: Duration = Duration::from_mins(1);

impl Doors {
    /// Answers what comes in on `listener` until `stop` is cancelled.
    ///
    /// Afterwards every request that was in flight has its answer, or [`limits::SHUTDOWN_GRACE`] has passed and its
    /// connection is closed.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let service = TowerToHyperService::new(self.router());
        let room = Arc::new(Semaphore::new(self.connections));
        let mut full = Full { doors: Arc::clone(&self), told: None };
        let (connections, close) = (TaskTracker::new(), CancellationToken::new());
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = next(&listener, &room, &mut full) => accepted,
            };
            let Some((stream, peer, permit)) = accepted else { continue };
            let (service, stop, close) = (service.clone(), stop.clone(), close.clone());
            connections.spawn(async move {
                let connection = converse(stream, service, stop);
                tokio::select! {
                    biased;
                    result = connection => {
                        if let Err(error) = result {
                            tracing::debug!(%peer, %error, "a connection broke off");
                        }
                    }
                    () = close.cancelled() => tracing::warn!(%peer, "a request did not finish within the grace period"),
                }
                drop(permit);
            });
        }
        drop(listener);
        connections.close();
        if tokio::time::timeout(limits::SHUTDOWN_GRACE, connections.wait()).await.is_err() {
            close.cancel();
            connections.wait().await;
        }
    }
}

/// Says that no connection more is served: callers see nothing of it but silence.
struct Full {
    doors: Arc<Doors>,
    told: Option<Duration>,
}

impl Full {
    fn tell(&mut self) {
        let now = self.doors.clock.monotonic();
        if self.told.is_none_or(|told| now.saturating_sub(told) >= FULL_TOLD) {
            self.told = Some(now);
            let connections = self.doors.connections;
            tracing::warn!(connections, "the doors serve as many connections as they may; the next ones wait");
        }
    }
}

/// The next connection, once there is room for it; `None` when the system refused.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    full: &mut Full,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    if room.available_permits() == 0 {
        full.tell();
    }
    let permit = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((stream, peer)) => {
            // An answer is one small write that must not wait for another.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%peer, %error, "TCP_NODELAY was refused");
            }
            Some((stream, peer, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_REST).await;
            None
        }
    }
}

async fn converse(
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    stop: CancellationToken,
) -> hyper::Result<()> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_READ)
        .max_buf_size(limits::REQUEST_HEADER_BYTES)
        // What a single read brings may be more than the buffer's limit.
        .max_header_size(limits::REQUEST_HEADER_BYTES)
        .serve_connection(TokioIo::new(Impatient::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}
