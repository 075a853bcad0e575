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
