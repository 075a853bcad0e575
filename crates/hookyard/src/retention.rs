//! How long messages must be kept, so that none is pruned while its schedule runs.
//!
//! Called by the reader of settings and files, and where an embedded node opens or declares: one rule for both. Whoever
//! calls says where the wrong value stands.

use std::time::Duration;

use hookyard_core::retry::schedule_span;
use hookyard_model::{RetryPolicy, format_duration};

/// The longest time that a deployment may keep messages.
const MOST: Duration = Duration::from_hours(24 * 3_650);

/// What retention must be at least for messages that are tried by this policy.
pub(crate) fn shortest(retry: &RetryPolicy) -> Duration {
    schedule_span(retry).saturating_add(Duration::from_hours(24))
}

/// Whether messages may be kept for so long where attempts are repeated by this policy; if not, why.
pub(crate) fn check(kept: Duration, retry: &RetryPolicy) -> Result<(), String> {
    check_most(kept)?;
    let least = shortest(retry);
    if kept >= least {
        return Ok(());
    }
    let given = format_duration(kept);
    Err(format!("is `{given}`, must be at least {}: the retry schedule and one day", in_hours(least)))
}

/// Whether anybody may keep messages for so long; if not, why.
pub(crate) fn check_most(kept: Duration) -> Result<(), String> {
    if kept <= MOST {
        return Ok(());
    }
    Err(format!("is `{}`, must be at most `{}`", format_duration(kept), format_duration(MOST)))
}

/// Whether a schedule ends a day before messages that are kept for so long are pruned; if not, why.
pub(crate) fn check_schedule(retry: &RetryPolicy, kept: Duration) -> Result<(), String> {
    let least = shortest(retry);
    if least <= kept {
        return Ok(());
    }
    Err(format!("takes up to {}, so `retention` must be at least {}", in_hours(schedule_span(retry)), in_hours(least)))
}

/// Whole hours, rounded up: the spans of jittered schedules have fractions that nobody wants to type.
fn in_hours(span: Duration) -> String {
    format!("`{}h`", span.as_secs().div_ceil(3_600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_kept_a_day_longer_than_their_schedule() {
        let retry = RetryPolicy::Fixed { delay: Duration::from_hours(1), retries: 2 };
        let least = Duration::from_hours(26);
        assert_eq!(shortest(&retry), least);
        let second = Duration::from_secs(1);
        for (kept, fits) in [(least, true), (Duration::from_secs(26 * 3_600 - 1), false), (MOST, true)] {
            assert_eq!((check(kept, &retry).is_ok(), check_schedule(&retry, kept).is_ok()), (fits, fits), "{kept:?}");
        }
        assert_eq!(
            check(Duration::ZERO, &retry),
            Err("is `0s`, must be at least `26h`: the retry schedule and one day".to_owned())
        );
        assert!(check(MOST + second, &retry).is_err_and(|why| why.contains("must be at most")));
    }
}
