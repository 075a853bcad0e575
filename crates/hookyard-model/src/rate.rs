//! A rate limit as people write it: `50/s`, `20/m`, `1000/h`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// At most `count` in every `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time: one second, one minute or one hour.
    pub per: Duration,
}

impl Rate {
    /// The time between two, when they are spread evenly.
    pub fn interval(&self) -> Duration {
        self.per / self.count.get()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            60 => "m",
            3600 => "h",
            _ => "s",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// A text that is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a rate (write `50/s`, `20/m` or `1000/h`, at least 1)")]
pub struct ParseRateError {
    text: String,
}

impl FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseRateError { text: text.chars().take(64).collect() };
        let (count, unit) = text.split_once('/').ok_or_else(error)?;
        if !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        let per = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return Err(error()),
        };
        Ok(Self { count: count.parse().map_err(|_| error())?, per })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_back() {
        for text in ["50/s", "20/m", "1000/h", "1/s"] {
            assert_eq!(text.parse::<Rate>().map(|rate| rate.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "50", "0/s", "50/d", "-1/s", "+1/s", "1.5/s", "50/s "] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
