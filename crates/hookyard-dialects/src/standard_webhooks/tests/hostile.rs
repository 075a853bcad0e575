//! Headers and bodies by strangers: never a panic, never accepted, never much work.

use proptest::prelude::*;

use super::*;
use crate::examples::message;

#[test]
fn only_the_first_listed_signatures_are_examined() {
    let mut sent = sent(&STANDARD, &message("{}"), &SigningKeys::single(SECRET), NOW);
    let good = sent.headers["webhook-signature"].clone();
    let good = good.to_str().expect("text");
    let secrets = [Secret::new(SECRET.to_owned())];
    for (before, fine) in [(0, true), (31, true), (32, false), (1_000, false)] {
        let list = format!("{}{good}", "v1,AAAA ".repeat(before));
        sent.headers.insert("webhook-signature", HeaderValue::try_from(list).expect("a value"));
        assert_eq!(accepts(&STANDARD, &sent, &secrets), fine, "{before} before it");
    }
    // Several lines share the one allowance.
    sent.headers.insert("webhook-signature", HeaderValue::try_from("x ".repeat(15)).expect("a value"));
    sent.headers.append("webhook-signature", HeaderValue::try_from(good).expect("a value"));
    assert!(accepts(&STANDARD, &sent, &secrets));
}

#[test]
fn fewer_ed25519_signatures_are_checked_over_all_keys() {
    let [pair, other] = [1, 2].map(|n| secret(SignatureAlgorithm::Ed25519, n));
    let mut sent = sent(&STANDARD, &message("{}"), &keys(&[(&pair, None)]), NOW);
    let good = sent.headers["webhook-signature"].to_str().expect("text").to_owned();
    let wrong = self::sent(&STANDARD, &message("[]"), &keys(&[(&other, None)]), NOW);
    let wrong = wrong.headers["webhook-signature"].to_str().expect("text").to_owned();
    let mut check = |before: usize, secrets: &[Secret<String>], expected: bool| {
        let list = format!("{}{good}", format!("{wrong} ").repeat(before));
        sent.headers.insert("webhook-signature", HeaderValue::try_from(list).expect("a value"));
        assert_eq!(accepts(&STANDARD, &sent, secrets), expected, "{before} before it, {} secrets", secrets.len());
    };
    check(15, std::slice::from_ref(&pair), true);
    check(16, std::slice::from_ref(&pair), false);
    check(7, &[other.clone(), pair.clone()], true);
    check(8, &[other, pair], false);
}

proptest! {
    #[test]
    fn any_headers_are_refused_without_a_panic(
        id in prop::collection::vec(any::<u8>(), 0..40),
        timestamp in "1767225[0-9]{3}|.{0,30}|[0-9]{0,25}",
        signature in "((v1|v1a|v2|.)[,=]?[A-Za-z0-9+/=]{0,100} ?){0,6}|.{0,60}",
        body in prop::collection::vec(any::<u8>(), 0..60),
        svix: bool,
    ) {
        let names = if svix { SVIX.names } else { STANDARD.names };
        let mut headers = HeaderMap::new();
        for (name, value) in names.all().into_iter().zip([&id[..], timestamp.as_bytes(), signature.as_bytes()]) {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.insert(name, value);
            }
        }
        let secrets = [secret(SignatureAlgorithm::Hmac256, 1), secret(SignatureAlgorithm::Ed25519, 1)];
        let sent = with_body(headers, body);
        for dialect in BOTH {
            prop_assert!(!accepts(dialect, &sent, &secrets));
            let _ = dialect.decode(&request(&sent.headers, &sent.body));
        }
    }
}
