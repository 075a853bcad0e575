//! One HTTP/1.1 connection and one exchange on it at a time.
//!
//! Used by the client. hyper splits a connection into a sender and a driver that must be polled; here both stay in one
//! place and whoever waits for an answer polls the driver. So a request costs no task and no wake-up between tasks, a
//! dropped connection is closed at once, and an idle one is looked at when it is taken out of the pool.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hookyard_model::limits;
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::wire::{Facts, Stream, Wire};

type Driver = http1::Connection<TokioIo<Wire>, Full<Bytes>>;

/// A connection; closed when dropped.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    driver: Option<Driver>,
    facts: Arc<Facts>,
    /// Whom it reached.
    pub(crate) peer: SocketAddr,
    /// When it was made, by the monotonic clock.
    pub(crate) opened: Duration,
    /// When it was last returned to the pool.
    pub(crate) idle_since: Duration,
}

impl Connection {
    /// Speaks HTTP on a stream.
    pub(crate) async fn open(stream: Stream, peer: SocketAddr, now: Duration) -> hyper::Result<Self> {
        let facts = Arc::new(Facts::default());
        let wire = Wire::new(stream, Arc::clone(&facts));
        // `max_headers` stays at hyper's own `limits::RESPONSE_HEADERS`: setting it makes every answer allocate.
        let (sender, driver) = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(2 * limits::RESPONSE_HEADER_READ)
            .max_header_size(limits::RESPONSE_HEADER_READ)
            .handshake(TokioIo::new(wire))
            .await?;
        Ok(Self { sender, driver: Some(driver), facts, peer, opened: now, idle_since: now })
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        // What ended it reaches whoever waits for the answer; without anyone waiting there is nothing to tell.
        if self.driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(cx).is_ready()) {
            self.driver = None;
        }
    }

    /// Whether another request can be sent, as far as this end has noticed.
    pub(crate) fn is_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.driver.is_some() && self.sender.is_ready() && !self.facts.mute()
    }

    /// Whether any byte of the answer to the last request came.
    pub(crate) fn heard(&self) -> bool {
        self.facts.heard()
    }

    /// Sends a request and waits for the headers of its answer.
    pub(crate) async fn send(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> hyper::Result<http::Response<Incoming>> {
        self.facts.begin();
        let mut answer = pin!(self.sender.send_request(request));
        poll_fn(|cx| {
            if self.driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(cx).is_ready()) {
                self.driver = None;
            }
            answer.as_mut().poll(cx)
        })
        .await
    }
}

/// How the reading of a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// It was read to its end.
    Complete,
    /// It went on, and reading stopped.
    TooLong,
    /// It broke off.
    Broken,
}

/// Reads the body of an answer, within `limits::RESPONSE_BYTES_READ`.
pub(crate) struct BodyReader {
    body: Incoming,
    kept: Vec<u8>,
    read: usize,
}

impl BodyReader {
    pub(crate) const fn new(body: Incoming) -> Self {
        Self { body, kept: Vec::new(), read: 0 }
    }

    pub(crate) fn poll_end(&mut self, connection: &mut Connection, cx: &mut Context<'_>) -> Poll<BodyEnd> {
        loop {
            // The limit does not depend on where one read ended, so a body beyond it is too long even when all of it came.
            if self.read > limits::RESPONSE_BYTES_READ {
                return Poll::Ready(BodyEnd::TooLong);
            }
            if self.body.is_end_stream() {
                return Poll::Ready(BodyEnd::Complete);
            }
            if self.read == limits::RESPONSE_BYTES_READ {
                return Poll::Ready(BodyEnd::TooLong);
            }
            connection.drive(cx);
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.read = self.read.saturating_add(data.len());
                    let room = limits::RESPONSE_BYTES_KEPT - self.kept.len();
                    self.kept.extend_from_slice(&data[..data.len().min(room)]);
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(BodyEnd::Broken),
                Poll::Ready(None) => return Poll::Ready(BodyEnd::Complete),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The first bytes, at most `limits::RESPONSE_BYTES_KEPT`, and whether there were more.
    ///
    /// They are copied out of hyper's buffer, which is larger and would live as long as they do.
    pub(crate) fn finish(self) -> (Bytes, bool) {
        let more = self.read > self.kept.len();
        (Bytes::from(self.kept), more)
    }
}

/// What a connection that ended before the answer's headers is called.
pub(crate) fn words(error: &hyper::Error) -> Cow<'static, str> {
    if error.is_parse_too_large() {
        let (bytes, count) = (limits::RESPONSE_HEADER_READ / 1024, limits::RESPONSE_HEADERS);
        return format!("answer has more than {bytes} KiB of headers, or more than {count} of them").into();
    }
    if error.is_parse() {
        return "answer is not HTTP/1".into();
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<io::Error>()
            && cause.kind() == io::ErrorKind::ConnectionReset
        {
            return "connection reset before an answer".into();
        }
        source = cause.source();
    }
    "connection closed before an answer".into()
}
