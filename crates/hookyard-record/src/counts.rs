//! What happened to an endpoint in one minute, as one small blob.
//!
//! A form number, then a LEB128 number for each outcome and each latency bucket: a minute with a single attempt takes 30
//! bytes, and a settle adds to it without knowing the columns.

use std::time::Duration;

use hookyard_model::{Outcome, Timestamp};
use hookyard_ports::store::RollupRow;

use crate::outcome_code;

const FORM: u8 = 1;

/// The names of the outcomes, by their code.
pub const OUTCOMES: [&str; 11] = [
    Outcome::Delivered.as_str(),
    Outcome::Refused.as_str(),
    Outcome::TimedOut.as_str(),
    "dns_failed",
    "connect_failed",
    "tls_failed",
    "broken_off",
    Outcome::StaleConnection.as_str(),
    "blocked",
    Outcome::Interrupted.as_str(),
    "cannot_be_encoded",
];

const BUCKETS: usize = RollupRow::BUCKETS.len() + 1;

/// Counts by outcome and by latency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    outcomes: [u64; OUTCOMES.len()],
    latency: [u64; BUCKETS],
}

impl Counts {
    /// Adds one attempt.
    pub fn add(&mut self, outcome: &Outcome, total: Duration) {
        self.outcomes[usize::from(outcome_code(outcome))] += 1;
        self.latency[RollupRow::bucket(total)] += 1;
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        let pairs = self.outcomes.iter_mut().zip(other.outcomes).chain(self.latency.iter_mut().zip(other.latency));
        for (mine, theirs) in pairs {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// Counts by outcome and by latency, in the order of their numbers; what is missing at the end is zero. `None` where there
    /// are more than this version knows.
    pub fn from_parts(outcomes: &[u64], latency: &[u64]) -> Option<Self> {
        let mut counts = Self::default();
        counts.outcomes.get_mut(..outcomes.len())?.copy_from_slice(outcomes);
        counts.latency.get_mut(..latency.len())?.copy_from_slice(latency);
        Some(counts)
    }

    /// The counts by outcome and by latency, in the order of their numbers.
    pub const fn parts(&self) -> (&[u64], &[u64]) {
        (&self.outcomes, &self.latency)
    }

    /// The form that is kept.
    #[expect(clippy::cast_possible_truncation, reason = "the mask keeps seven bits")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + OUTCOMES.len() + BUCKETS);
        bytes.push(FORM);
        for count in self.outcomes.iter().chain(&self.latency) {
            let mut rest = *count;
            while rest >= 0x80 {
                bytes.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        bytes
    }

    /// Reads what [`Counts::to_bytes`] wrote; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, mut rest) = bytes.split_first()?;
        if *form != FORM {
            return None;
        }
        let mut counts = Self::default();
        for count in counts.outcomes.iter_mut().chain(&mut counts.latency) {
            let mut shift = 0_u32;
            loop {
                let (byte, after) = rest.split_first()?;
                rest = after;
                let part = u64::from(byte & 0x7f);
                if shift >= 64 || (part << shift) >> shift != part {
                    return None;
                }
                *count |= part << shift;
                if byte & 0x80 == 0 {
                    break;
                }
                shift += 7;
            }
        }
        rest.is_empty().then_some(counts)
    }

    /// The row that readers get: outcomes by name, in alphabetical order, none that is zero.
    pub fn to_row(&self, minute: Timestamp) -> RollupRow {
        let counted = OUTCOMES.iter().zip(self.outcomes).filter(|(_, count)| *count > 0);
        let mut outcomes: Vec<_> = counted.map(|(name, count)| ((*name).to_owned(), count)).collect();
        outcomes.sort();
        RollupRow { minute, outcomes, latency: self.latency.to_vec() }
    }
}

/// The number of the first minute that begins at `at` or later.
pub fn first_minute(at: Timestamp) -> i64 {
    let micros = at.as_micros();
    micros.div_euclid(60_000_000) + i64::from(micros.rem_euclid(60_000_000) != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_names_are_those_of_the_model() {
        for (code, name) in OUTCOMES.iter().enumerate() {
            let outcome = crate::decode_outcome(i64::try_from(code).expect("small"), None, Some(String::new()), None);
            assert_eq!(outcome.expect("an outcome").as_str(), *name);
        }
    }

    #[test]
    fn attempts_are_counted_by_outcome_and_by_time() {
        let mut counts = Counts::default();
        counts.add(&Outcome::TimedOut, Duration::from_secs(100));
        counts.add(&Outcome::Delivered, Duration::from_millis(1));
        counts.add(&Outcome::Delivered, Duration::from_micros(1_001));
        let row = counts.to_row(Timestamp::EPOCH);
        assert_eq!(row.outcomes, [("delivered".to_owned(), 2), ("timed_out".to_owned(), 1)]);
        assert_eq!((row.latency[0], row.latency[1], row.latency[BUCKETS - 1]), (1, 1, 1));
    }

    proptest! {
        #[test]
        fn counts_read_back(outcomes: [u64; OUTCOMES.len()], latency: [u64; BUCKETS]) {
            let counts = Counts { outcomes, latency };
            prop_assert_eq!(Counts::from_bytes(&counts.to_bytes()), Some(counts.clone()));
            let (by_outcome, by_latency) = counts.parts();
            prop_assert_eq!(Counts::from_parts(by_outcome, by_latency), Some(counts));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Counts::from_bytes(&bytes);
        }
    }
}
