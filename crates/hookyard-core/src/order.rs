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
