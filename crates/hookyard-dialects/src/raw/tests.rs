use bytes::Bytes;
use hookyard_model::{OnGone, Payload, SigningKeys};
use http::{HeaderMap, HeaderValue};

use super::*;
use crate::examples::{NOW, endpoint, header, message, request, settings, signing};
use crate::{Defaults, SecretForm};

#[test]
fn the_payload_leaves_as_it_came() {
    let mut message = message(&b"\x00\xff not JSON"[..]);
    message.content_type = "image/jpeg".to_owned();
    let encoded = Raw.encode(&message, &endpoint("raw"), 0).expect("it can be encoded");
    assert_eq!(&encoded.body[..], b"\x00\xff not JSON");
    assert_eq!(encoded.headers.len(), 1);
    assert_eq!(encoded.headers[CONTENT_TYPE], "image/jpeg");
    let mut headers = encoded.headers.clone();
    let endpoint = signing(endpoint("raw"), &SigningKeys::single("ignored"));
    Raw.sign(&encoded, &message, &endpoint, NOW, &mut headers).expect("nothing to sign");
    assert_eq!(headers, encoded.headers);
}

#[test]
fn what_cannot_be_sent_says_why() {
    let mut gone = message("{}");
    gone.payload = Payload::Expunged;
    let error = Raw.encode(&gone, &endpoint("raw"), 0).expect_err("nothing to send");
    assert_eq!(error.to_string(), "its payload was expunged");
    let mut odd = message("{}");
    odd.content_type = "text/plain\r\nx-injected: yes".to_owned();
    let error = Raw.encode(&odd, &endpoint("raw"), 0).expect_err("not a header value");
    assert_eq!(error.to_string(), "its content type `text/plain\\r\\nx-injected: yes` is not a header value");
}

#[test]
fn its_defaults_sign_nothing() {
    let Defaults { on_gone, secret_form, .. } = Raw.defaults();
    assert_eq!((on_gone, secret_form), (OnGone::Retry, SecretForm::None));
}

#[test]
fn a_secret_is_refused_and_most_headers_are_not() {
    let mut endpoint = settings("raw");
    endpoint.headers = vec![header("Content-Type", "text/plain"), header("webhook-id", "1")];
    assert_eq!(Raw.check(&endpoint), Ok(()));
    endpoint.keys = SigningKeys::single("canary");
    let error = Raw.check(&endpoint).expect_err("a secret");
    assert_eq!(error.to_string(), "secret: dialect `raw` does not sign; leave the secret out, or choose `standard`");
    endpoint.headers = vec![header("Host", "elsewhere.example")];
    assert_eq!(Raw.check(&endpoint).expect_err("a transport header").field, "headers");
}

#[test]
fn anything_comes_in_under_the_rule_none() {
    let body = Bytes::from_static(b"\xffany");
    let mut headers = HeaderMap::new();
    assert_eq!(Raw.verify(&request(&headers, &body), &[], NOW), Verified::Accepted { rule: "none", secret: 0 });
    let decoded = Raw.decode(&request(&headers, &body)).expect("decoded");
    assert_eq!(decoded.event_type.as_str(), "raw");
    assert_eq!(decoded.content_type, "application/octet-stream");
    assert_eq!(decoded.payload, body);
    assert_eq!(decoded.deduplication_id, None);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    assert_eq!(Raw.decode(&request(&headers, &body)).expect("decoded").content_type, "text/plain; charset=utf-8");
}

#[test]
fn a_secret_that_would_verify_nothing_keeps_everybody_out() {
    let (headers, body) = (HeaderMap::new(), Bytes::new());
    let secrets = [Secret::new("canary".to_owned())];
    let verified = Raw.verify(&request(&headers, &body), &secrets, NOW);
    let Verified::Refused(refused) = verified else { panic!("accepted") };
    assert_eq!(
        refused.to_string(),
        "no usable secret: dialect `raw` verifies nothing; take the secret away, or choose a dialect that verifies"
    );
}

#[test]
fn a_media_type_is_bounded() {
    let body = Bytes::new();
    for (length, fine) in [(0, false), (1, true), (256, true), (257, false)] {
        let value = HeaderValue::try_from("x".repeat(length)).expect("a value");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
        assert_eq!(Raw.decode(&request(&headers, &body)).is_ok(), fine, "{length}");
    }
}
