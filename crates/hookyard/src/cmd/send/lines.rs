//! Lines of a stream, each within a limit.
//!
//! Waiting for the next line may be given up and begun again without losing what was read.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// Reads lines.
pub(super) struct Lines<R> {
    reader: R,
    partial: Vec<u8>,
    /// Whether the rest of a line that is too long is being skipped.
    skipping: bool,
    max: usize,
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its line break.
    Text(Vec<u8>),
    /// It was longer than the limit and is gone.
    TooLong,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Lines of at most `max` bytes.
    pub(super) fn new(reader: R, max: usize) -> Self {
        Self { reader, partial: Vec::new(), skipping: false, max }
    }

    /// The next line; `None` at the end.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                let rest = !self.partial.is_empty() || self.skipping;
                return Ok(rest.then(|| self.finish()));
            }
            let (end, used) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(at) => (Some(at), at + 1),
                None => (None, chunk.len()),
            };
            let part = &chunk[..end.unwrap_or(used)];
            if self.skipping || self.partial.len() + part.len() > self.max {
                self.skipping = true;
                self.partial.clear();
            } else {
                self.partial.extend_from_slice(part);
            }
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(self.finish()));
            }
        }
    }

    fn finish(&mut self) -> Line {
        if std::mem::take(&mut self.skipping) { Line::TooLong } else { Line::Text(std::mem::take(&mut self.partial)) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    async fn lines(text: &str, max: usize, chunk: usize) -> Vec<Option<String>> {
        let mut lines = Lines::new(BufReader::with_capacity(chunk, text.as_bytes()), max);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.expect("memory can be read") {
            read.push(match line {
                Line::Text(bytes) => Some(String::from_utf8(bytes).expect("UTF-8")),
                Line::TooLong => None,
            });
        }
        read
    }

    #[tokio::test]
    async fn lines_are_bounded_at_their_edge_however_they_arrive() {
        for chunk in [1, 2, 3, 100] {
            let text = "abc\nabcd\n\nab";
            let expected = [Some("abc"), None, Some(""), Some("ab")].map(|line| line.map(str::to_owned));
            assert_eq!(lines(text, 3, chunk).await, expected, "chunks of {chunk}");
            assert_eq!(lines("abcd", 3, chunk).await, [None], "chunks of {chunk}");
            assert_eq!(lines("", 3, chunk).await, Vec::<Option<String>>::new());
        }
    }
}
