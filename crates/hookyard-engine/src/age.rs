//! Looks after what time does: retention, endpoints that stay off, lanes that stay idle, and the gauges.
//!
//! Two loops with steps of bounded size, so that other deeds run in between.

use std::sync::Arc;

use hookyard_model::{StateKind, limits};
use hookyard_ports::StateLabel;
use hookyard_ports::store::Result;

use crate::shared::Shared;

/// Sweeps and prunes until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        if let Err(error) = age(&shared).await {
            shared.complain(&error, "ageing could not be finished");
        }
        let idle = shared.lanes.lock().forget_idle(shared.parts.clock.monotonic());
        for id in idle {
            shared.parts.transport.forget(id);
        }
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(shared.parts.settings.ageing) => {}
        }
    }
}

async fn age(shared: &Shared) -> Result<()> {
    let store = &shared.parts.store;
    while !shared.stop.is_cancelled() && store.sweep(shared.parts.clock.now(), limits::SWEEP_ROWS).await?.more {}
    loop {
        let pruned = store.prune(shared.parts.clock.now(), limits::SWEEP_ROWS).await?;
        shared.parts.metrics.pruned.inc_by(pruned.rows as u64);
        if !pruned.more || shared.stop.is_cancelled() {
            return Ok(());
        }
    }
}

/// Refreshes gauges until the engine stops.
pub(crate) async fn gauge(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(shared.parts.settings.gauges) => {}
        }
        let metrics = &shared.parts.metrics;
        let census = shared.lanes.lock().census();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.lanes.set(number(census.lanes));
        metrics.lanes_slow.set(number(census.slow));
        metrics.in_flight.set(number(census.in_flight));
        metrics.lane_bytes.set(number(census.bytes));
        let now = shared.parts.clock.now();
        match shared.parts.store.overview(now).await {
            Ok(overview) => {
                for state in [StateKind::Pending, StateKind::Leased] {
                    let count = overview.open.iter().find(|(kind, _)| *kind == state).map_or(0, |(_, count)| *count);
                    let gauge = metrics.queue.get_or_create(&StateLabel { state: state.as_str() });
                    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
                }
                let waiting = overview.oldest_due.map_or(0, |due| now.since(due).as_secs());
                metrics.oldest_due_seconds.set(i64::try_from(waiting).unwrap_or(i64::MAX));
                metrics.store_bytes.set(i64::try_from(overview.bytes).unwrap_or(i64::MAX));
            }
            Err(error) => shared.complain(&error, "the store's gauges could not be read"),
        }
    }
}
