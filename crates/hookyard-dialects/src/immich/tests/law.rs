//! The law: what leaves comes in again as it was, save for secrets that are masked.

use proptest::prelude::*;

use super::*;
use crate::law::{accepts, event_type, json, time, value};

/// Any name, or one whose payload is looked into for secrets.
fn event() -> impl Strategy<Value = String> {
    prop_oneof![3 => event_type(), 1 => prop::sample::select(&["ConfigUpdate", "UserSignup", "JobRun"][..]).prop_map(str::to_owned)]
}

/// Any payload, or one with members that may be secrets.
fn payload() -> impl Strategy<Value = String> {
    let secret =
        (json(), json()).prop_map(|(one, other)| format!(r#"{{"password":{one}, "x":[{{"api-key":{other}}}]}}"#));
    prop_oneof![3 => json(), 1 => secret]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_accepted_as_it_was(
        payload in payload(), event in event(), time in time(), secret in "[!-~]{1,12}", redact: bool,
    ) {
        let message = named(payload.clone(), &event, &format!("{}{}{}", time.0, time.1, time.2));
        let mut endpoint = endpoint("immich");
        let settings = std::sync::Arc::make_mut(&mut endpoint.settings);
        settings.options.insert("redact".to_owned(), redact.to_string());
        let sent = Immich.encode(&message, &endpoint, 0).expect("it can be encoded");

        let mut headers = sent.headers.clone();
        prop_assert!(!accepts(&Immich, &headers, &sent, &secret), "nothing tells who sent it");
        headers.insert("x-webhook-secret", HeaderValue::try_from(&secret).expect("visible ASCII"));
        prop_assert!(accepts(&Immich, &headers, &sent, &secret));
        let other = format!("{secret}x");
        prop_assert!(!accepts(&Immich, &headers, &sent, &other));

        let decoded = Immich.decode(&request(&headers, &sent.body)).expect("decoded");
        prop_assert_eq!(&decoded.event_type, &message.event_type);
        let at = message.time().as_micros();
        prop_assert_eq!(decoded.event_time.expect("it says").at().as_micros(), at - at.rem_euclid(1_000));
        let masked = secrets::masked(&message.event_type, payload.as_bytes(), redact).expect("it is JSON");
        prop_assert_eq!(value(&decoded.payload), value(&masked));
        if !redact || !secrets::has_secrets(&event) {
            prop_assert_eq!(&masked[..], payload.as_bytes());
        }
    }
}
