//! The other mode: attributes as headers, the payload's own bytes as body.

use std::borrow::Cow;

use hookyard_model::Message;
use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

use super::Attributes;
use crate::{EncodeError, Encoded, payload};

/// What may not stand in a header's value as it is; characters beyond ASCII never may.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The payload under its own media type, the event's attributes beside it.
pub(super) fn encode(message: &Message, attributes: &Attributes<'_>) -> Result<Encoded, EncodeError> {
    let mut encoded = payload::encode(message)?;
    for (name, value) in attributes.each() {
        let name = match name {
            "specversion" => HeaderName::from_static("ce-specversion"),
            "id" => HeaderName::from_static("ce-id"),
            "source" => HeaderName::from_static("ce-source"),
            "type" => HeaderName::from_static("ce-type"),
            "time" => HeaderName::from_static("ce-time"),
            other => HeaderName::try_from(format!("ce-{other}")).expect("attributes are lower-case letters"),
        };
        let value = utf8_percent_encode(value, ESCAPED).to_string();
        encoded.headers.insert(name, HeaderValue::try_from(value).expect("all else is escaped"));
    }
    Ok(encoded)
}

/// What a header's value says: a quoted string is unquoted first, as older senders write it; `None` when it is not UTF-8.
pub(super) fn unescape(value: &[u8]) -> Option<String> {
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let value = quoted.map_or(Cow::Borrowed(value), |inner| {
        let mut unquoted = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(byte) = bytes.next() {
            unquoted.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
        }
        unquoted.into()
    });
    percent_decode(&value).decode_utf8().ok().map(Cow::into_owned)
}
