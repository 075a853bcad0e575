//! The law: what leaves comes in again as it was, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::law::{accepts, event_type, other_members, refuses_one_bit};

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    /// On payloads in the document's form: an object with an `event_id`, and without the `type` that the message has.
    #[test]
    fn what_is_sent_is_accepted_as_it_was(
        before in other_members(), id in prop_oneof![Just("1"), Just("-0"), Just("12345678901234567890123"), Just("\"spring\"")],
        after in other_members(), event_type in event_type(), form in 0..FORMS.len(), secret in "\\PC{1,12}", at: prop::sample::Index,
    ) {
        let after: String = after.trim_end_matches(',').to_owned();
        let comma = if after.is_empty() { "" } else { "," };
        let mut message = message(format!("{{{before}\"event_id\": {id}{comma}{after}}}"));
        message.event_type = event_type.parse().expect("a name");
        let sent = sent(&message, &configured(Some("unused"), ["hex", "sha256=hex", "base64"][form], &secret));
        prop_assert!(accepts(&Photobooth, &sent.headers, &sent, &secret));
        let other = format!("{secret}x");
        prop_assert!(!accepts(&Photobooth, &sent.headers, &sent, &other));
        prop_assert!(refuses_one_bit(&Photobooth, &sent, SIGNATURE, &secret, at));

        let decoded = Photobooth.decode(&request(&sent.headers, &sent.body)).expect("decoded");
        prop_assert_eq!(decoded.event_type, message.event_type);
        prop_assert_eq!(value(&decoded.payload), value(message.payload.bytes().expect("kept")));
    }
}
