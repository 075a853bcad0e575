use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_model::{Secret, SigningSecret};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

const SECRET: &str = "It's a Secret to Everybody";

fn signed(options: &[(&str, &str)], payload: &[u8], keys: &SigningKeys) -> Result<HeaderMap, EncodeError> {
    let endpoint = signing(with(options), keys);
    assert_eq!(check_settings(&Template, &endpoint.settings), Ok(()));
    let message = message(payload.to_vec());
    let encoded = Template.encode(&message, &endpoint, 0)?;
    let mut headers = encoded.headers.clone();
    Template.sign(&encoded, &message, &endpoint, NOW, &mut headers)?;
    Ok(headers)
}

/// HMAC-SHA256 by the words of RFC 2104, so that what is compared does not come from the same library.
fn hmac_sha256(key: &[u8], content: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36)[..], content].concat());
    Sha256::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner[..]].concat()).into()
}

/// GitHub publishes this one for testing.
#[test]
fn the_shape_of_github_is_what_github_publishes() {
    let options = [("signature.header", "X-Hub-Signature-256"), ("signature.prefix", "sha256=")];
    let headers = signed(&options, b"Hello, World!", &SigningKeys::single(SECRET)).expect("signed");
    let published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(headers["x-hub-signature-256"], published);
    assert_eq!(headers.len(), 2, "nothing but that and the media type: {headers:?}");
}

/// Slack publishes this one in its guide to verifying requests.
#[test]
fn the_shape_of_slack_is_what_slack_publishes() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
                channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
                response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F\
                96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let options = [
        ("signature.header", "X-Slack-Signature"),
        ("signature.timestamp_header", "X-Slack-Request-Timestamp"),
        ("signature.prefix", "v0="),
        ("signature.content", "v0:{timestamp}:{body}"),
    ];
    let endpoint = signing(with(&options), &SigningKeys::single("8f742231b10e8888abcd99yyyzzz85a5"));
    let message = message(body);
    let encoded = Template.encode(&message, &endpoint, 0).expect("encoded");
    let mut headers = HeaderMap::new();
    let then = Timestamp::from_seconds(1_531_420_618);
    Template.sign(&encoded, &message, &endpoint, then, &mut headers).expect("signed");
    let published = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    assert_eq!(headers["x-slack-signature"], published);
    assert_eq!(headers["x-slack-request-timestamp"], "1531420618");
}

#[test]
fn other_hashes_are_those_of_rfc_2202_and_rfc_4231() {
    let by = |algorithm: &str| {
        let options = [("signature.header", "X-S"), ("signature.algorithm", algorithm)];
        let headers = signed(&options, b"what do ya want for nothing?", &SigningKeys::single("Jefe")).expect("signed");
        headers["x-s"].to_str().expect("digits").to_owned()
    };
    assert_eq!(by("sha1"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_eq!(by("sha256"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_eq!(
        by("sha512"),
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b\
         636e070a38bce737"
    );
}

#[test]
fn the_timestamp_and_the_id_can_stand_in_the_prefix() {
    let options = [
        ("signature.header", "Stripe-Signature"),
        ("signature.prefix", "t={timestamp},i={id},v1="),
        ("signature.content", "{timestamp}.{id}.{body}"),
    ];
    let headers = signed(&options, b"{}", &SigningKeys::single(SECRET)).expect("signed");
    let (now, id) = (NOW.as_seconds(), message("{}").id);
    let digest = hmac_sha256(SECRET.as_bytes(), format!("{now}.{id}.{{}}").as_bytes());
    assert_eq!(headers["stripe-signature"], format!("t={now},i={id},v1={}", hex::encode(digest)));
}

#[test]
fn the_newest_key_that_counts_signs() {
    let options = [("signature.header", "X-S")];
    let key = |text: &str, expires| SigningSecret { text: Secret::new(text.to_owned()), expires };
    let by = |keys: Vec<SigningSecret>| signed(&options, b"x", &SigningKeys { keys });
    let new = by(vec![key("new", None)]).expect("signed");
    assert_eq!(by(vec![key("new", None), key("old", Some(Timestamp::MAX))]).expect("signed"), new);
    assert_eq!(by(vec![key("over", Some(NOW)), key("new", None)]).expect("signed"), new);
    let error = by(vec![key("over", Some(NOW))]).expect_err("none counts");
    assert_eq!(error.to_string(), "every signing key of the endpoint has expired");
}

#[test]
fn an_attempt_changes_signature_and_timestamp_only() {
    let options = [
        ("body", "{{ payload_json }}"),
        ("signature.header", "X-S"),
        ("signature.timestamp_header", "X-T"),
        ("signature.content", "{timestamp}{body}"),
    ];
    let endpoint = signing(with(&options), &SigningKeys::single("s"));
    let message = message("{}");
    let at = |now| {
        let encoded = Template.encode(&message, &endpoint, 0).expect("encoded");
        let mut headers = encoded.headers.clone();
        Template.sign(&encoded, &message, &endpoint, now, &mut headers).expect("signed");
        (encoded.body, headers)
    };
    let ((body, mut first), (again, mut second)) = (at(NOW), at(Timestamp::MAX));
    assert_eq!(body, again);
    assert_ne!(first.remove("x-t"), second.remove("x-t"));
    assert_ne!(first.remove("x-s"), second.remove("x-s"));
    assert_eq!(first, second);
}

proptest! {
    /// The shapes of GitHub, Slack and Shopify, by another HMAC than the one that signs.
    #[test]
    fn another_hmac_gives_the_same_signature(payload in prop::collection::vec(any::<u8>(), 0..200), secret in ".{1,100}") {
        let keys = SigningKeys::single(secret.clone());
        let github = signed(&[("signature.header", "X-S"), ("signature.prefix", "sha256=")], &payload, &keys);
        let slack = signed(
            &[
                ("signature.header", "X-S"),
                ("signature.timestamp_header", "X-T"),
                ("signature.prefix", "v0="),
                ("signature.content", "v0:{timestamp}:{body}"),
            ],
            &payload,
            &keys,
        );
        let shopify = signed(&[("signature.header", "X-S"), ("signature.encoding", "base64")], &payload, &keys);
        let plain = hmac_sha256(secret.as_bytes(), &payload);
        let stamped = format!("v0:{}:", NOW.as_seconds()).into_bytes();
        let dated = hmac_sha256(secret.as_bytes(), &[stamped, payload].concat());
        for (headers, expected) in [
            (github, format!("sha256={}", hex::encode(plain))),
            (slack, format!("v0={}", hex::encode(dated))),
            (shopify, STANDARD.encode(plain)),
        ] {
            let headers = headers.expect("signed");
            prop_assert_eq!(headers["x-s"].to_str().expect("text"), expected);
        }
    }
}
