//! The law: what leaves comes in again as it was, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::law::{accepts, event_type, json, object, other_members, refuses_one_bit, time};

/// Stands where a payload has a secret; no other part of it has this text.
const PLACE: &str = "%SECRET%";

/// A payload in the document's form: with every member, the right count, and secrets in its configuration.
fn payload() -> impl Strategy<Value = String> {
    (prop::collection::vec(json(), 0..3), object(), other_members(), object()).prop_map(|(assets, rest, others, meta)| {
        let count = assets.len();
        let assets = assets.join(" , ");
        let webhooks = format!(r#"[{{"url": "{PLACE}", "event": "asset.new", "secret": "{PLACE}"}}]"#);
        let weather = format!(r#"{{"locations": [{{"Name": "<London>", "API": "{PLACE}"}}]}}"#);
        let config = format!(r#"{{"rest": {rest}, "webhooks": {webhooks}, "weather": {weather}, "apiKey": "{PLACE}"}}"#);
        format!(
            r#"{{{others}"clientName": "a & b", "deviceID": "", "config": {config}, "assetCount": {count}, "assets": [{assets}], "meta": {meta}}}"#
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    /// On payloads in the document's form, after masking.
    #[test]
    fn what_is_sent_is_accepted_as_it_was(
        payload in payload(), event_type in event_type(), time in time(), redact in prop::bool::ANY, secret in "\\PC{1,12}",
        at: prop::sample::Index,
    ) {
        let mut message = message(payload.replace(PLACE, "canary"));
        message.event_type = event_type.parse().expect("a name");
        let (seconds, fraction, offset) = time;
        message.event_time = Some(format!("{seconds}{fraction}{offset}").parse().expect("a time"));
        let sent = sent(&message, &configured(&secret, if redact { "true" } else { "false" }));
        prop_assert!(accepts(&Kiosk, &sent.headers, &sent, &secret));
        let other = format!("{secret}x");
        prop_assert!(!accepts(&Kiosk, &sent.headers, &sent, &other));
        prop_assert!(refuses_one_bit(&Kiosk, &sent, SIGNATURE, &secret, at));

        let decoded = Kiosk.decode(&request(&sent.headers, &sent.body)).expect("decoded");
        prop_assert_eq!(decoded.event_type, message.event_type);
        let whole = format!("{seconds}{offset}");
        let time = decoded.event_time.expect("it has one");
        prop_assert_eq!(time.text(), whole);
        let expected = payload.replace(PLACE, if redact { "REDACTED" } else { "canary" });
        prop_assert_eq!(value(&decoded.payload), value(expected.as_bytes()));
    }
}
