//! Reads an event: which mode a request is in, and what its attributes and its data say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookyard_model::is_json;
use http::header::CONTENT_TYPE;
use sha2::{Digest as _, Sha256};

use super::{JSON, VERSION, binary};
use crate::json::{self, Kind, Tokens};
use crate::{DecodeError, Decoded, RawRequest, payload};

/// What the media types of all formats begin with; that of batches goes on with `-batch`.
const FORMAT: &str = "application/cloudevents";

/// The event that a request is.
pub(super) fn decode(request: &RawRequest<'_>) -> Result<Decoded, DecodeError> {
    let content_type = payload::content_type(request.headers.get(CONTENT_TYPE), "")?;
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.strip_prefix(FORMAT) {
        Some("+json" | "") => structured(request.body, request.body),
        Some("-batch+json" | "-batch") => structured(request.body, single(request.body)?),
        Some(_) => Err(DecodeError(format!(
            "media type `{}` is a format that is not read; send `{FORMAT}+json`, or the binary mode",
            crate::header::shown(&essence)
        ))),
        None => binary(request, content_type),
    }
}

/// The only event of a batch.
fn single(body: &[u8]) -> Result<&[u8], DecodeError> {
    let not_json = |error| DecodeError(format!("body must be a JSON array; {error}"));
    let mut tokens = Tokens::new(body);
    let mut first = None;
    let mut end = 0;
    let mut events = 0_usize;
    while let Some(token) = tokens.next().transpose().map_err(not_json)? {
        let is_start = matches!(token.kind, Kind::ObjectStart | Kind::ArrayStart);
        if first.is_none() {
            if token.kind != Kind::ArrayStart {
                return Err(DecodeError("body must be a JSON array, as its media type says".to_owned()));
            }
            first = Some(token.end());
        } else if tokens.depth() == 1 || (is_start && tokens.depth() == 2) {
            // An element begins with a start at the second level or is a single token at the first; its end is not counted.
            let is_end = matches!(token.kind, Kind::ObjectEnd | Kind::ArrayEnd);
            if !is_end {
                events += 1;
            }
            if events == 1 {
                end = token.end();
            }
        }
    }
    if events != 1 {
        let why = format!("a batch of {events} events is not taken apart; send each in a request of its own");
        return Err(DecodeError(why));
    }
    Ok(body[first.unwrap_or_default()..end].trim_ascii())
}

/// An event in the JSON format; `event` is a part of `body`.
fn structured(body: &Bytes, event: &[u8]) -> Result<Decoded, DecodeError> {
    if std::str::from_utf8(event).is_err() {
        return Err(DecodeError("event must be a JSON object; it is not UTF-8".to_owned()));
    }
    if let Some(Err(error)) = json::members(event).find(Result::is_err) {
        return Err(DecodeError(format!("event must be a JSON object; {error}")));
    }
    // `null` is the same as leaving an attribute out, save for the data.
    let given = |name: &str| json::member(event, name).filter(|value| *value != b"null");
    let text = |name: &'static str| {
        let text = |value| json::text(value).map(std::borrow::Cow::into_owned);
        let not_text = || DecodeError(format!("attribute `{name}` must be a string"));
        given(name).map(|value| text(value).ok_or_else(not_text)).transpose()
    };
    let content_type = text("datacontenttype")?;
    let (data, encoded) = (json::member(event, "data"), given("data_base64"));
    let (payload, absent) = match (data, encoded) {
        (Some(_), Some(_)) => return Err(DecodeError("`data` and `data_base64` exclude each other".to_owned())),
        (None, Some(encoded)) => {
            let text = json::text(encoded);
            let bytes = text.and_then(|text| STANDARD.decode(text.as_bytes()).ok());
            let bytes = bytes.ok_or_else(|| DecodeError("`data_base64` must be a string of base64".to_owned()))?;
            (Some(Bytes::from(bytes)), "application/octet-stream")
        }
        (Some(data), None) if content_type.as_deref().is_none_or(is_json) => (Some(body.slice_ref(data)), JSON),
        (Some(data), None) => {
            let text = json::text(data);
            let text = text.ok_or_else(|| {
                DecodeError(
                    "`data` must be a string, because `datacontenttype` does not say that it is JSON".to_owned(),
                )
            })?;
            (Some(Bytes::from(text.into_owned())), JSON)
        }
        (None, None) => (None, JSON),
    };
    Event { text, content_type: content_type.unwrap_or_else(|| absent.to_owned()), payload }.decoded()
}

/// An event whose attributes are headers.
fn binary(request: &RawRequest<'_>, content_type: String) -> Result<Decoded, DecodeError> {
    let text = |name: &'static str| {
        let Some(value) = request.headers.get(format!("ce-{name}")) else { return Ok(None) };
        let not_text = || DecodeError(format!("header `ce-{name}` is not percent-encoded UTF-8"));
        binary::unescape(value.as_bytes()).ok_or_else(not_text).map(Some)
    };
    let payload = Some(request.body.clone()).filter(|body| !body.is_empty());
    let absent = if payload.is_none() { JSON } else { "application/octet-stream" };
    let content_type = if content_type.is_empty() { absent.to_owned() } else { content_type };
    Event { text, content_type, payload }.decoded()
}

/// An event as either mode gives it.
struct Event<F> {
    /// The attribute of a name.
    text: F,
    content_type: String,
    payload: Option<Bytes>,
}

impl<F: Fn(&'static str) -> Result<Option<String>, DecodeError>> Event<F> {
    fn decoded(self) -> Result<Decoded, DecodeError> {
        let version = self.required("specversion")?;
        if version != VERSION {
            let shown = crate::header::shown(&version);
            return Err(DecodeError(format!("attribute `specversion` is `{shown}`, must be `{VERSION}`")));
        }
        let (id, source, kind) = (self.required("id")?, self.required("source")?, self.required("type")?);
        let event_type = kind.parse().map_err(|error| DecodeError(format!("attribute `type`: {error}")))?;
        let time = (self.text)("time")?.map(|time| time.parse());
        let event_time = time.transpose().map_err(|error| DecodeError(format!("attribute `time`: {error}")))?;
        if is_json(&self.content_type) && self.payload.as_ref().is_some_and(|data| !is_json_text(data)) {
            return Err(DecodeError("the data are not JSON, as their media type says".to_owned()));
        }
        let none = || Bytes::from_static(if is_json(&self.content_type) { b"null" } else { b"" });
        let payload = self.payload.clone().unwrap_or_else(none);
        // An attribute has no control characters, so one between the two keeps them apart.
        let both = Sha256::new().chain_update(&source).chain_update([0]).chain_update(&id).finalize();
        Ok(Decoded {
            event_type,
            event_time,
            deduplication_id: Some(hex::encode(both)),
            content_type: self.content_type,
            payload,
        })
    }

    /// An attribute that no event is without.
    fn required(&self, name: &'static str) -> Result<String, DecodeError> {
        let text = (self.text)(name)?.filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| DecodeError(format!("attribute `{name}` is missing")))?;
        if text.chars().any(char::is_control) {
            return Err(DecodeError(format!("attribute `{name}` has a control character")));
        }
        Ok(text)
    }
}

fn is_json_text(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok() && Tokens::new(data).all(|token| token.is_ok())
}
