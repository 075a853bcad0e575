//! Keeps this node's leases alive and frees those of the dead.
//!
//! One loop. At the start it frees what former lives of this node held, before anything is claimed; later it confirms
//! that this one lives and frees what other nodes left behind.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::limits;
use hookyard_ports::store::Result;

use crate::shared::Shared;

/// How often the store is told that this node lives.
const HEARTBEAT: Duration = Duration::from_millis(2_500);
/// How soon again when it did not confirm it: a try that took three seconds in vain leaves time for another one before the
/// node's leases are in doubt.
const AGAIN: Duration = Duration::from_secs(1);

/// Frees everything that the dead held. Returns how many deliveries that were.
pub(crate) async fn rescue(shared: &Shared) -> Result<usize> {
    let mut freed = 0;
    loop {
        let ids = (0..limits::SWEEP_ROWS).map(|_| shared.parts.ids.attempt()).collect();
        let step = shared.parts.store.rescue(shared.parts.clock.now(), ids).await?;
        freed += step;
        shared.parts.metrics.rescued.inc_by(step as u64);
        if step < limits::SWEEP_ROWS {
            break;
        }
    }
    if freed > 0 {
        tracing::warn!(
            deliveries = freed,
            "freed deliveries whose node died while it held them; each is logged as interrupted and tried again"
        );
    }
    Ok(freed)
}

/// Tells the store that this node lives.
pub(crate) async fn confirm(shared: &Shared) -> Result<()> {
    // The time before the call counts: what the store confirms was true then.
    let before = shared.parts.clock.monotonic();
    shared.parts.store.heartbeat(shared.parts.clock.now()).await?;
    shared.confirm(before);
    Ok(())
}

/// Confirms and rescues until everything in flight has ended.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut pause = HEARTBEAT;
    loop {
        tokio::select! {
            biased;
            () = shared.kill.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let result = match confirm(&shared).await {
            Ok(()) => rescue(&shared).await,
            Err(error) => Err(error),
        };
        pause = if result.is_ok() { HEARTBEAT } else { AGAIN };
        match result {
            Ok(freed) => {
                shared.calm_down();
                if freed > 0 {
                    shared.claim.notify_one();
                }
            }
            Err(error) => shared.complain(&error, "the store did not confirm this node's heartbeat"),
        }
    }
}
