//! `hookyard send`: publishes one message, or a stream of them.

mod lines;
mod stream;

use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::AsyncReadExt as _;

use super::access::Access;
use super::client::Options;
use super::failure::Failure;
use super::output;

/// Bytes that a payload may have, so that the request around it stays within the server's limit.
const PAYLOAD_BYTES: usize = hookyard_model::limits::API_BODY_BYTES - 16 * 1024;

/// Publish a message.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The application, by id or uid.
    app: String,
    /// The event type.
    event_type: String,
    /// The payload, any JSON value; `-` reads it from standard input. Without it, `{}`.
    #[arg(allow_hyphen_values = true)]
    payload: Option<String>,
    /// Read standard input as one payload a line and publish each.
    #[arg(long, conflicts_with_all = ["event_id", "json"])]
    ndjson: bool,
    /// Who says it: `api`, or `server` for what an application's server says about itself.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Your own id for the event; the same id is accepted once.
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// Only for endpoints on this channel; may be repeated.
    #[arg(long, value_name = "CHANNEL")]
    channel: Vec<String>,
    /// A repeat under the same key publishes nothing. With `--ndjson`, a repeat of the same stream.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the message as JSON instead of its id.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// A message as the server takes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageIn<'a> {
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    channels: &'a [String],
    payload: &'a RawValue,
}

impl Send {
    /// Publishes, and prints the message's id or the number of messages.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if self.ndjson {
            if self.payload.as_deref().is_some_and(|payload| payload != "-") {
                return Err(Failure::Usage("`--ndjson` reads standard input; leave the payload out".to_owned()));
            }
            return stream::send(&self, tokio::io::stdin()).await;
        }
        let payload = match self.payload.as_deref() {
            Some("-") => read_stdin().await?,
            Some(payload) => payload.to_owned(),
            None => "{}".to_owned(),
        };
        let body = self.message(&payload).map_err(|why| Failure::Usage(format!("the payload {why}")))?;
        let options = Options { idempotency_key: self.idempotency_key.clone() };
        let mut client = self.access.client()?;
        let message = client.post(&["app", &self.app, "msg"], body.into(), &options).await?.json()?;
        if self.json {
            return output::json(&message);
        }
        match message["id"].as_str() {
            Some(id) => output::line(id),
            None => Err(Failure::Server("the server's answer has no message id".to_owned())),
        }
    }

    /// The request for one payload; the error says what is wrong with it.
    fn message(&self, payload: &str) -> Result<Vec<u8>, String> {
        if payload.len() > PAYLOAD_BYTES {
            return Err(format!("is longer than {PAYLOAD_BYTES} bytes"));
        }
        let payload: &RawValue = serde_json::from_str(payload.trim())
            .map_err(|error| format!("is not JSON: {error} (write a text as '\"text\"')"))?;
        let message = MessageIn {
            event_type: &self.event_type,
            event_id: self.event_id.as_deref(),
            origin: self.origin.as_deref(),
            channels: &self.channel,
            payload,
        };
        serde_json::to_vec(&message).map_err(|error| error.to_string())
    }
}

async fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let bound = PAYLOAD_BYTES as u64 + 1;
    let read = tokio::io::stdin().take(bound).read_to_string(&mut text).await;
    read.map_err(|error| Failure::Usage(format!("standard input cannot be read as text: {error}")))?;
    Ok(text)
}

/// The request for a batch of messages.
fn batch(messages: &[Vec<u8>]) -> Bytes {
    let length: usize = messages.iter().map(|message| message.len() + 1).sum();
    let mut body = Vec::with_capacity(length + 16);
    body.extend_from_slice(b"{\"messages\":[");
    for (index, message) in messages.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(message);
    }
    body.extend_from_slice(b"]}");
    body.into()
}
