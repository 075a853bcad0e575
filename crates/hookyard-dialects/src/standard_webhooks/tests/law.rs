//! The law: what leaves comes in again as the same bytes, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::examples::message;

fn algorithm() -> impl Strategy<Value = SignatureAlgorithm> {
    prop_oneof![Just(SignatureAlgorithm::Hmac256), Just(SignatureAlgorithm::Ed25519)]
}

proptest! {
    // The dialect is drawn as well: ten thousand for each of the two.
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_accepted_as_it_was(
        payload in prop::collection::vec(any::<u8>(), 0..300), which in 0..2usize, takes in 0..2usize,
        algorithm in algorithm(), event_type in "[a-z0-9._-]{1,40}",
    ) {
        let secret = secret(algorithm, 5);
        let json = format!(r#"{{"type":"{event_type}","n":1.00}}"#).into_bytes();
        for payload in [payload, json.clone()] {
            let message = message(payload.clone());
            let sent = sent(BOTH[which], &message, &keys(&[(&secret, None)]), NOW);
            prop_assert!(accepts(BOTH[takes], &sent, std::slice::from_ref(&secret)));
            let decoded = BOTH[takes].decode(&request(&sent.headers, &sent.body)).expect("decoded");
            prop_assert_eq!(&decoded.payload[..], &payload[..]);
            prop_assert_eq!(decoded.content_type, message.content_type);
            prop_assert_eq!(decoded.deduplication_id, Some(message.id.to_string()));
            if payload == json {
                prop_assert_eq!(decoded.event_type.as_str(), event_type.as_str());
            }
        }
    }

    #[test]
    fn one_flipped_bit_is_refused(
        payload in prop::collection::vec(any::<u8>(), 1..100), which in 0..2usize, algorithm in algorithm(), at: prop::sample::Index,
    ) {
        let dialect = BOTH[which];
        let secret = secret(algorithm, 5);
        let sent = sent(dialect, &message(payload), &keys(&[(&secret, None)]), NOW);
        let flip = |bytes: &[u8]| {
            let bit = at.index(bytes.len() * 8);
            let mut bytes = bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        let other_body = with_body(sent.headers.clone(), flip(&sent.body));
        prop_assert!(!accepts(dialect, &other_body, std::slice::from_ref(&secret)));
        for name in dialect.names.all() {
            // What cannot be a header value does not reach anybody.
            let Ok(value) = HeaderValue::from_bytes(&flip(sent.headers[name].as_bytes())) else { continue };
            let mut headers = sent.headers.clone();
            headers.insert(name, value);
            let other_header = with_body(headers, sent.body.clone());
            prop_assert!(!accepts(dialect, &other_header, std::slice::from_ref(&secret)), "{}", name);
        }
        prop_assert!(!accepts(dialect, &sent, &[super::secret(algorithm, 6)]));
    }
}
