//! The JSON format: attributes and data in one object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_model::{Message, is_json};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::Attributes;
use crate::json::{self, Style, Tokens};
use crate::{EncodeError, Encoded, envelope};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");

/// The event with its payload as `data`, as published, where that is JSON; else as `data_base64`.
pub(super) fn encode(message: &Message, attributes: &Attributes<'_>) -> Result<Encoded, EncodeError> {
    let payload = envelope::payload(message)?;
    let mut body = Vec::with_capacity(payload.len() + 512);
    body.push(b'{');
    for (name, value) in attributes.each() {
        member(name, value, &mut body);
    }
    member("datacontenttype", &message.content_type, &mut body);
    if is_json(&message.content_type) {
        if std::str::from_utf8(payload).is_err() {
            return Err(EncodeError("its payload is not JSON; it is not UTF-8".to_owned()));
        }
        if let Some(Err(error)) = Tokens::new(payload).find(Result::is_err) {
            return Err(envelope::not_json(error));
        }
        body.extend_from_slice(b",\"data\":");
        body.extend_from_slice(payload);
    } else {
        member("data_base64", &STANDARD.encode(payload), &mut body);
    }
    body.push(b'}');
    let mut encoded = envelope::encoded(body);
    encoded.headers.insert(CONTENT_TYPE, MEDIA_TYPE);
    Ok(encoded)
}

fn member(name: &str, value: &str, body: &mut Vec<u8>) {
    if body.len() > 1 {
        body.push(b',');
    }
    json::write_text(name, Style::JavaScript, body);
    body.push(b':');
    json::write_text(value, Style::JavaScript, body);
}
