//! The law: what leaves in either mode comes in again as it was.

use proptest::prelude::*;

use super::*;
use crate::law::{accepts, event_type, json, time};

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_accepted_as_it_was(
        json in json(), bytes in prop::collection::vec(any::<u8>(), 0..40), is_json: bool, is_binary: bool,
        event_type in event_type(), time in time(), prefix in "[a-z.]{1,9}", subject in "[^\\pC]{1,9}", secret in "[!-~]{1,12}",
    ) {
        let payload = if is_json { json.into_bytes() } else { bytes };
        let mut message = message(payload.clone());
        message.event_type = event_type.parse().expect("a name");
        message.event_time = Some(format!("{}{}{}", time.0, time.1, time.2).parse().expect("a time"));
        message.content_type = if is_json { "application/vnd.example+json; charset=utf-8" } else { "image/jpeg" }.to_owned();
        let mode = if is_binary { "binary" } else { "structured" };
        let options = [("mode", mode), ("type_prefix", &prefix), ("subject", &subject)];
        prop_assert_eq!(crate::check_settings(&CloudEvents, &choosing(&options).settings), Ok(()));
        let mut sent = sent(&message, &options);
        sent.headers.insert("authorization", format!("Bearer {secret}").parse().expect("visible ASCII"));
        prop_assert!(accepts(&CloudEvents, &sent.headers, &sent, &secret));
        let other = format!("{secret}x");
        prop_assert!(!accepts(&CloudEvents, &sent.headers, &sent, &other));

        let decoded = decoded(&sent.headers, sent.body.clone()).expect("decoded");
        prop_assert_eq!(decoded.event_type.as_str(), prefix + &event_type);
        prop_assert_eq!(decoded.event_time, message.event_time);
        prop_assert_eq!(decoded.content_type, message.content_type);
        prop_assert_eq!(&decoded.payload[..], &payload[..]);
        if is_binary {
            let said = binary::unescape(sent.headers["ce-subject"].as_bytes());
            prop_assert_eq!(said.as_deref(), Some(subject.as_str()));
        }
    }
}
