//! Decides what a finished attempt does to its delivery.
//!
//! Called by the engine after every attempt, and by nothing else. The caller has made the request, asked the dialect what
//! the answer means and drawn the jitter; the same arguments always give the same state.
//!
//! **Invariant:** a delivery leaves `Leased` through [`settle`], through release or through rescue, never otherwise. What
//! is charged never goes down, and nothing is due before the attempt ended.

use hookyard_model::{
    CancelReason, Delivery, DeliveryState, FailReason, Judgement, Next, OnGone, Outcome, RetryPolicy, Timestamp, limits,
};

use crate::retry;

/// An attempt that ended, and what decides over its delivery.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The delivery as it was leased.
    pub delivery: &'a Delivery,
    /// What came of the attempt.
    pub outcome: &'a Outcome,
    /// What the answer means, when there was one.
    pub judgement: Option<&'a Judgement>,
    /// The endpoint's policy.
    pub policy: &'a RetryPolicy,
    /// What `410 Gone` does at this endpoint.
    pub on_gone: OnGone,
    /// When the attempt ended.
    pub ended: Timestamp,
    /// What was drawn for the jitter, 0 to 1.
    pub draw: f64,
}

/// What the delivery becomes.
pub fn settle(ended: &Ended<'_>) -> Next {
    let Delivery { charged, variant, .. } = *ended.delivery;
    if let Some(variant) = again(ended) {
        return Next::Again { charged, variant };
    }
    if matches!(ended.delivery.state, DeliveryState::Delivered { .. }) {
        return Next::StaysDelivered;
    }
    match (ended.outcome, ended.judgement) {
        (Outcome::CannotBeEncoded(_), _) => Next::Failed { reason: FailReason::CannotBeEncoded, charged },
        // Rescue settles what a dead node held, so this does not come here. If it does, the same follows as from a
        // rescue: due at once, uncharged. Through the store and not by the same holder, because whatever interrupts may
        // do it again, and a loop in memory would have neither an end nor a claim that bounds it.
        (Outcome::Interrupted, _) => Next::Retry { due: ended.ended, charged, variant },
        (_, Some(Judgement::Delivered)) | (Outcome::Delivered, None) => Next::Delivered,
        (_, Some(Judgement::Gone)) if ended.on_gone == OnGone::Disable => {
            Next::Cancelled { reason: CancelReason::EndpointGone, charged: charged.saturating_add(1) }
        }
        (_, Some(Judgement::Permanent { .. })) => {
            Next::Failed { reason: FailReason::Permanent, charged: charged.saturating_add(1) }
        }
        (_, Some(Judgement::Retry { not_before })) => retry(ended, *not_before),
        (_, Some(Judgement::Gone | Judgement::Again { .. }) | None) => retry(ended, None),
    }
}

/// The variant to try at once, when one may be tried at once.
///
/// Both ways end. Each stale connection was kept alive by an earlier answer and is used up, so there are never more of
/// them than answers. A dialect's variants only go up, to [`limits::VARIANTS`].
fn again(ended: &Ended<'_>) -> Option<u8> {
    let present = ended.delivery.variant;
    match (ended.outcome, ended.judgement) {
        (Outcome::StaleConnection, _) => Some(present),
        (Outcome::CannotBeEncoded(_) | Outcome::Interrupted, _) => None,
        (_, Some(Judgement::Again { variant })) if *variant > present && *variant <= limits::VARIANTS => Some(*variant),
        _ => None,
    }
}

/// A failure that took from the schedule.
fn retry(ended: &Ended<'_>, not_before: Option<Timestamp>) -> Next {
    let charged = ended.delivery.charged.saturating_add(1);
    let Some(delay) = retry::delay(ended.policy, charged, ended.draw) else {
        return Next::Failed { reason: FailReason::ScheduleSpent, charged };
    };
    let due = ended.ended.plus(delay);
    // The receiver may slow us down, never speed us up, and never put a delivery out of reach.
    let asked = not_before.map(|time| time.min(ended.ended.plus(limits::RETRY_AFTER)));
    Next::Retry { due: asked.map_or(due, |asked| asked.max(due)), charged, variant: ended.delivery.variant }
}
