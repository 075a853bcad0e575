//! Decides what a finished attempt means for its endpoint.
//!
//! Called by the engine after every attempt. The endpoint remembers only since when nothing but failure came back; it is
//! disabled when that lasts too long, or at once when the receiver says that it is gone and the endpoint's rule is to stop
//! then.
//!
//! Only the endpoint's own failures count: what the guard blocked, what could not be encoded, what our own node lost and a
//! person's experiments say nothing about it.

use std::time::Duration;

use hookyard_model::{DisableReason, EndpointChange, Judgement, OnGone, Outcome, Timestamp, Trigger};

/// Whether the outcome is the endpoint's own failure.
pub const fn is_endpoint_fault(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused
        | Outcome::TimedOut
        | Outcome::DnsFailed(_)
        | Outcome::ConnectFailed(_)
        | Outcome::TlsFailed(_)
        | Outcome::BrokenOff(_) => true,
        Outcome::Delivered
        | Outcome::StaleConnection
        | Outcome::Blocked(_)
        | Outcome::Interrupted
        | Outcome::CannotBeEncoded(_) => false,
    }
}

/// What the endpoint becomes, when the attempt that ended changes that.
///
/// A success ends the failing, one by hand included. `410 Gone` under [`OnGone::Disable`] disables whatever the trigger:
/// it is what the receiver asks for, not something that is counted. An answer that asks for another variant at once says
/// nothing yet.
pub fn change(
    failing_since: Option<Timestamp>,
    outcome: &Outcome,
    judgement: Option<&Judgement>,
    on_gone: OnGone,
    trigger: Trigger,
    ended: Timestamp,
    disable_after: Duration,
) -> Option<EndpointChange> {
    match judgement {
        Some(Judgement::Delivered) => return failing_since.map(|_| EndpointChange::Recovered),
        Some(Judgement::Again { .. }) => return None,
        Some(Judgement::Gone) if on_gone == OnGone::Disable => {
            return Some(EndpointChange::Disabled { since: ended, reason: DisableReason::Gone });
        }
        None if *outcome == Outcome::Delivered => return failing_since.map(|_| EndpointChange::Recovered),
        Some(Judgement::Gone | Judgement::Retry { .. } | Judgement::Permanent { .. }) | None => {}
    }
    if trigger == Trigger::Manual || !is_endpoint_fault(outcome) {
        return None;
    }
    match failing_since {
        None => Some(EndpointChange::Failing { since: ended }),
        Some(since) if ended.since(since) > disable_after => {
            Some(EndpointChange::Disabled { since: ended, reason: DisableReason::Failing })
        }
        Some(_) => None,
    }
}
