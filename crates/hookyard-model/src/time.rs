//! Points in time and spans of it, as values and as the texts people write for them.
//!
//! The clock is not here: a [`Timestamp`] comes in as an argument. Durations in files, flags and API bodies are written
//! `50ms`, `5s`, `2m`, `2h`, `90d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A point in time, in microseconds since the Unix epoch, UTC.
///
/// Shown and parsed as RFC 3339. Arithmetic saturates, so that a stranger's number cannot overflow it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-30T22:00:00Z, the last time that has an RFC 3339 text at every offset; nothing is due after it.
    pub const MAX: Self = Self(253_402_207_200_000_000);
    /// 0000-01-01T00:00:00Z, the first time that has an RFC 3339 text.
    pub const MIN: Self = Self(-62_167_219_200_000_000);

    /// From microseconds since the Unix epoch, clamped to the years 0 to 9999.
    pub const fn from_micros(micros: i64) -> Self {
        if micros > Self::MAX.0 {
            Self::MAX
        } else if micros < Self::MIN.0 {
            Self::MIN
        } else {
            Self(micros)
        }
    }

    /// From whole seconds since the Unix epoch, clamped to the years 0 to 9999.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and `span` more.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// This time and `span` less.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_sub(micros))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_microsecond(self.0).map_err(|_| fmt::Error)?;
        // Six digits always: the text of a time must not change between create and a later get.
        write!(f, "{at:.6}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimeError;

    /// RFC 3339 with any offset; digits beyond microseconds are cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at: jiff::Timestamp = text.parse().map_err(|_| ParseTimeError { text: text.chars().take(64).collect() })?;
        Ok(Self::from_micros(at.as_microsecond()))
    }
}

/// A text that is not an RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time (write `2026-01-31T08:30:00Z` or `2026-01-31T09:30:00.25+01:00`)")]
pub struct ParseTimeError {
    text: String,
}

/// When the event happened, in the very text it came as.
///
/// Dialects such as Vikunja's promise the text itself (offset and up to nine digits included), so it is kept beside the
/// point in time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventTime {
    text: Box<str>,
    at: Timestamp,
}

impl EventTime {
    /// The text as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same time, floored to microseconds.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl FromStr for EventTime {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // jiff takes more than RFC 3339 does (a space, a zone in brackets); what is kept as text must be plain RFC 3339.
        let plain = text.len() <= 40 && text.as_bytes().get(10).is_some_and(|b| matches!(b, b'T' | b't'));
        let plain = plain && !text.contains('[') && !text.contains(',');
        if !plain {
            return Err(ParseTimeError { text: text.chars().take(64).collect() });
        }
        Ok(Self { text: text.into(), at: text.parse()? })
    }
}

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration (write `50ms`, `5s`, `2m`, `1h` or `90d`)")]
pub struct ParseDurationError {
    text: String,
}

/// Reads `50ms`, `5s`, `2m`, `1h` or `90d`: a whole number and one unit.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let error = || ParseDurationError { text: text.chars().take(64).collect() };
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| error())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(error()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(error)
}

/// The shortest text that [`parse_duration`] reads back as the same duration, floored to milliseconds.
pub fn format_duration(span: Duration) -> String {
    let millis = span.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis > 0 && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    if millis == 0 { "0s".to_owned() } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_shown_with_six_digits() {
        assert_eq!(Timestamp::from_micros(1_614_265_330_000_000).to_string(), "2021-02-25T15:02:10.000000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T22:00:00.000000Z");
    }

    #[test]
    fn an_event_time_keeps_its_text() {
        let time: EventTime = "2023-10-17T19:39:32.924194436+02:00".parse().expect("a time");
        assert_eq!(time.text(), "2023-10-17T19:39:32.924194436+02:00");
        assert_eq!(time.at().to_string(), "2023-10-17T17:39:32.924194Z");
    }

    #[test]
    fn an_event_time_is_plain_rfc_3339() {
        for text in
            ["", "2023-10-17", "2023-10-17 19:39:32Z", "2023-10-17T19:39:32", "2023-10-17T19:39:32+01[Europe/Paris]"]
        {
            assert!(text.parse::<EventTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_one_unit() {
        assert_eq!(parse_duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_hours(2)));
        for text in ["", "5", "5x", "s", "-5s", "1.5s", "5s ", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_formatted_duration_reads_back(millis in 0u64..10_000_000_000) {
            let span = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(span)), Ok(span));
        }

        #[test]
        fn a_timestamp_reads_back(micros in Timestamp::MIN.0..Timestamp::MAX.0) {
            let at = Timestamp::from_micros(micros);
            prop_assert_eq!(at.to_string().parse::<Timestamp>(), Ok(at));
        }

        #[test]
        fn arithmetic_saturates(micros: i64, span: u64) {
            let at = Timestamp::from_micros(micros);
            prop_assert!(at.plus(Duration::from_micros(span)) >= at);
            prop_assert!(at.minus(Duration::from_micros(span)) <= at);
        }
    }
}
