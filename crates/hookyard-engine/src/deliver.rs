//! Carries a leased delivery through its attempt, and whatever must follow it at once.
//!
//! One task per slot: it sends, tells the settling loop what came of it, gives the slot back, and goes on with the next
//! delivery whose turn it is, so that a busy lane costs no task per message. A panic in an attempt ends that delivery as
//! one that cannot be encoded; the slot is given back like any other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use hookyard_core::breaker::Health;
use hookyard_core::health::is_endpoint_fault;
use hookyard_model::{Next, Outcome};

use crate::attempt;
use crate::lanes::{Ended, Start};
use crate::settle::{Finished, Held};
use crate::shared::Shared;

/// Runs attempts until no lane has a turn for this task.
pub(crate) async fn deliver(shared: Arc<Shared>, start: Start) {
    let mut turn = Some(start);
    while let Some(start) = turn {
        run(&shared, start).await;
        // The slot that was given back may go to any lane; further free slots get tasks of their own.
        turn = shared.next_start().map(|(start, more)| {
            if more {
                shared.pump();
            }
            start
        });
    }
}

async fn run(shared: &Arc<Shared>, start: Start) {
    let Start { mut handed, prepared, token } = start;
    let clock = &shared.parts.clock;
    let began = clock.monotonic();
    let (health, finished) = loop {
        if !shared.holds_leases() {
            // Another node may have the delivery by now: nothing we could record about it is sure to be true.
            shared.give_back([handed.clone()]);
            break (Health::Neutral, Finished::Dropped(Held::of(&handed, token)));
        }
        let made = match AssertUnwindSafe(attempt::make(shared, &handed, &prepared)).catch_unwind().await {
            Ok(made) => made,
            Err(_) => attempt::panicked(shared, &handed, &prepared),
        };
        let health = health(&made.settlement.attempt.outcome, &made.settlement.next);
        if let Next::Again { charged, variant } = made.settlement.next {
            shared.finish(Finished::Logged(made));
            handed.delivery.charged = charged;
            handed.delivery.variant = variant;
        } else {
            break (health, Finished::Over(made, Held::of(&handed, token)));
        }
    };
    // The slot first, the word to the store second: a settlement gives back room that has been in flight.
    let now = clock.monotonic();
    let endpoint = handed.delivery.key.endpoint;
    shared.lanes.lock().ended(Ended { endpoint, token, took: now.saturating_sub(began), health }, now);
    shared.finish(finished);
}

/// How an outcome counts for the breaker.
pub(crate) fn health(outcome: &Outcome, next: &Next) -> Health {
    match next {
        Next::Delivered => Health::Good,
        Next::StaysDelivered if *outcome == Outcome::Delivered => Health::Good,
        Next::Again { .. } => Health::Neutral,
        Next::Retry { .. } | Next::Failed { .. } | Next::Cancelled { .. } | Next::StaysDelivered => {
            if is_endpoint_fault(outcome) { Health::Bad } else { Health::Neutral }
        }
    }
}
