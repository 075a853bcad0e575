//! The document's examples, published signatures, the law, and what is refused.

mod law;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{Payload, SigningKeys};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::*;
use crate::envelope::without;
use crate::examples::{NOW, endpoint, message, request, settings, signing};
use crate::law::{Value, value};
use crate::{Refused, check_settings};

const SECRET: &str = "pb_secret_key";
const SESSION: &[u8] = include_bytes!("../../vectors/photobooth_session.json");
const SURVEY: &[u8] = include_bytes!("../../vectors/photobooth_survey.json");

/// Body, how the signature is written, signature.
const VECTORS: [(&[u8], &str, &str); 4] = [
    (SESSION, "hex", "54a21e376db126ae475b4aef23c750cc9d0785349c53c2ee46e1596da92743b2"),
    (SESSION, "base64", "VKIeN22xJq5HW0rvI8dQzJ0HhTScU8LuRuFZbaknQ7I="),
    (SURVEY, "hex", "efce174e52294779b81519abf160108494b65b889e617fc2ee981fbf746dbca1"),
    (SURVEY, "sha256=hex", "sha256=efce174e52294779b81519abf160108494b65b889e617fc2ee981fbf746dbca1"),
];

/// The endpoint, of an application with this `event_id`, signing in this form.
fn configured(event_id: Option<&str>, encoding: &str, secret: &str) -> Endpoint {
    let mut endpoint = signing(endpoint("photobooth"), &SigningKeys::single(secret));
    let settings = Arc::make_mut(&mut endpoint.settings);
    settings.options.insert(SIGNATURE_ENCODING.name.to_owned(), encoding.to_owned());
    let pair = event_id.map(|id| (EVENT_ID.to_owned(), id.to_owned()));
    endpoint.application_metadata = Arc::new(BTreeMap::from_iter(pair));
    endpoint
}

/// The request that an attempt makes of the message.
fn sent(message: &Message, endpoint: &Endpoint) -> Encoded {
    let mut encoded = Photobooth.encode(message, endpoint, 0).expect("it can be encoded");
    let mut headers = encoded.headers.clone();
    Photobooth.sign(&encoded, message, endpoint, NOW, &mut headers).expect("it can be signed");
    encoded.headers = headers;
    encoded
}

/// The message that a body of the document is published as: its type is the message's, the rest its payload.
fn published(body: &[u8]) -> Message {
    let mut message = message(without(body, &["type"]).expect("an object"));
    message.event_type = envelope::event_type(body, "type").expect("a type");
    message
}

fn verified(sent: &Encoded, secrets: &[&str]) -> Verified {
    let secrets: Vec<_> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
    Photobooth.verify(&request(&sent.headers, &sent.body), &secrets, NOW)
}

#[test]
fn the_published_bodies_leave_and_come_in() {
    for (body, encoding, signature) in VECTORS {
        let message = published(body);
        let sent = sent(&message, &configured(None, encoding, SECRET));
        assert_eq!(sent.body.escape_ascii().to_string(), body.escape_ascii().to_string());
        assert_eq!(sent.headers[SIGNATURE], signature);
        assert_eq!(sent.headers[CONTENT_TYPE], "application/json");
        assert_eq!(sent.headers.len(), 2);

        let accepted = Verified::Accepted { rule: "HMAC-SHA256", secret: 1 };
        assert_eq!(verified(&sent, &["another", SECRET]), accepted);
        let decoded = Photobooth.decode(&request(&sent.headers, &sent.body)).expect("decoded");
        assert_eq!(decoded.event_type, message.event_type);
        assert_eq!(decoded.payload, message.payload.bytes().expect("kept"));
        assert_eq!((decoded.event_time, decoded.deduplication_id), (None, None));
        assert_eq!(decoded.content_type, "application/json");
    }
}

#[test]
fn the_documents_examples_leave_as_the_document_shows_them() {
    let Value::Array(examples) = value(include_bytes!("tests/document.json")) else { panic!("a list") };
    let texts: Vec<serde_json::Value> =
        serde_json::from_slice(include_bytes!("tests/document.json")).expect("the examples");
    assert_eq!(examples.len(), catalogue::EVENTS.len());
    for (example, text) in examples.iter().zip(texts) {
        let message = published(text.to_string().as_bytes());
        let sent = sent(&message, &configured(None, "hex", SECRET));
        assert_eq!(&value(&sent.body), example);
        assert!(catalogue::EVENTS.iter().any(|event| event.name == message.event_type.as_str()));
    }
}

#[test]
fn the_event_id_is_the_payloads_else_the_applications() {
    let check = |payload: &'static str, metadata: Option<&str>, expected: &str| {
        let body = sent(&message(payload), &configured(metadata, "hex", SECRET)).body;
        assert_eq!(body, format!(r#"{{"type":"task.created",{expected}}}"#), "{payload} {metadata:?}");
    };
    check(r#"{"a":1}"#, Some("12"), r#""event_id":12,"a":1"#);
    check("{}", Some("-1"), r#""event_id":-1"#);
    check("{}", Some("0"), r#""event_id":0"#);
    check("{}", Some("012"), r#""event_id":"012""#);
    check("{}", Some("1.0"), r#""event_id":"1.0""#);
    check("{}", Some("-"), r#""event_id":"-""#);
    check("{}", Some(""), r#""event_id":"""#);
    check("{}", Some("spring \"26\""), r#""event_id":"spring \"26\"""#);
    check(r#"{"a":1,"event_id":7,"b":2}"#, Some("12"), r#""event_id":7,"a":1,"b":2"#);
    check(r#"{"event_id":"7"}"#, None, r#""event_id":"7""#);
    check(r#"{"event_id":null}"#, Some("12"), r#""event_id":12"#);
    check(r#"{"event_id":1,"type":"other","ev\u0065nt_id":2}"#, None, r#""event_id":2"#);
}

#[test]
fn what_cannot_be_sent_says_why() {
    let refused = |message: &Message| {
        Photobooth.encode(message, &configured(None, "hex", SECRET), 0).expect_err("refused").to_string()
    };
    let missing = "it has no `event_id`; put it into the payload, or once into the application's metadata";
    assert_eq!(refused(&message("{}")), missing);
    let object = "its payload must be a JSON object; byte 0: expected an object";
    assert_eq!(refused(&message("[1]")), object);
    assert_eq!(refused(&message("not JSON")), "its payload must be a JSON object; byte 0: expected a value");
    let mut gone = message("{}");
    gone.payload = Payload::Expunged;
    assert_eq!(refused(&gone), "its payload was expunged");
}

#[test]
fn its_defaults_are_the_documents() {
    let defaults = Photobooth.defaults();
    assert_eq!(defaults.retry, Some(RetryPolicy::Fixed { delay: Duration::from_secs(10), retries: 3 }));
    assert!(defaults.require_https);
    assert_eq!(defaults.secret_form, SecretForm::Text);
}

#[test]
fn the_signatures_form_is_one_of_three() {
    let mut settings = settings("photobooth");
    settings.keys = SigningKeys::single(SECRET);
    for encoding in ["hex", "sha256=hex", "base64"] {
        settings.options.insert(SIGNATURE_ENCODING.name.to_owned(), encoding.to_owned());
        assert_eq!(check_settings(&Photobooth, &settings), Ok(()), "{encoding}");
    }
    settings.options.insert(SIGNATURE_ENCODING.name.to_owned(), "HEX".to_owned());
    let error = check_settings(&Photobooth, &settings).expect_err("no form");
    let why = "options.signature_encoding: is `HEX`, must be one of `hex`, `sha256=hex`, `base64`";
    assert_eq!(error.to_string(), why);
    settings.options.clear();
    settings.headers = vec![crate::examples::header("x-signature", "fixed")];
    assert_eq!(check_settings(&Photobooth, &settings).expect_err("two signatures").field, "headers");
}

#[test]
fn nothing_unsigned_comes_in() {
    let mut sent = Encoded { headers: HeaderMap::new(), body: Bytes::from_static(SESSION) };
    assert!(matches!(verified(&sent, &[]), Verified::Refused(Refused::NoSecret(_))));
    assert_eq!(verified(&sent, &[SECRET]), Verified::Refused(Refused::MissingHeader(SIGNATURE)));
    sent.headers.insert(SIGNATURE, HeaderValue::from_static("nonsense"));
    let Verified::Refused(refused) = verified(&sent, &[SECRET]) else { panic!("accepted") };
    assert_eq!(
        refused.to_string(),
        "header `x-signature` must be the HMAC-SHA256 of the body as 64 lower-case hexadecimal digits, \
         or `sha256=` and 64 lower-case hexadecimal digits, or base64"
    );
}

#[test]
fn bodies_of_another_shape_say_what_is_missing() {
    let headers = HeaderMap::new();
    let refused = |body: &'static str| {
        Photobooth.decode(&request(&headers, &Bytes::from_static(body.as_bytes()))).expect_err(body).to_string()
    };
    assert_eq!(refused("7"), "body must be a JSON object; byte 0: expected an object");
    assert_eq!(refused("{}"), "member `type` must be a string with the event type");
}
