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

#[cfg(test)]
mod tests {
    use hookyard_model::BlockedBy;

    use super::*;
    use crate::examples::NOW;

    const DISABLE_AFTER: Duration = Duration::from_hours(120);

    /// A scheduled attempt that ended now, at an endpoint that failed for `failing` already.
    fn check(
        failing: Option<Duration>,
        outcome: &Outcome,
        judgement: Option<&Judgement>,
        expected: Option<EndpointChange>,
    ) {
        let since = failing.map(|span| NOW.minus(span));
        let answer = change(since, outcome, judgement, OnGone::Disable, Trigger::Scheduled, NOW, DISABLE_AFTER);
        assert_eq!(answer, expected, "{failing:?} {outcome:?} {judgement:?}");
    }

    fn faults() -> Vec<Outcome> {
        let why = || "why".to_owned();
        vec![
            Outcome::Refused,
            Outcome::TimedOut,
            Outcome::DnsFailed(why()),
            Outcome::ConnectFailed(why()),
            Outcome::TlsFailed(why()),
            Outcome::BrokenOff(why()),
        ]
    }

    fn not_faults() -> Vec<Outcome> {
        vec![
            Outcome::Delivered,
            Outcome::StaleConnection,
            Outcome::Blocked(BlockedBy { rule: "private".to_owned(), why: "why".to_owned(), hint: None }),
            Outcome::Interrupted,
            Outcome::CannotBeEncoded("why".to_owned()),
        ]
    }

    const FAILING_NOW: EndpointChange = EndpointChange::Failing { since: NOW };
    const DISABLED: EndpointChange = EndpointChange::Disabled { since: NOW, reason: DisableReason::Failing };
    const GONE: EndpointChange = EndpointChange::Disabled { since: NOW, reason: DisableReason::Gone };

    #[test]
    fn only_the_endpoints_own_failures_are_its_fault() {
        assert!(faults().iter().all(is_endpoint_fault));
        assert!(!not_faults().iter().any(is_endpoint_fault));
    }

    #[test]
    fn failure_is_noted_once_and_disables_when_it_lasts_too_long() {
        for outcome in &faults() {
            check(None, outcome, None, Some(FAILING_NOW));
            check(Some(Duration::from_secs(1)), outcome, None, None);
            check(Some(DISABLE_AFTER), outcome, None, None);
            check(Some(DISABLE_AFTER + Duration::from_micros(1)), outcome, None, Some(DISABLED));
        }
        check(None, &Outcome::Refused, Some(&Judgement::Retry { not_before: None }), Some(FAILING_NOW));
        check(None, &Outcome::Refused, Some(&Judgement::Permanent { why: "blocked".to_owned() }), Some(FAILING_NOW));
    }

    #[test]
    fn what_is_not_its_fault_never_counts() {
        for outcome in not_faults().iter().filter(|outcome| **outcome != Outcome::Delivered) {
            check(None, outcome, None, None);
            check(Some(DISABLE_AFTER * 2), outcome, None, None);
        }
    }

    #[test]
    fn a_success_ends_the_failing() {
        for judgement in [None, Some(&Judgement::Delivered)] {
            check(None, &Outcome::Delivered, judgement, None);
            check(Some(Duration::ZERO), &Outcome::Delivered, judgement, Some(EndpointChange::Recovered));
            check(Some(DISABLE_AFTER * 2), &Outcome::Delivered, judgement, Some(EndpointChange::Recovered));
        }
    }

    #[test]
    fn an_answer_that_asks_for_another_variant_says_nothing_yet() {
        check(None, &Outcome::Refused, Some(&Judgement::Again { variant: 1 }), None);
        check(Some(DISABLE_AFTER * 2), &Outcome::Refused, Some(&Judgement::Again { variant: 1 }), None);
    }

    #[test]
    fn gone_disables_at_once_where_that_is_the_rule() {
        let gone = |on_gone, trigger, since| {
            change(since, &Outcome::Refused, Some(&Judgement::Gone), on_gone, trigger, NOW, DISABLE_AFTER)
        };
        assert_eq!(gone(OnGone::Disable, Trigger::Scheduled, None), Some(GONE));
        assert_eq!(gone(OnGone::Disable, Trigger::Manual, Some(NOW)), Some(GONE));
        assert_eq!(gone(OnGone::Retry, Trigger::Scheduled, None), Some(FAILING_NOW));
        assert_eq!(gone(OnGone::Retry, Trigger::Scheduled, Some(NOW)), None);
        assert_eq!(gone(OnGone::Retry, Trigger::Manual, None), None);
    }

    #[test]
    fn an_attempt_by_hand_can_recover_an_endpoint_and_never_fail_it() {
        let by_hand = |outcome: &Outcome, since| {
            change(since, outcome, None, OnGone::Disable, Trigger::Manual, NOW, DISABLE_AFTER)
        };
        for outcome in &faults() {
            assert_eq!(by_hand(outcome, None), None);
            assert_eq!(by_hand(outcome, Some(NOW.minus(DISABLE_AFTER * 2))), None);
        }
        assert_eq!(by_hand(&Outcome::Delivered, Some(NOW)), Some(EndpointChange::Recovered));
    }

    #[test]
    fn a_clock_that_went_back_does_not_disable() {
        let later = NOW.plus(Duration::from_hours(1_000));
        let answer =
            change(Some(later), &Outcome::Refused, None, OnGone::Retry, Trigger::Scheduled, NOW, DISABLE_AFTER);
        assert_eq!(answer, None);
    }
}
