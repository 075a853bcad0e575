//! Tells why each endpoint got a message or did not, and how that stands.
//!
//! Called by the doors for a person who asks where a message went, perhaps at night. The decision is recomputed with
//! [`crate::fan_out`] from the endpoints as the message's revision had them, so it is the decision that was made; the
//! present state comes from the deliveries.

use std::sync::Arc;

use hookyard_model::{Delivery, Endpoint, EndpointId, Message, StateKind, Timestamp, Uid};

use crate::fan_out::{Decision, fan_out};

mod decision;
mod standing;

/// One endpoint's part in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Its own name then, when its fan-out saw it.
    pub uid: Option<Uid>,
    /// What was decided; `None` when the fan-out did not see the endpoint, so that only a hand can have sent it there.
    pub decision: Option<Decision>,
    /// The decision and its reason, as a sentence without a full stop.
    pub why: String,
    /// How the delivery stands, when there is one.
    pub standing: Option<Standing>,
}

/// How a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: StateKind,
    /// The state and its reason, as a sentence without a full stop.
    pub why: String,
    /// When the next attempt is due, if one waits.
    pub due: Option<Timestamp>,
}

/// Explains a message: first each endpoint that its fan-out saw, in their order, then each that has a delivery all the
/// same.
///
/// `endpoints` are those of the message's revision, in the form of then; `deliveries` are the message's own.
pub fn explain(
    message: &Message,
    endpoints: &[Arc<Endpoint>],
    deliveries: &[Delivery],
    now: Timestamp,
) -> Vec<Explained> {
    let mut left: Vec<&Delivery> = deliveries.iter().collect();
    left.sort_unstable_by_key(|delivery| delivery.key.endpoint);
    let mut seen = vec![false; left.len()];
    let mut explained: Vec<_> = fan_out(message, endpoints)
        .map(|(endpoint, decided)| {
            let found = left.binary_search_by_key(&endpoint.id, |delivery| delivery.key.endpoint);
            let delivery = found.ok().map(|index| {
                seen[index] = true;
                left[index]
            });
            Explained {
                endpoint: endpoint.id,
                uid: endpoint.uid.clone(),
                decision: Some(decided),
                why: decision::sentence(message, endpoint, decided, delivery.is_some()),
                standing: delivery.map(|delivery| standing::of(delivery, now)),
            }
        })
        .collect();
    let by_hand = left.iter().zip(seen).filter(|(_, seen)| !seen).map(|(delivery, _)| Explained {
        endpoint: delivery.key.endpoint,
        uid: None,
        decision: None,
        why: "not decided by the fan-out, which did not see this endpoint: sent there by hand".to_owned(),
        standing: Some(standing::of(delivery, now)),
    });
    explained.extend(by_hand);
    explained
}
