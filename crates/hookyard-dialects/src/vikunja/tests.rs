//! Vikunja's published bodies, the law, and what is refused.

mod law;

use bytes::Bytes;
use hookyard_model::{Payload, SigningKeys};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::*;
use crate::examples::{NOW, endpoint, header, message, request, settings, signing};
use crate::json::member;
use crate::{Refused, check_settings};

/// Body, secret, signature.
const VECTORS: [(&[u8], &str, &str); 3] = [
    (
        include_bytes!("../../vectors/vikunja_min.json"),
        "vikunja-secret",
        "2809f36ee1c2f28cadd97f1612ec6610225f079713b7e39092fde829dd22f0c2",
    ),
    (
        include_bytes!("../../vectors/vikunja_task_created.json"),
        "vikunja-secret",
        "0bfa53e4ea59e83fb9e6d5f0cd818618b2a7e7eb5fe4f2a8d380703465e94f5f",
    ),
    (
        include_bytes!("../../vectors/vikunja_comment.json"),
        "sécret-✓",
        "ff6cf9f8a474798b023b970c38b83ddad5f832c1407d387dbf42948282203800",
    ),
];

/// The request that an attempt makes of the message.
fn sent(message: &Message, keys: &SigningKeys) -> Encoded {
    let encoded = Vikunja.encode(message, &endpoint("vikunja"), 0).expect("it can be encoded");
    signed(encoded, keys)
}

fn signed(mut encoded: Encoded, keys: &SigningKeys) -> Encoded {
    let endpoint = signing(endpoint("vikunja"), keys);
    let mut headers = encoded.headers.clone();
    Vikunja.sign(&encoded, &message("{}"), &endpoint, NOW, &mut headers).expect("it can be signed");
    encoded.headers = headers;
    encoded
}

fn verified(headers: &HeaderMap, body: &Bytes, secrets: &[&str]) -> Verified {
    let secrets: Vec<_> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
    Vikunja.verify(&request(headers, body), &secrets, NOW)
}

/// The message that a body is made of.
fn published(body: &[u8]) -> Message {
    let member = |name| member(body, name).expect("it has it");
    let text = |name| json::text(member(name)).expect("a string");
    let mut message = message(member("data").to_owned());
    message.event_type = text("event_name").parse().expect("a name");
    message.event_time = Some(text("time").parse().expect("a time"));
    message
}

#[test]
fn the_published_bodies_leave() {
    // The third one has the members of its comment as they were published, not in the order of their names.
    let (by_name, as_written) = (endpoint("vikunja"), ordered("written"));
    for ((body, secret, signature), endpoint) in VECTORS.into_iter().zip([&by_name, &by_name, &as_written]) {
        let encoded = Vikunja.encode(&published(body), endpoint, 0).expect("it can be encoded");
        assert_eq!(encoded.body.escape_ascii().to_string(), body.escape_ascii().to_string());
        assert_eq!(encoded.headers[CONTENT_TYPE], "application/json");
        assert_eq!(encoded.headers.len(), 1);
        assert_eq!(signed(encoded, &SigningKeys::single(secret)).headers[SIGNATURE], signature);
    }
}

#[test]
fn members_are_ordered_by_name_unless_the_endpoint_wants_them_as_written() {
    let message = message(r#"{"b": {"z": 1, "a": "<"}, "a": 2}"#);
    let data = |endpoint: &Endpoint| {
        let encoded = Vikunja.encode(&message, endpoint, 0).expect("it can be encoded");
        String::from_utf8(member(&encoded.body, "data").expect("it has it").to_vec()).expect("text")
    };
    assert_eq!(data(&ordered("name")), r#"{"a":2,"b":{"a":"\u003c","z":1}}"#);
    assert_eq!(data(&endpoint("vikunja")), data(&ordered("name")));
    assert_eq!(data(&ordered("written")), r#"{"b":{"z":1,"a":"\u003c"},"a":2}"#);
    let error = check_settings(&Vikunja, &ordered("size").settings).expect_err("there is no such order");
    assert_eq!(error.to_string(), "options.member_order: is `size`, must be one of `name`, `written`");
}

/// An endpoint that wants the members of `data` in this order.
fn ordered(by: &str) -> Endpoint {
    let mut endpoint = endpoint("vikunja");
    let settings = std::sync::Arc::make_mut(&mut endpoint.settings);
    settings.options.insert("member_order".to_owned(), by.to_owned());
    endpoint
}

#[test]
fn the_published_bodies_are_signed_and_come_in() {
    for (body, secret, signature) in VECTORS {
        let encoded = Encoded { headers: HeaderMap::new(), body: Bytes::from_static(body) };
        let sent = signed(encoded, &SigningKeys::single(secret));
        assert_eq!(sent.headers[SIGNATURE], signature);

        let accepted = Verified::Accepted { rule: "HMAC-SHA256", secret: 1 };
        assert_eq!(verified(&sent.headers, &sent.body, &["another", secret]), accepted);
        let decoded = Vikunja.decode(&request(&sent.headers, &sent.body)).expect("decoded");
        let message = published(body);
        assert_eq!(decoded.event_type, message.event_type);
        assert_eq!(decoded.event_time, message.event_time);
        assert_eq!(decoded.payload, message.payload.bytes().expect("kept"));
        assert_eq!(decoded.content_type, "application/json");
    }
}

#[test]
fn data_is_sorted_escaped_and_keeps_its_numbers() {
    let mut message = message(r#"{"z": "<\u2028>", "a": {"y": 1.00, "b": 9007199254740993, "y": 2}}"#);
    message.event_time = None;
    let sent = sent(&message, &SigningKeys::default());
    let expected = r#"{"event_name":"task.created","time":"2026-01-01T00:00:00.000000Z","data":{"a":{"b":9007199254740993,"y":2},"z":"\u003c\u2028\u003e"}}"#;
    assert_eq!(sent.body, expected);
    assert!(!sent.headers.contains_key(SIGNATURE), "there is no secret");
}

#[test]
fn what_cannot_be_sent_says_why() {
    let refused =
        |message: &Message| Vikunja.encode(message, &endpoint("vikunja"), 0).expect_err("refused").to_string();
    let mut gone = message("{}");
    gone.payload = Payload::Expunged;
    assert_eq!(refused(&gone), "its payload was expunged");
    assert_eq!(refused(&message("hello")), "its payload is not JSON; byte 0: expected a value");
    let message = message("{}");
    let expired = SigningKeys {
        keys: vec![hookyard_model::SigningSecret { text: Secret::new("s".to_owned()), expires: Some(NOW) }],
    };
    let endpoint = signing(endpoint("vikunja"), &expired);
    let encoded = Vikunja.encode(&message, &endpoint, 0).expect("it can be encoded");
    let error = Vikunja.sign(&encoded, &message, &endpoint, NOW, &mut HeaderMap::new()).expect_err("no key counts");
    assert_eq!(error.to_string(), "every signing key of the endpoint has expired");
}

#[test]
fn settings_that_could_not_be_signed_are_refused() {
    let mut endpoint = settings("vikunja");
    endpoint.headers = vec![header("X-Vikunja-Signature", "fixed")];
    assert_eq!(check_settings(&Vikunja, &endpoint), Ok(()), "without a secret nothing else stands there");
    endpoint.keys = SigningKeys::single("canary");
    let error = check_settings(&Vikunja, &endpoint).expect_err("two signatures");
    let why = "headers: `X-Vikunja-Signature` carries the signature; leave it out, or the secret";
    assert_eq!(error.to_string(), why);
    endpoint.headers = vec![header("X-Team", "red"), header("Content-Type", "text/json")];
    assert_eq!(check_settings(&Vikunja, &endpoint), Ok(()));
    endpoint.keys = SigningKeys::single("");
    assert_eq!(check_settings(&Vikunja, &endpoint).expect_err("no key").to_string(), "secret: is empty");
    endpoint.keys = SigningKeys::default();
    endpoint.options.insert("redact".to_owned(), "true".to_owned());
    let error = check_settings(&Vikunja, &endpoint).expect_err("it has none");
    assert_eq!(error.to_string(), "options.redact: is no option of this dialect, which has `member_order`");
}

#[test]
fn without_a_secret_anything_comes_in_and_with_one_nothing_unsigned_does() {
    let body = Bytes::from_static(VECTORS[0].0);
    let mut headers = HeaderMap::new();
    assert_eq!(verified(&headers, &body, &[]), Verified::Accepted { rule: "none", secret: 0 });
    let missing = Verified::Refused(Refused::MissingHeader(SIGNATURE));
    assert_eq!(verified(&headers, &body, &["vikunja-secret"]), missing);
    let prefixed = format!("sha256={}", VECTORS[0].2);
    headers.insert(SIGNATURE, HeaderValue::try_from(prefixed).expect("a value"));
    let refused = verified(&headers, &body, &["vikunja-secret"]);
    assert!(matches!(refused, Verified::Refused(Refused::BadHeader { .. })), "GitHub's form is not Vikunja's");
}

#[test]
fn bodies_of_another_shape_say_what_is_missing() {
    let headers = HeaderMap::new();
    let refused = |body: &'static str| {
        Vikunja.decode(&request(&headers, &Bytes::from_static(body.as_bytes()))).expect_err(body).to_string()
    };
    assert_eq!(refused("[]"), "body must be a JSON object; byte 0: expected an object");
    assert_eq!(refused(r#"{"data":{}}"#), "member `event_name` must be a string with the event type");
    assert_eq!(refused(r#"{"event_name":"task.created"}"#), "member `data` is missing");
}

#[test]
fn a_repeat_has_the_same_deduplication_id_and_another_event_has_not() {
    let headers = HeaderMap::new();
    let id = |body: &'static [u8]| {
        let decoded = Vikunja.decode(&request(&headers, &Bytes::from_static(body))).expect("decoded");
        decoded.deduplication_id.expect("it has one")
    };
    let ids = VECTORS.map(|(body, ..)| id(body));
    assert_eq!(ids[0], id(VECTORS[0].0));
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    assert_eq!(ids[0].len(), 64);
}
