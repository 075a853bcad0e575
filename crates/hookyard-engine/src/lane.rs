//! One endpoint's share of memory, sockets and turns.
//!
//! Owned by [`crate::lanes::Lanes`], which decides between lanes; a lane only knows itself. Room is what a lane may hold
//! in memory: reserved for accepts and claims under way, queued, in flight, and ended but not yet settled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hookyard_core::breaker::{Breaker, Health};
use hookyard_core::rate::Bucket;
use hookyard_model::{DeliveryKey, Timestamp, limits};
use hookyard_ports::Handed;

use crate::prepared::Prepared;

/// Names an attempt in flight; counts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u64);

/// An attempt in flight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlight {
    pub(crate) began: Duration,
    pub(crate) key: DeliveryKey,
}

/// Which share of the slots a lane draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It has not ended an attempt yet; one at a time runs, beside what the fast ones have.
    New,
    /// Its attempts end soon.
    Fast,
    /// It has an attempt in flight for long, or was failing when it came to mind; together such lanes get a share only.
    Slow,
}

/// Where a lane stands in the tables of lanes to claim for: in which table, under which due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) pace: Pace,
    pub(crate) due: Timestamp,
}

/// How a lane stands with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// A claim may ask for it.
    Free,
    /// A claim is asking for it.
    UnderWay,
    /// A claim is asking for it, and something was settled since it began: that its answer brings nothing may be out of
    /// date when it comes.
    Overtaken,
    /// The last claim brought nothing although something is due: it is ordered behind what is in flight. Asking again is
    /// useless until a settlement, a retry's due time or a sweep of the due index.
    Stalled,
}

/// One endpoint's lane.
pub(crate) struct Lane {
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) queue: VecDeque<Handed>,
    pub(crate) reserved: usize,
    pub(crate) in_flight: BTreeMap<Token, InFlight>,
    /// What has ended and is not settled; what the store refused for good stays here, so that nobody takes its lease for
    /// a lost one and sends it again.
    pub(crate) unsettled: BTreeMap<Token, DeliveryKey>,
    /// Bytes of what it holds, and of what is reserved.
    pub(crate) bytes: usize,
    breaker: Breaker,
    pub(crate) bucket: Option<Bucket>,
    pub(crate) pace: Pace,
    /// Whether an attempt has ended soon since the lane came to mind; until then one at a time runs.
    proven: bool,
    /// Whether it stands in a ring or waits for its rate.
    pub(crate) waiting: bool,
    /// The earliest due time of what the store holds pending for it, as far as is known.
    pub(crate) next_due: Option<Timestamp>,
    /// Where it stands in the tables of lanes to claim for.
    pub(crate) listed: Option<Listed>,
    pub(crate) asking: Asking,
    /// The earliest retry that settlements told of; when it is due it may end a stall by itself.
    pub(crate) retry_due: Option<Timestamp>,
    pub(crate) used: Duration,
}

impl Lane {
    pub(crate) fn new(prepared: Arc<Prepared>, now: Duration) -> Self {
        let mut breaker = Breaker::new(prepared.concurrency);
        let failing = prepared.endpoint.failing_since.is_some();
        if failing {
            // Probe first: it failed when it was last seen, perhaps before a restart.
            while breaker.allowed() > 1 {
                breaker.record(Health::Bad);
            }
        }
        let bucket = prepared.endpoint.settings.rate_limit.map(|rate| Bucket::new(rate, now));
        Self {
            prepared,
            queue: VecDeque::new(),
            reserved: 0,
            in_flight: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            bytes: 0,
            breaker,
            bucket,
            pace: if failing { Pace::Slow } else { Pace::New },
            proven: false,
            waiting: false,
            next_due: None,
            listed: None,
            asking: Asking::Free,
            retry_due: None,
            used: now,
        }
    }

    /// Takes the endpoint's new form.
    pub(crate) fn prepare(&mut self, prepared: Arc<Prepared>, now: Duration) {
        let rate = prepared.endpoint.settings.rate_limit;
        if rate != self.prepared.endpoint.settings.rate_limit {
            self.bucket = rate.map(|rate| Bucket::new(rate, now));
        }
        self.breaker.set_full(prepared.concurrency);
        prepared.follow(&self.prepared);
        self.prepared = prepared;
    }

    /// How many attempts may run at once.
    pub(crate) fn allowed(&self) -> usize {
        if self.proven { usize::from(self.breaker.allowed()) } else { 1 }
    }

    /// Whether an attempt could begin as far as the lane itself is concerned; its rate is asked when it does.
    pub(crate) fn can_start(&self) -> bool {
        !self.queue.is_empty() && self.in_flight.len() < self.allowed()
    }

    /// Which deliveries wait, are in flight or are not settled.
    pub(crate) fn keys(&self) -> impl Iterator<Item = DeliveryKey> + '_ {
        let queued = self.queue.iter().map(|handed| handed.delivery.key);
        let in_flight = self.in_flight.values().map(|attempt| attempt.key);
        queued.chain(in_flight).chain(self.unsettled.values().copied())
    }

    /// How many deliveries it holds.
    pub(crate) fn held(&self) -> usize {
        self.queue.len() + self.reserved + self.in_flight.len() + self.unsettled.len()
    }

    /// How many deliveries it may hold. A lane that is slow, is not known yet, or whose breaker has closed down holds
    /// little: what is leased would only wait here, and would all be interrupted by a crash.
    fn capacity(&self) -> usize {
        let allowed = usize::from(self.breaker.allowed());
        if self.pace == Pace::Fast && allowed >= usize::from(self.prepared.concurrency.get()) {
            limits::LANE_ROOM.max(2 * allowed)
        } else {
            2 * allowed
        }
    }

    /// How many more deliveries it may hold.
    pub(crate) fn room(&self) -> usize {
        self.capacity().saturating_sub(self.held())
    }

    /// Whether an accepted message may come straight in. While older ones wait in the store, half of the room is left
    /// to them, so that neither starves.
    pub(crate) fn takes_fresh(&self, now: Timestamp) -> bool {
        let room = self.room();
        if self.next_due.is_some_and(|due| due <= now) || self.is_asking() {
            room > self.capacity() / 2
        } else {
            room > 0
        }
    }

    /// Whether a claim is worth its transaction: a quarter of the room is free, or nothing else is left to do.
    pub(crate) fn wants_claim(&self) -> bool {
        let room = self.room();
        !self.is_asking() && room > 0 && (room >= self.capacity() / 4 || self.queue.is_empty())
    }

    /// Something changed that may let a claim bring something.
    pub(crate) fn unstall(&mut self) {
        self.asking = match self.asking {
            Asking::Free | Asking::Stalled => Asking::Free,
            Asking::UnderWay | Asking::Overtaken => Asking::Overtaken,
        };
    }

    /// Whether a claim is asking for it.
    fn is_asking(&self) -> bool {
        matches!(self.asking, Asking::UnderWay | Asking::Overtaken)
    }

    /// Notes how an attempt that took `took` ended.
    pub(crate) fn record(&mut self, took: Duration, health: Health) {
        self.breaker.record(health);
        if took < limits::SLOW_AFTER {
            self.proven = true;
        }
    }

    /// Whether an attempt has been in flight for long at `now`.
    pub(crate) fn drags(&self, now: Duration) -> bool {
        self.in_flight.values().next().is_some_and(|oldest| now.saturating_sub(oldest.began) >= limits::SLOW_AFTER)
    }

    /// Whether nothing would be lost by forgetting it.
    pub(crate) fn is_idle(&self, now: Duration) -> bool {
        self.held() == 0
            && !self.is_asking()
            && self.next_due.is_none()
            && self.listed.is_none()
            && now.saturating_sub(self.used) >= limits::LANE_IDLE
    }
}
