//! Decides how many attempts of one endpoint may run at once.
//!
//! Held by an endpoint's lane in the engine, which records how each attempt ended and asks before it starts the next.
//! Failures in a row halve what may run at once until a single probe is left, so that a receiver in trouble is not pushed
//! further into it and does not hold sockets that others need; each success doubles it again.
//!
//! **Invariant:** between 1 and full may run. A breaker never moves a due time: what is due stays due and waits its turn.

use std::num::NonZeroU16;

/// How an attempt counts for its endpoint's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// The receiver took it.
    Good,
    /// The receiver is at fault.
    Bad,
    /// It says nothing about the receiver.
    Neutral,
}

/// How many attempts of one endpoint may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    full: u16,
    allowed: u16,
}

impl Breaker {
    /// A breaker that allows `full` until something fails.
    pub const fn new(full: NonZeroU16) -> Self {
        Self { full: full.get(), allowed: full.get() }
    }

    /// How many attempts may run at once, 1 to full.
    pub const fn allowed(&self) -> u16 {
        self.allowed
    }

    /// Notes how an attempt ended.
    pub fn record(&mut self, health: Health) {
        self.allowed = match health {
            Health::Good => self.allowed.saturating_mul(2).min(self.full),
            Health::Bad => (self.allowed / 2).max(1),
            Health::Neutral => self.allowed,
        };
    }

    /// Takes another bound. A breaker that allowed everything goes on to; one that was closing keeps what it has learnt,
    /// so that a configuration change does not release a flood on a receiver in trouble.
    pub fn set_full(&mut self, full: NonZeroU16) {
        let full = full.get();
        self.allowed = if self.allowed == self.full { full } else { self.allowed.min(full) };
        self.full = full;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full(count: u16) -> NonZeroU16 {
        NonZeroU16::new(count).expect("not zero")
    }

    #[test]
    fn failures_in_a_row_leave_one_probe_and_successes_open_it_again() {
        let mut breaker = Breaker::new(full(12));
        let mut seen = Vec::new();
        for health in [Health::Bad; 5].into_iter().chain([Health::Neutral]).chain([Health::Good; 5]) {
            breaker.record(health);
            seen.push(breaker.allowed());
        }
        assert_eq!(seen, [6, 3, 1, 1, 1, 1, 2, 4, 8, 12, 12]);
    }

    #[test]
    fn a_lane_of_one_always_has_its_probe() {
        let mut breaker = Breaker::new(full(1));
        breaker.record(Health::Bad);
        assert_eq!(breaker.allowed(), 1);
        breaker.record(Health::Good);
        assert_eq!(breaker.allowed(), 1);
    }

    #[test]
    fn a_new_bound_opens_only_a_breaker_that_was_open() {
        let mut open = Breaker::new(full(4));
        open.set_full(full(16));
        assert_eq!(open.allowed(), 16);
        open.set_full(full(2));
        assert_eq!(open.allowed(), 2);

        let mut closing = Breaker::new(full(16));
        closing.record(Health::Bad);
        closing.set_full(full(64));
        assert_eq!(closing.allowed(), 8);
        closing.set_full(full(4));
        assert_eq!(closing.allowed(), 4);
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Record(Health),
        SetFull(NonZeroU16),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => prop::sample::select(&[Health::Good, Health::Bad, Health::Neutral][..]).prop_map(Step::Record),
            1 => (1..=u16::MAX).prop_map(|count| Step::SetFull(full(count))),
        ]
    }

    proptest! {
        #[test]
        fn between_one_and_full_may_run(start in 1..=u16::MAX, steps in prop::collection::vec(step(), 0..60)) {
            let mut breaker = Breaker::new(full(start));
            let mut bound = start;
            for step in steps {
                match step {
                    Step::Record(health) => breaker.record(health),
                    Step::SetFull(count) => {
                        breaker.set_full(count);
                        bound = count.get();
                    }
                }
                prop_assert!((1..=bound).contains(&breaker.allowed()), "{breaker:?} after {step:?}");
            }
        }

        #[test]
        fn sixteen_failures_close_and_sixteen_successes_open_any_breaker(start in 1..=u16::MAX) {
            let mut breaker = Breaker::new(full(start));
            for _ in 0..16 {
                breaker.record(Health::Bad);
            }
            prop_assert_eq!(breaker.allowed(), 1);
            for _ in 0..16 {
                breaker.record(Health::Good);
            }
            prop_assert_eq!(breaker.allowed(), start);
        }
    }
}
