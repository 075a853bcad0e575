//! Decides which deliveries of an endpoint wait for each other.
//!
//! Called by the publisher for each delivery that a message owes. Deliveries with the same key go one after the other, in
//! the order of acceptance; those without a key wait for nothing.
//!
//! **Invariant:** the key depends on the payload's bytes and the endpoint's setting only, and never on the node, so that
//! it holds across restarts.

use std::borrow::Cow;

use hookyard_model::{OrderKey, Ordered, limits};
use sha2::{Digest as _, Sha256};

use crate::json::{self, Scanner};

/// The key of all deliveries of an endpoint that is ordered as a whole. Keys of different endpoints never meet.
const WHOLE_ENDPOINT: OrderKey = OrderKey(0);

/// What a delivery of this payload waits behind; `None` is nothing.
///
/// A pointer's key is a hash of the exact JSON text of the value it names: `1` and `1.0` are different, and a value that is
/// written in two ways is ordered as two. Where a name stands twice in an object, its first value counts. A payload that is
/// not JSON, or in which the pointer names nothing, is unordered: holding it back would stop it for good.
pub fn order_key(ordered: &Ordered, payload: &[u8]) -> Option<OrderKey> {
    match ordered {
        Ordered::No => None,
        Ordered::Endpoint => Some(WHOLE_ENDPOINT),
        Ordered::Pointer(pointer) => {
            json::check_depth(payload, limits::JSON_DEPTH).ok()?;
            let digest = Sha256::digest(find(payload, pointer)?);
            let head = digest.first_chunk().expect("SHA-256 has 32 bytes");
            Some(OrderKey(i64::from_be_bytes(*head)))
        }
    }
}

/// Why a text is not a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a JSON pointer (write `/data/id`, with `~1` for `/` and `~0` for `~` in a name)")]
pub struct PointerError {
    text: String,
}

/// Checks that a text is a JSON pointer (RFC 6901); asked where an endpoint's setting enters.
pub fn check_pointer(pointer: &str) -> Result<(), PointerError> {
    let well_formed = tokens(pointer).is_some_and(|mut tokens| tokens.all(|token| unescape(token).is_some()));
    if well_formed { Ok(()) } else { Err(PointerError { text: pointer.chars().take(64).collect() }) }
}

/// The text of the value that the pointer names in a text that is JSON.
fn find<'a>(text: &'a [u8], pointer: &str) -> Option<&'a [u8]> {
    let mut scanner = Scanner::new(text, usize::MAX);
    for token in tokens(pointer)? {
        let token = unescape(token)?;
        match scanner.next_token() {
            Some(b'{') => enter_member(&mut scanner, &token)?,
            Some(b'[') => enter_item(&mut scanner, index(&token)?)?,
            Some(_) | None => return None,
        }
    }
    scanner.value().ok().map(|range| &text[range])
}

/// Stands before the value of the first member of that name.
fn enter_member(scanner: &mut Scanner<'_>, wanted: &str) -> Option<()> {
    let mut more = scanner.take(b'{') && scanner.next_token() != Some(b'}');
    while more {
        if is_name(scanner.name().ok()?, wanted) {
            return Some(());
        }
        scanner.value().ok()?;
        more = scanner.take(b',');
    }
    None
}

/// Stands before the item at that index.
fn enter_item(scanner: &mut Scanner<'_>, index: usize) -> Option<()> {
    if !scanner.take(b'[') || scanner.next_token() == Some(b']') {
        return None;
    }
    for _ in 0..index {
        scanner.value().ok()?;
        if !scanner.take(b',') {
            return None;
        }
    }
    Some(())
}

/// Whether what stands between quotes is that name, its escapes undone.
fn is_name(between_quotes: &[u8], wanted: &str) -> bool {
    if !between_quotes.contains(&b'\\') {
        return between_quotes == wanted.as_bytes();
    }
    let quoted = [b"\"", between_quotes, b"\""].concat();
    // A name that is no text (a lone surrogate) is nobody's name.
    serde_json::from_slice::<String>(&quoted).is_ok_and(|name| name == wanted)
}

/// The pointer's tokens, still escaped; `None` when it does not begin like a pointer.
fn tokens(pointer: &str) -> Option<impl Iterator<Item = &str>> {
    let begins_well = pointer.is_empty() || pointer.starts_with('/');
    begins_well.then(|| pointer.split('/').skip(1))
}

fn unescape(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('~') {
        return Some(Cow::Borrowed(token));
    }
    let well_formed = token.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    // RFC 6901, section 4: `~1` first, so that `~01` becomes `~1` and not `/`.
    well_formed.then(|| Cow::Owned(token.replace("~1", "/").replace("~0", "~")))
}

/// An array index without leading zeros; `-`, the item after the last, names nothing that is there.
fn index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if plain { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAYLOAD: &str = r#"
        {"data": {"id": 7 , "list": [10, "x", {"deep": [true]}], "": "empty", "a/b": 1, "m~n": 2, "~1": 3},
         "gr\u00fcn": "escaped", "\ud800": "lone", "data": {"id": 8}, "null": null}"#;

    fn check(pointer: &str, expected: Option<&str>) {
        let found = find(PAYLOAD.as_bytes(), pointer).map(|text| std::str::from_utf8(text).expect("UTF-8"));
        assert_eq!(found, expected, "{pointer}");
    }

    #[test]
    fn a_pointer_finds_the_exact_text_of_its_value() {
        check("/data/id", Some("7"));
        check("/data/list", Some(r#"[10, "x", {"deep": [true]}]"#));
        check("/data/list/0", Some("10"));
        check("/data/list/1", Some(r#""x""#));
        check("/data/list/2/deep/0", Some("true"));
        check("/data/", Some(r#""empty""#));
        check("/data/a~1b", Some("1"));
        check("/data/m~0n", Some("2"));
        check("/data/~01", Some("3"));
        check("/gr\u{fc}n", Some(r#""escaped""#));
        check("/null", Some("null"));
        check("", Some(PAYLOAD.trim()));
    }

    #[test]
    fn a_pointer_to_nothing_finds_nothing() {
        for pointer in [
            "/nothing",
            "/data/id/0",
            "/data/list/3",
            "/data/list/-",
            "/data/list/00",
            "/data/list/01",
            "/data/list/+1",
            "/data/list/99999999999999999999999",
            "/data/list/",
            "/data/list/x",
            "data",
            "/data/m~2n",
            "/data/m~",
            "/",
            "/Data",
            "/gr\\u00fcn",
        ] {
            check(pointer, None);
        }
        assert_eq!(find(b"[]", "/0"), None);
        assert_eq!(find(b"{}", "/a"), None);
        assert_eq!(find(b" 5 ", ""), Some(&b"5"[..]));
    }

    fn key(pointer: &str, payload: &str) -> Option<OrderKey> {
        order_key(&Ordered::Pointer(pointer.to_owned()), payload.as_bytes())
    }

    #[test]
    fn a_key_is_the_head_of_a_hash_and_never_changes() {
        // The first eight bytes of SHA-256 of the text `7`: keys are in stores, so another would reorder deliveries.
        assert_eq!(key("/id", r#"{"id":7}"#), Some(OrderKey(0x7902_699b_e42c_8a8e)));
    }

    #[test]
    fn equal_texts_share_a_key_whatever_stands_around_them() {
        assert_eq!(key("/id", r#"{"id":7}"#), key("/id", "{\"x\":[1], \"id\" : 7\n}"));
        assert_ne!(key("/id", r#"{"id":7}"#), key("/id", r#"{"id":8}"#));
        assert_ne!(key("/id", r#"{"id":7}"#), key("/id", r#"{"id":7.0}"#));
        assert_ne!(key("/id", r#"{"id":7}"#), key("/id", r#"{"id":"7"}"#));
    }

    #[test]
    fn what_cannot_be_ordered_waits_for_nothing() {
        assert_eq!(key("/id", r#"{"other":7}"#), None);
        assert_eq!(key("/id", r#"{"id":7"#), None, "the value is there, and the payload is not JSON");
        assert_eq!(key("/id", "id=7"), None);
        assert_eq!(key("", ""), None);
        assert_eq!(order_key(&Ordered::No, b"{}"), None);
    }

    #[test]
    fn an_endpoint_ordered_as_a_whole_has_one_key_for_everything() {
        let first = order_key(&Ordered::Endpoint, b"{}");
        assert!(first.is_some());
        assert_eq!(first, order_key(&Ordered::Endpoint, b"\xff not JSON"));
    }

    #[test]
    fn a_setting_must_be_a_pointer() {
        for pointer in ["", "/", "/data/id", "/a~1b/~0", "/a//b", "/\u{fc}"] {
            assert_eq!(check_pointer(pointer), Ok(()), "{pointer}");
        }
        for pointer in ["data", "data/id", "$.data", "/a~2", "/a~", "#/data", " /a"] {
            assert!(check_pointer(pointer).is_err(), "{pointer}");
        }
        assert_eq!(
            check_pointer("data.id").expect_err("no slash").to_string(),
            "`data.id` is not a JSON pointer (write `/data/id`, with `~1` for `/` and `~0` for `~` in a name)"
        );
    }

    proptest! {
        #[test]
        fn a_pointer_finds_what_serde_json_finds(
            names in prop::collection::vec("[a~/\"\\\\\u{fc}0-2]{0,3}", 1..4), value: i64, decoys in 0usize..3, shift in 0usize..3,
        ) {
            let mut inner = serde_json::Value::from(value);
            for name in names.iter().rev() {
                let mut object = serde_json::Map::new();
                for decoy in 0..decoys {
                    object.insert(format!("decoy {decoy}"), serde_json::json!([{ "a": [name] }, "x", 1.5]));
                }
                object.insert(name.clone(), inner);
                let mut items = vec![serde_json::json!({ "skipped": [name, {}] }); shift];
                items.push(object.into());
                inner = items.into();
            }
            let mut pointer = String::new();
            for name in &names {
                pointer.extend([format!("/{shift}/"), name.replace('~', "~0").replace('/', "~1")]);
            }
            let text = serde_json::to_string_pretty(&inner).expect("a value can be written");
            let expected = inner.pointer(&pointer).expect("it was put there").to_string();
            prop_assert_eq!(find(text.as_bytes(), &pointer), Some(expected.as_bytes()), "{} in {}", pointer, text);
            prop_assert_eq!(check_pointer(&pointer), Ok(()));
        }

        #[test]
        fn no_pointer_and_no_payload_panics(pointer in "[/~0-9a-c-]{0,12}", payload in "[\\[\\]{}\",:a-c0-9 \\\\]{0,30}") {
            let ordered = Ordered::Pointer(pointer.clone());
            if check_pointer(&pointer).is_err() {
                prop_assert_eq!(order_key(&ordered, payload.as_bytes()), None);
            } else {
                order_key(&ordered, payload.as_bytes());
            }
        }
    }
}
