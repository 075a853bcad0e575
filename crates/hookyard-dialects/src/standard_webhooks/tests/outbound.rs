//! What leaves, also in the eyes of other people's verifier.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use hookyard_model::{OnGone, Payload};
use standardwebhooks::Webhook;

use super::*;
use crate::examples::{header, message, settings};
use crate::standard_webhooks::sign;
use crate::{Defaults, public_form};

#[test]
fn the_published_signatures_are_made() {
    for (secret, id, seconds, body, signature) in PUBLISHED {
        let content = [id.as_bytes(), b".", &seconds.to_string().into_bytes(), b".", body.as_bytes()];
        for secret in [secret, secret.strip_prefix("whsec_").expect("a prefix")] {
            let made = sign::signatures([Secret::new(secret.to_owned())].iter(), &content).expect("a signature");
            assert_eq!(made, signature);
        }
    }
}

#[test]
fn an_ed25519_signature_verifies_under_the_public_form() {
    let pair = secret(SignatureAlgorithm::Ed25519, 1);
    let sent = sent(&STANDARD, &message("{}"), &keys(&[(&pair, None)]), NOW);
    let header = |name| sent.headers[name].to_str().expect("text");
    let content = format!("{}.{}.{{}}", header("webhook-id"), header("webhook-timestamp"));
    let signature = header("webhook-signature").strip_prefix("v1a,").expect("its version");
    let signature = BASE64.decode(signature).expect("base64");
    let public = public_form(&pair).expect("a public half");
    let public = BASE64.decode(public.strip_prefix("whpk_").expect("a prefix")).expect("base64");
    let public = VerifyingKey::try_from(&public[..]).expect("a key");
    let signature = Signature::from_slice(&signature).expect("a signature");
    assert!(public.verify(content.as_bytes(), &signature).is_ok());
}

#[test]
fn headers_have_the_dialects_names_and_nothing_else() {
    for (dialect, prefix) in BOTH.into_iter().zip(["webhook", "svix"]) {
        let message = message(r#"{"z": 1.0, "a": 2}"#);
        let sent = sent(dialect, &message, &SigningKeys::single(SECRET), NOW);
        let mut names: Vec<_> = sent.headers.keys().map(ToString::to_string).collect();
        names.sort();
        let mut expected = ["id", "timestamp", "signature"].map(|name| format!("{prefix}-{name}")).to_vec();
        expected.insert(0, "content-type".to_owned());
        expected.sort();
        assert_eq!(names, expected);
        assert_eq!(sent.headers["content-type"], "application/json");
        assert_eq!(sent.headers[format!("{prefix}-id")], message.id.to_string());
        assert_eq!(sent.headers[format!("{prefix}-timestamp")], "1767225600");
        assert_eq!(&sent.body[..], br#"{"z": 1.0, "a": 2}"#);
    }
}

#[test]
fn attempts_differ_in_timestamp_and_signature_only() {
    let (message, keys) = (message("{}"), SigningKeys::single(SECRET));
    let first = sent(&STANDARD, &message, &keys, NOW);
    let mut later = sent(&STANDARD, &message, &keys, NOW.plus(Duration::from_secs(5)));
    assert_eq!(later.body, first.body);
    for name in ["webhook-timestamp", "webhook-signature"] {
        let value = first.headers[name].clone();
        assert_ne!(later.headers.insert(name, value.clone()), Some(value), "{name}");
    }
    assert_eq!(later.headers, first.headers);
}

#[test]
fn in_rotation_every_active_key_signs_the_newest_first() {
    let newest = secret(SignatureAlgorithm::Hmac256, 3);
    let older = secret(SignatureAlgorithm::Ed25519, 2);
    let oldest = secret(SignatureAlgorithm::Hmac256, 1);
    let hour = NOW.plus(Duration::from_hours(1));
    let all = keys(&[(&newest, None), (&older, Some(hour)), (&oldest, Some(hour))]);
    let during = sent(&STANDARD, &message("{}"), &all, NOW);
    let list = during.headers["webhook-signature"].to_str().expect("text");
    let versions: Vec<_> =
        list.split(' ').filter_map(|entry| entry.split_once(',')).map(|(version, _)| version).collect();
    assert_eq!(versions, ["v1", "v1a", "v1"]);
    for (index, held) in [&newest, &older, &oldest].into_iter().enumerate() {
        let alone = sent(&STANDARD, &message("{}"), &keys(&[(held, None)]), NOW);
        let alone = alone.headers["webhook-signature"].to_str().expect("text");
        assert_eq!(list.split(' ').nth(index), Some(alone));
        assert!(accepts(&STANDARD, &during, std::slice::from_ref(held)));
    }
    let after = sent(&STANDARD, &message("{}"), &all, hour);
    assert_eq!(after.headers["webhook-signature"].to_str().expect("text").split(' ').count(), 1);
}

#[test]
fn without_keys_nothing_is_signed() {
    let sent = sent(&SVIX, &message("{}"), &SigningKeys::default(), NOW);
    assert!(sent.headers.contains_key("svix-id"));
    assert!(sent.headers.contains_key("svix-timestamp"));
    assert!(!sent.headers.contains_key("svix-signature"));
}

#[test]
fn what_cannot_be_sent_says_why() {
    fn check(message: &Message, keys: &SigningKeys, expected: &str) {
        let endpoint = signing(endpoint("standard"), keys);
        let signed =
            |encoded| STANDARD.sign(&encoded, message, &endpoint, NOW, &mut HeaderMap::new()).map(|()| encoded);
        let error = STANDARD.encode(message, &endpoint, 0).and_then(signed);
        assert_eq!(error.expect_err(expected).to_string(), expected);
    }
    let mut expunged = message("{}");
    expunged.payload = Payload::Expunged;
    check(&expunged, &SigningKeys::single(SECRET), "its payload was expunged");
    let public = public_form(&secret(SignatureAlgorithm::Ed25519, 1)).expect("a public half");
    check(&message("{}"), &SigningKeys::single(public), "a public key, `whpk_…`, verifies but cannot sign");
    let expired = keys(&[(&secret(SignatureAlgorithm::Hmac256, 1), Some(NOW))]);
    check(&message("{}"), &expired, "every signing key of the endpoint has expired");
}

#[test]
fn an_official_verifier_accepts_and_refuses_any_flipped_bit() {
    #[expect(clippy::disallowed_methods, reason = "the verifier under test reads the clock itself")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let now = Timestamp::from_seconds(now.cast_signed());
    let oracle = Webhook::new(SECRET).expect("a secret");
    let sent = sent(&STANDARD, &message(r#"{"type":"a"}"#), &SigningKeys::single(SECRET), now);
    assert!(oracle.verify(&sent.body, &sent.headers).is_ok());
    for bit in 0..sent.body.len() * 8 {
        let mut body = sent.body.to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        assert!(oracle.verify(&body, &sent.headers).is_err(), "bit {bit} of the body");
    }
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        for bit in 0..sent.headers[name].len() * 8 {
            let mut value = sent.headers[name].as_bytes().to_vec();
            value[bit / 8] ^= 1 << (bit % 8);
            let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
            let mut headers = sent.headers.clone();
            headers.insert(name, value);
            assert!(oracle.verify(&sent.body, &headers).is_err(), "bit {bit} of {name}");
        }
    }
}

#[test]
fn the_defaults_differ_in_410_only() {
    for (dialect, expected) in [(&STANDARD, OnGone::Disable), (&SVIX, OnGone::Retry)] {
        let Defaults { on_gone, secret_form, method, .. } = dialect.defaults();
        assert_eq!(on_gone, expected);
        assert_eq!(secret_form, SecretForm::StandardWebhooks);
        assert_eq!(method.as_str(), "POST");
    }
}

#[test]
fn settings_that_could_never_be_sent_are_refused() {
    fn check(name: &str, fine: [bool; 2]) {
        for (dialect, fine) in BOTH.into_iter().zip(fine) {
            let mut endpoint = settings("standard");
            endpoint.headers = vec![header(name, "value")];
            assert_eq!(dialect.check(&endpoint).is_ok(), fine, "{name} in {:?}", dialect.names);
        }
    }
    check("X-Own", [true, true]);
    check("Authorization", [true, true]);
    check("Accept", [true, true]);
    for name in
        ["User-Agent", "content-type", "Cache-Control", "trailers", "X-Amz-Date", "x-googlebot", "X-GFE", "Svix-Foo"]
    {
        check(name, [false, false]);
    }
    for name in ["Host", "Proxy-Foo", "Connection", "bad name"] {
        check(name, [false, false]);
    }
    // The names of the other dialect are anybody's, those of the own one carry the signature.
    check("Webhook-Signature", [false, true]);
    check("webhook-other", [true, true]);
}

#[test]
fn keys_are_checked_when_they_are_saved() {
    fn check(secret: &str, expected: Option<&str>) {
        let mut endpoint = settings("standard");
        endpoint.keys = SigningKeys::single(SECRET);
        endpoint.keys.keys.extend(SigningKeys::single(secret).keys);
        let error = STANDARD.check(&endpoint).err();
        assert_eq!(error.map(|error| error.to_string()).as_deref(), expected, "{secret}");
    }
    check(SECRET, None);
    check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None);
    check(secret(SignatureAlgorithm::Ed25519, 1).expose(), None);
    let shared = "secret: a shared secret must be `whsec_` and base64, with padding, of 24 to 75 bytes";
    check("whsec_c2hvcnQ=", Some(shared));
    check("canary", Some(shared));
    check(
        "whsk_c2hvcnQ=",
        Some(
            "secret: a key pair must be `whsk_` and base64, with padding, of 64 bytes: the secret half, then the public half",
        ),
    );
    let public = public_form(&secret(SignatureAlgorithm::Ed25519, 1)).expect("a public half");
    check(&public, Some("secret: a public key, `whpk_…`, cannot sign; give the `whsk_…` it belongs to"));
}

#[test]
fn every_key_that_passes_can_sign() {
    for algorithm in [SignatureAlgorithm::Hmac256, SignatureAlgorithm::Ed25519] {
        let secret = secret(algorithm, 7);
        assert!(matches!(Key::read(&secret), Ok(Key::Shared(_) | Key::Pair(_))));
        assert!(accepts(&SVIX, &sent(&SVIX, &message("x"), &keys(&[(&secret, None)]), NOW), &[secret]));
    }
}
