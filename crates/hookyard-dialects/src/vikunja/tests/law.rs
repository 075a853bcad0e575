//! The law: what leaves comes in again as it was, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::law::{accepts, event_type, json, refuses_one_bit, time, value};

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_accepted_as_it_was(
        payload in json(), event_type in event_type(), time in time(), secret in "\\PC{1,12}", at: prop::sample::Index,
    ) {
        let mut message = message(payload);
        message.event_type = event_type.parse().expect("a name");
        message.event_time = Some(format!("{}{}{}", time.0, time.1, time.2).parse().expect("a time"));
        let sent = sent(&message, &SigningKeys::single(&secret));
        prop_assert!(accepts(&Vikunja, &sent.headers, &sent, &secret));
        let other = format!("{secret}x");
        prop_assert!(!accepts(&Vikunja, &sent.headers, &sent, &other));
        prop_assert!(refuses_one_bit(&Vikunja, &sent, SIGNATURE, &secret, at));

        let decoded = Vikunja.decode(&request(&sent.headers, &sent.body)).expect("decoded");
        prop_assert_eq!(decoded.event_type, message.event_type);
        prop_assert_eq!(decoded.event_time, message.event_time);
        prop_assert_eq!(value(&decoded.payload), value(message.payload.bytes().expect("kept")));
    }
}
