//! When the receiver fails.
//!
//! Pure: asked by the receiver for every request, with the monotonic time. The shaky endpoint fails at the beginning of
//! every minute; whoever watches may also have the whole receiver fail for a while, and end either.

use std::time::Duration;

/// How often the shaky endpoint begins to fail.
const CYCLE: Duration = Duration::from_mins(1);
/// For how long: two attempts of the demo's schedule, so that a recovery shows on the third.
const SHAKES: Duration = Duration::from_secs(8);

/// What fails, and until when.
#[derive(Debug)]
pub(super) struct Fault {
    /// When the present row of cycles began, and one [`CYCLE`]: it may have begun before the clock did.
    since: Duration,
    /// Until when everything fails.
    told_until: Duration,
}

impl Fault {
    /// The shaky endpoint begins by failing.
    pub(super) fn new(now: Duration) -> Self {
        Self { since: now.saturating_add(CYCLE), told_until: now }
    }

    /// Whether a request is to be refused.
    pub(super) fn holds(&self, shaky: bool, now: Duration) -> bool {
        let elapsed = now.saturating_add(CYCLE).saturating_sub(self.since).as_millis() % CYCLE.as_millis();
        now < self.told_until || (shaky && elapsed < SHAKES.as_millis())
    }

    /// Has everything fail for a while.
    pub(super) fn begin(&mut self, span: Duration, now: Duration) {
        self.told_until = now.saturating_add(span);
    }

    /// Ends every failure; the shaky endpoint fails again after the rest of a cycle.
    pub(super) fn end(&mut self, now: Duration) {
        self.told_until = now;
        self.since = now.saturating_add(CYCLE.saturating_sub(SHAKES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fault: &Fault, at: u64, good: bool, shaky: bool) {
        let now = Duration::from_secs(at);
        assert_eq!((fault.holds(false, now), fault.holds(true, now)), (good, shaky), "at {at} s");
    }

    #[test]
    fn the_shaky_endpoint_fails_at_the_beginning_of_every_minute() {
        let fault = Fault::new(Duration::from_secs(100));
        for (at, shaky) in [(100, true), (107, true), (108, false), (159, false), (160, true), (168, false)] {
            check(&fault, at, false, shaky);
        }
    }

    #[test]
    fn told_to_fail_everything_fails_until_the_time_is_over() {
        let mut fault = Fault::new(Duration::from_secs(100));
        fault.begin(Duration::from_secs(30), Duration::from_secs(110));
        check(&fault, 139, true, true);
        check(&fault, 140, false, false);
    }

    #[test]
    fn recovery_ends_both_kinds_of_failure() {
        for now in [3, 100] {
            let mut fault = Fault::new(Duration::from_secs(now));
            fault.begin(Duration::from_secs(30), Duration::from_secs(now));
            check(&fault, now, true, true);
            fault.end(Duration::from_secs(now));
            check(&fault, now, false, false);
            check(&fault, now + 51, false, false);
            check(&fault, now + 52, false, true);
        }
    }
}
