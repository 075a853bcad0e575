//! Tells the store what came of attempts, many in one transaction, until it is told.
//!
//! One loop. While one transaction is under way the next attempts gather, so the batch grows with the load and nobody
//! waits for a timer. What the store cannot take it is told again: a delivery keeps its room until then, which is what
//! bounds the queue.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{DeliveryState, EndpointChange, EndpointId, Next, Timestamp};
use hookyard_ports::store::{Accept, Settled, Settlement};
use hookyard_ports::{Handed, OutcomeLabel};
use tokio::sync::mpsc;

use crate::attempt::Made;
use crate::operational;
use crate::shared::Shared;

/// Settlements told in one transaction, at most.
const BATCH: usize = 512;
/// How long a store that cannot take a batch is left alone, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];
/// How often a settlement that the store refuses for good is told before it is left to rescue.
const REFUSALS: u32 = 5;

/// What a delivering task tells.
pub(crate) enum Finished {
    /// An attempt that is followed by another at once; the delivery stays in flight.
    Logged(Made),
    /// The last attempt for this time; the delivery's room is free once it is settled.
    Over(Made, Held),
    /// Nothing was sent and nothing is to be recorded; the room is free.
    Dropped(Held),
}

/// The room that a delivery holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    endpoint: EndpointId,
    bytes: usize,
}

impl Held {
    pub(crate) fn of(handed: &Handed) -> Self {
        Self { endpoint: handed.delivery.key.endpoint, bytes: handed.message.payload.len() }
    }
}

/// Settles until every sender is gone and the queue is empty.
pub(crate) async fn run(shared: Arc<Shared>, mut finished: mpsc::UnboundedReceiver<Finished>) {
    let mut batch = Vec::new();
    while finished.recv_many(&mut batch, BATCH).await > 0 {
        let mut settlements = Vec::with_capacity(batch.len());
        let mut held = Vec::with_capacity(batch.len());
        for item in batch.drain(..) {
            let (made, room) = match item {
                Finished::Logged(made) => (made, None),
                Finished::Over(made, room) => (made, Some(room)),
                Finished::Dropped(room) => {
                    shared.lanes.lock().settled(room.endpoint, room.bytes, None);
                    continue;
                }
            };
            count(&shared, &made);
            let settlement = operational::attach(&shared, made).await;
            held.push((room, due(&settlement.next)));
            settlements.push(settlement);
        }
        let announced: Vec<_> =
            settlements.iter().flat_map(|settlement| &settlement.operational).flat_map(due_at_once).collect();
        settle(&shared, settlements).await;
        {
            let mut lanes = shared.lanes.lock();
            for (endpoint, due) in announced {
                lanes.hint(endpoint, due);
            }
            for (room, due) in held {
                if let Some(room) = room {
                    lanes.settled(room.endpoint, room.bytes, due);
                }
            }
        }
        shared.pump();
        shared.claim.notify_one();
        shared.quiet.notify_one();
    }
}

/// Which lanes an announcement is for.
fn due_at_once(accept: &Accept) -> impl Iterator<Item = (EndpointId, Timestamp)> + '_ {
    accept.deliveries.iter().map(|delivery| (delivery.endpoint, accept.message.accepted))
}

fn due(next: &Next) -> Option<Timestamp> {
    match next {
        Next::Retry { due, .. } => Some(*due),
        Next::Delivered | Next::Again { .. } | Next::Failed { .. } | Next::Cancelled { .. } | Next::StaysDelivered => {
            None
        }
    }
}

/// Tells the store until it has taken the batch.
async fn settle(shared: &Shared, mut settlements: Vec<Settlement>) {
    let mut pause = PAUSE[0];
    let mut refusals = 0;
    while !settlements.is_empty() {
        let error = match shared.parts.store.settle(settlements.clone()).await {
            Ok(answers) => {
                for (settlement, answer) in settlements.iter().zip(answers) {
                    if answer == Settled::LeaseLost {
                        tracing::warn!(message_id = %settlement.key.message, endpoint = %settlement.key.endpoint,
                            "an attempt ended after its lease was lost; it is logged, and the delivery is with another node");
                    }
                }
                return;
            }
            Err(error) => error,
        };
        if !error.is_retryable() {
            refusals += 1;
            if refusals >= REFUSALS {
                tracing::error!(%error, count = settlements.len(),
                    "the store does not take these attempts; their deliveries stay leased and are interrupted at the next start");
                return;
            }
            if settlements.len() > 1 {
                // One of them is the cause. The others must not wait for it.
                for single in settlements.drain(..) {
                    Box::pin(settle(shared, vec![single])).await;
                }
                return;
            }
        }
        tracing::warn!(%error, count = settlements.len(), "the store cannot take finished attempts; trying again");
        tokio::select! {
            biased;
            () = shared.kill.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE[1]),
        }
    }
}

fn count(shared: &Shared, made: &Made) {
    let metrics = &shared.parts.metrics;
    let Settlement { attempt, endpoint, next, .. } = &made.settlement;
    metrics.attempts.get_or_create(&OutcomeLabel { outcome: attempt.outcome.as_str() }).inc();
    metrics.attempt_seconds.observe(attempt.timings.total.as_secs_f64());
    if matches!(endpoint, Some(EndpointChange::Disabled { .. })) {
        metrics.disabled.inc();
    }
    let delivery = &made.handed.delivery;
    let first =
        delivery.charged == 0 && delivery.round == 0 && !matches!(delivery.state, DeliveryState::Delivered { .. });
    if *next == Next::Delivered && first {
        let ended = attempt.started.plus(attempt.timings.total);
        metrics.delivery_seconds.observe(ended.since(made.handed.message.accepted).as_secs_f64());
    }
}
