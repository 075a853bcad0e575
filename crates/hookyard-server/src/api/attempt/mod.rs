//! Attempts on the wire.

pub(crate) mod get;
pub(crate) mod list;

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_model::{Attempt, AttemptId, EndpointId, MessageId, Outcome, Peer, Timestamp, Timings, Trigger};
use serde::Serialize;

use crate::api::message::Content;
use crate::reply::Text;

/// Svix's `MessageAttemptOut`, and our own fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttemptOut<'a> {
    id: Text<AttemptId>,
    msg_id: Text<MessageId>,
    endpoint_id: Text<EndpointId>,
    url: &'a str,
    status: u8,
    status_text: &'static str,
    trigger_type: u8,
    response: Cow<'a, str>,
    response_status_code: u16,
    response_duration_ms: u64,
    timestamp: Text<Timestamp>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    request_headers: Vec<(&'a str, &'a str)>,
    response_headers: Vec<(&'a str, &'a str)>,
    timings: TimingsOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Cow<'a, str>>,
    truncated: bool,
}

/// How long the parts took, in milliseconds; a part that was not reached is `null`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TimingsOut {
    dns: Option<f64>,
    connect: Option<f64>,
    tls: Option<f64>,
    first_byte: Option<f64>,
    total: f64,
}

impl<'a> AttemptOut<'a> {
    pub(crate) fn new(attempt: &'a Attempt, content: Content) -> Self {
        let delivered = attempt.outcome == Outcome::Delivered;
        let response = attempt.response.as_ref();
        let hint = attempt.outcome.blocked().and_then(|by| by.hint.as_deref());
        Self {
            id: Text(attempt.id),
            msg_id: Text(attempt.message),
            endpoint_id: Text(attempt.endpoint),
            url: &attempt.url,
            status: if delivered { 0 } else { 2 },
            status_text: if delivered { "success" } else { "fail" },
            trigger_type: match attempt.trigger {
                Trigger::Scheduled => 0,
                Trigger::Manual => 1,
            },
            response: match content {
                Content::With => shown_response(attempt),
                Content::Without => "{}".into(),
            },
            response_status_code: response.map_or(0, |response| response.status),
            response_duration_ms: u64::try_from(attempt.timings.total.as_millis()).unwrap_or(u64::MAX),
            timestamp: Text(attempt.started),
            outcome: attempt.outcome.as_str(),
            detail: attempt.outcome.detail(),
            hint,
            request_headers: header_lines(&attempt.request_headers),
            response_headers: response.map_or_else(Vec::new, |response| header_lines(&response.headers)),
            timings: TimingsOut::from(&attempt.timings),
            peer: attempt.peer.as_ref().map(|peer| match peer {
                Peer::Direct(address) => address.to_string().into(),
                Peer::Proxy(name) => name.as_str().into(),
            }),
            truncated: response.is_some_and(|response| response.truncated),
        }
    }
}

/// The body as text, in base64 when it is none; without an answer, what went wrong.
fn shown_response(attempt: &Attempt) -> Cow<'_, str> {
    match &attempt.response {
        None => attempt.outcome.detail().unwrap_or_default().into(),
        Some(response) => match std::str::from_utf8(&response.body) {
            Ok(text) => text.into(),
            // A character that the cut went through is no reason to show the rest in base64.
            Err(error) if response.truncated && error.error_len().is_none() => {
                String::from_utf8_lossy(&response.body[..error.valid_up_to()])
            }
            Err(_) => STANDARD.encode(&response.body).into(),
        },
    }
}

fn header_lines(text: &str) -> Vec<(&str, &str)> {
    let pair = |line: &'_ str| line.len().min(line.find(':').unwrap_or(line.len()));
    text.lines()
        .map(|line| {
            let (name, value) = line.split_at(pair(line));
            (name, value.strip_prefix(':').unwrap_or(value).trim())
        })
        .collect()
}

impl From<&Timings> for TimingsOut {
    fn from(timings: &Timings) -> Self {
        let millis = |span: Duration| span.as_secs_f64() * 1_000.0;
        Self {
            dns: timings.dns.map(millis),
            connect: timings.connect.map(millis),
            tls: timings.tls.map(millis),
            first_byte: timings.first_byte.map(millis),
            total: millis(timings.total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines_become_pairs() {
        assert_eq!(
            header_lines("content-type: text/plain\nset-cookie: a:b\nodd"),
            [("content-type", "text/plain"), ("set-cookie", "a:b"), ("odd", "")]
        );
        assert!(header_lines("").is_empty());
    }
}
