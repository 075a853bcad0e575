//! Asks the store how an endpoint stands before a failure is written down or acted upon.
//!
//! Called by the settling loop. Most attempts change nothing about their endpoint and cost nothing here. What this node
//! remembers may be of any time: the publisher's view of an endpoint is as old as its revision, and other nodes send to it
//! as well. Acting on that would disable an endpoint that has long recovered, or never disable one that fails whenever
//! somebody sends to it.

use hookyard_core::health;
use hookyard_model::{DisableReason, EndpointChange};

use crate::attempt::Made;
use crate::shared::Shared;

/// Decides again, by what the store has, what a failed attempt does to its endpoint.
pub(crate) async fn confirm(shared: &Shared, made: &mut Made) {
    let ended = match made.settlement.endpoint {
        Some(
            EndpointChange::Failing { since } | EndpointChange::Disabled { since, reason: DisableReason::Failing },
        ) => since,
        Some(
            EndpointChange::Recovered
            | EndpointChange::Disabled { reason: DisableReason::Manual | DisableReason::Gone, .. },
        )
        | None => return,
    };
    let key = made.settlement.key;
    let endpoint = match shared.ask(|| shared.parts.store.endpoint(key.endpoint)).await {
        Ok(Some(endpoint)) => endpoint,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, endpoint = %key.endpoint, "an endpoint's standing could not be read");
            return;
        }
    };
    let attempt = &made.settlement.attempt;
    let change = health::change(
        endpoint.failing_since,
        &attempt.outcome,
        None,
        made.prepared.on_gone,
        attempt.trigger,
        ended,
        shared.parts.settings.disable_after,
    );
    let is_disabled = matches!(change, Some(EndpointChange::Disabled { .. }));
    made.prepared.learn(endpoint.failing_since.unwrap_or(ended), is_disabled);
    made.settlement.endpoint = change;
}
