//! When a failed delivery is tried again.
//!
//! A policy says how many attempts follow the first and how long after the end of each. The arithmetic (jitter, cap,
//! `Retry-After`) is in `hookyard-core`; this is what is configured, already checked.

use std::time::Duration;

use crate::limits;

/// How long to wait before each further attempt; immutable and within [`limits`].
#[derive(Debug, Clone, PartialEq)]
pub enum RetryPolicy {
    /// The same delay each time, never jittered.
    Fixed {
        /// Between the end of an attempt and the next.
        delay: Duration,
        /// How many attempts follow the first.
        retries: u16,
    },
    /// A delay that grows by a factor up to a cap.
    Exponential {
        /// Before the second attempt.
        delay: Duration,
        /// What each further delay is multiplied by, at least 1.
        factor: f64,
        /// What no delay exceeds.
        max_delay: Duration,
        /// How many attempts follow the first.
        retries: u16,
        /// Share of the delay by which it varies either way, 0 to 1.
        jitter: f64,
    },
    /// A list of delays, one for each further attempt.
    Schedule {
        /// In order; empty means one attempt only.
        delays: Vec<Duration>,
        /// Share of the delay by which it varies either way, 0 to 1.
        jitter: f64,
    },
}

/// A policy that breaks a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetryPolicyError {
    /// Too many attempts.
    #[error("retry policy has {0} retries, at most {max} are allowed", max = limits::RETRIES)]
    TooManyRetries(usize),
    /// A delay above the limit.
    #[error("retry delay is longer than {max}", max = crate::format_duration(limits::RETRY_DELAY))]
    DelayTooLong,
    /// Jitter outside its range.
    #[error("retry jitter must be between 0 and 1")]
    Jitter,
    /// A factor that would shrink delays.
    #[error("retry factor must be between 1 and 100")]
    Factor,
}

impl RetryPolicy {
    /// Checks the bounds; every policy that enters the system has passed here.
    pub fn checked(self) -> Result<Self, RetryPolicyError> {
        let (retries, longest, jitter) = match &self {
            Self::Fixed { delay, retries } => (usize::from(*retries), *delay, 0.0),
            Self::Exponential { delay, factor, max_delay, retries, jitter } => {
                if !(1.0..=100.0).contains(factor) {
                    return Err(RetryPolicyError::Factor);
                }
                (usize::from(*retries), (*delay).max(*max_delay), *jitter)
            }
            Self::Schedule { delays, jitter } => {
                (delays.len(), delays.iter().copied().max().unwrap_or_default(), *jitter)
            }
        };
        if retries > limits::RETRIES {
            return Err(RetryPolicyError::TooManyRetries(retries));
        }
        if longest > limits::RETRY_DELAY {
            return Err(RetryPolicyError::DelayTooLong);
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(RetryPolicyError::Jitter);
        }
        Ok(self)
    }

    /// How many attempts follow the first.
    pub fn retries(&self) -> usize {
        match self {
            Self::Fixed { retries, .. } | Self::Exponential { retries, .. } => usize::from(*retries),
            Self::Schedule { delays, .. } => delays.len(),
        }
    }
}

impl Default for RetryPolicy {
    /// 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 10 h with a jitter of 0.2: the schedule of Svix and of Standard Webhooks.
    fn default() -> Self {
        let seconds = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
        Self::Schedule { delays: seconds.into_iter().map(Duration::from_secs).collect(), jitter: 0.2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_checked() {
        assert!(RetryPolicy::default().checked().is_ok());
        let exponential = |factor, jitter| {
            let (delay, max_delay) = (Duration::from_secs(2), Duration::from_hours(1));
            RetryPolicy::Exponential { delay, factor, max_delay, retries: 4, jitter }.checked()
        };
        assert!(exponential(2.0, 0.2).is_ok());
        assert_eq!(exponential(0.5, 0.2), Err(RetryPolicyError::Factor));
        assert_eq!(exponential(f64::NAN, 0.2), Err(RetryPolicyError::Factor));
        assert_eq!(exponential(2.0, f64::NAN), Err(RetryPolicyError::Jitter));
        let retries = u16::try_from(limits::RETRIES).expect("small");
        let fixed = |delay, retries| RetryPolicy::Fixed { delay, retries }.checked();
        assert!(fixed(limits::RETRY_DELAY, retries).is_ok());
        assert!(fixed(limits::RETRY_DELAY, retries + 1).is_err());
        assert!(fixed(limits::RETRY_DELAY + Duration::from_secs(1), 1).is_err());
    }
}
