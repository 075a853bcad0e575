//! The bytes of one connection, plain or in TLS, and two facts about them that HTTP does not tell.
//!
//! Used by [`crate::connection`] below hyper. *Heard*: whether any byte of an answer came, which decides if a closed
//! connection was merely stale. *Mute*: whether writing failed. A receiver may answer and close before it has read the
//! whole request; the write then fails while the answer is waiting to be read, so a failed write is only noted and the
//! read decides what became of the request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connected stream.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What is known of a connection's bytes; shared with whoever owns the connection.
#[derive(Default)]
pub(crate) struct Facts {
    heard: AtomicBool,
    mute: AtomicBool,
}

impl Facts {
    /// Forgets what was heard: a new request begins.
    pub(crate) fn begin(&self) {
        self.heard.store(false, Ordering::Relaxed);
    }

    /// Whether a byte came since the request began.
    pub(crate) fn heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether a write has failed.
    pub(crate) fn mute(&self) -> bool {
        self.mute.load(Ordering::Relaxed)
    }
}

/// A stream that keeps its facts.
pub(crate) struct Wire {
    stream: Stream,
    facts: Arc<Facts>,
}

impl Wire {
    pub(crate) const fn new(stream: Stream, facts: Arc<Facts>) -> Self {
        Self { stream, facts }
    }

    fn written(&self, poll: Poll<io::Result<usize>>, wanted: usize) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(ready!(poll).unwrap_or_else(|_| {
            self.facts.mute.store(true, Ordering::Relaxed);
            wanted
        })))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        })?;
        if buf.filled().len() > before {
            self.facts.heard.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.facts.mute() {
            return Poll::Ready(Ok(buf.len()));
        }
        let poll = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        };
        self.written(poll, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        if self.facts.mute() {
            return Poll::Ready(Ok(wanted));
        }
        let poll = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, bufs),
        };
        self.written(poll, wanted)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.facts.mute() {
            return Poll::Ready(Ok(()));
        }
        let poll = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        };
        self.written(poll.map_ok(|()| 0), 0).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_though_writing_has_failed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let facts = Arc::<Facts>::default();
        let mut wire = Wire::new(Stream::Plain(stream), Arc::clone(&facts));
        wire.write_all(b"the beginning of a request").await.unwrap();
        let (mut receiver, _) = listener.accept().unwrap();
        receiver.read_exact(&mut [0]).unwrap();
        receiver.write_all(b"answer").unwrap();
        // Closing with bytes unread resets the connection.
        drop(receiver);
        while !facts.mute() {
            wire.write_all(b"more of it").await.expect("a failed write is noted, not told");
        }
        assert!(!facts.heard());
        let mut answer = [0; 6];
        wire.read_exact(&mut answer).await.unwrap();
        assert_eq!((&answer, facts.heard()), (b"answer", true));
        facts.begin();
        assert!(!facts.heard() && facts.mute(), "a connection that cannot be written to stays so");
    }
}
