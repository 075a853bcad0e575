//! Immich's published bodies, its headers, and what is refused.

mod law;

use bytes::Bytes;
use hookyard_model::{OnGone, Payload, RawId, SigningKeys};
use http::HeaderMap;

use super::*;
use crate::examples::{NOW, endpoint, header, message, request, settings};
use crate::json::member;
use crate::{Refused, SecretForm, check_settings};

/// Body, event, id, time.
const VECTORS: [(&[u8], &str, &str, &str); 2] = [
    (
        include_bytes!("../../vectors/immich_person_create.json"),
        "PersonCreate",
        "8538265e-4b35-4a36-af7f-9ea850ce17d4",
        "2025-11-20T12:34:56.789Z",
    ),
    (
        include_bytes!("../../vectors/immich_asset_trash_all.json"),
        "AssetTrashAll",
        "00000000-0000-4000-8000-000000000000",
        "2026-01-02T03:04:05.006Z",
    ),
];

fn named(payload: impl Into<Bytes>, event_type: &str, time: &str) -> Message {
    let mut message = message(payload);
    message.event_type = event_type.parse().expect("a name");
    message.event_time = Some(time.parse().expect("a time"));
    message
}

fn decoded(body: &'static [u8]) -> Result<Decoded, DecodeError> {
    Immich.decode(&request(&HeaderMap::new(), &Bytes::from_static(body)))
}

#[test]
fn the_published_bodies_leave_and_come_in() {
    for (body, event, id, time) in VECTORS {
        let payload = Bytes::from_static(member(body, "payload").expect("it has one"));
        let encoded = encode(id, &named(payload.clone(), event, time), true).expect("it can be encoded");
        assert_eq!(encoded.body.escape_ascii().to_string(), body.escape_ascii().to_string());
        let header = |name: &str| encoded.headers[name].to_str().expect("ASCII");
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("x-immich-event"), event);
        assert_eq!(header("x-immich-delivery-id"), id);
        assert_eq!(header("x-immich-timestamp"), time);
        assert_eq!(encoded.headers.len(), 4);

        let request = request(&encoded.headers, &encoded.body);
        assert_eq!(Immich.verify(&request, &[], NOW), Verified::Accepted { rule: "none", secret: 0 });
        let decoded = Immich.decode(&request).expect("decoded");
        assert_eq!(decoded.event_type.as_str(), event);
        assert_eq!(decoded.event_time, Some(time.parse().expect("a time")));
        assert_eq!(decoded.deduplication_id.as_deref(), Some(id));
        assert_eq!(decoded.content_type, "application/json");
        assert_eq!(decoded.payload, payload);
    }
}

#[test]
fn an_id_is_a_uuid_of_message_and_endpoint() {
    let id = |message, endpoint| {
        delivery_id(
            MessageId::from_raw(RawId::from_bytes([message; 20])),
            EndpointId::from_raw(RawId::from_bytes([endpoint; 20])),
        )
    };
    // As `printf '\x01%.0s' {1..20}; printf '\x02%.0s' {1..20}` through `sha256sum` begins, with the six bits of version 4.
    assert_eq!(id(1, 2), "e3783929-a196-4c94-b9a1-b1a4abb0a198");
    assert_ne!(id(1, 2), id(2, 1));
    assert_ne!(id(1, 2), id(1, 3));
    for byte in 0..=255 {
        let id = id(byte, 7);
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4", "{id}");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    }
}

#[test]
fn every_attempt_has_the_same_bytes_and_each_receiver_its_own_id() {
    let message = named("{\"a\":1.00}", "Custom", "2026-01-02T03:04:05.006Z");
    let mut endpoint = endpoint("immich");
    let first = Immich.encode(&message, &endpoint, 0).expect("it can be encoded");
    assert_eq!(Immich.encode(&message, &endpoint, 1).expect("it can be encoded"), first);
    let mut headers = first.headers.clone();
    Immich.sign(&first, &message, &endpoint, NOW, &mut headers).expect("nothing to sign");
    assert_eq!(headers, first.headers);
    let id = json::text(member(&first.body, "id").expect("it has one")).expect("a string").into_owned();
    assert_eq!(first.headers[DELIVERY_ID], id);
    assert_eq!(id, delivery_id(message.id, endpoint.id));
    endpoint.id = EndpointId::from_raw(RawId::MAX);
    assert_ne!(Immich.encode(&message, &endpoint, 0).expect("it can be encoded").headers[DELIVERY_ID], id);
}

#[test]
fn a_time_is_in_utc_and_cut_to_milliseconds() {
    let shown = |time: &str| milliseconds(named("1", "E", time).time());
    assert_eq!(shown("2023-10-17T19:39:32.924999999+02:00"), "2023-10-17T17:39:32.924Z");
    assert_eq!(shown("2023-10-17T19:39:32-05:30"), "2023-10-18T01:09:32.000Z");
    assert_eq!(shown("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00.000Z");
    assert_eq!(shown("1969-12-31T23:59:59.9999Z"), "1969-12-31T23:59:59.999Z");
    let mut message = message("1");
    message.event_time = None;
    assert_eq!(milliseconds(message.time()), "2026-01-01T00:00:00.000Z", "the accept time stands in");
}

#[test]
fn secrets_leave_only_when_the_endpoint_says_so() {
    let message = named(r#"{"newConfig":{"clientSecret":"canary"}}"#, "ConfigUpdate", "2026-01-02T03:04:05Z");
    let body = |choice: Option<&str>| {
        let mut endpoint = endpoint("immich");
        let options = &mut std::sync::Arc::make_mut(&mut endpoint.settings).options;
        options.extend(choice.map(|choice| ("redact".to_owned(), choice.to_owned())));
        assert_eq!(check_settings(&Immich, &endpoint.settings), Ok(()));
        Immich.encode(&message, &endpoint, 0).expect("it can be encoded").body
    };
    let contains = |body: &Bytes, text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!contains(&body(None), "canary") && contains(&body(None), r#"{"clientSecret":"REDACTED"}"#));
    assert_eq!(body(None), body(Some("true")));
    assert!(contains(&body(Some("false")), "canary"));
}

#[test]
fn what_cannot_be_sent_says_why() {
    let refused = |message: &Message| Immich.encode(message, &endpoint("immich"), 0).expect_err("refused").to_string();
    let mut gone = message("{}");
    gone.payload = Payload::Expunged;
    assert_eq!(refused(&gone), "its payload was expunged");
    assert_eq!(refused(&message("hello")), "its payload is not JSON; byte 0: expected a value");
}

#[test]
fn its_defaults_are_immichs() {
    let Defaults { retry, timeout, on_gone, secret_form, require_https, .. } = Immich.defaults();
    let retry = retry.expect("it has its own").checked().expect("within the limits");
    let RetryPolicy::Exponential { delay, factor, retries, jitter, .. } = retry else { panic!("{retry:?}") };
    assert_eq!((delay, factor.to_bits(), retries), (Duration::from_secs(2), 2.0_f64.to_bits(), 2));
    assert_eq!(jitter.to_bits(), 0.0_f64.to_bits());
    assert_eq!(timeout, Some(Duration::from_secs(10)));
    assert_eq!((on_gone, secret_form, require_https), (OnGone::Retry, SecretForm::None, false));
}

#[test]
fn a_secret_is_refused_with_what_to_do_instead() {
    let mut endpoint = settings("immich");
    endpoint.headers = vec![header("Content-Type", "text/plain"), header("X-Immich-Event", "mine")];
    assert_eq!(check_settings(&Immich, &endpoint), Ok(()), "an endpoint's own headers win");
    endpoint.keys = SigningKeys::single("canary");
    let error = check_settings(&Immich, &endpoint).expect_err("a secret").to_string();
    let expected = "secret: dialect `immich` does not sign; leave the secret out and let a header of the endpoint tell \
                    who sends: `headers = { Authorization = \"Bearer …\" }`";
    assert_eq!(error, expected);
    endpoint.keys = SigningKeys::default();
    endpoint.options.insert("redact".to_owned(), "no".to_owned());
    let error = check_settings(&Immich, &endpoint).expect_err("a wrong choice").to_string();
    assert_eq!(error, "options.redact: is `no`, must be one of `true`, `false`");
}

#[test]
fn a_request_without_the_secret_is_refused() {
    let (body, headers) = (Bytes::from_static(VECTORS[0].0), HeaderMap::new());
    let secrets = [Secret::new("canary".to_owned())];
    let refused = Verified::Refused(Refused::MissingHeader("x-webhook-secret"));
    assert_eq!(Immich.verify(&request(&headers, &body), &secrets, NOW), refused);
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer canary"))]);
    let accepted = Verified::Accepted { rule: "shared secret", secret: 0 };
    assert_eq!(Immich.verify(&request(&headers, &body), &secrets, NOW), accepted);
}

#[test]
fn bodies_of_another_shape_say_what_is_missing() {
    let refused = |body: &'static str| decoded(body.as_bytes()).expect_err(body).to_string();
    assert_eq!(refused("[]"), "body must be a JSON object; byte 0: expected an object");
    assert_eq!(refused("7"), "body must be a JSON object; byte 0: expected an object");
    assert_eq!(refused("{"), "body must be a JSON object; byte 1: expected a member's name in quotes");
    assert_eq!(refused("{}"), "member `eventName` must be a string with the event type");
    assert_eq!(
        refused(r#"{"eventName":"a b"}"#),
        "member `eventName`: event type `a b` must be 1 to 256 of `a-z A-Z 0-9 - _ .`"
    );
    assert_eq!(refused(r#"{"eventName":"E"}"#), "member `id` must be a string with the delivery's id");
    assert_eq!(refused(r#"{"eventName":"E","id":7}"#), "member `id` must be a string with the delivery's id");
    assert_eq!(refused(r#"{"eventName":"E","id":""}"#), "member `id` must have 1 to 256 bytes");
    assert_eq!(refused(r#"{"eventName":"E","id":"i"}"#), "member `timestamp` must be a string with the event's time");
    assert_eq!(
        refused(r#"{"eventName":"E","id":"i","timestamp":"now"}"#),
        "member `timestamp`: `now` is not an RFC 3339 time (write `2026-01-31T08:30:00Z` or `2026-01-31T09:30:00.25+01:00`)"
    );
    assert_eq!(
        refused(r#"{"eventName":"E","id":"i","timestamp":"2026-01-31T08:30:00Z"}"#),
        "member `payload` is missing"
    );
    let long = format!(r#"{{"eventName":"E","id":"{}"}}"#, "x".repeat(257)).leak();
    assert_eq!(refused(long), "member `id` must have 1 to 256 bytes");
}

#[test]
fn an_event_without_a_payload_has_null() {
    let body =
        br#" {"payload": null , "timestamp":"2026-01-31T08:30:00Z","id":"i","eventName":"AppShutdown","more":1} "#;
    assert_eq!(&decoded(body).expect("decoded").payload[..], b"null");
}

#[test]
fn every_event_of_the_catalogue_can_be_sent() {
    for entry in DIALECT.catalogue() {
        let message = named(entry.sample, entry.name, "2026-01-02T03:04:05.006Z");
        let encoded = Immich.encode(&message, &endpoint("immich"), 0).expect(entry.name);
        let decoded = Immich.decode(&request(&encoded.headers, &encoded.body)).expect(entry.name);
        assert_eq!(decoded.event_type.as_str(), entry.name);
    }
    let dangerous = |prefix: &str| {
        let mut entries = DIALECT.catalogue().iter().filter(|entry| entry.name.starts_with(prefix));
        entries.all(|entry| entry.danger.is_some())
    };
    assert!(dangerous("Config") && dangerous("UserSignup") && dangerous("Job"));
    assert!(
        DIALECT.catalogue().iter().all(|entry| { entry.danger.is_some() == secrets::has_secrets(entry.name) }),
        "what is dangerous is masked"
    );
}
