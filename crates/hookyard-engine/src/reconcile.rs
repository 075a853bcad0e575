//! Gives back leases that the store says this node holds and that this node knows nothing of.
//!
//! They come from answers that were lost: the store committed a claim or an accept, and the connection broke before this
//! node heard of it. One loop. What is unknown once may be between two hands (claimed and not yet here, ended and not yet
//! settled), so only what is unknown twice, a while apart, is given back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{DeliveryKey, EndpointId, limits};
use hookyard_ports::store::Result;

use crate::shared::Shared;

/// How often the two are compared when nothing was odd. What is found waits so long, and with an order so does all behind it.
const CALM: Duration = Duration::from_secs(10);
/// How long after something was odd: longer than anything is between two hands.
const SUSPICIOUS: Duration = Duration::from_secs(5);

/// Compares until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut suspects = BTreeSet::new();
    loop {
        let pause = if suspects.is_empty() { CALM } else { SUSPICIOUS };
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        match unknown(&shared).await {
            Ok(unknown) => {
                let (lost, fresh): (BTreeSet<_>, BTreeSet<_>) =
                    unknown.into_iter().partition(|key| suspects.contains(key));
                if !lost.is_empty() {
                    tracing::warn!(deliveries = lost.len(), "gave back leases whose answer from the store was lost");
                }
                shared.give_back_keys(lost.into_iter().collect());
                suspects = fresh;
            }
            Err(error) => shared.complain(&error, "the leases of this node could not be compared with the store's"),
        }
    }
}

/// What the store says this node holds and no lane has.
async fn unknown(shared: &Shared) -> Result<BTreeSet<DeliveryKey>> {
    let mut unknown = BTreeSet::new();
    let mut after = None;
    loop {
        let page = shared.parts.store.held(after, limits::SWEEP_ROWS).await?;
        let mut by_endpoint: BTreeMap<EndpointId, Vec<DeliveryKey>> = BTreeMap::new();
        for key in &page {
            by_endpoint.entry(key.endpoint).or_default().push(*key);
        }
        for (endpoint, held) in by_endpoint {
            // A lane at a time: whoever else needs the lanes does not wait for all of them.
            let known = shared.lanes.lock().keys(endpoint);
            unknown.extend(held.into_iter().filter(|key| !known.contains(key)));
        }
        if page.len() < limits::SWEEP_ROWS {
            return Ok(unknown);
        }
        after = page.last().copied();
    }
}
