use hookyard_model::{Payload, SigningKeys};

use super::*;
use crate::examples::{header, settings};
use crate::{Defaults, check_settings};

fn published(payload: impl Into<Bytes>) -> Message {
    let mut message = message(payload);
    message.event_type = "order.paid".parse().expect("a name");
    message.event_time = Some("2018-04-05T17:31:00.25+02:00".parse().expect("a time"));
    message
}

#[test]
fn a_structured_event_is_one_object_with_the_payload_as_it_was() {
    let message = published("{ \"n\": 1.00, \"<\":\"\u{2028}\" }");
    let encoded = sent(&message, &[]);
    let expected = format!(
        "{{\"specversion\":\"1.0\",\"id\":\"{}\",\"source\":\"urn:hookyard:{}\",\"type\":\"order.paid\",\
         \"time\":\"2018-04-05T17:31:00.25+02:00\",\"datacontenttype\":\"application/json\",\
         \"data\":{{ \"n\": 1.00, \"<\":\"\u{2028}\" }}}}",
        message.id, message.application
    );
    assert_eq!(encoded.body, expected);
    assert_eq!(encoded.headers.len(), 1);
    assert_eq!(encoded.headers["content-type"], "application/cloudevents+json; charset=utf-8");
}

#[test]
fn options_say_source_type_and_subject() {
    let options = [("source", "/shop"), ("type_prefix", "com.example."), ("subject", "Zoë \"& Co\"")];
    let body = String::from_utf8(sent(&published("7"), &options).body.to_vec()).expect("UTF-8");
    for part in [
        r#""source":"/shop","type":"com.example.order.paid","subject":"Zoë \"& Co\"","time""#,
        r#","datacontenttype":"application/json","data":7}"#,
    ] {
        assert!(body.contains(part), "{body}");
    }
}

#[test]
fn what_is_not_json_leaves_as_base64() {
    let mut message = published(&b"\x00\xff"[..]);
    message.content_type = "image/jpeg".to_owned();
    let body = String::from_utf8(sent(&message, &[]).body.to_vec()).expect("UTF-8");
    assert!(body.ends_with(r#","datacontenttype":"image/jpeg","data_base64":"AP8="}"#), "{body}");
}

#[test]
fn a_binary_event_is_headers_and_the_payloads_own_bytes() {
    let mut message = published(&b"\x00\xff"[..]);
    message.content_type = "image/jpeg".to_owned();
    let options = [("mode", "binary"), ("source", "/a%20b"), ("type_prefix", "Zoë "), ("subject", "Euro € 😀")];
    let encoded = sent(&message, &options);
    assert_eq!(&encoded.body[..], b"\x00\xff");
    let expected = [
        ("content-type", "image/jpeg"),
        ("ce-specversion", "1.0"),
        ("ce-id", &message.id.to_string()),
        ("ce-source", "/a%2520b"),
        ("ce-type", "Zo%C3%AB%20order.paid"),
        // The binding's own example.
        ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-time", "2018-04-05T17:31:00.25+02:00"),
    ];
    assert_eq!(encoded.headers, headers(&expected));
}

#[test]
fn every_attempt_has_the_same_bytes() {
    for mode in ["structured", "binary"] {
        let (message, endpoint) = (published("{}"), choosing(&[("mode", mode)]));
        let encoded = CloudEvents.encode(&message, &endpoint, 0).expect("it can be encoded");
        assert_eq!(CloudEvents.encode(&message, &endpoint, 1).expect("it can be encoded"), encoded);
        let mut headers = encoded.headers.clone();
        CloudEvents.sign(&encoded, &message, &endpoint, NOW, &mut headers).expect("nothing to sign");
        assert_eq!(headers, encoded.headers);
    }
    assert_eq!(CloudEvents.defaults(), Defaults::default());
}

#[test]
fn what_cannot_be_sent_says_why() {
    let refused = |message: &Message, mode| {
        CloudEvents.encode(message, &choosing(&[("mode", mode)]), 0).expect_err("refused").to_string()
    };
    let mut gone = published("{}");
    gone.payload = Payload::Expunged;
    assert_eq!(refused(&gone, "structured"), "its payload was expunged");
    assert_eq!(refused(&gone, "binary"), "its payload was expunged");
    assert_eq!(refused(&published("hello"), "structured"), "its payload is not JSON; byte 0: expected a value");
    let mut odd = published(&b"\"\xff\""[..]);
    assert_eq!(refused(&odd, "structured"), "its payload is not JSON; it is not UTF-8");
    odd.content_type = "text/plain\r\nx: y".to_owned();
    assert_eq!(refused(&odd, "binary"), "its content type `text/plain\\r\\nx: y` is not a header value");
}

#[test]
fn settings_that_would_break_the_event_are_refused() {
    let checked = |options: &[(&str, &str)]| check_settings(&CloudEvents, &choosing(options).settings);
    let refused = |options: &[(&str, &str)]| checked(options).expect_err("refused").to_string();
    for source in ["https://example.com/a?b=%20#c", "urn:uuid:6e8bc430", "/a", "a", "mailto:a@example.com", "[::1]"] {
        assert_eq!(checked(&[("source", source)]), Ok(()), "{source}");
    }
    let expected =
        "options.source: must be a URI or a relative reference, such as `https://example.com/shop` or `/shop`";
    for source in ["a b", "Zoë", "%", "%2", "%2g", "a<b", "\"", "a\\b", "{}"] {
        assert_eq!(refused(&[("source", source)]), expected, "{source}");
    }
    for name in ["source", "type_prefix", "subject"] {
        let empty = format!("options.{name}: must have 1 to 256 bytes; leave it out for its default");
        assert_eq!(refused(&[(name, "")]), empty);
        assert_eq!(refused(&[(name, &"x".repeat(257))]), empty);
        assert_eq!(checked(&[(name, &"x".repeat(256))]), Ok(()));
        let control = format!("options.{name}: has a line break or another control character; only text is allowed");
        assert_eq!(refused(&[(name, "a\nb")]), control);
    }
    assert_eq!(refused(&[("mode", "batch")]), "options.mode: is `batch`, must be one of `structured`, `binary`");
    assert_eq!(checked(&[("mode", "binary"), ("subject", "Zoë")]), Ok(()));

    let mut endpoint = settings("cloudevents");
    endpoint.headers = vec![header("Authorization", "Bearer canary")];
    assert_eq!(check_settings(&CloudEvents, &endpoint), Ok(()));
    for name in ["Content-Type", "CE-Id", "ce-anything"] {
        endpoint.headers = vec![header(name, "canary")];
        let error = check_settings(&CloudEvents, &endpoint).expect_err(name).to_string();
        assert_eq!(error, format!("headers: `{name}` is part of the event and cannot be set"));
    }
    endpoint.headers = Vec::new();
    endpoint.keys = SigningKeys::single("canary");
    let error = check_settings(&CloudEvents, &endpoint).expect_err("a secret").to_string();
    assert!(error.starts_with("secret: dialect `cloudevents` does not sign; "), "{error}");
}
