//! What the log says of a store that is away: once that and why, now and then that it lasts, once that it is over.
//!
//! Every loop that asks the store for something of its own accord complains here, and the heartbeat says when the store
//! answers. All of them try again several times a second; a line for each would bury the one that says why. Callers of the
//! doors are told by their answers.

use std::time::Duration;

use hookyard_ports::StoreError;
use parking_lot::Mutex;

use crate::shared::Shared;

/// How often a line says that it lasts.
const REMIND: Duration = Duration::from_secs(30);
/// How long nothing may fail until it is over: longer than any loop waits before it tries again.
const CALM: Duration = Duration::from_secs(5);

/// Whether the store is away, by the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Outage(Mutex<Option<Away>>);

#[derive(Debug, Clone, Copy)]
struct Away {
    since: Duration,
    failed: Duration,
    said: Duration,
    failures: u64,
}

/// What the log should say.
#[derive(Debug, PartialEq, Eq)]
enum Say {
    Begins,
    Lasts { since: Duration, failures: u64 },
    Nothing,
}

impl Outage {
    fn fails(&self, now: Duration) -> Say {
        let mut away = self.0.lock();
        let Some(away) = &mut *away else {
            *away = Some(Away { since: now, failed: now, said: now, failures: 1 });
            return Say::Begins;
        };
        away.failed = now;
        away.failures += 1;
        if now.saturating_sub(away.said) < REMIND {
            return Say::Nothing;
        }
        away.said = now;
        Say::Lasts { since: now.saturating_sub(away.since), failures: away.failures }
    }

    /// How long it lasted, when it is over.
    fn answers(&self, now: Duration) -> Option<Duration> {
        let mut away = self.0.lock();
        let over = away.take_if(|away| now.saturating_sub(away.failed) >= CALM);
        over.map(|over| over.failed.saturating_sub(over.since))
    }
}

impl Shared {
    /// Has the log say that the store did not do something.
    pub(crate) fn complain(&self, error: &StoreError, undone: &str) {
        if !error.is_retryable() {
            tracing::warn!(%error, "{undone}");
            return;
        }
        match self.outage.fails(self.parts.clock.monotonic()) {
            Say::Begins => {
                tracing::warn!(%error, "{undone}; everything is tried again until the store answers, and nothing is lost");
            }
            Say::Lasts { since, failures } => {
                tracing::warn!(%error, seconds = since.as_secs(), failures, "the store is still away; {undone}");
            }
            Say::Nothing => tracing::debug!(%error, "{undone}"),
        }
    }

    /// The store answered a heartbeat.
    pub(crate) fn calm_down(&self) {
        if let Some(lasted) = self.outage.answers(self.parts.clock.monotonic()) {
            tracing::info!(seconds = lasted.as_secs(), "the store answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_outage_is_said_once_and_then_every_half_minute() {
        let outage = Outage::default();
        assert_eq!(outage.fails(at(100)), Say::Begins);
        for second in 101..130 {
            assert_eq!(outage.fails(at(second)), Say::Nothing);
        }
        assert_eq!(outage.fails(at(130)), Say::Lasts { since: at(30), failures: 31 });
        assert_eq!(outage.fails(at(159)), Say::Nothing);
        assert_eq!(outage.fails(at(160)), Say::Lasts { since: at(60), failures: 33 });
    }

    #[test]
    fn an_outage_in_which_some_deeds_still_succeed_is_one() {
        let outage = Outage::default();
        assert_eq!(outage.fails(at(10)), Say::Begins);
        assert_eq!(outage.answers(at(12)), None);
        assert_eq!(outage.fails(at(13)), Say::Nothing);
        assert_eq!(outage.answers(at(17)), None);
        assert_eq!(outage.answers(at(18)), Some(at(3)));
        assert_eq!(outage.answers(at(19)), None);
        assert_eq!(outage.fails(at(20)), Say::Begins, "another one");
    }
}
