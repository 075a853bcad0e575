//! What the machine gives: open files, the time, and whom TLS trusts.

use std::time::Duration;

use hookyard_model::{Timestamp, format_duration, limits};
use hookyard_ports::{Clock as _, SystemClock};
use rustix::process::{Resource, getrlimit};

use super::Finding;
use super::server::Answered;

const CLOCK: &str = "clock";
const FILES: &str = "files";
const TLS: &str = "tls";

/// A clock that shows less has not been set since the machine started.
const EARLIEST: &str = "2025-01-01T00:00:00Z";
/// By how much two clocks may differ before it matters: signed timestamps are good for minutes.
const APART: Duration = Duration::from_secs(30);

/// Looks at all of it.
pub(super) fn look(server: Option<Answered>, time_of_disk: Option<Timestamp>, findings: &mut Vec<Finding>) {
    look_at_limits(findings);
    findings.push(clock(server, time_of_disk));
}

/// Looks at what depends on no setting.
pub(super) fn look_at_limits(findings: &mut Vec<Finding>) {
    findings.push(files());
    findings.push(roots());
}

/// The server raises its limit as far as it may go, so that is what counts.
fn files() -> Finding {
    let Some(most) = getrlimit(Resource::Nofile).maximum else {
        return Finding::ok(FILES, "as many as it takes may be open");
    };
    let wanted = limits::SLOTS as u64 * 8;
    let said = format!("{most} may be open");
    if most >= wanted {
        return Finding::ok(FILES, said);
    }
    Finding::warn(FILES, format!("{said}, so that at most {} attempts run at once", (most / 8).max(1)))
        .hint(format!("raise the limit to {wanted}: `ulimit -n {wanted}`, `LimitNOFILE=` or `--ulimit nofile=`"))
}

fn roots() -> Finding {
    let native = rustls_native_certs::load_native_certs();
    let (roots, errors) = (native.certs.len(), native.errors.len());
    match (roots, errors) {
        (0, _) => Finding::warn(TLS, "the machine trusts no authority; the built-in list is used")
            .hint("install the package `ca-certificates` to have one that is kept up to date"),
        (_, 0) => Finding::ok(TLS, format!("the machine trusts {roots} authorities")),
        _ => Finding::warn(TLS, format!("the machine trusts {roots} authorities; {errors} cannot be read")),
    }
}

fn clock(server: Option<Answered>, time_of_disk: Option<Timestamp>) -> Finding {
    let now = SystemClock::new().now();
    let earliest: Timestamp = EARLIEST.parse().expect("it is a time");
    if now < earliest {
        return Finding::fail(CLOCK, format!("it is {now}, which it is not")).hint("set the clock, best by NTP");
    }
    let others =
        [("the running server's", server.and_then(|server| server.date)), ("that of the data's disk", time_of_disk)];
    for (whose, other) in others {
        let Some(other) = other else { continue };
        let apart = if other > now { other.since(now) } else { now.since(other) };
        if apart > APART {
            let said = format!("it is {now} here, and {whose} clock is {} off", format_duration(whole_seconds(apart)));
            return Finding::warn(CLOCK, said).hint("set both clocks by NTP");
        }
    }
    Finding::ok(CLOCK, format!("it is {now}"))
}

fn whole_seconds(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs())
}
