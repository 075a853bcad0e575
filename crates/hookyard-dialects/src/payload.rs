//! A message's payload as the body of a request, byte for byte, and back.
//!
//! Called by the dialects that send what was published and keep what came; they add their own headers to it.

use hookyard_model::Message;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use crate::{DecodeError, EncodeError, Encoded, header};

/// Bytes of a media type that are kept; the longest registered ones have half as many.
const CONTENT_TYPE_BYTES: usize = 256;
/// Headers of a request with those that the engine adds: room without growing.
const HEADERS: usize = 8;

/// The payload as it was published, under its own media type.
pub(crate) fn encode(message: &Message) -> Result<Encoded, EncodeError> {
    let body = message.payload.bytes().ok_or_else(|| EncodeError("its payload was expunged".to_owned()))?.clone();
    let content_type = match message.content_type.as_str() {
        "application/json" => HeaderValue::from_static("application/json"),
        other => HeaderValue::try_from(other)
            .map_err(|_| EncodeError(format!("its content type `{}` is not a header value", header::shown(other))))?,
    };
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, content_type);
    Ok(Encoded { headers, body })
}

/// The media type that a request gives, or `absent` where it gives none.
pub(crate) fn content_type(value: Option<&HeaderValue>, absent: &str) -> Result<String, DecodeError> {
    let Some(value) = value else { return Ok(absent.to_owned()) };
    let text = value.to_str().ok().filter(|text| !text.is_empty() && text.len() <= CONTENT_TYPE_BYTES);
    let refused = || DecodeError("header `content-type` must have 1 to 256 visible ASCII characters".to_owned());
    text.map(str::to_owned).ok_or_else(refused)
}
