//! Writes headers down for the log, without what opens doors.
//!
//! Called by the engine for every attempt and by the doors for what they refuse. Credentials are replaced whole, so that
//! not even their length shows; signatures stay, because they are what a person compares when a receiver refuses one.

use hookyard_model::limits;
use http::HeaderMap;

/// Header names, in lower case, whose values are credentials whatever the request.
const CREDENTIALS: [&str; 9] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-gitlab-token",
    "x-telegram-bot-api-secret-token",
    "x-webhook-secret",
];

/// Whether the value of this header is a credential, however its name is spelled.
pub fn credential_header(name: &str) -> bool {
    CREDENTIALS.iter().any(|credential| name.eq_ignore_ascii_case(credential))
}

/// `name: value` lines, each ended; `***` for credentials and for values marked as sensitive.
///
/// At most [`limits::RESPONSE_HEADER_BYTES`] long, the rest is cut off; a value that is not UTF-8 is shown escaped.
pub fn mask_headers(headers: &HeaderMap) -> String {
    mask_headers_and(headers, &[])
}

/// As [`mask_headers`], and `***` for the headers named in `also`, in lower case.
pub fn mask_headers_and(headers: &HeaderMap, also: &[&str]) -> String {
    let room = limits::RESPONSE_HEADER_BYTES;
    let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len().max(3) + 3).sum();
    let mut text = String::with_capacity(length.min(room));
    for (name, value) in headers {
        let name = name.as_str();
        let masked = value.is_sensitive() || credential_header(name) || also.contains(&name);
        let whole = push(&mut text, name, room)
            && push(&mut text, ": ", room)
            && match std::str::from_utf8(value.as_bytes()) {
                _ if masked => push(&mut text, "***", room),
                Ok(value) => push(&mut text, value, room),
                Err(_) => value
                    .as_bytes()
                    .escape_ascii()
                    .all(|byte| push(&mut text, char::from(byte).encode_utf8(&mut [0; 4]), room)),
            }
            && push(&mut text, "\n", room);
        if !whole {
            break;
        }
    }
    text
}

/// Adds as much of `part` as there is room for, in whole characters; says whether that was all of it.
fn push(text: &mut String, part: &str, room: usize) -> bool {
    let fits = part.floor_char_boundary(room - text.len());
    text.push_str(&part[..fits]);
    fits == part.len()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).expect("a value");
        pairs.iter().map(|(name, bytes)| (http::HeaderName::from_static(name), value(bytes))).collect()
    }

    #[test]
    fn credentials_are_replaced_and_signatures_stay() {
        let mut headers = headers(&[
            ("content-type", b"application/json"),
            ("webhook-signature", b"v1,abc="),
            ("authorization", b"Bearer canary"),
            ("cookie", b"session=canary"),
            ("proxy-authorization", b"Basic canary"),
            ("x-api-key", b"canary"),
            ("x-auth-token", b"canary"),
            ("x-webhook-secret", b"canary"),
            ("x-own", b"canary"),
        ]);
        let mut sensitive = HeaderValue::from_static("canary");
        sensitive.set_sensitive(true);
        headers.insert("x-marked", sensitive);
        let text = mask_headers_and(&headers, &["x-own"]);
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("content-type: application/json\n"), "{text}");
        assert!(text.contains("webhook-signature: v1,abc=\n"), "{text}");
        assert!(text.contains("authorization: ***\n"), "{text}");
        assert_eq!(text.lines().count(), 10);
        assert!(mask_headers(&headers).contains("x-own: canary\n"));
    }

    #[test]
    fn names_are_credentials_in_any_spelling() {
        assert!(credential_header("Authorization"));
        assert!(credential_header("X-API-Key"));
        assert!(!credential_header("x-api-key-id"));
        assert!(!credential_header("webhook-signature"));
    }

    #[test]
    fn the_text_is_allocated_once() {
        let headers = headers(&[("content-type", b"application/json"), ("webhook-id", b"msg_1")]);
        let text = mask_headers(&headers);
        assert_eq!(text.capacity(), text.len());
    }

    #[test]
    fn values_that_are_not_text_are_escaped() {
        let text = mask_headers(&headers(&[("x-a", "Grüße".as_bytes()), ("x-b", b"\xff\tz")]));
        assert_eq!(text, "x-a: Grüße\nx-b: \\xff\\tz\n");
    }

    #[test]
    fn long_headers_are_cut_between_characters() {
        let long = "ü".repeat(limits::RESPONSE_HEADER_BYTES);
        let text = mask_headers(&headers(&[("x-ab", long.as_bytes()), ("x-z", b"after")]));
        assert!(text.ends_with('ü'), "{}", &text[text.len() - 8..]);
        assert_eq!(text.len(), limits::RESPONSE_HEADER_BYTES);
        let text = mask_headers(&headers(&[("x-abc", long.as_bytes())]));
        assert_eq!(text.len(), limits::RESPONSE_HEADER_BYTES - 1);
    }

    proptest! {
        #[test]
        fn any_values_are_written_within_the_bound(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4_000), 0..5),
        ) {
            let mut headers = HeaderMap::new();
            for bytes in &values {
                if let Ok(value) = HeaderValue::from_bytes(bytes) {
                    headers.append("x-any", value);
                }
            }
            prop_assert!(mask_headers(&headers).len() <= limits::RESPONSE_HEADER_BYTES);
        }
    }
}
