//! Bodies that name their event: a JSON object with the event type in one member, and the payload in or beside the others.
//!
//! Called by the dialects whose systems write such bodies and sign them whole; they differ in names and in order.

use bytes::Bytes;
use hookyard_model::{EndpointSettings, EventTime, EventType, Message};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use crate::json::{self, JsonError, Member, Style};
use crate::{DecodeError, EncodeError, Encoded, SettingsError, body_signature, header};

/// Headers of a request with those that the engine adds: room without growing.
const HEADERS: usize = 8;

/// The payload's bytes, while they are kept.
pub(crate) fn payload(message: &Message) -> Result<&Bytes, EncodeError> {
    message.payload.bytes().ok_or_else(|| EncodeError("its payload was expunged".to_owned()))
}

/// The members of a payload that must be an object.
pub(crate) fn members(payload: &[u8]) -> Result<Vec<Member<'_>>, EncodeError> {
    let refused = |error| EncodeError(format!("its payload must be a JSON object; {error}"));
    json::members(payload).collect::<Result<_, JsonError>>().map_err(refused)
}

/// Writes `name` and `value` as the member of an object, with a comma where it is not the first.
pub(crate) fn write_member(name: &[u8], value: &[u8], style: Style, into: &mut Vec<u8>) -> Result<(), EncodeError> {
    if into.last() != Some(&b'{') {
        into.push(b',');
    }
    json::write(name, style, json::MemberOrder::AsWritten, into).map_err(not_json)?;
    into.push(b':');
    json::write(value, style, json::MemberOrder::AsWritten, into).map_err(not_json)
}

/// Why a payload cannot be put into a body.
pub(crate) fn not_json(error: JsonError) -> EncodeError {
    EncodeError(format!("its payload is not JSON; {error}"))
}

/// The request with this body, unsigned.
pub(crate) fn encoded(body: Vec<u8>) -> Encoded {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Encoded { headers, body: body.into() }
}

/// Refuses settings that could never be sent: headers, keys, and a fixed value where the signature stands.
pub(crate) fn check(settings: &EndpointSettings, signature: &str) -> Result<(), SettingsError> {
    header::check(&settings.headers)?;
    body_signature::check(settings)?;
    let fixed = settings.headers.iter().find(|pair| pair.name.eq_ignore_ascii_case(signature));
    match fixed {
        Some(pair) if !settings.keys.keys.is_empty() => {
            let why = format!("`{}` carries the signature; leave it out, or the secret", header::shown(&pair.name));
            Err(header::refused(why))
        }
        _ => Ok(()),
    }
}

/// The event type that the body's member `name` holds.
pub(crate) fn event_type(body: &[u8], name: &str) -> Result<EventType, DecodeError> {
    if let Some(Err(error)) = json::members(body).find(Result::is_err) {
        return Err(DecodeError(format!("body must be a JSON object; {error}")));
    }
    let text = json::member(body, name).and_then(json::text);
    let text = text.ok_or_else(|| DecodeError(format!("member `{name}` must be a string with the event type")))?;
    text.parse().map_err(|error| DecodeError(format!("member `{name}`: {error}")))
}

/// The time that the body's member `name` holds. One that is none does not keep a verified event out.
pub(crate) fn event_time(body: &[u8], name: &str) -> Option<EventTime> {
    json::text(json::member(body, name)?)?.parse().ok()
}

/// The object that `body` is, without the members of these names; the others keep their bytes and their order.
pub(crate) fn without(body: &[u8], names: &[&str]) -> Result<Bytes, DecodeError> {
    let mut rest = Vec::with_capacity(body.len());
    rest.push(b'{');
    for member in json::members(body) {
        let member = member.map_err(|error| DecodeError(format!("body must be a JSON object; {error}")))?;
        if names.iter().any(|name| member.is(name)) {
            continue;
        }
        if rest.len() > 1 {
            rest.push(b',');
        }
        rest.extend_from_slice(member.key);
        rest.push(b':');
        rest.extend_from_slice(member.value);
    }
    rest.push(b'}');
    Ok(rest.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::examples::{NOW, endpoint, message};
    use crate::json::Tokens;
    use crate::law;

    #[test]
    fn members_leave_and_the_others_keep_their_bytes() {
        let body = br#" {"a" : 1.00, "b":[ 1 ] ,"\u0061":2,"c":"\u003c"} "#;
        assert_eq!(&without(body, &["a"]).expect("an object")[..], br#"{"b":[ 1 ],"c":"\u003c"}"#);
        assert_eq!(&without(b"{\"a\":1}", &["a", "b"]).expect("an object")[..], b"{}");
        let error = without(b"[]", &[]).expect_err("an array");
        assert_eq!(error.to_string(), "body must be a JSON object; byte 0: expected an object");
    }

    #[test]
    fn an_event_type_is_a_name_in_a_string() {
        let refused = |body: &str| event_type(body.as_bytes(), "event").expect_err(body).to_string();
        assert_eq!(event_type(br#"{"event":"a.b"}"#, "event").expect("a name").as_str(), "a.b");
        assert_eq!(refused("{"), "body must be a JSON object; byte 1: expected a member's name in quotes");
        assert_eq!(refused("{}"), "member `event` must be a string with the event type");
        assert_eq!(refused(r#"{"event":1}"#), "member `event` must be a string with the event type");
        let rule = "member `event`: event type `a b` must be 1 to 256 of `a-z A-Z 0-9 - _ .`";
        assert_eq!(refused(r#"{"event":"a b"}"#), rule);
    }

    #[test]
    fn a_time_that_is_none_is_left_out() {
        let at = |body: &str| event_time(body.as_bytes(), "time").map(|time| time.text().to_owned());
        let written = "2023-10-17T19:39:32.924194436+02:00";
        assert_eq!(at(&format!(r#"{{"time":"{written}"}}"#)).as_deref(), Some(written));
        for body in ["{}", r#"{"time":"yesterday"}"#, r#"{"time":7}"#, "[]"] {
            assert_eq!(at(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_payload_leaves_as_json_or_says_why_not(
            json in law::object(), at: prop::sample::Index, byte: Option<u8>, bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut broken = json.clone().into_bytes();
            if let Some(byte) = byte {
                broken[at.index(json.len())] = byte;
            }
            for payload in [broken, bytes, json.into_bytes()] {
                let message = message(payload);
                for outbound in [&crate::kiosk::Kiosk as &dyn crate::Outbound, &crate::vikunja::Vikunja, &crate::photobooth::Photobooth] {
                    let endpoint = endpoint("x");
                    match outbound.encode(&message, &endpoint, 0) {
                        Ok(encoded) => {
                            prop_assert!(Tokens::new(&encoded.body).all(|token| token.is_ok()));
                            prop_assert!(std::str::from_utf8(&encoded.body).is_ok());
                            prop_assert_eq!(&outbound.encode(&message, &endpoint, 0).expect("again"), &encoded);
                            outbound.sign(&encoded, &message, &endpoint, NOW, &mut HeaderMap::new()).expect("unsigned");
                        }
                        Err(EncodeError(why)) => prop_assert!(why.len() < 200 && !why.is_empty()),
                    }
                }
            }
        }
    }
}
