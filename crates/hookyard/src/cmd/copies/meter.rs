//! Shows how far a copy is, and ends it at a signal.
//!
//! The line is for terminals; in pipes and logs there is nothing of it. A copy that is ended cleans up after itself, which a
//! killed one could not.

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hookyard_sqlite::backup::{BackupError, Progress, Watch};
use tokio::signal::unix::{SignalKind, signal};

use super::super::failure::Failure;
use super::super::output::size;

/// Runs what copies or checks, on a thread of its own, until it is done or a signal ends it.
pub(crate) async fn watched<T: Send + 'static>(
    work: impl FnOnce(&Watch) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::Other(error.into()));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let is_over = Arc::new(AtomicBool::new(false));
    let meter =
        Meter { is_over: Arc::clone(&is_over), is_seen: std::io::stderr().is_terminal(), last: AtomicU64::new(0) };
    let mut working = tokio::task::spawn_blocking(move || {
        let meter = Arc::new(meter);
        let watch: Watch = {
            let meter = Arc::clone(&meter);
            Arc::new(move |progress| meter.at(progress))
        };
        let done = work(&watch);
        meter.clear();
        done
    });
    let done = loop {
        tokio::select! {
            done = &mut working => break done,
            _ = interrupt.recv() => is_over.store(true, Ordering::Relaxed),
            _ = terminate.recv() => is_over.store(true, Ordering::Relaxed),
        }
    };
    Ok(done.map_err(|error| Failure::Other(error.into()))??)
}

struct Meter {
    is_over: Arc<AtomicBool>,
    is_seen: bool,
    /// What is shown, as a number, so that it is written only when it changes; 0 is nothing.
    last: AtomicU64,
}

impl Meter {
    fn at(&self, progress: Progress) -> ControlFlow<()> {
        if self.is_over.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        if self.is_seen {
            let (number, text) = shown(progress);
            if self.last.swap(number, Ordering::Relaxed) != number {
                say(&format!("\r\x1b[K{text}"));
            }
        }
        ControlFlow::Continue(())
    }

    fn clear(&self) {
        if self.last.swap(0, Ordering::Relaxed) != 0 {
            say("\r\x1b[K");
        }
    }
}

fn shown(progress: Progress) -> (u64, String) {
    match progress {
        Progress::Copying { done, total } => {
            let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
            (1 + percent, format!("copied {percent} % of {}", size(total)))
        }
        Progress::Checking => (1_000, "checking".to_owned()),
    }
}

/// Writes to standard error; whether anybody reads it changes nothing.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let copying = |done, total| shown(Progress::Copying { done, total });
        assert_eq!(copying(0, 2 << 20), (1, "copied 0 % of 2.0 MiB".to_owned()));
        assert_eq!(copying(3 << 19, 2 << 20).1, "copied 75 % of 2.0 MiB");
        assert_eq!(copying(0, 0).1, "copied 100 % of 0.0 MiB");
        assert_ne!(shown(Progress::Checking).0, copying(1, 1).0, "each change is shown");
    }

    #[test]
    fn a_meter_that_is_over_breaks_off() {
        let is_over = Arc::new(AtomicBool::new(false));
        let meter = Meter { is_over: Arc::clone(&is_over), is_seen: false, last: AtomicU64::new(0) };
        assert_eq!(meter.at(Progress::Checking), ControlFlow::Continue(()));
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(meter.at(Progress::Checking), ControlFlow::Break(()));
    }
}
