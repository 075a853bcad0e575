//! What a string says, its escapes resolved.

use std::borrow::Cow;

/// Reads a string or a name as written, quotes included; `None` when it is not one, or not UTF-8.
///
/// Half of a surrogate pair becomes U+FFFD: such a string is JSON, but no text.
pub fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let inner = std::str::from_utf8(inner).ok()?;
    let Some(first) = inner.find('\\') else { return Some(Cow::Borrowed(inner)) };
    let mut read = String::with_capacity(inner.len());
    read.push_str(&inner[..first]);
    let mut rest = &inner[first..];
    while let Some(escape) = rest.strip_prefix('\\') {
        let (character, after) = unescape(escape)?;
        read.push(character);
        let literal = after.find('\\').unwrap_or(after.len());
        read.push_str(&after[..literal]);
        rest = &after[literal..];
    }
    Some(Cow::Owned(read))
}

/// The character that an escape stands for, and what follows it; `escape` begins behind the backslash.
fn unescape(escape: &str) -> Option<(char, &str)> {
    let character = match escape.as_bytes().first()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let (high, after) = unit(escape)?;
            let low = after.strip_prefix('\\').and_then(unit);
            return Some(match low {
                Some((low, after)) if (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low) => {
                    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(code)?, after)
                }
                _ => (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), after),
            });
        }
        _ => return None,
    };
    Some((character, &escape[1..]))
}

/// The UTF-16 unit of `uXXXX`, and what follows it.
fn unit(escape: &str) -> Option<(u32, &str)> {
    let digits = escape.strip_prefix('u')?.get(..4)?;
    // `from_str_radix` takes a sign, JSON does not.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((u32::from_str_radix(digits, 16).ok()?, &escape[5..]))
}

/// Reads a string or a name as written into UTF-8 in which half of a surrogate pair stands as three bytes of its own
/// (WTF-8), so that two different halves stay different; `None` when it is not one, or not UTF-8.
pub(super) fn wide(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let inner = std::str::from_utf8(inner).ok()?;
    let Some(first) = inner.find('\\') else { return Some(Cow::Borrowed(inner.as_bytes())) };
    let mut read = Vec::with_capacity(inner.len());
    read.extend_from_slice(&inner.as_bytes()[..first]);
    let mut rest = &inner[first..];
    while let Some(escape) = rest.strip_prefix('\\') {
        let half = unit(escape).filter(|(unit, _)| (0xd800..0xe000).contains(unit));
        let (character, after) = unescape(escape)?;
        match half {
            Some((unit, _)) if character == char::REPLACEMENT_CHARACTER => {
                let bits = |shift: u32| u8::try_from((unit >> shift) & 0x3f).unwrap_or_default();
                read.extend_from_slice(&[0xed, 0x80 | bits(6), 0x80 | bits(0)]);
            }
            _ => read.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        let literal = after.find('\\').unwrap_or(after.len());
        read.extend_from_slice(&after.as_bytes()[..literal]);
        rest = &after[literal..];
    }
    Some(Cow::Owned(read))
}
