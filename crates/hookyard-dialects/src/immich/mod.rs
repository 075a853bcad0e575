//! Immich's webhooks: `{id, eventName, timestamp, payload}`, the same again in `X-Immich-*` headers, and no signature.
//!
//! What leaves has the bytes that `JSON.stringify` makes of it, numbers in the publisher's own digits. `id` is derived
//! from message and endpoint (see [`delivery_id`]), so it is the same on every attempt and another one for each receiver,
//! as Immich has it. `timestamp` is the event time in UTC, cut to milliseconds. An event that the catalogue does not know
//! is sent like any other.
//!
//! Receivers know Immich by a header that the operator configures; in the other direction that is what is verified. Some
//! events carry passwords: they are masked (see `secrets`) unless the endpoint's option `redact` is `false`.
//!
//! Described at <https://github.com/immich-app/immich/pull/24035>. A payload at the deepest level allowed leaves one level
//! deeper, which Hookyard itself would not read back.

mod catalogue;
pub(crate) mod secrets;

use std::time::Duration;

use hookyard_model::{
    Endpoint, EndpointId, EndpointSettings, Message, MessageId, RetryPolicy, Secret, Timestamp, limits,
};
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use crate::json::{self, MemberOrder, Style};
use crate::{
    DecodeError, Decoded, Defaults, Dialect, EncodeError, Encoded, Inbound, OptionSpec, Outbound, RawRequest,
    SettingsError, Verified, envelope, header, shared_secret,
};

const EVENT: &str = "x-immich-event";
const DELIVERY_ID: &str = "x-immich-delivery-id";
const TIMESTAMP: &str = "x-immich-timestamp";

static OPTIONS: [OptionSpec; 1] = [secrets::REDACT];

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "immich",
    summary: "Immich: id, event name, timestamp and payload, unsigned; receivers check a header of the endpoint.",
    outbound: Some(&Immich),
    inbound: Some(&Immich),
    catalogue: &catalogue::EVENTS,
};

/// What it does.
pub(crate) struct Immich;

impl Outbound for Immich {
    /// Immich's own: three attempts in all, after two seconds and after four.
    fn defaults(&self) -> Defaults {
        let retry = RetryPolicy::Exponential {
            delay: Duration::from_secs(2),
            factor: 2.0,
            max_delay: limits::RETRY_DELAY,
            retries: 2,
            jitter: 0.0,
        };
        Defaults { retry: Some(retry), timeout: Some(Duration::from_secs(10)), ..Defaults::default() }
    }

    fn options(&self) -> &'static [OptionSpec] {
        &OPTIONS
    }

    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
        header::check(&endpoint.headers)?;
        shared_secret::refuse_keys(DIALECT.name, endpoint)
    }

    fn encode(&self, message: &Message, endpoint: &Endpoint, _: u8) -> Result<Encoded, EncodeError> {
        encode(&delivery_id(message.id, endpoint.id), message, secrets::are_masked(&endpoint.settings))
    }
}

/// The request for a message under this id.
fn encode(id: &str, message: &Message, are_masked: bool) -> Result<Encoded, EncodeError> {
    let payload = envelope::payload(message)?;
    let payload = secrets::masked(&message.event_type, payload, are_masked).map_err(envelope::not_json)?;
    let event = message.event_type.as_str();
    let timestamp = milliseconds(message.time());
    let mut body = Vec::with_capacity(payload.len() + event.len() + 128);
    body.extend_from_slice(b"{\"id\":");
    json::write_text(id, Style::JavaScript, &mut body);
    body.extend_from_slice(b",\"eventName\":");
    json::write_text(event, Style::JavaScript, &mut body);
    body.extend_from_slice(b",\"timestamp\":");
    json::write_text(&timestamp, Style::JavaScript, &mut body);
    body.extend_from_slice(b",\"payload\":");
    json::write(&payload, Style::JavaScript, MemberOrder::AsWritten, &mut body).map_err(envelope::not_json)?;
    body.push(b'}');
    let mut encoded = envelope::encoded(body);
    for (name, text) in [(EVENT, event), (DELIVERY_ID, id), (TIMESTAMP, &timestamp)] {
        encoded.headers.insert(name, HeaderValue::try_from(text).expect("names, ids and times are visible ASCII"));
    }
    Ok(encoded)
}

/// The id of a message at an endpoint: the first 16 bytes of the SHA-256 of the message's 20 bytes followed by the
/// endpoint's, with the bits set that make it a version 4 UUID (RFC 9562, section 5.4).
fn delivery_id(message: MessageId, endpoint: EndpointId) -> String {
    let digest =
        Sha256::new().chain_update(message.raw().as_bytes()).chain_update(endpoint.raw().as_bytes()).finalize();
    let mut uuid: [u8; 16] = digest[..16].try_into().expect("the digest is longer");
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let digits = hex::encode(uuid);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// The time as JavaScript's `toISOString` writes it; what is finer is cut off.
fn milliseconds(at: Timestamp) -> String {
    let mut text = at.to_string();
    // Six digits and `Z` stand at the end of every time.
    text.truncate(text.len() - 4);
    text.push('Z');
    text
}

impl Inbound for Immich {
    fn verify(&self, request: &RawRequest<'_>, secrets: &[Secret<String>], _: Timestamp) -> Verified {
        shared_secret::verify(request.headers, secrets)
    }

    fn decode(&self, request: &RawRequest<'_>) -> Result<Decoded, DecodeError> {
        let event_type = envelope::event_type(request.body, "eventName")?;
        let text = |name: &str, what: &str| {
            let text = json::member(request.body, name).and_then(json::text);
            text.ok_or_else(|| DecodeError(format!("member `{name}` must be a string with the {what}")))
        };
        let id = text("id", "delivery's id")?;
        if id.is_empty() || id.len() > limits::NAME_BYTES {
            return Err(DecodeError(format!("member `id` must have 1 to {} bytes", limits::NAME_BYTES)));
        }
        let timestamp = text("timestamp", "event's time")?;
        let event_time = timestamp.parse().map_err(|error| DecodeError(format!("member `timestamp`: {error}")))?;
        let payload = json::member(request.body, "payload");
        let payload = payload.ok_or_else(|| DecodeError("member `payload` is missing".to_owned()))?;
        Ok(Decoded {
            event_type,
            event_time: Some(event_time),
            deduplication_id: Some(id.into_owned()),
            content_type: "application/json".to_owned(),
            payload: request.body.slice_ref(payload),
        })
    }

    fn kept_headers(&self) -> &'static [&'static str] {
        &["traceparent", "tracestate", "user-agent", DELIVERY_ID, EVENT, TIMESTAMP]
    }
}

#[cfg(test)]
mod tests;
