//! How a request leaves and what comes back.
//!
//! Implemented by `hookyard-egress` and by the simulated network; called by the engine for every attempt.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hookyard_model::{BlockedBy, EndpointId, Method, Peer, Timings, Trust};
use url::Url;

/// Sends requests. Never fails by itself: whatever the world does is an [`Exchanged`].
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Makes one request: no redirect is followed, nothing is repeated. Ends within the request's time limit.
    async fn send(&self, request: Request) -> Exchange;

    /// Closes what is kept open for an endpoint; called when it changes or goes.
    fn forget(&self, endpoint: EndpointId);
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose connections may be used.
    pub endpoint: EndpointId,
    /// Where to.
    pub url: Url,
    /// How its address is judged.
    pub trust: Trust,
    /// The method.
    pub method: Method,
    /// All headers but the transport's own (Host, Content-Length, Connection); values may be credentials.
    pub headers: http::HeaderMap,
    /// The exact bytes.
    pub body: Bytes,
    /// From DNS to the last byte of the answer.
    pub timeout: Duration,
}

/// What came of a request, and how long it took.
#[derive(Debug)]
pub struct Exchange {
    /// What came of it.
    pub result: Exchanged,
    /// How long its parts took.
    pub timings: Timings,
    /// Whom the connection reached.
    pub peer: Option<Peer>,
}

/// What came of a request.
#[derive(Debug)]
pub enum Exchanged {
    /// An answer with a status.
    Response(Response),
    /// The time limit ran out.
    TimedOut,
    /// The name could not be resolved.
    DnsFailed(String),
    /// No connection could be made.
    ConnectFailed(String),
    /// TLS could not be set up.
    TlsFailed(String),
    /// The connection ended or broke HTTP before the answer's headers were complete.
    BrokenOff(String),
    /// A kept-alive connection was closed before any byte of the answer; a fresh one may be tried at once.
    StaleConnection,
    /// The guard or the proxy did not let it out.
    Blocked(BlockedBy),
}

/// An answer. Its body may be incomplete: the status has decided by then.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: http::StatusCode,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The first bytes of the body, at most `limits::RESPONSE_BYTES_KEPT`.
    pub body: Bytes,
    /// Whether the body went on, or broke off.
    pub truncated: bool,
}
