//! Decides what is announced about a finished attempt.
//!
//! Called by the engine with the delivery as it was before the attempt and what was decided about it. The engine makes
//! messages of the operational application from the answer, in the transaction that settles the attempt.

use hookyard_model::{Delivery, EndpointChange, FailReason, Next, OperationalEvent};

/// What is announced; almost always nothing, which costs no allocation.
///
/// A delivery whose fourth charged attempt is also its last is announced as both: whoever listens for failing ones must
/// not miss it, nor must whoever listens for lost ones.
pub fn announce(delivery: &Delivery, next: &Next, change: Option<&EndpointChange>) -> Vec<OperationalEvent> {
    let mut events = Vec::new();
    let failed_before = delivery.charged >= OperationalEvent::FAILING_AT;
    let charged = match next {
        Next::Retry { charged, .. }
        | Next::Again { charged, .. }
        | Next::Failed { charged, .. }
        | Next::Cancelled { charged, .. } => *charged,
        Next::Delivered | Next::StaysDelivered => delivery.charged,
    };
    if !failed_before && charged >= OperationalEvent::FAILING_AT {
        events.push(OperationalEvent::AttemptFailing);
    }
    match next {
        Next::Delivered if failed_before => events.push(OperationalEvent::AttemptRecovered),
        Next::Failed { reason: FailReason::ScheduleSpent | FailReason::Permanent, .. } => {
            events.push(OperationalEvent::AttemptExhausted);
        }
        Next::Failed { reason: FailReason::CannotBeEncoded, .. }
        | Next::Delivered
        | Next::Retry { .. }
        | Next::Again { .. }
        | Next::Cancelled { .. }
        | Next::StaysDelivered => {}
    }
    if matches!(change, Some(EndpointChange::Disabled { .. })) {
        events.push(OperationalEvent::EndpointDisabled);
    }
    events
}

#[cfg(test)]
mod tests {
    use hookyard_model::{CancelReason, DisableReason};

    use super::*;
    use crate::examples::{NOW, delivery};

    fn check(charged: u16, next: Next, change: Option<EndpointChange>, expected: &[OperationalEvent]) {
        let delivery = Delivery { charged, ..delivery(1) };
        assert_eq!(announce(&delivery, &next, change.as_ref()), expected, "{charged} {next:?} {change:?}");
    }

    const fn retry(charged: u16) -> Next {
        Next::Retry { due: NOW, charged, variant: 0 }
    }

    const fn failed(reason: FailReason, charged: u16) -> Next {
        Next::Failed { reason, charged }
    }

    #[test]
    fn the_fourth_failure_is_announced_once() {
        check(0, retry(1), None, &[]);
        check(2, retry(3), None, &[]);
        check(3, retry(4), None, &[OperationalEvent::AttemptFailing]);
        check(4, retry(5), None, &[]);
        check(3, Next::Again { charged: 3, variant: 1 }, None, &[]);
    }

    #[test]
    fn a_delivery_given_up_is_announced() {
        for reason in [FailReason::ScheduleSpent, FailReason::Permanent] {
            check(0, failed(reason, 1), None, &[OperationalEvent::AttemptExhausted]);
            check(7, failed(reason, 8), None, &[OperationalEvent::AttemptExhausted]);
            let both = [OperationalEvent::AttemptFailing, OperationalEvent::AttemptExhausted];
            check(3, failed(reason, 4), None, &both);
        }
        check(2, failed(FailReason::CannotBeEncoded, 2), None, &[]);
    }

    #[test]
    fn a_success_is_announced_after_what_was_failing() {
        check(0, Next::Delivered, None, &[]);
        check(3, Next::Delivered, None, &[]);
        check(4, Next::Delivered, None, &[OperationalEvent::AttemptRecovered]);
        check(4, Next::StaysDelivered, None, &[]);
    }

    #[test]
    fn a_disabled_endpoint_is_announced() {
        let gone = EndpointChange::Disabled { since: NOW, reason: DisableReason::Gone };
        let cancelled = Next::Cancelled { reason: CancelReason::EndpointGone, charged: 1 };
        check(0, cancelled, Some(gone), &[OperationalEvent::EndpointDisabled]);
        let failing = EndpointChange::Disabled { since: NOW, reason: DisableReason::Failing };
        check(5, retry(6), Some(failing), &[OperationalEvent::EndpointDisabled]);
        check(0, retry(1), Some(EndpointChange::Failing { since: NOW }), &[]);
        check(0, Next::Delivered, Some(EndpointChange::Recovered), &[]);
    }

    #[test]
    fn nothing_to_announce_costs_no_allocation() {
        assert_eq!(announce(&delivery(1), &Next::Delivered, None).capacity(), 0);
    }
}
