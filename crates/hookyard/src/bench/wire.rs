//! Just enough HTTP/1.1 to generate and to receive load.
//!
//! The generator and the receiver share the machine with what they measure, so they must cost as little as they can: one
//! buffer per connection, no allocation per message. Not for anything but a benchmark.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The most that one message of a benchmark may take on the wire.
const BUFFER: usize = 4 * 1024 * 1024;

/// A connection and what was read from it beyond the last message.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// Where the parts of a message stand in the buffer.
#[derive(Debug, Clone, Copy)]
struct Extent {
    head: usize,
    body: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 16 * 1024], filled: 0 })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads a response and returns its status.
    pub(super) async fn response(&mut self) -> io::Result<u16> {
        self.response_with(|status, _| status).await
    }

    /// Reads a response and shows its status and its body.
    pub(super) async fn response_with<T>(&mut self, read: impl FnOnce(u16, &[u8]) -> T) -> io::Result<T> {
        let (extent, status) = loop {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut headers);
            match response.parse(&self.buffer[..self.filled]).map_err(bad)? {
                httparse::Status::Complete(head) => {
                    let body = content_length(response.headers)?;
                    break (Extent { head, body }, response.code.unwrap_or(0));
                }
                httparse::Status::Partial => {
                    if !self.fill().await? {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        };
        self.complete(extent).await?;
        let seen = read(status, &self.buffer[extent.head..extent.head + extent.body]);
        self.take(extent);
        Ok(seen)
    }

    /// Reads a request and shows its target, a header and its body; `None` when the peer closed the connection.
    pub(super) async fn request<T>(
        &mut self,
        header: &str,
        read: impl FnOnce(&str, &[u8], &[u8]) -> T,
    ) -> io::Result<Option<T>> {
        let (extent, target, value) = loop {
            let mut headers = [httparse::EMPTY_HEADER; 48];
            let mut request = httparse::Request::new(&mut headers);
            match request.parse(&self.buffer[..self.filled]).map_err(bad)? {
                httparse::Status::Complete(head) => {
                    let body = content_length(request.headers)?;
                    let target = range_of(&self.buffer, request.path.unwrap_or_default().as_bytes());
                    let value = request.headers.iter().find(|known| known.name.eq_ignore_ascii_case(header));
                    let value = range_of(&self.buffer, value.map_or(&[], |known| known.value));
                    break (Extent { head, body }, target, value);
                }
                httparse::Status::Partial => {
                    if !self.fill().await? {
                        return Ok(None);
                    }
                }
            }
        };
        self.complete(extent).await?;
        let body = &self.buffer[extent.head..extent.head + extent.body];
        let target = std::str::from_utf8(&self.buffer[target]).map_err(|_| io::ErrorKind::InvalidData)?;
        let seen = read(target, &self.buffer[value], body);
        self.take(extent);
        Ok(Some(seen))
    }

    /// Waits until the peer closes the connection, and answers nothing.
    pub(super) async fn hang(&mut self) -> io::Result<()> {
        loop {
            self.filled = 0;
            if !self.fill().await? {
                return Ok(());
            }
        }
    }

    async fn fill(&mut self) -> io::Result<bool> {
        if self.filled == self.buffer.len() {
            if self.buffer.len() >= BUFFER {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
        self.filled += read;
        Ok(read > 0)
    }

    /// Reads until the whole message is in the buffer.
    async fn complete(&mut self, extent: Extent) -> io::Result<()> {
        while self.filled < extent.head + extent.body {
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Removes a complete message from the buffer.
    fn take(&mut self, extent: Extent) {
        let end = extent.head + extent.body;
        self.buffer.copy_within(end..self.filled, 0);
        self.filled -= end;
    }
}

fn range_of(buffer: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(buffer.as_ptr() as usize).min(buffer.len());
    start..(start + part.len()).min(buffer.len())
}

fn content_length(headers: &[httparse::Header<'_>]) -> io::Result<usize> {
    let Some(header) = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length")) else {
        return Ok(0);
    };
    let length = std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
    length.filter(|length| *length <= BUFFER).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn bad(_: httparse::Error) -> io::Error {
    io::ErrorKind::InvalidData.into()
}
