//! Gives leases back that will not be used.
//!
//! One loop. A release is told once: were it repeated because its answer was lost, the delivery could be claimed again in
//! between, and the repetition would take that new lease away while its request is in flight. What the store did not take
//! is found by comparison. Only a node that stops tells it until the store has taken it, because it claims nothing more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookyard_model::DeliveryKey;
use tokio::sync::mpsc;

use crate::shared::Shared;

/// How long a store that does not answer is left alone.
const PAUSE: Duration = Duration::from_millis(250);

/// Gives back until every sender is gone and the queue is empty.
pub(crate) async fn run(shared: Arc<Shared>, mut given_back: mpsc::UnboundedReceiver<Vec<DeliveryKey>>) {
    while let Some(mut keys) = given_back.recv().await {
        while let Ok(more) = given_back.try_recv() {
            keys.extend(more);
        }
        loop {
            let Err(error) = shared.parts.store.release(keys.clone()).await else {
                hint(&shared, &keys);
                break;
            };
            if !(error.is_retryable() && shared.stop.is_cancelled()) {
                shared.complain(&error, "leases were not given back, and are found again by comparison");
                break;
            }
            tokio::select! {
                biased;
                () = shared.kill.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        shared.giving_back.fetch_sub(keys.len(), Ordering::Relaxed);
        shared.quiet.notify_one();
    }
}

/// Tells the lanes that what was given back is pending. Who switched the endpoint on again may have asked too early.
fn hint(shared: &Shared, keys: &[DeliveryKey]) {
    let now = shared.parts.clock.now();
    {
        let mut lanes = shared.lanes.lock();
        for endpoint in keys.iter().map(|key| key.endpoint).collect::<BTreeSet<_>>() {
            lanes.swept(endpoint, now);
        }
    }
    shared.claim.notify_one();
}
