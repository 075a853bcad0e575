//! `hookyard send --ndjson`: a stream of payloads, published in batches.
//!
//! One batch is in memory at a time. A batch is repeated under its key when the server asks for patience or the connection
//! breaks, so that nothing of it is published twice. What is refused is told with its line and holds nothing else back.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use hookyard_model::limits;
use hookyard_ports::{Rng as _, SystemRng};
use serde_json::Value;
use tokio::io::{AsyncRead, BufReader};

use super::lines::{Line, Lines};
use super::{PAYLOAD_BYTES, Send, batch};
use crate::cmd::client::{Client, Options, error_text};
use crate::cmd::failure::Failure;

/// Messages of one batch.
const BATCH_MESSAGES: usize = limits::BATCH_MESSAGES / 2;
/// Bytes of one batch at which it is sent; one more message still fits into the server's limit.
const BATCH_BYTES: usize = limits::API_BODY_BYTES / 4;
/// How long a batch waits for another line.
const LINGER: Duration = Duration::from_millis(50);
/// How often a batch is tried.
const TRIES: u32 = 6;
/// Refused lines that are told one by one.
const TOLD: u64 = 20;

/// Publishes each line of `input`.
pub(super) async fn send(options: &Send, input: impl AsyncRead + Unpin) -> Result<(), Failure> {
    let mut stream = Stream {
        options,
        client: options.access.client()?,
        batch: Vec::new(),
        lines_of_batch: Vec::new(),
        bytes: 0,
        batches: 0,
        tally: Tally { progress: std::io::stderr().is_terminal(), ..Tally::default() },
    };
    let mut lines = Lines::new(BufReader::with_capacity(64 * 1024, input), PAYLOAD_BYTES);
    let mut number: u64 = 0;
    loop {
        // A caller's key names batches by their place, so their ends may depend on nothing but the lines.
        let next = if stream.batch.is_empty() || options.idempotency_key.is_some() {
            Ok(lines.next().await)
        } else {
            tokio::time::timeout(LINGER, lines.next()).await
        };
        let Ok(read) = next else {
            stream.flush().await?;
            continue;
        };
        let line = read.map_err(|error| Failure::Usage(format!("standard input cannot be read: {error}")))?;
        let Some(line) = line else { break };
        number += 1;
        stream.add(number, line).await?;
    }
    stream.flush().await?;
    stream.tally.finish()
}

struct Stream<'a> {
    options: &'a Send,
    client: Client,
    batch: Vec<Vec<u8>>,
    lines_of_batch: Vec<u64>,
    bytes: usize,
    batches: u64,
    tally: Tally,
}

impl Stream<'_> {
    async fn add(&mut self, number: u64, line: Line) -> Result<(), Failure> {
        let message = match line {
            Line::TooLong => Err(format!("is longer than {PAYLOAD_BYTES} bytes")),
            Line::Text(line) if line.trim_ascii().is_empty() => return Ok(()),
            Line::Text(line) => match std::str::from_utf8(&line) {
                Ok(text) => self.options.message(text),
                Err(_) => Err("is not UTF-8".to_owned()),
            },
        };
        let message = match message {
            Ok(message) => message,
            Err(why) => {
                self.tally.wrong(number, &why);
                return Ok(());
            }
        };
        if self.bytes + message.len() > limits::API_BODY_BYTES - 16 {
            self.flush().await?;
        }
        self.bytes += message.len() + 1;
        self.batch.push(message);
        self.lines_of_batch.push(number);
        if self.batch.len() >= BATCH_MESSAGES || self.bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let body = batch(&self.batch);
        self.batches += 1;
        let key = match &self.options.idempotency_key {
            Some(key) => format!("{key}.{}", self.batches),
            None => random_key(),
        };
        let answer = self.publish(body, Options { idempotency_key: Some(key) }).await?;
        let answers = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        if answers.len() != self.batch.len() {
            return Err(Failure::Server("the server's answer does not have one entry for each message".to_owned()));
        }
        for (number, answer) in self.lines_of_batch.drain(..).zip(answers) {
            if answer["status"].as_u64().is_some_and(|status| (200..300).contains(&status)) {
                self.tally.sent += 1;
            } else {
                self.tally.refused(number, &error_text(&answer["error"]).unwrap_or_default());
            }
        }
        self.batch.clear();
        self.bytes = 0;
        self.tally.show();
        Ok(())
    }

    async fn publish(&mut self, body: bytes::Bytes, options: Options) -> Result<Value, Failure> {
        let path = ["app", &self.options.app, "msg", "batch"];
        let mut tried = 0;
        loop {
            tried += 1;
            let failure = match self.client.post(&path, body.clone(), &options).await {
                Ok(answer) => return answer.json(),
                Err(failure) => failure,
            };
            // A server that never answered is told at once; one that did may be restarting.
            let passing = matches!(failure, Failure::Unreachable(_) | Failure::Server(_)) && self.tally.sent > 0;
            if !passing || tried == TRIES {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_secs(1 << (tried - 1))).await;
        }
    }
}

fn random_key() -> String {
    let mut bytes = [0; 16];
    SystemRng.fill(&mut bytes);
    hex::encode(bytes)
}

/// What became of the lines.
#[derive(Default)]
struct Tally {
    sent: u64,
    wrong: u64,
    refused: u64,
    progress: bool,
}

impl Tally {
    fn wrong(&mut self, number: u64, why: &str) {
        self.wrong += 1;
        self.tell(number, why);
    }

    fn refused(&mut self, number: u64, why: &str) {
        self.refused += 1;
        self.tell(number, why);
    }

    fn tell(&self, number: u64, why: &str) {
        let told = self.wrong + self.refused;
        if told <= TOLD {
            say(&format!("line {number}: {why}\n"));
        } else if told == TOLD + 1 {
            say("more lines were refused\n");
        }
    }

    fn show(&self) {
        if self.progress {
            say(&format!("\r{} sent", self.sent));
        }
    }

    fn finish(&self) -> Result<(), Failure> {
        if self.progress {
            say("\r");
        }
        let (sent, wrong, refused) = (self.sent, self.wrong, self.refused);
        say(&format!("{sent} messages sent\n"));
        if wrong > 0 {
            return Err(Failure::Usage(format!(
                "{wrong} lines are not payloads, {refused} were refused, {sent} were sent"
            )));
        }
        if refused > 0 {
            return Err(Failure::Refused(format!("{refused} messages were refused, {sent} were sent")));
        }
        Ok(())
    }
}

/// Writes to standard error; whether anybody reads it changes nothing.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
