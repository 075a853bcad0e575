//! Decides when the next attempt may begin under a rate limit.
//!
//! Held by an endpoint's lane in the engine, which takes from it when an attempt is about to begin and waits for as long
//! as it is told. Time is the monotonic clock's: a wall clock that jumps must not open or shut a limit.
//!
//! **Invariant:** in no span of the rate's `per` are more than its `count` taken, wherever the span begins. A bucket that
//! fills up while idle would let through twice as much in its first span, which is what receivers with a limit of their
//! own punish; so takes are spread evenly, and an idle time saves nothing up. Only what falls due within a few
//! milliseconds may be taken at once, and the interval is a little longer in return.

use std::time::Duration;

use hookyard_model::Rate;

/// Takes that fall due within this time may happen at once. Timers wake up to some milliseconds late; without it a rate
/// of thousands a second could not be reached.
const CATCH_UP: Duration = Duration::from_millis(10);

/// A rate limit's memory: when the next take would be due if all were spread evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    interval: Duration,
    tolerance: Duration,
    next: Duration,
}

impl Bucket {
    /// A bucket that nothing was taken from, at the monotonic time `now`.
    pub fn new(rate: Rate, now: Duration) -> Self {
        let (count, per) = (u128::from(rate.count.get()), rate.per.as_nanos());
        let at_once = (count * CATCH_UP.as_nanos()).checked_div(per).unwrap_or(1).clamp(1, count);
        // From the first of n takes to the last pass at least n - at_once intervals; this one makes n at most count in
        // every span. Rounded up, because a shorter one would let through one more.
        let interval = nanos(per.div_ceil(count - at_once + 1));
        let tolerance = nanos(interval.as_nanos().saturating_mul(at_once - 1));
        Self { interval, tolerance, next: now }
    }

    /// A bucket that lets one through every `interval`, and what it kept back for up to `at_once` of them together.
    pub fn spaced(interval: Duration, at_once: u32, now: Duration) -> Self {
        Self { interval, tolerance: interval.saturating_mul(at_once.saturating_sub(1)), next: now }
    }

    /// Takes one at the monotonic time `now`, or says how long to wait; then nothing was taken.
    pub fn try_take(&mut self, now: Duration) -> Result<(), Duration> {
        let earliest = self.next.saturating_sub(self.tolerance);
        if now < earliest {
            return Err(earliest.saturating_sub(now));
        }
        self.next = self.next.max(now).saturating_add(self.interval);
        Ok(())
    }
}

fn nanos(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    /// Takes as soon as allowed for `span`, waking `late` too late each time; returns when each was taken.
    fn taken(rate: Rate, span: Duration, late: Duration) -> Vec<Duration> {
        let start = Duration::from_secs(7);
        let mut bucket = Bucket::new(rate, start);
        let (mut now, mut times) = (start, Vec::new());
        while now < start + span {
            match bucket.try_take(now) {
                Ok(()) => times.push(now),
                Err(wait) => now += wait + late,
            }
        }
        times
    }

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    #[test]
    fn slow_rates_are_spread_evenly() {
        let times = taken(rate("20/m"), Duration::from_secs(10), Duration::ZERO);
        let seconds: Vec<_> = times.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [7, 10, 13, 16]);
    }

    #[test]
    fn an_idle_time_saves_nothing_up() {
        let mut bucket = Bucket::new(rate("1/s"), Duration::ZERO);
        let later = Duration::from_hours(24);
        assert_eq!(bucket.try_take(later), Ok(()));
        assert_eq!(bucket.try_take(later), Err(Duration::from_secs(1)));
        assert_eq!(bucket.try_take(later + Duration::from_millis(400)), Err(Duration::from_millis(600)));
        assert_eq!(bucket.try_take(later + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn a_clock_at_its_end_does_not_overflow() {
        let mut bucket = Bucket::new(rate("1/h"), Duration::MAX);
        assert_eq!(bucket.try_take(Duration::MAX), Ok(()));
        let endless = Rate { count: NonZeroU32::MIN, per: Duration::MAX };
        let mut bucket = Bucket::new(endless, Duration::ZERO);
        assert_eq!(bucket.try_take(Duration::ZERO), Ok(()));
        assert!(bucket.try_take(Duration::ZERO).is_err());
        let mut bucket = Bucket::new(Rate { count: NonZeroU32::MAX, per: Duration::ZERO }, Duration::ZERO);
        assert_eq!(bucket.try_take(Duration::ZERO), Ok(()));
    }

    #[test]
    fn a_late_timer_costs_little() {
        for (text, expected) in [("50/s", 50), ("1000/s", 1_000), ("5000/s", 5_000)] {
            let count = taken(rate(text), Duration::from_secs(1), Duration::ZERO).len();
            assert!(count <= expected && count * 100 >= expected * 99, "{text}: {count}");
        }
        let count = taken(rate("5000/s"), Duration::from_secs(1), Duration::from_millis(2)).len();
        assert!((4_900..=5_000).contains(&count), "{count}");
    }

    proptest! {
        #[test]
        fn no_span_holds_more_than_the_count(
            count in 1u32..400,
            per in prop::sample::select(&[1u64, 60, 3_600][..]),
            gaps in prop::collection::vec(0.0..2.0f64, 1..1_000),
        ) {
            let rate = Rate { count: NonZeroU32::new(count).expect("not zero"), per: Duration::from_secs(per) };
            let mut bucket = Bucket::new(rate, Duration::ZERO);
            let (mut now, mut times) = (Duration::ZERO, Vec::new());
            for gap in gaps {
                now += rate.interval().mul_f64(gap);
                if bucket.try_take(now).is_ok() {
                    times.push(now);
                }
            }
            for (index, first) in times.iter().enumerate() {
                let within = times[index..].iter().take_while(|time| **time < *first + rate.per).count();
                prop_assert!(within <= count as usize, "{within} in one span of {rate}");
            }
        }

        #[test]
        fn the_wait_it_tells_is_exact(count in 1u32..100_000, early in 1u64..1_000) {
            let rate = Rate { count: NonZeroU32::new(count).expect("not zero"), per: Duration::from_secs(1) };
            let mut bucket = Bucket::new(rate, Duration::ZERO);
            let wait = loop {
                if let Err(wait) = bucket.try_take(Duration::ZERO) {
                    break wait;
                }
            };
            prop_assert!(wait > Duration::ZERO);
            let before = wait.saturating_sub(Duration::from_nanos(early));
            prop_assert!(bucket.try_take(before).is_err());
            prop_assert_eq!(bucket.try_take(wait), Ok(()));
        }
    }
}
