//! The payload of a benchmark's message: its number, when it was sent, and padding.
//!
//! Read back from whatever a dialect builds around it, members in any order: each value has a fixed length and is found by
//! its name.

/// Bytes before the padding.
const HEAD: usize = r#"{"n":"0123456789","at":"01234567890123456789","pad":""#.len();
/// Bytes after the padding.
const TAIL: usize = r#""}"#.len();
/// Before the number's ten digits.
const NUMBER: &[u8] = br#""n":""#;
/// Before the time's twenty digits.
const TIME: &[u8] = br#""at":""#;

/// Writes a payload of `size` bytes (at least the fixed part) for message `number` sent at `at` nanoseconds.
pub(super) fn write(into: &mut Vec<u8>, size: usize, number: u64, at: u64) {
    use std::io::Write as _;
    let padding = size.saturating_sub(HEAD + TAIL);
    write!(into, r#"{{"n":"{number:010}","at":"{at:020}","pad":""#).expect("writing to memory cannot fail");
    into.resize(into.len() + padding, b'x');
    into.extend_from_slice(br#""}"#);
}

/// How many bytes [`write`] writes.
pub(super) const fn size(asked: usize) -> usize {
    if asked < HEAD + TAIL { HEAD + TAIL } else { asked }
}

/// The number and the time of a payload.
pub(super) fn read(body: &[u8]) -> Option<(u64, u64)> {
    let number = |name: &[u8], digits| {
        let at = body.windows(name.len()).position(|window| window == name)? + name.len();
        std::str::from_utf8(body.get(at..at + digits)?).ok()?.parse().ok()
    };
    Some((number(NUMBER, 10)?, number(TIME, 20)?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_payload_reads_back_and_is_json() {
        let mut payload = Vec::new();
        super::write(&mut payload, 200, 42, 1_700_000_000_123_456_789);
        assert_eq!(payload.len(), super::size(200));
        assert_eq!(super::read(&payload), Some((42, 1_700_000_000_123_456_789)));
        assert!(serde_json::from_slice::<serde_json::Value>(&payload).is_ok());
        let around = br#"{"event":"x","at":"00000000000000000007","data":{"n":"0000000003"}}"#;
        assert_eq!(super::read(around), Some((3, 7)));
        assert_eq!(super::read(b"{}"), None);
    }
}
