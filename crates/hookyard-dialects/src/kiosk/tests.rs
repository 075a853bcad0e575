//! The document's example, Kiosk's own bodies, the law, and what is refused.

mod law;

use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{Payload, SigningKeys};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::*;
use crate::envelope::without;
use crate::examples::{NOW, endpoint, message, request, settings, signing};
use crate::json::{MemberOrder, Style, member, text, write};
use crate::law::value;
use crate::{Refused, check_settings};

const SECRET: &str = "my_webhook_secret";
const DOCUMENT: &[u8] = include_bytes!("../../vectors/kiosk_doc_min.json");
const CACHE_FLUSH: &[u8] = include_bytes!("../../vectors/kiosk_cacheflush.json");
const ASSET_NEW: &[u8] = include_bytes!("../../vectors/kiosk_assetnew.json");

/// Body and signature.
const VECTORS: [(&[u8], &str); 3] = [
    (DOCUMENT, "sha256=7a573864646a164ebe5bc007892304722c165b975699650db12cf98af0a63a3c"),
    (CACHE_FLUSH, "sha256=6fd9c5de7fd12eca9c52077cd30c646541b6ca487095b28dbf933c0e0d48aef3"),
    (ASSET_NEW, "sha256=9c324f8f0891c581f68190e602092d497516e5cd2169f641f8e034506ceb100f"),
];

/// The endpoint, signing with this secret and masking or not.
fn configured(secret: &str, redact: &str) -> Endpoint {
    let mut endpoint = signing(endpoint("kiosk"), &SigningKeys::single(secret));
    Arc::make_mut(&mut endpoint.settings).options.insert(REDACT.name.to_owned(), redact.to_owned());
    endpoint
}

/// The request that an attempt makes of the message.
fn sent(message: &Message, endpoint: &Endpoint) -> Encoded {
    signed(Kiosk.encode(message, endpoint, 0).expect("it can be encoded"), endpoint)
}

fn signed(mut encoded: Encoded, endpoint: &Endpoint) -> Encoded {
    let mut headers = encoded.headers.clone();
    Kiosk.sign(&encoded, &message("{}"), endpoint, NOW, &mut headers).expect("it can be signed");
    encoded.headers = headers;
    encoded
}

/// The message that a body is made of.
fn published(body: &[u8]) -> Message {
    let string = |name| text(member(body, name).expect("it has it")).expect("a string");
    let mut message = message(without(body, &["event", "timestamp"]).expect("an object"));
    message.event_type = string("event").parse().expect("a name");
    message.event_time = Some(string("timestamp").parse().expect("a time"));
    message
}

fn verified(sent: &Encoded, secrets: &[&str]) -> Verified {
    let secrets: Vec<_> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
    Kiosk.verify(&request(&sent.headers, &sent.body), &secrets, NOW)
}

/// The body as text, without the space between its tokens.
fn compact(body: &[u8]) -> String {
    let mut compact = Vec::new();
    write(body, Style::Go, MemberOrder::AsWritten, &mut compact).expect("it is JSON");
    String::from_utf8(compact).expect("UTF-8")
}

#[test]
fn the_documents_example_leaves_as_the_document_shows_it() {
    let example = include_bytes!("tests/document.json");
    for body in [&example[..], DOCUMENT] {
        let sent = sent(&published(body), &configured(SECRET, "true"));
        assert_eq!(sent.body, compact(body));
        assert_eq!(sent.headers[SIGNATURE], VECTORS[0].1);
        assert_eq!(sent.headers[CONTENT_TYPE], "application/json");
        assert_eq!(sent.headers.len(), 2);
    }
}

#[test]
fn published_bodies_are_signed_and_come_in() {
    for (body, signature) in VECTORS {
        let encoded = Encoded { headers: HeaderMap::new(), body: Bytes::from_static(body) };
        let sent = signed(encoded, &configured(SECRET, "true"));
        assert_eq!(sent.headers[SIGNATURE], signature);
        let accepted = Verified::Accepted { rule: "HMAC-SHA256", secret: 1 };
        assert_eq!(verified(&sent, &["another", SECRET]), accepted);

        let decoded = Kiosk.decode(&request(&sent.headers, &sent.body)).expect("decoded");
        let message = published(body);
        assert_eq!(decoded.event_type, message.event_type);
        assert_eq!(decoded.event_time, message.event_time);
        assert_eq!(decoded.payload, message.payload.bytes().expect("kept"));
        assert_eq!(decoded.content_type, "application/json");
    }
}

#[test]
fn what_kiosk_sends_leaves_again_in_the_documents_order_without_its_secrets() {
    for body in [CACHE_FLUSH, ASSET_NEW] {
        assert!(
            compact(body)
                .contains(r#""url":"http://127.0.0.1:9000/hook","event":"cache.flush","secret":"my_webhook_secret""#)
        );
        let masked = sent(&published(body), &configured(SECRET, "true")).body;
        assert!(compact(&masked).contains(r#""url":"REDACTED","event":"cache.flush","secret":"REDACTED""#));
        for canary in ["my_webhook_secret", "127.0.0.1:9000"] {
            assert!(!compact(&masked).contains(canary), "{canary}");
        }
        let names = json_names(&masked);
        assert_eq!(names, ["event", "timestamp", "deviceID", "clientName", "assetCount", "assets", "config", "meta"]);

        let clear = sent(&published(body), &configured(SECRET, "false")).body;
        assert_eq!(value(&clear), value(body));
        for member in ["assets", "config", "meta"] {
            let of = |body| crate::json::member(body, member).expect("it has it").escape_ascii().to_string();
            assert_eq!(of(&clear), of(body), "Go's escapes are kept");
        }
    }
}

fn json_names(body: &[u8]) -> Vec<String> {
    let members = crate::json::members(body).map(|member| member.expect("it is JSON"));
    members.map(|member| text(member.key).expect("a name").into_owned()).collect()
}

#[test]
fn what_a_payload_leaves_out_is_empty_and_what_it_has_more_comes_behind() {
    let check = |payload: &'static str, expected: &str| {
        let expected = format!(r#"{{"event":"task.created","timestamp":"2026-01-01T00:00:00Z",{expected}}}"#);
        let body = sent(&message(payload), &configured(SECRET, "true")).body;
        assert_eq!(body, expected.replace("VERSION", env!("CARGO_PKG_VERSION")), "{payload}");
    };
    let empty = r#""deviceID":"","clientName":"","assetCount":0,"assets":[],"config":{},"meta":{"source":"immich-kiosk","version":"VERSION"}"#;
    check("{}", empty);
    check(r#"{"deviceID":null,"clientName":null,"assetCount":null,"assets":null,"config":null,"meta":null}"#, empty);
    check(r#"{"event":"other","timestamp":"then","assetCount":9}"#, empty);
    check(
        r#"{"z": 1.00, "meta": {}, "assets": [1, "<"], "clientName": "a", "a": [2], "clientName": "b"}"#,
        r#""deviceID":"","clientName":"b","assetCount":2,"assets":[1,"\u003c"],"config":{},"meta":{},"z":1.00,"a":[2]"#,
    );
}

#[test]
fn what_cannot_be_sent_says_why() {
    let refused = |message: &Message| Kiosk.encode(message, &endpoint("kiosk"), 0).expect_err("refused").to_string();
    let payload = |payload: &'static str| refused(&message(payload));
    assert_eq!(payload("[]"), "its payload must be a JSON object; byte 0: expected an object");
    assert_eq!(payload(r#"{"assets":{}}"#), "member `assets` of its payload must be an array");
    assert_eq!(payload(r#"{"config":[]}"#), "member `config` of its payload must be an object");
    assert_eq!(payload(r#"{"deviceID":7}"#), "member `deviceID` of its payload must be a string");
    let mut gone = message("{}");
    gone.payload = Payload::Expunged;
    assert_eq!(refused(&gone), "its payload was expunged");
}

#[test]
fn a_flushed_cache_has_the_name_that_the_endpoint_asked_for() {
    let check = |patterns: &[&str], expected: &str| {
        let mut endpoint = configured(SECRET, "true");
        let settings = Arc::make_mut(&mut endpoint.settings);
        settings.event_types = Some(patterns.iter().map(|pattern| pattern.parse().expect("a pattern")).collect());
        Kiosk.complete(settings);
        let message = published(CACHE_FLUSH);
        let filter = settings.event_types.as_ref().expect("it has one");
        assert!(filter.iter().any(|pattern| pattern.matches(&message.event_type)), "{patterns:?}");
        let sent = sent(&message, &endpoint);
        assert_eq!(member(&sent.body, "event"), Some(format!("{expected:?}").as_bytes()), "{patterns:?}");
    };
    check(&["cache.flushed"], "cache.flushed");
    check(&["cache.flush"], "cache.flush");
    check(&["cache.*"], "cache.flush");
}

#[test]
fn its_options_are_checked() {
    let mut settings = settings("kiosk");
    settings.options.insert("redact".to_owned(), "no".to_owned());
    let error = check_settings(&Kiosk, &settings).expect_err("no choice");
    assert_eq!(error.to_string(), "options.redact: is `no`, must be one of `true`, `false`");
    settings.options.insert("redact".to_owned(), "false".to_owned());
    assert_eq!(check_settings(&Kiosk, &settings), Ok(()));
    settings.keys = SigningKeys::single("");
    assert_eq!(check_settings(&Kiosk, &settings).expect_err("no key").to_string(), "secret: is empty");
}

#[test]
fn without_a_secret_anything_comes_in_and_with_one_nothing_unsigned_does() {
    let mut sent = Encoded { headers: HeaderMap::new(), body: Bytes::from_static(DOCUMENT) };
    assert_eq!(verified(&sent, &[]), Verified::Accepted { rule: "none", secret: 0 });
    assert_eq!(verified(&sent, &[SECRET]), Verified::Refused(Refused::MissingHeader(SIGNATURE)));
    let bare = VECTORS[0].1.trim_start_matches("sha256=");
    sent.headers.insert(SIGNATURE, HeaderValue::from_static(bare));
    assert!(matches!(verified(&sent, &[SECRET]), Verified::Refused(Refused::BadHeader { .. })));
}

#[test]
fn every_sample_leaves_with_the_masks_it_has() {
    for event in &catalogue::EVENTS {
        let sent = sent(&message(event.sample), &configured(SECRET, "true"));
        let left = without(&sent.body, &["event", "timestamp"]).expect("an object");
        assert_eq!(value(&left), value(event.sample.as_bytes()), "{}", event.name);
    }
}
