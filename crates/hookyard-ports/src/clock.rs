//! What time it is.

use std::time::Duration;

use hookyard_model::Timestamp;

/// Tells the time. The wall clock may jump either way; the monotonic one only goes forward.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: what is written down, what is compared with due times.
    fn now(&self) -> Timestamp;

    /// Time since some fixed point of this process: what measures spans and leases.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins here.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clocks")]
    pub fn new() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clocks")]
    fn now(&self) -> Timestamp {
        // A clock set before 1970 reads as 1970: ids and due times stay ordered, and nothing panics.
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
