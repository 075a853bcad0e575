//! What comes in: accepted, refused and why, and what it says.

use hookyard_model::EventTime;

use super::*;
use crate::examples::message;
use crate::{Refused, public_form};

fn refusal(dialect: &StandardWebhooks, sent: &Encoded, secrets: &[Secret<String>]) -> String {
    match verify(dialect, sent, secrets) {
        Verified::Refused(refused) => refused.to_string(),
        Verified::Accepted { rule, .. } => panic!("accepted by {rule}"),
    }
}

fn signed_now() -> Encoded {
    sent(&STANDARD, &message("{}"), &SigningKeys::single(SECRET), NOW)
}

fn secrets() -> [Secret<String>; 1] {
    [Secret::new(SECRET.to_owned())]
}

#[test]
fn the_published_signatures_are_accepted_under_both_names() {
    for (secret, id, seconds, body, signature) in PUBLISHED {
        for prefix in ["webhook", "svix"] {
            let sent = with_body(headers(prefix, id, &seconds.to_string(), signature), body);
            for dialect in BOTH {
                let secrets = [Secret::new(secret.to_owned())];
                let now = Timestamp::from_seconds(seconds);
                let verified = dialect.verify(&request(&sent.headers, &sent.body), &secrets, now);
                assert_eq!(verified, Verified::Accepted { rule: "v1 HMAC-SHA256", secret: 0 });
            }
        }
    }
}

#[test]
fn the_clock_may_differ_by_five_minutes_both_ways() {
    let sent = signed_now();
    let at = |offset: i64| {
        let now = Timestamp::from_seconds(NOW.as_seconds() + offset);
        STANDARD.verify(&request(&sent.headers, &sent.body), &secrets(), now)
    };
    for offset in [-300, 0, 300] {
        assert!(matches!(at(offset), Verified::Accepted { .. }), "{offset}");
    }
    let stale = |direction| Verified::Refused(Refused::Stale { off: 301, direction, allowed: 300 });
    assert_eq!(at(301), stale("behind"));
    assert_eq!(at(-301), stale("ahead of"));
}

#[test]
fn it_is_told_which_rule_and_which_secret() {
    let pair = secret(SignatureAlgorithm::Ed25519, 1);
    let public = Secret::new(public_form(&pair).expect("a public half"));
    let other = secret(SignatureAlgorithm::Hmac256, 9);
    let sent = sent(&SVIX, &message("{}"), &keys(&[(&pair, None)]), NOW);
    let accepted = |secret| Verified::Accepted { rule: "v1a Ed25519", secret };
    assert_eq!(verify(&SVIX, &sent, &[other.clone(), public]), accepted(1));
    assert_eq!(verify(&SVIX, &sent, &[pair]), accepted(0));
    let broken = Secret::new("not a secret".to_owned());
    assert_eq!(
        verify(&STANDARD, &signed_now(), &[broken, other, secrets()[0].clone()]),
        Verified::Accepted { rule: "v1 HMAC-SHA256", secret: 2 }
    );
}

#[test]
fn another_version_is_skipped() {
    let mut sent = signed_now();
    let good = sent.headers["webhook-signature"].to_str().expect("text").to_owned();
    let mac = good.strip_prefix("v1,").expect("a version").to_owned();
    let mut check = |list: String, expected: bool| {
        sent.headers.insert("webhook-signature", HeaderValue::try_from(&list).expect("a value"));
        assert_eq!(accepts(&STANDARD, &sent, &secrets()), expected, "{list}");
    };
    check(format!("v2,{mac} v1a,{mac} v1,wrong {good}"), true);
    check(format!("  {good} "), true);
    check(format!("v2,{mac}"), false);
    check(format!("v1a,{mac}"), false);
    check(mac.clone(), false);
    check(format!("V1,{mac}"), false);
    check(format!("v1={mac}"), false);
    check(format!("v1,{}", mac.trim_end_matches('=')), false);
    check(format!("v1,{mac}{mac}"), false);
    check(String::new(), false);
    check("v1,".to_owned(), false);
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let check = |name: &str, value: Option<&[u8]>, expected: &str| {
        let mut sent = signed_now();
        sent.headers.remove(name);
        if let Some(value) = value {
            let name = http::HeaderName::try_from(name).expect("a name");
            sent.headers.insert(name, HeaderValue::from_bytes(value).expect("a value"));
        }
        assert_eq!(refusal(&STANDARD, &sent, &secrets()), expected);
    };
    check("webhook-id", None, "header `webhook-id` is missing");
    check("webhook-timestamp", None, "header `webhook-timestamp` is missing");
    check("webhook-signature", None, "header `webhook-signature` is missing");
    check("webhook-id", Some(b""), "header `webhook-id` must have 1 to 256 characters");
    check("webhook-id", Some(&[b'x'; 257]), "header `webhook-id` must have 1 to 256 characters");
    check("webhook-id", Some(b"\xff"), "header `webhook-id` has bytes that are not visible ASCII");
    let seconds = "header `webhook-timestamp` must be whole seconds since 1970, such as `1614265330`";
    for value in ["", "+1767225600", "-1", "1767225600.0", "1e9", "2026-01-01", "99999999999999999999"] {
        check("webhook-timestamp", Some(value.as_bytes()), seconds);
    }
    let far = "timestamp is 9223372035087550207 s ahead of the time here, at most 300 s are allowed";
    check("webhook-timestamp", Some(b"9223372036854775807"), far);
    let no_match = "no signature matches; check the secret, and that the body reaches us byte for byte";
    check("webhook-id", Some(b"msg_another"), no_match);
    check("webhook-timestamp", Some(b"1767225601"), no_match);
    check("webhook-timestamp", Some(b"01767225600"), no_match);
    // Without any of the headers the dialect's own names are asked for.
    let bare = with_body(HeaderMap::new(), "{}");
    assert_eq!(refusal(&STANDARD, &bare, &secrets()), "header `webhook-id` is missing");
    assert_eq!(refusal(&SVIX, &bare, &secrets()), "header `svix-id` is missing");
}

#[test]
fn a_source_without_a_usable_secret_says_so() {
    let none = refusal(&STANDARD, &signed_now(), &[]);
    assert_eq!(none, "no usable secret: the source has none");
    let broken = refusal(&STANDARD, &signed_now(), &[Secret::new("canary".to_owned())]);
    assert_eq!(
        broken,
        "no usable secret: a shared secret must be `whsec_` and base64, with padding, of 24 to 75 bytes"
    );
}

#[test]
fn an_unsigned_id_never_takes_the_place_of_the_signed_one() {
    let mut sent = sent(&SVIX, &message("{}"), &SigningKeys::single(SECRET), NOW);
    let signed_id = sent.headers["svix-id"].to_str().expect("text").to_owned();
    sent.headers.insert("webhook-id", HeaderValue::from_static("msg_forged"));
    assert!(accepts(&STANDARD, &sent, &secrets()));
    let decoded = STANDARD.decode(&request(&sent.headers, &sent.body)).expect("decoded");
    assert_eq!(decoded.deduplication_id, Some(signed_id));
    // A whole second set is what counts, and nobody signed it.
    for name in ["timestamp", "signature"] {
        let value = sent.headers[format!("svix-{name}")].clone();
        sent.headers.insert(http::HeaderName::try_from(format!("webhook-{name}")).expect("a name"), value);
    }
    assert!(!accepts(&STANDARD, &sent, &secrets()));
}

#[test]
fn the_body_says_type_and_time() {
    fn check(body: &str, event_type: &str, time: Option<&str>) {
        let sent = with_body(headers("svix", "msg_1", "1767225600", "v1,x"), body.to_owned());
        let decoded = SVIX.decode(&request(&sent.headers, &sent.body)).expect("decoded");
        assert_eq!(decoded.event_type.as_str(), event_type, "{body}");
        assert_eq!(decoded.event_time.as_ref().map(EventTime::text), time, "{body}");
        assert_eq!(decoded.payload, body);
        assert_eq!(decoded.deduplication_id.as_deref(), Some("msg_1"));
        assert_eq!(decoded.content_type, "application/json");
    }
    check(r#"{"type":"user.created","data":{"type":"inner"}}"#, "user.created", None);
    check(r#"{"data":{"type":"inner"},"type":"first","type":"last"}"#, "last", None);
    check(r#"{"type":"Invoice Paid/ü!"}"#, "invoice_paid___", None);
    check(r#"{"type":"a-b_c.d9"}"#, "a-b_c.d9", None);
    check(r#"{"t\u0079pe":"\u0061"}"#, "a", None);
    check(r#"{"type":"x","timestamp":"2022-11-03T20:26:10.344522Z"}"#, "x", Some("2022-11-03T20:26:10.344522Z"));
    check(r#"{"type":"x","timestamp":"2022-11-03T20:26:10+01:00"}"#, "x", Some("2022-11-03T20:26:10+01:00"));
    check(r#"{"type":"x","timestamp":"yesterday"}"#, "x", None);
    check(r#"{"type":"x","timestamp":1667507170}"#, "x", None);
    for body in [r#"{"type":1}"#, r#"{"type":""}"#, r#"{"data":1}"#, "[]", "", "not JSON", r#"{"type":"x""#] {
        check(body, "unknown", None);
    }
    let long = "x".repeat(300);
    check(&format!(r#"{{"type":"{long}"}}"#), &long[..256], None);
}

#[test]
fn the_media_type_is_the_senders() {
    let mut sent = signed_now();
    sent.headers.insert("content-type", HeaderValue::from_static("application/cloudevents+json"));
    let decoded = STANDARD.decode(&request(&sent.headers, &sent.body)).expect("decoded");
    assert_eq!(decoded.content_type, "application/cloudevents+json");
}
