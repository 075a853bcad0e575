//! A message as a caller writes it: Svix's `MessageIn`, and our own fields.
//!
//! Used by the two operations that publish. Every field is first taken as the raw JSON that it is: the payload so that its
//! bytes stay as they came (the request's own, not a copy), the others so that an error can name the one that is wrong.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use hookyard_accept::Publish;
use hookyard_model::{Origin, Timestamp, limits};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::{ApiError, Result};
use crate::query::cut;

/// The members that count; others are ignored, a repeated one is refused.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageIn<'a> {
    #[serde(borrow)]
    event_type: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "data", deserialize_with = "present")]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    event_time: Option<&'a RawValue>,
    #[serde(borrow)]
    channels: Option<&'a RawValue>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    #[serde(borrow)]
    origin: Option<&'a RawValue>,
    #[serde(borrow)]
    deliver_at: Option<&'a RawValue>,
    #[serde(borrow)]
    payload_retention_period: Option<&'a RawValue>,
    #[serde(borrow)]
    transformations_params: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransformationsParams<'a> {
    #[serde(borrow)]
    raw_payload: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct RawHeaders<'a> {
    #[serde(borrow, rename = "content-type", alias = "Content-Type")]
    content_type: Option<Cow<'a, str>>,
}

/// `null` is a payload like any other, and not the absence of one.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads an object of JSON; arrays, which serde would take for its fields in order, are refused.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|byte| matches!(byte, b'[' | b'"' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n')) {
        return Err(ApiError::value(["body"], "the body is not a JSON object"));
    }
    // Members that nobody looks at are skipped without a look at their bytes, and JSON is UTF-8 throughout (RFC 8259, 8.1).
    let text = str::from_utf8(json).map_err(|error| {
        ApiError::not_json(format!("the body is not valid JSON: byte {} is not UTF-8", error.valid_up_to()))
    })?;
    serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            return ApiError::value(["body"], error.to_string());
        }
        ApiError::not_json(format!("the body is not valid JSON: {error}"))
    })
}

/// What `json` asks to be published. `body` holds `json`; the payload stays a part of it.
pub(super) fn publish(json: &[u8], body: &Bytes) -> Result<Publish> {
    let message: MessageIn<'_> = object(json)?;
    let event_type = message.event_type.ok_or_else(|| {
        ApiError::value(["body", "eventType"], "field required").hint("an event type is a name such as `task.created`")
    })?;
    let raw = match message.transformations_params {
        Some(params) => raw_payload(params)?,
        None => None,
    };
    let (payload, content_type) = match (raw, message.payload) {
        (Some(raw), _) => raw,
        (None, Some(payload)) => (body.slice_ref(payload.get().as_bytes()), "application/json".to_owned()),
        (None, None) => {
            return Err(ApiError::value(["body", "payload"], "field required").hint("a payload is any JSON value"));
        }
    };
    Ok(Publish {
        event_id: message.event_id.map(|raw| name("eventId", raw)).transpose()?,
        event_time: message.event_time.map(|raw| name("eventTime", raw)).transpose()?,
        channels: message.channels.map(|raw| names("channels", raw)).transpose()?.unwrap_or_default(),
        tags: message.tags.map(|raw| names("tags", raw)).transpose()?.unwrap_or_default(),
        origin: message.origin.map(origin).transpose()?.unwrap_or(Origin::Api),
        deliver_at: message.deliver_at.map(|raw| name::<Timestamp>("deliverAt", raw)).transpose()?,
        retention: message.payload_retention_period.map(retention).transpose()?,
        content_type,
        ..Publish::json(name("eventType", event_type)?, payload)
    })
}

/// The trace that the publisher is in, for the deliveries to pass on (W3C Trace Context).
pub(super) fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let trace = headers.get("traceparent").and_then(|value| value.to_str().ok()).filter(|text| is_traceparent(text));
    trace.map(|text| vec![("traceparent".to_owned(), text.to_owned())]).unwrap_or_default()
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, not all zero; a later version may have more parts, which are not kept.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |len: usize| {
        let part = parts.next().filter(|part| part.len() == len);
        part.filter(|part| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    };
    let whole = hex(2).is_some_and(|version| version != "ff")
        && hex(32).is_some_and(|trace| trace.bytes().any(|byte| byte != b'0'))
        && hex(16).is_some_and(|parent| parent.bytes().any(|byte| byte != b'0'))
        && hex(2).is_some();
    whole && parts.next().is_none()
}

fn typed<'a, T: Deserialize<'a>>(field: &'static str, raw: &'a RawValue, allowed: &str) -> Result<T> {
    serde_json::from_str(raw.get())
        .map_err(|_| ApiError::value(["body", field], format!("`{}` is not {allowed}", cut(raw.get()))))
}

fn name<T>(field: &'static str, raw: &RawValue) -> Result<T>
where
    T: FromStr,
    T::Err: Display,
{
    let text: Cow<'_, str> = typed(field, raw, "a string")?;
    text.parse().map_err(|error: T::Err| ApiError::value(["body", field], error.to_string()))
}

/// Names in the order they came, each once.
fn names<T>(field: &'static str, raw: &RawValue) -> Result<Vec<T>>
where
    T: FromStr + PartialEq,
    T::Err: Display,
{
    let texts: Vec<Cow<'_, str>> = typed(field, raw, "a list of strings")?;
    let mut names = Vec::with_capacity(texts.len().min(limits::MESSAGE_TAGS + 1));
    for text in &texts {
        let name = text.parse().map_err(|error: T::Err| ApiError::value(["body", field], error.to_string()))?;
        if !names.contains(&name) {
            names.push(name);
        }
        // The publisher says how many are allowed; more than it could allow need not be looked at.
        if names.len() > limits::MESSAGE_TAGS {
            break;
        }
    }
    Ok(names)
}

fn origin(raw: &RawValue) -> Result<Origin> {
    let text: Cow<'_, str> = typed("origin", raw, "a string")?;
    match &*text {
        "api" => Ok(Origin::Api),
        "server" => Ok(Origin::Server),
        other => Err(ApiError::value(
            ["body", "origin"],
            format!("`{}` is not an origin (write `api`, or `server` for what a server says about itself)", cut(other)),
        )),
    }
}

fn retention(raw: &RawValue) -> Result<Duration> {
    let (least, most) = (limits::RETENTION_DAYS.start(), limits::RETENTION_DAYS.end());
    let allowed = format!("a number of days between {least} and {most}");
    let days: u64 = typed("payloadRetentionPeriod", raw, &allowed)?;
    if !limits::RETENTION_DAYS.contains(&days) {
        return Err(ApiError::value(["body", "payloadRetentionPeriod"], format!("`{days}` is not {allowed}")));
    }
    Ok(Duration::from_hours(days * 24))
}

/// The bytes to send as they are, and their type: what the caller says, else JSON if they are, else plain text.
fn raw_payload(raw: &RawValue) -> Result<Option<(Bytes, String)>> {
    let params: TransformationsParams<'_> = typed("transformationsParams", raw, "an object")?;
    let Some(payload) = params.raw_payload else { return Ok(None) };
    let payload: String = typed("transformationsParams", payload, "a string `rawPayload`")?;
    let headers: Option<RawHeaders<'_>> =
        params.headers.map(|headers| typed("transformationsParams", headers, "an object of headers")).transpose()?;
    let content_type = match headers.and_then(|headers| headers.content_type) {
        Some(content_type) => content_type.into_owned(),
        None if serde_json::from_str::<&RawValue>(&payload).is_ok() => "application/json".to_owned(),
        None => "text/plain; charset=utf-8".to_owned(),
    };
    Ok(Some((Bytes::from(payload), content_type)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that are almost a message.
    fn almost_a_message() -> impl Strategy<Value = Vec<u8>> {
        let member = prop::sample::select(vec![
            "eventType",
            "payload",
            "data",
            "eventId",
            "eventTime",
            "channels",
            "tags",
            "origin",
            "deliverAt",
            "payloadRetentionPeriod",
            "transformationsParams",
            "other",
        ]);
        let value = prop_oneof![
            Just("\"a.b\"".to_owned()),
            Just("null".to_owned()),
            Just("[\"x\"]".to_owned()),
            Just("{\"rawPayload\":\"x\"}".to_owned()),
            "-?[0-9]{1,30}(e[0-9]{1,4})?",
            "\"[ -!#-\\[\\]-~é]{0,12}\"",
        ];
        prop::collection::vec((member, value), 0..6).prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        })
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(json in prop_oneof![almost_a_message(), any::<Vec<u8>>()]) {
            let body = Bytes::from(json);
            match publish(&body, &body) {
                Ok(read) => prop_assert!(!read.event_type.as_str().is_empty()),
                Err(error) => prop_assert!(error.code().status().is_client_error()),
            }
        }
    }

    fn read(json: &'static str) -> Result<Publish> {
        let body = Bytes::from_static(json.as_bytes());
        publish(&body, &body)
    }

    fn refused(json: &'static str) -> String {
        let error = read(json).expect_err(json);
        serde_json::to_string(&error.wire()).expect("an error can be written")
    }

    #[test]
    fn the_payload_is_the_request_s_own_bytes() {
        for payload in ["{ \"b\" : 1.50,\n\"a\":2e3 }", "null", "7", "\"\\u00e9\"", "[]"] {
            for member in ["payload", "data"] {
                let body = Bytes::from(format!("{{\"eventType\":\"a.b\",\"{member}\": {payload} }}"));
                let read = publish(&body, &body).expect("a message");
                assert_eq!(read.payload, payload.as_bytes());
                assert!(body.as_ptr_range().contains(&read.payload.as_ptr()), "not a copy");
            }
        }
    }

    #[test]
    fn every_field_is_read() {
        let read = read(
            r#"{"eventType":"task.created","payload":{},"eventId":"e-1","eventTime":"2026-01-31T09:30:00.25+01:00",
                "channels":["a","b","a"],"tags":["x y"],"origin":"server","deliverAt":"2026-02-01T00:00:00Z",
                "payloadRetentionPeriod":5,"unknown":[1],"application":null}"#,
        )
        .expect("a message");
        assert_eq!(read.event_id.expect("an id").as_str(), "e-1");
        assert_eq!(read.event_time.expect("a time").text(), "2026-01-31T09:30:00.25+01:00");
        assert_eq!(read.channels.len(), 2);
        assert_eq!(read.tags[0].as_str(), "x y");
        assert_eq!(read.origin, Origin::Server);
        assert_eq!(read.deliver_at.map(|at| at.to_string()), Some("2026-02-01T00:00:00.000000Z".to_owned()));
        assert_eq!(read.retention, Some(Duration::from_hours(120)));
    }

    #[test]
    fn each_broken_rule_names_its_place() {
        for (json, place, word) in [
            (r#"{"payload":1}"#, r#"["body","eventType"]"#, "field required"),
            (r#"{"eventType":null,"payload":1}"#, r#"["body","eventType"]"#, "field required"),
            (r#"{"eventType":"a"}"#, r#"["body","payload"]"#, "field required"),
            (r#"{"eventType":7,"payload":1}"#, r#"["body","eventType"]"#, "`7` is not a string"),
            (r#"{"eventType":"a b","payload":1}"#, r#"["body","eventType"]"#, "a-z A-Z 0-9"),
            (r#"{"eventType":"a","payload":1,"eventId":"msg_1"}"#, r#"["body","eventId"]"#, "must not begin"),
            (r#"{"eventType":"a","payload":1,"channels":"x"}"#, r#"["body","channels"]"#, "a list of strings"),
            (r#"{"eventType":"a","payload":1,"tags":[""]}"#, r#"["body","tags"]"#, "1 to 128"),
            (r#"{"eventType":"a","payload":1,"origin":"me"}"#, r#"["body","origin"]"#, "`me` is not an origin"),
            (r#"{"eventType":"a","payload":1,"deliverAt":"soon"}"#, r#"["body","deliverAt"]"#, "RFC 3339"),
            (r#"{"eventType":"a","payload":1,"eventTime":"2026-01-31"}"#, r#"["body","eventTime"]"#, "RFC 3339"),
            (
                r#"{"eventType":"a","payload":1,"payloadRetentionPeriod":4}"#,
                "payloadRetentionPeriod",
                "between 5 and 90",
            ),
            (r#"{"eventType":"a","payload":1,"payloadRetentionPeriod":91}"#, "payloadRetentionPeriod", "`91`"),
            (r#"{"eventType":"a","payload":1,"payloadRetentionPeriod":1e99}"#, "payloadRetentionPeriod", "`1e99`"),
            (r#"{"eventType":"a","eventType":"b","payload":1}"#, r#"["body"]"#, "duplicate field `eventType`"),
            (r#"{"eventType":"a","data":1,"payload":1}"#, r#"["body"]"#, "duplicate field `payload`"),
            (r#"["a",{}]"#, r#"["body"]"#, "not a JSON object"),
            (r#""a""#, r#"["body"]"#, "not a JSON object"),
            ("", r#"["body"]"#, "value_error.jsondecode"),
            ("{", r#"["body"]"#, "value_error.jsondecode"),
            (r#"{"eventType":"a","payload":1} x"#, r#"["body"]"#, "value_error.jsondecode"),
        ] {
            let refused = refused(json);
            assert!(refused.contains(place) && refused.contains(word), "{json}: {refused}");
        }
    }

    #[test]
    fn strangers_bytes_are_read_or_refused() {
        let deep =
            |member: &str| format!("{{\"eventType\":\"a\",\"{member}\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let body = Bytes::from(deep("payload"));
        assert!(publish(&body, &body).is_ok(), "how deep a payload may be is for the publisher to say");
        for body in [
            Bytes::from(deep("other")),
            Bytes::from(deep("tags")),
            Bytes::from_static(b"{\"eventType\":\"\xff\"}"),
            Bytes::from_static(b"{\"eventType\":\"a\",\"payload\":\"\xff\"}"),
            Bytes::from_static(b"{\"eventType\":\"a\",\"payload\":1,\"other\":\"\xff\"}"),
            Bytes::from_static(b"\xef\xbb\xbf{}"),
        ] {
            assert!(publish(&body, &body).is_err(), "{:?}", &body[..body.len().min(40)]);
        }
    }

    #[test]
    fn a_raw_payload_is_sent_as_it_is() {
        for (json, payload, content_type) in [
            (
                r#"{"eventType":"a","payload":{},"transformationsParams":{"rawPayload":"{\"x\": 1}"}}"#,
                "{\"x\": 1}",
                "application/json",
            ),
            (
                r#"{"eventType":"a","transformationsParams":{"rawPayload":"hello"}}"#,
                "hello",
                "text/plain; charset=utf-8",
            ),
            (
                r#"{"eventType":"a","payload":{},"transformationsParams":{"rawPayload":"<x/>","headers":{"content-type":"text/xml"}}}"#,
                "<x/>",
                "text/xml",
            ),
        ] {
            let read = read(json).expect(json);
            assert_eq!((&*read.payload, &*read.content_type), (payload.as_bytes(), content_type));
        }
        assert!(
            refused(r#"{"eventType":"a","payload":{},"transformationsParams":{"rawPayload":{}}}"#)
                .contains("rawPayload")
        );
    }

    #[test]
    fn a_trace_is_kept_when_it_is_one() {
        for (text, expected) in [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", false),
            ("", false),
        ] {
            assert_eq!(is_traceparent(text), expected, "{text}");
        }
    }
}
