//! Gives leases back that will not be used, until the store has taken them.

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
        while let Err(error) = shared.parts.store.release(keys.clone()).await {
            if !error.is_retryable() {
                tracing::error!(%error, count = keys.len(), "leases could not be given back; the next start frees them");
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
