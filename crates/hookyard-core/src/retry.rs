//! Decides how long a failed delivery waits for its next attempt.
//!
//! Called by [`crate::settle`] after a failure, and by whoever must know how long a schedule can take (retention, the
//! doors). The policy has been checked where it entered; the arithmetic saturates all the same, because a number that
//! panics here would stop an endpoint for good.

use std::time::Duration;

use hookyard_model::RetryPolicy;

/// How long to wait once `charged` attempts took from the schedule (1 after the first); `None` when it is spent.
///
/// `draw` is what was drawn for the jitter, 0 to 1: a delay `d` with jitter `j` becomes `d` times `1 - j + 2 * j * draw`.
/// No delay of an exponential policy is longer than its `max_delay`, jitter included. With nothing charged the next attempt
/// is the first, which waits for nothing.
pub fn delay(policy: &RetryPolicy, charged: u16, draw: f64) -> Option<Duration> {
    let Some(index) = charged.checked_sub(1) else {
        return Some(Duration::ZERO);
    };
    match policy {
        RetryPolicy::Fixed { delay, retries } => (index < *retries).then_some(*delay),
        RetryPolicy::Exponential { delay, factor, max_delay, retries, jitter } => (index < *retries).then(|| {
            let grown = delay.as_secs_f64() * factor.powi(i32::from(index));
            let grown = Duration::try_from_secs_f64(grown).unwrap_or(*max_delay).min(*max_delay);
            jittered(grown, *jitter, draw).min(*max_delay)
        }),
        RetryPolicy::Schedule { delays, jitter } => {
            delays.get(usize::from(index)).map(|delay| jittered(*delay, *jitter, draw))
        }
    }
}

/// The longest time that a policy's delays can take together.
pub fn schedule_span(policy: &RetryPolicy) -> Duration {
    match policy {
        RetryPolicy::Fixed { delay, retries } => delay.saturating_mul(u32::from(*retries)),
        RetryPolicy::Exponential { .. } | RetryPolicy::Schedule { .. } => (1..=u16::MAX)
            .map_while(|charged| delay(policy, charged, 1.0))
            .fold(Duration::ZERO, Duration::saturating_add),
    }
}

fn jittered(delay: Duration, jitter: f64, draw: f64) -> Duration {
    let jitter = share(jitter, 0.0);
    if jitter <= 0.0 {
        // A delay without jitter stays exact to the nanosecond.
        return delay;
    }
    let factor = 2.0f64.mul_add(jitter * share(draw, 0.5), 1.0 - jitter);
    Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// A number from 0 to 1, whatever came in.
fn share(number: f64, otherwise: f64) -> f64 {
    if number.is_nan() { otherwise } else { number.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: &[u64]) -> Vec<Duration> {
        seconds.iter().copied().map(Duration::from_secs).collect()
    }

    /// Walks the policy; `expected` are milliseconds.
    fn check(policy: &RetryPolicy, draw: f64, expected: &[u128]) {
        let delays: Vec<_> = (1..=200).map_while(|charged| delay(policy, charged, draw)).collect();
        assert_eq!(delays.iter().copied().map(rounded).collect::<Vec<_>>(), expected, "{policy:?} with {draw}");
        let after = u16::try_from(delays.len()).expect("few") + 1;
        assert_eq!(delay(policy, after, draw), None, "spent");
        assert_eq!(delay(policy, u16::MAX, draw), None, "spent for good");
    }

    /// Whole milliseconds: a jittered delay is off by some nanoseconds.
    fn rounded(span: Duration) -> u128 {
        (span.as_micros() + 500) / 1_000
    }

    #[test]
    fn a_fixed_delay_is_never_jittered() {
        let policy = RetryPolicy::Fixed { delay: Duration::from_secs(10), retries: 3 };
        for draw in [0.0, 0.5, 1.0, f64::NAN] {
            check(&policy, draw, &[10_000, 10_000, 10_000]);
        }
        assert_eq!(schedule_span(&policy), Duration::from_secs(30));
    }

    #[test]
    fn an_exponential_delay_grows_up_to_its_cap() {
        let policy = |jitter| RetryPolicy::Exponential {
            delay: Duration::from_secs(2),
            factor: 2.0,
            max_delay: Duration::from_secs(10),
            retries: 5,
            jitter,
        };
        check(&policy(0.0), 0.9, &[2_000, 4_000, 8_000, 10_000, 10_000]);
        check(&policy(0.5), 0.0, &[1_000, 2_000, 4_000, 5_000, 5_000]);
        check(&policy(0.5), 0.5, &[2_000, 4_000, 8_000, 10_000, 10_000]);
        check(&policy(0.5), 1.0, &[3_000, 6_000, 10_000, 10_000, 10_000]);
        assert_eq!(schedule_span(&policy(0.5)), Duration::from_secs(39));
    }

    #[test]
    fn a_schedule_is_walked_once() {
        let policy = |jitter| RetryPolicy::Schedule { delays: seconds(&[5, 300, 60]), jitter };
        check(&policy(0.0), 0.3, &[5_000, 300_000, 60_000]);
        check(&policy(0.2), 0.0, &[4_000, 240_000, 48_000]);
        check(&policy(0.2), 1.0, &[6_000, 360_000, 72_000]);
        check(&policy(1.0), 0.0, &[0, 0, 0]);
        assert_eq!(schedule_span(&policy(0.2)), Duration::from_secs(438));
    }

    #[test]
    fn a_policy_without_retries_is_spent_after_the_first_attempt() {
        for policy in [
            RetryPolicy::Fixed { delay: Duration::from_secs(1), retries: 0 },
            RetryPolicy::Schedule { delays: Vec::new(), jitter: 0.2 },
        ] {
            check(&policy, 0.5, &[]);
            assert_eq!(schedule_span(&policy), Duration::ZERO);
        }
    }

    #[test]
    fn the_first_attempt_waits_for_nothing() {
        assert_eq!(delay(&RetryPolicy::default(), 0, 0.5), Some(Duration::ZERO));
    }

    #[test]
    fn the_default_schedule_spans_little_more_than_a_day() {
        let span = schedule_span(&RetryPolicy::default());
        assert!(span > Duration::from_hours(27) && span < Duration::from_hours(34), "{span:?}");
    }

    fn any_number() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), 0.0..1.0f64]
    }

    fn any_span() -> impl Strategy<Value = Duration> {
        prop_oneof![any::<u64>().prop_map(Duration::from_nanos), any::<u64>().prop_map(Duration::from_secs)]
    }

    fn any_policy() -> impl Strategy<Value = RetryPolicy> {
        prop_oneof![
            (any_span(), any::<u16>()).prop_map(|(delay, retries)| RetryPolicy::Fixed { delay, retries }),
            (any_span(), any_number(), any_span(), 0..200u16, any_number()).prop_map(
                |(delay, factor, max_delay, retries, jitter)| RetryPolicy::Exponential {
                    delay,
                    factor,
                    max_delay,
                    retries,
                    jitter
                }
            ),
            (prop::collection::vec(any_span(), 0..20), any_number())
                .prop_map(|(delays, jitter)| RetryPolicy::Schedule { delays, jitter }),
        ]
    }

    proptest! {
        #[test]
        fn no_number_panics(policy in any_policy(), charged: u16, draw in any_number()) {
            let retries = policy.retries();
            prop_assert_eq!(delay(&policy, charged, draw).is_some(), usize::from(charged) <= retries);
            schedule_span(&policy);
        }

        #[test]
        fn a_jittered_delay_stays_within_its_share(millis in 1u64..604_800_000, jitter in 0.0..=1.0f64, draw in 0.0..1.0f64) {
            let base = Duration::from_millis(millis);
            let policy = RetryPolicy::Schedule { delays: vec![base], jitter };
            let delay = delay(&policy, 1, draw).expect("one retry").as_secs_f64();
            let slack = 1e-6;
            prop_assert!(delay >= base.as_secs_f64() * (1.0 - jitter) - slack);
            prop_assert!(delay <= base.as_secs_f64() * (1.0 + jitter) + slack);
        }

        #[test]
        fn the_span_bounds_every_walk(
            delays in prop::collection::vec(0u64..604_800, 0..20), jitter in 0.0..=1.0f64, draw in 0.0..1.0f64,
        ) {
            let policy = RetryPolicy::Schedule { delays: seconds(&delays), jitter };
            let walk: Duration = (1..=20).map_while(|charged| delay(&policy, charged, draw)).sum();
            prop_assert!(walk <= schedule_span(&policy) + Duration::from_micros(1));
        }

        #[test]
        fn no_exponential_delay_is_above_its_cap(
            factor in 1.0..=100.0f64, jitter in 0.0..=1.0f64, draw in 0.0..1.0f64, charged in 1u16..=100,
        ) {
            let max_delay = Duration::from_hours(1);
            let policy = RetryPolicy::Exponential { delay: Duration::from_secs(1), factor, max_delay, retries: 100, jitter };
            prop_assert!(delay(&policy, charged, draw).expect("not spent") <= max_delay);
        }
    }
}
