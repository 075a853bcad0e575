//! Claims due deliveries for lanes that have room.
//!
//! One loop. It waits until the earliest due time it knows, or until somebody says that something changed, and asks the
//! store for all lanes with room at once. Every so often it asks the due index itself: timers and notifications are hints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{EndpointId, Timestamp, limits};
use hookyard_ports::store::{Claim, Claims, Result, Room};
use hookyard_ports::{Handed, StoreError};
use tokio::time::Instant;

use crate::lanes::claims::Left;
use crate::shared::Shared;

/// How long a store that does not answer is left alone.
const PAUSE: Duration = Duration::from_millis(250);

/// Claims until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut sweep_at = shared.parts.clock.monotonic();
    loop {
        let now = shared.parts.clock.monotonic();
        if now >= sweep_at {
            sweep_at = now + shared.parts.settings.due_sweep;
            if let Err(error) = sweep(&shared).await {
                shared.complain(&error, "the due index could not be read");
                sweep_at = now + PAUSE;
            }
        }
        if let Err(error) = step(&shared, sweep_at).await {
            shared.complain(&error, "due deliveries could not be claimed");
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => continue,
            }
        }
        let until_sweep = sweep_at.saturating_sub(shared.parts.clock.monotonic());
        let until_due = shared.lanes.lock().next_claim().map(|due| due.since(shared.parts.clock.now()));
        let wait = until_due.map_or(until_sweep, |due| due.min(until_sweep));
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = shared.claim.notified() => {}
            () = tokio::time::sleep_until(Instant::now() + wait) => {}
        }
    }
}

/// Asks the due index for every endpoint with something due before the sweep after next.
async fn sweep(shared: &Shared) -> Result<()> {
    let horizon = shared.parts.clock.now().plus(2 * shared.parts.settings.due_sweep);
    let mut after = None;
    loop {
        let page = shared.parts.store.due(after, limits::SWEEP_ROWS).await?;
        let mut lanes = shared.lanes.lock();
        for due in &page {
            if due.first <= horizon {
                lanes.swept(due.endpoint, due.first);
            }
        }
        match page.last() {
            Some(last) if page.len() == limits::SWEEP_ROWS => after = Some(last.endpoint),
            _ => return Ok(()),
        }
    }
}

/// Claims for all lanes with room until they have what they can hold, or until the due index is to be asked: lanes that
/// empty themselves as fast as they are filled keep nobody else from being found.
async fn step(shared: &Arc<Shared>, sweep_at: Duration) -> Result<()> {
    loop {
        introduce(shared).await?;
        let rooms = shared.lanes.lock().claims(shared.parts.clock.now());
        if rooms.is_empty() {
            return Ok(());
        }
        claim(shared, rooms).await?;
        shared.pump();
        if shared.parts.clock.monotonic() >= sweep_at {
            return Ok(());
        }
    }
}

/// Gives lanes to endpoints that have something due and none.
async fn introduce(shared: &Shared) -> Result<()> {
    let strangers = shared.lanes.lock().strangers(shared.parts.clock.now());
    for id in strangers {
        match shared.refresh(id).await {
            Err(error) if !error.is_retryable() => {
                // The others do not wait for it; the due index names it again.
                shared.complain(&error, &format!("endpoint `{id}` could not be read, and what is due for it waits"));
                shared.lanes.lock().introduce(id, None, shared.parts.clock.monotonic());
            }
            known => known?,
        }
    }
    Ok(())
}

/// Claims for these rooms. Where what is due for one of them cannot be claimed, each is claimed for alone, so that the others
/// do not wait for it.
async fn claim(shared: &Arc<Shared>, rooms: Vec<Room>) -> Result<()> {
    let now = shared.parts.clock.now();
    match (ask(shared, rooms.clone(), now).await, &rooms[..]) {
        (Ok(claims), _) => {
            take(shared, rooms, claims, now).await;
            Ok(())
        }
        (Err(error), _) if error.is_retryable() => {
            leave(shared, rooms, Left::Unknown, now);
            Err(error)
        }
        (Err(error), [alone]) => {
            let id = alone.endpoint;
            shared.complain(&error, &format!("what is due for endpoint `{id}` could not be claimed, and waits"));
            // The due index names it again.
            leave(shared, rooms, Left::Known(None), now);
            Ok(())
        }
        (Err(_), _) => {
            let mut result = Ok(());
            for alone in rooms {
                result = result.and(Box::pin(claim(shared, vec![alone])).await);
            }
            result
        }
    }
}

async fn ask(shared: &Shared, rooms: Vec<Room>, now: Timestamp) -> Result<Claims> {
    let began = shared.parts.clock.monotonic();
    if !shared.holds_leases() {
        return Err(StoreError::Unavailable("the last heartbeat is too old to take leases".to_owned()));
    }
    let claims = shared.parts.store.claim(Claim { rooms, now }).await?;
    if_unbroken(shared, claims, began)
}

/// Puts what was claimed into its rooms.
async fn take(shared: &Shared, rooms: Vec<Room>, claims: Claims, now: Timestamp) {
    let next: BTreeMap<EndpointId, Option<Timestamp>> = claims.next.into_iter().collect();
    let mut brought: BTreeMap<EndpointId, Vec<Handed>> = BTreeMap::new();
    for claimed in claims.deliveries {
        let id = claimed.delivery.key.endpoint;
        let known = shared.lanes.lock().endpoint(id);
        if known.is_none_or(|known| known.revision < claimed.endpoint_revision) {
            // If it cannot be read, the known form serves; the change watcher brings the new one.
            if let Err(error) = shared.refresh(id).await {
                shared.complain(&error, &format!("the new form of endpoint `{id}` could not be read"));
            }
        }
        brought.entry(id).or_default().push(Handed { delivery: claimed.delivery, message: claimed.message });
    }
    {
        let mut lanes = shared.lanes.lock();
        for room in rooms {
            let left = Left::Known(next.get(&room.endpoint).copied().flatten());
            let refused = lanes.claimed(room, brought.remove(&room.endpoint).unwrap_or_default(), left, now);
            // Under the lock: a stop that sees the room free must see the leases on their way back.
            shared.give_back(refused);
        }
    }
    shared.quiet.notify_one();
}

/// Gives rooms back that nothing was claimed for.
fn leave(shared: &Shared, rooms: Vec<Room>, left: Left, now: Timestamp) {
    {
        let mut lanes = shared.lanes.lock();
        for room in rooms {
            shared.give_back(lanes.claimed(room, Vec::new(), left, now));
        }
    }
    shared.quiet.notify_one();
}

/// What was claimed, unless this node was taken for dead since the claim began: then it is given back.
fn if_unbroken(shared: &Shared, claims: Claims, began: Duration) -> Result<Claims> {
    if began >= *shared.unbroken.lock() {
        return Ok(claims);
    }
    shared.give_back_keys(claims.deliveries.iter().map(|claimed| claimed.delivery.key).collect());
    Err(StoreError::Unavailable("its answer came after others may have taken the leases".to_owned()))
}
