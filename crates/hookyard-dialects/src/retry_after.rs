//! Reads the header by which a receiver asks for patience (RFC 9110, section 10.2.3).
//!
//! Called while an answer is judged. Any bytes give an answer: what is not a `Retry-After` gives none, a number too large
//! gives the last time there is.
//!
//! What it leaves to others: how far a receiver may push an attempt (`hookyard-core` caps it).

use std::time::{Duration, SystemTime};

use hookyard_model::Timestamp;

/// Longer than any of the three forms of a date; keeps a parser that meets strangers to short texts.
const DATE_BYTES: usize = 64;

/// Not before when to try again: delay-seconds counted from `now`, or an HTTP date, which may be in the past.
pub fn parse(value: &[u8], now: Timestamp) -> Option<Timestamp> {
    let value = value.trim_ascii();
    if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        let seconds =
            value.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        return Some(now.plus(Duration::from_secs(seconds)));
    }
    if value.len() > DATE_BYTES {
        return None;
    }
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    Some(Timestamp::EPOCH.plus(date.duration_since(SystemTime::UNIX_EPOCH).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

    fn check(value: &[u8], expected: Option<Timestamp>) {
        assert_eq!(parse(value, NOW), expected, "{}", value.escape_ascii());
    }

    #[test]
    fn seconds_count_from_now() {
        check(b"0", Some(NOW));
        check(b"120", Some(NOW.plus(Duration::from_mins(2))));
        check(b" \t120 ", Some(NOW.plus(Duration::from_mins(2))));
        check(b"000005", Some(NOW.plus(Duration::from_secs(5))));
    }

    #[test]
    fn a_date_has_three_forms() {
        let at = Some(Timestamp::from_seconds(784_111_777));
        check(b"Sun, 06 Nov 1994 08:49:37 GMT", at);
        check(b"Sunday, 06-Nov-94 08:49:37 GMT", at);
        check(b"Sun Nov  6 08:49:37 1994", at);
    }

    #[test]
    fn a_number_beyond_all_bounds_is_the_last_time() {
        check(&[b'9'; 400], Some(Timestamp::MAX));
        check(b"18446744073709551616", Some(Timestamp::MAX));
    }

    #[test]
    fn what_is_neither_is_nothing() {
        for value in [
            &b""[..],
            b" ",
            b"-5",
            b"+5",
            b"1e300",
            b"1.5",
            b"5\0",
            b"\0",
            b"5 seconds",
            b"soon",
            b"\xff\xfe",
            b"Sun, 31 Feb 2026 08:49:37 GMT",
            b"Sun, 06 Nov 99999 08:49:37 GMT",
            b"2026-01-01T00:00:00Z",
        ] {
            check(value, None);
        }
        check(&[b' '; 400], None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&value, Timestamp::MAX);
        }

        #[test]
        fn any_date_gives_an_answer(
            day in 0u32..100, month in "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
            year in 0u32..10_000, hour in 0u32..100, minute in 0u32..100, second in 0u32..100,
        ) {
            for day_name in ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] {
                let date = format!("{day_name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT");
                let _ = parse(date.as_bytes(), NOW);
            }
        }
    }
}
