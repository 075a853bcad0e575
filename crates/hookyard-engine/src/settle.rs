//! Tells the store what came of attempts, many in one transaction, until it is told.
//!
//! One loop. While one transaction is under way the next attempts gather, so the batch grows with the load and nobody
//! waits for a timer. What the store cannot take it is told again: a delivery keeps its room until then, which is what
//! bounds the queue.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{DeliveryState, DisableReason, EndpointChange, EndpointId, Next, Timestamp};
use hookyard_ports::store::{Accept, Settled, Settlement};
use hookyard_ports::{Handed, OutcomeLabel};
use tokio::sync::mpsc;

use crate::attempt::Made;
use crate::lane::Token;
use crate::lanes::Lanes;
use crate::shared::Shared;
use crate::{operational, standing};

/// Settlements told in one transaction, at most. A wave of attempts that reach their time limits together must not keep
/// the store from everything else.
const BATCH: usize = 128;
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
    token: Token,
    bytes: usize,
}

impl Held {
    pub(crate) fn of(handed: &Handed, token: Token) -> Self {
        Self { endpoint: handed.delivery.key.endpoint, token, bytes: handed.message.payload.len() }
    }

    fn free(self, lanes: &mut Lanes, due: Option<Timestamp>) {
        lanes.settled(self.endpoint, self.token, self.bytes, due);
    }
}

/// What the store said to a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Settled(Settled),
    /// No, and it will not say otherwise.
    Refused,
}

/// Settles until every sender is gone and the queue is empty.
pub(crate) async fn run(shared: Arc<Shared>, mut finished: mpsc::UnboundedReceiver<Finished>) {
    let mut batch = Vec::new();
    while finished.recv_many(&mut batch, BATCH).await > 0 {
        let mut all = Vec::with_capacity(batch.len());
        let mut rooms = Vec::with_capacity(batch.len());
        for item in batch.drain(..) {
            let (mut made, room) = match item {
                Finished::Logged(made) => (made, None),
                Finished::Over(made, room) => (made, Some(room)),
                Finished::Dropped(room) => {
                    room.free(&mut shared.lanes.lock(), None);
                    continue;
                }
            };
            standing::confirm(&shared, &mut made).await;
            operational::attach(&shared, &mut made).await;
            count(&shared, &made);
            all.push(made);
            rooms.push(room);
        }
        let told = settle(&shared, &all).await;
        {
            let mut lanes = shared.lanes.lock();
            for ((made, room), told) in all.iter().zip(rooms).zip(told) {
                follow_up(&mut lanes, made, room, told);
            }
        }
        shared.pump();
        shared.claim.notify_one();
        shared.quiet.notify_one();
    }
}

/// Does in memory what follows from what the store said.
fn follow_up(lanes: &mut Lanes, made: &Made, room: Option<Held>, told: Told) {
    let Settlement { key, next, endpoint, operational, .. } = &made.settlement;
    for (endpoint, due) in operational.iter().flat_map(due_at_once) {
        lanes.hint(endpoint, due);
    }
    match told {
        Told::Settled(Settled::Moved) => {
            if let Some(EndpointChange::Disabled { reason, .. }) = endpoint {
                let why = match reason {
                    DisableReason::Gone => "it answered 410 Gone",
                    DisableReason::Failing => "nothing but failure came back for too long",
                    DisableReason::Manual => "somebody did it by hand",
                };
                let (application, reference) = (made.settlement.attempt.application, made.prepared.reference());
                tracing::warn!(message_id = %key.message, %application, endpoint = %made.prepared.name(),
                    hint = format_args!("hookyard endpoints enable {application} {reference}"),
                    "the endpoint is disabled: {why}; what is pending is held until it is enabled again");
            }
        }
        Told::Settled(Settled::LeaseLost) => {
            made.prepared.forget();
            tracing::warn!(message_id = %key.message, endpoint = %made.prepared.name(),
                "an attempt ended after its lease was lost; it is logged, and the delivery is with another node");
        }
        Told::Refused => made.prepared.forget(),
    }
    match (room, told) {
        (None, _) => {}
        (Some(_), Told::Refused) => lanes.abandoned(),
        (Some(room), Told::Settled(_)) => room.free(lanes, due(next)),
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

/// Tells the store until it has taken or refused each of the batch.
async fn settle(shared: &Shared, batch: &[Made]) -> Vec<Told> {
    let mut pause = PAUSE[0];
    let mut refusals = 0;
    if batch.is_empty() {
        return Vec::new();
    }
    loop {
        let settlements = batch.iter().map(|made| made.settlement.clone()).collect();
        let error = match shared.parts.store.settle(settlements).await {
            Ok(answers) => return answers.into_iter().map(Told::Settled).collect(),
            Err(error) => error,
        };
        if !error.is_retryable() {
            if batch.len() > 1 {
                // One of them is the cause. The others must not wait for it.
                let mut told = Vec::with_capacity(batch.len());
                for single in batch.chunks(1) {
                    told.extend(Box::pin(settle(shared, single)).await);
                }
                return told;
            }
            refusals += 1;
            if refusals >= REFUSALS {
                tracing::error!(%error, message_id = %batch[0].settlement.key.message,
                    "the store does not take this attempt; its delivery stays leased and is interrupted at the next start");
                return vec![Told::Refused];
            }
        }
        shared.complain(&error, "the store cannot take finished attempts");
        tokio::select! {
            biased;
            () = shared.kill.cancelled() => return Vec::new(),
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
