//! Follows changes of endpoints, by whatever door they came.
//!
//! One loop. A lane takes an endpoint's new form for the attempts that begin after it; a disabled or archived endpoint's
//! queued deliveries go back to the store, where they are held.

use std::sync::Arc;
use std::time::Duration;

use crate::shared::Shared;

/// How long a store that does not answer is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut cursor = None;
    loop {
        let changes = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            changes = shared.parts.store.changes_since(cursor) => changes,
        };
        let result = match changes {
            Ok(changes) => {
                let mut result = Ok(());
                for id in &changes.endpoints {
                    if let Err(error) = follow(&shared, *id).await {
                        let is_away = error.is_retryable();
                        result = Err(error);
                        if is_away {
                            break;
                        }
                        // The others do not wait for the one that cannot be read; all are asked for again.
                    }
                }
                result.map(|()| cursor = Some(changes.cursor))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            shared.complain(&error, "changes of endpoints could not be read");
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

async fn follow(shared: &Arc<Shared>, id: hookyard_model::EndpointId) -> hookyard_ports::store::Result<()> {
    if shared.lanes.lock().knows(id) {
        shared.refresh(id).await?;
    }
    // What was held while it was off is due again; if nothing is, the claim finds out.
    shared.lanes.lock().hint(id, shared.parts.clock.now());
    shared.claim.notify_one();
    Ok(())
}
