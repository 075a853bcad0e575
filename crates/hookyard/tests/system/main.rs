//! The binary as a whole: the real process, a real store on disk, real receivers on ports.
//!
//! [`deployment`] starts, signals and asks the process; [`receiver`] is whom it delivers to, well-behaved or not; the other
//! modules are the tests, by topic. Every wait is for a level and has a deadline, so a test ends as soon as it can and
//! never hangs. What a machine cannot do (no root, no `faketime`) is said on standard error and passed over.

mod accepting;
mod archiving;
mod backing_up;
mod clock;
mod commands;
mod delivering;
mod deployment;
mod disk;
mod doctor;
mod embedding;
mod filling;
mod guarding;
mod immich;
mod kiosk;
mod misbehaving;
mod oracles;
mod receiver;
mod resending;
mod secrets;
mod snippets;
mod starting;
mod surviving;
mod wire;

use std::time::Duration;

/// How long anything may take before its test fails; far more than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(25);

/// Waits for `level`, not for ever; `what` completes "waited for".
async fn within<T>(what: &str, level: impl Future<Output = T>) -> T {
    let reached = tokio::time::timeout(PATIENCE, level).await;
    reached.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Says why a test is passed over on this machine.
fn pass_over(why: &str) {
    eprintln!("passed over: {why}");
}
