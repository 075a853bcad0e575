//! The body of the workflow action, both ways.

use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::SigningKeys;
use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::check_settings;
use crate::examples::{NOW, endpoint, message, request, settings};
use crate::law::{accepts, event_type, json, value};

fn typed(text: &str) -> Endpoint {
    let mut endpoint = endpoint("immich-workflow");
    Arc::make_mut(&mut endpoint.settings).options.insert("type".to_owned(), text.to_owned());
    endpoint
}

fn decoded(body: &Bytes) -> Result<Decoded, DecodeError> {
    ImmichWorkflow.decode(&request(&HeaderMap::new(), body))
}

#[test]
fn the_published_body_leaves_and_comes_in() {
    let mut message = message(r#"{ "asset" : { "id": "a", "n": 1.00, "<": "&" } }"#);
    message.event_type = "AssetCreate".parse().expect("a name");
    let encoded = ImmichWorkflow.encode(&message, &endpoint("immich-workflow"), 0).expect("it can be encoded");
    let expected = r#"{"type":"AssetV1","trigger":"AssetCreate","data":{"asset":{"id":"a","n":1.00,"<":"&"}}}"#;
    assert_eq!(encoded.body, expected);
    assert_eq!(encoded.headers["content-type"], "application/json");
    assert_eq!(encoded.headers.len(), 1);
    let decoded = decoded(&encoded.body).expect("decoded");
    assert_eq!(decoded.event_type.as_str(), "AssetCreate");
    assert_eq!((decoded.event_time, decoded.deduplication_id), (None, None));
    assert_eq!(decoded.payload, r#"{"asset":{"id":"a","n":1.00,"<":"&"}}"#);
    let other = ImmichWorkflow.encode(&message, &typed("AlbumV1"), 0).expect("it can be encoded");
    assert!(other.body.starts_with(br#"{"type":"AlbumV1","#));
}

#[test]
fn secrets_leave_only_when_the_endpoint_says_so() {
    let mut message = message(r#"{"id":"u","password":"canary"}"#);
    message.event_type = "UserSignup".parse().expect("a name");
    let body = |endpoint: &Endpoint| ImmichWorkflow.encode(&message, endpoint, 0).expect("it can be encoded").body;
    let mut endpoint = endpoint("immich-workflow");
    assert!(body(&endpoint).ends_with(br#""data":{"id":"u","password":"REDACTED"}}"#));
    Arc::make_mut(&mut endpoint.settings).options.insert("redact".to_owned(), "false".to_owned());
    assert_eq!(check_settings(&ImmichWorkflow, &endpoint.settings), Ok(()));
    assert!(body(&endpoint).ends_with(br#""data":{"id":"u","password":"canary"}}"#));
}

#[test]
fn settings_that_say_nothing_or_would_sign_are_refused() {
    assert_eq!(check_settings(&ImmichWorkflow, &typed("AlbumV1").settings), Ok(()));
    for (length, fine) in [(0, false), (256, true), (257, false)] {
        assert_eq!(check_settings(&ImmichWorkflow, &typed(&"x".repeat(length)).settings).is_ok(), fine, "{length}");
    }
    let error = check_settings(&ImmichWorkflow, &typed("").settings).expect_err("empty").to_string();
    assert_eq!(error, "options.type: must have 1 to 256 bytes, such as `AssetV1`");
    let mut endpoint = settings("immich-workflow");
    endpoint.keys = SigningKeys::single("canary");
    let error = check_settings(&ImmichWorkflow, &endpoint).expect_err("a secret").to_string();
    assert!(error.starts_with("secret: dialect `immich-workflow` does not sign; "), "{error}");
}

#[test]
fn bodies_of_another_shape_say_what_is_missing() {
    let refused = |body: &'static str| decoded(&Bytes::from_static(body.as_bytes())).expect_err(body).to_string();
    assert_eq!(refused("[]"), "body must be a JSON object; byte 0: expected an object");
    assert_eq!(refused(r#"{"type":"AssetV1","data":{}}"#), "member `trigger` must be a string with the event type");
    assert_eq!(refused(r#"{"type":"AssetV1","trigger":"AssetCreate"}"#), "member `data` is missing");
}

#[test]
fn a_source_without_secrets_takes_anything() {
    let (headers, body) = (HeaderMap::new(), Bytes::from_static(b"{}"));
    let verified = ImmichWorkflow.verify(&request(&headers, &body), &[], NOW);
    assert_eq!(verified, Verified::Accepted { rule: "none", secret: 0 });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_accepted_as_it_was(
        payload in json(), event_type in event_type(), kind in "\\PC{1,12}", secret in "[!-~]{1,12}",
    ) {
        let mut message = message(payload.clone());
        message.event_type = event_type.parse().expect("a name");
        let mut sent = ImmichWorkflow.encode(&message, &typed(&kind), 0).expect("it can be encoded");
        sent.headers.insert("x-webhook-secret", secret.parse().expect("visible ASCII"));
        prop_assert!(accepts(&ImmichWorkflow, &sent.headers, &sent, &secret));
        let other = format!("x{secret}");
        prop_assert!(!accepts(&ImmichWorkflow, &sent.headers, &sent, &other));
        let decoded = decoded(&sent.body).expect("decoded");
        prop_assert_eq!(decoded.event_type, message.event_type);
        prop_assert_eq!(value(&decoded.payload), value(payload.as_bytes()));
        let text = json::member(&sent.body, "type").and_then(json::text).expect("it says");
        prop_assert_eq!(text, kind);
    }
}
