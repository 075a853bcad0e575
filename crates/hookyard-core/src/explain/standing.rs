//! Says how a delivery stands and what it waits for.

use std::fmt::Write as _;
use std::time::Duration;

use hookyard_model::{
    CancelReason, Delivery, DeliveryState, ExtraAttempt, FailReason, Timestamp, Trigger, format_duration,
};

use super::Standing;

/// How the delivery stands at `now`.
pub(super) fn of(delivery: &Delivery, now: Timestamp) -> Standing {
    let (mut why, due) = match &delivery.state {
        DeliveryState::Pending { due } => (pending(delivery, *due, now), Some(*due)),
        DeliveryState::Leased { .. } => ("in the hands of a node: an attempt is queued or under way".to_owned(), None),
        DeliveryState::Delivered { extra: None } => ("delivered".to_owned(), None),
        DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { .. }) } => {
            ("delivered; one more attempt, asked for by hand, is queued or under way".to_owned(), None)
        }
        DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { due }) } => {
            let why = format!("delivered; one more attempt, asked for by hand, is {}", when(*due, now));
            (why, Some(*due))
        }
        DeliveryState::Failed(reason) => (failed(delivery, *reason), None),
        DeliveryState::Cancelled(reason) => (cancelled(*reason).to_owned(), None),
    };
    if delivery.round > 0 {
        let _ = write!(why, " (schedule begun afresh by hand, {})", times(delivery.round));
    }
    Standing { state: delivery.state.kind(), why, due }
}

fn pending(delivery: &Delivery, due: Timestamp, now: Timestamp) -> String {
    let next = match (delivery.charged, delivery.trigger) {
        (_, Trigger::Manual) => "the attempt asked for by hand is".to_owned(),
        (0, Trigger::Scheduled) => "no attempt has failed yet, the next is".to_owned(),
        (1, Trigger::Scheduled) => "1 attempt has failed, the next is".to_owned(),
        (charged, Trigger::Scheduled) => format!("{charged} attempts have failed, the next is"),
    };
    let mut why = format!("waiting: {next} {}", when(due, now));
    if due <= now {
        why.push_str(" and starts when its endpoint is enabled and has a free slot within its rate");
        if delivery.order_key.is_some() {
            why.push_str(", and every earlier delivery of the same order has ended");
        }
    }
    why
}

fn failed(delivery: &Delivery, reason: FailReason) -> String {
    match reason {
        FailReason::ScheduleSpent => match delivery.charged {
            1 => "given up: the only attempt of its schedule failed; `resend` begins it afresh".to_owned(),
            charged => format!("given up: all {charged} attempts of its schedule failed; `resend` begins it afresh"),
        },
        FailReason::CannotBeEncoded => {
            "given up: the message cannot be put into the endpoint's dialect, so nothing was \
            sent; correct the endpoint or the message, then `resend`"
                .to_owned()
        }
        FailReason::Permanent => {
            "given up: the receiver refused it for good; see its last attempt for why, then `resend`".to_owned()
        }
    }
}

const fn cancelled(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::EndpointRemoved => "called off: the endpoint was removed while this waited",
        CancelReason::HeldTooLong => {
            "called off: the endpoint stayed disabled for longer than deliveries are held; `resend` or `recover` begins it \
             afresh"
        }
        CancelReason::EndpointGone => {
            "called off: the receiver answered that it is gone, which disabled the endpoint; enable it, then `resend`"
        }
        CancelReason::ByHand => "called off by hand; `resend` begins it afresh",
        CancelReason::Expunged => "called off: the payload was expunged before it could be sent",
    }
}

/// A due time as a clause, exact and in round numbers.
fn when(due: Timestamp, now: Timestamp) -> String {
    if due > now {
        format!("due in {} (at {due})", about(due.since(now)))
    } else {
        format!("due since {} (at {due})", about(now.since(due)))
    }
}

/// A span in whole units, large enough that few are needed.
fn about(span: Duration) -> String {
    let seconds = span.as_secs();
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= 2 * unit).unwrap_or(1);
    format_duration(Duration::from_secs(seconds / unit * unit))
}

fn times(count: u16) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
