//! Decides whose turn it is: a lane per endpoint, a global number of slots, and a claim only where there is room.
//!
//! Owned by the engine behind a lock; every method is quick, does no IO and takes the time as an argument. Lanes with
//! work stand in a ring and take turns, one attempt each. Lanes that are slow stand in a ring of their own and together
//! hold at most a share of the slots, so that any number of dead receivers leaves the rest to the others. So do lanes that
//! nothing is known about: each shows with a single attempt which of the two it belongs to.
//!
//! **Invariants:** an attempt in flight holds exactly one slot until [`Lanes::ended`]; a delivery in memory holds room
//! and bytes of its lane from the reservation until [`Lanes::settled`] (or until it is given back).

pub(crate) mod claims;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hookyard_core::breaker::Health;
use hookyard_model::{DeliveryKey, Endpoint, EndpointId, Timestamp, limits};
use hookyard_ports::Handed;

use crate::Settings;
use crate::board::Board;
use crate::lane::{InFlight, Lane, Pace, Token};
use crate::memory::{Memory, cost};
use crate::prepared::Prepared;

/// An attempt that begins.
pub(crate) struct Start {
    pub(crate) handed: Handed,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) token: Token,
}

/// All lanes of this node.
pub(crate) struct Lanes {
    by_endpoint: BTreeMap<EndpointId, Lane>,
    board: Board,
    /// Lanes that a claim would serve, by what they are due for; slow ones in a table of their own, because they are
    /// passed over while slow lanes hold their share of the memory.
    dues: BTreeSet<(Timestamp, EndpointId)>,
    slow_dues: BTreeSet<(Timestamp, EndpointId)>,
    /// Endpoints with something due that have no lane; they get one when they are claimed for.
    strangers: BTreeMap<EndpointId, Timestamp>,
    memory: Memory,
    /// Attempts that ended and are not settled.
    unsettled: usize,
    next_token: u64,
    /// When lanes that drag were last looked for.
    looked: Duration,
    open: bool,
}

/// How often lanes that drag are looked for.
const LOOK: Duration = limits::SLOW_AFTER.checked_div(10).expect("ten is not zero");

/// How an attempt ended, as far as its lane is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) endpoint: EndpointId,
    pub(crate) token: Token,
    pub(crate) took: Duration,
    pub(crate) health: Health,
}

/// What the lanes hold, for the gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) lanes: usize,
    pub(crate) slow: usize,
    pub(crate) in_flight: usize,
    pub(crate) bytes: usize,
}

impl Lanes {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            by_endpoint: BTreeMap::new(),
            board: Board::new(settings.slots),
            dues: BTreeSet::new(),
            slow_dues: BTreeSet::new(),
            strangers: BTreeMap::new(),
            memory: Memory::new(settings.lane_bytes),
            unsettled: 0,
            next_token: 0,
            looked: Duration::ZERO,
            open: true,
        }
    }

    // ---- what comes in ---------------------------------------------------------------------------------------------

    /// Reserves room for one delivery of a message about to be accepted. `prepare` is called for an endpoint that has no
    /// lane, or whose lane knows an older form of it.
    pub(crate) fn try_reserve(
        &mut self,
        endpoint: &Endpoint,
        bytes: usize,
        at: Timestamp,
        now: Duration,
        prepare: impl FnOnce() -> Arc<Prepared>,
    ) -> bool {
        if !self.open {
            return false;
        }
        let mut is_new = false;
        let lane = match self.by_endpoint.entry(endpoint.id) {
            Entry::Occupied(entry) => {
                let lane = entry.into_mut();
                if lane.prepared.endpoint.revision < endpoint.revision {
                    lane.prepare(prepare(), now);
                    self.board.enter(endpoint.id, lane);
                }
                lane
            }
            Entry::Vacant(entry) => {
                is_new = true;
                let mut lane = Lane::new(prepare(), now);
                lane.next_due = self.strangers.remove(&endpoint.id);
                entry.insert(lane)
            }
        };
        let bytes = cost(bytes);
        let taken = lane.takes_fresh(at) && lane.prepared.is_enabled() && self.memory.takes_fresh(lane, bytes);
        if taken {
            lane.reserved += 1;
            lane.used = now;
            self.memory.add(lane, bytes);
        }
        if is_new {
            self.list(endpoint.id);
        }
        taken
    }

    /// Gives reserved room back.
    pub(crate) fn unreserve(&mut self, id: EndpointId, bytes: usize) {
        let lane = self.by_endpoint.get_mut(&id).expect("a lane with reserved room is not forgotten");
        lane.reserved -= 1;
        self.memory.remove(lane, cost(bytes));
        self.list(id);
    }

    /// Takes a leased delivery into room that was reserved for it. Gives it back when its endpoint was disabled
    /// meanwhile, or when this node is stopping: then the caller gives the lease back.
    pub(crate) fn enqueue(&mut self, handed: Handed) -> Option<Handed> {
        let id = handed.delivery.key.endpoint;
        let lane = self.by_endpoint.get_mut(&id).expect("a lane with reserved room is not forgotten");
        lane.reserved -= 1;
        if !self.open || !lane.prepared.is_enabled() {
            self.memory.remove(lane, cost(handed.message.payload.len()));
            return Some(handed);
        }
        lane.queue.push_back(handed);
        self.board.enter(id, lane);
        None
    }

    // ---- turns -----------------------------------------------------------------------------------------------------

    /// The next attempt to begin, if a lane with work may have a slot.
    ///
    /// Nothing begins while the store is far behind with what has ended: each ended attempt holds its response.
    pub(crate) fn start(&mut self, now: Duration) -> Option<Start> {
        if self.unsettled >= limits::UNSETTLED {
            return None;
        }
        while let Some(id) = self.board.next(now) {
            let Some(lane) = self.by_endpoint.get_mut(&id) else { continue };
            lane.waiting = false;
            if !lane.can_start() {
                continue;
            }
            if !self.board.has_slot(lane.pace) {
                // Its pace changed while it stood in the other ring.
                self.board.enter(id, lane);
                continue;
            }
            if let Some(bucket) = &mut lane.bucket
                && let Err(wait) = bucket.try_take(now)
            {
                lane.waiting = true;
                self.board.rated.insert((now + wait, id));
                continue;
            }
            let Some(handed) = lane.queue.pop_front() else { continue };
            let token = Token(self.next_token);
            self.next_token += 1;
            lane.in_flight.insert(token, InFlight { began: now, key: handed.delivery.key });
            lane.used = now;
            self.board.ring(lane.pace).held += 1;
            self.board.enter(id, lane);
            return Some(Start { handed, prepared: Arc::clone(&lane.prepared), token });
        }
        None
    }

    /// Gives an attempt's slot back; its delivery keeps its room until it is settled.
    pub(crate) fn ended(&mut self, ended: Ended, now: Duration) {
        let Some(lane) = self.by_endpoint.get_mut(&ended.endpoint) else { return };
        let Some(attempt) = lane.in_flight.remove(&ended.token) else { return };
        self.board.ring(lane.pace).held -= 1;
        lane.unsettled.insert(ended.token, attempt.key);
        self.unsettled += 1;
        lane.used = now;
        lane.record(ended.took, ended.health);
        if lane.pace != Pace::Fast && ended.took < limits::SLOW_AFTER && !lane.drags(now) {
            self.memory.set_pace(lane, Pace::Fast);
            self.board.set_pace(ended.endpoint, lane, Pace::Fast);
            self.board.enter(ended.endpoint, lane);
            self.list(ended.endpoint);
        } else {
            self.board.enter(ended.endpoint, lane);
        }
    }

    /// Gives the room of a delivery back that is settled, dropped or given back. `due` is when it is due again.
    pub(crate) fn settled(&mut self, id: EndpointId, token: Token, bytes: usize, due: Option<Timestamp>) {
        let Some(lane) = self.by_endpoint.get_mut(&id) else { return };
        if lane.unsettled.remove(&token).is_none() {
            return;
        }
        self.unsettled -= 1;
        self.memory.remove(lane, cost(bytes));
        lane.unstall();
        if let Some(due) = due {
            lane.next_due = Some(lane.next_due.map_or(due, |known| known.min(due)));
            lane.retry_due = Some(lane.retry_due.map_or(due, |known| known.min(due)));
        }
        self.list(id);
    }

    /// Gives up on settling an attempt that the store refuses for good. Its lane goes on to know the delivery and to give
    /// it room: were it forgotten, its lease would be given back as a lost one and it would be sent over and over.
    pub(crate) fn abandoned(&mut self) {
        self.unsettled -= 1;
    }

    /// Lets time pass: lanes that drag turn slow, lanes whose rate allows another attempt stand in their ring again.
    /// Returns when it wants to be asked again, and what lanes that turned slow may not keep: the caller gives the leases
    /// back.
    pub(crate) fn tick(&mut self, now: Duration) -> (Option<Duration>, Vec<Handed>) {
        while let Some(&(at, id)) = self.board.rated.first() {
            if at > now {
                break;
            }
            self.board.rated.pop_first();
            if let Some(lane) = self.by_endpoint.get_mut(&id) {
                lane.waiting = false;
                self.board.enter(id, lane);
            }
        }
        if self.board.trickles.is_some_and(|at| at <= now) {
            self.board.trickles = None;
        }
        let mut turned = Vec::new();
        if self.board.may_drag() && now >= self.looked + LOOK {
            self.looked = now;
            for (id, lane) in &mut self.by_endpoint {
                if lane.pace != Pace::Slow && lane.drags(now) {
                    self.memory.set_pace(lane, Pace::Slow);
                    self.board.set_pace(*id, lane, Pace::Slow);
                    turned.push(*id);
                }
            }
        }
        for id in turned {
            self.list(id);
        }
        let relieved = self.relieve();
        self.board.ticks = self.next_tick();
        (self.board.ticks, relieved)
    }

    /// When time must pass, if it must.
    fn next_tick(&self) -> Option<Duration> {
        let rated = self.board.rated.first().map(|(at, _)| *at);
        let slow = self.board.may_drag().then_some(self.looked + LOOK);
        rated.into_iter().chain(slow).chain(self.board.trickles).min()
    }

    /// Takes queued deliveries out of slow lanes until these hold no more than their share of the memory.
    fn relieve(&mut self) -> Vec<Handed> {
        let mut relieved = Vec::new();
        if !self.memory.is_slow_over() {
            return relieved;
        }
        for lane in self.by_endpoint.values_mut().filter(|lane| lane.pace == Pace::Slow) {
            // The last ones first: what is left keeps its order.
            while self.memory.is_slow_over()
                && let Some(handed) = lane.queue.pop_back()
            {
                self.memory.remove(lane, cost(handed.message.payload.len()));
                relieved.push(handed);
            }
        }
        relieved
    }

    /// Whether time must pass sooner than somebody was told; says so once.
    pub(crate) fn wants_tick(&mut self) -> bool {
        let next = self.next_tick();
        let wanted = next.is_some_and(|next| self.board.ticks.is_none_or(|told| next < told));
        if wanted {
            self.board.ticks = next;
        }
        wanted
    }

    /// Whether a lane stands in a ring.
    pub(crate) fn has_waiting(&self) -> bool {
        self.board.has_waiting()
    }

    // ---- change and end --------------------------------------------------------------------------------------------

    /// Gives an endpoint's lane its present form, or an enabled endpoint a lane; `None` when there is no such endpoint.
    /// Returns whether it is sent to. A form older than the lane's was read before that one, and is left alone.
    pub(crate) fn introduce(&mut self, id: EndpointId, prepared: Option<Arc<Prepared>>, now: Duration) -> bool {
        let due = self.strangers.remove(&id);
        let Some(prepared) = prepared else { return false };
        if let Some(lane) = self.by_endpoint.get_mut(&id) {
            if lane.prepared.endpoint.revision <= prepared.endpoint.revision {
                lane.prepare(prepared, now);
            }
            self.board.enter(id, lane);
        } else if prepared.is_enabled() {
            self.by_endpoint.insert(id, Lane::new(prepared, now));
        }
        if let Some(due) = due.filter(|_| self.knows(id)) {
            self.hint(id, due);
        }
        self.by_endpoint.get(&id).is_some_and(|lane| lane.prepared.is_enabled())
    }

    /// The endpoint of a lane, in the form that its next attempts see.
    pub(crate) fn endpoint(&self, id: EndpointId) -> Option<Arc<Endpoint>> {
        self.by_endpoint.get(&id).map(|lane| Arc::clone(&lane.prepared.endpoint))
    }

    /// Whether an endpoint has a lane.
    pub(crate) fn knows(&self, id: EndpointId) -> bool {
        self.by_endpoint.contains_key(&id)
    }

    /// Takes the queued deliveries of an endpoint that is no longer sent to; the caller gives their leases back.
    pub(crate) fn drain(&mut self, id: EndpointId) -> Vec<Handed> {
        let Some(lane) = self.by_endpoint.get_mut(&id) else { return Vec::new() };
        let drained: Vec<Handed> = lane.queue.drain(..).collect();
        lane.next_due = None;
        lane.retry_due = None;
        for handed in &drained {
            self.memory.remove(lane, cost(handed.message.payload.len()));
        }
        self.list(id);
        drained
    }

    /// Takes everything queued, and lets nothing in any more.
    pub(crate) fn close(&mut self) -> Vec<Handed> {
        self.open = false;
        self.drain_all()
    }

    /// Takes everything queued; the caller gives the leases back.
    pub(crate) fn drain_all(&mut self) -> Vec<Handed> {
        let ids: Vec<EndpointId> = self.by_endpoint.keys().copied().collect();
        ids.into_iter().flat_map(|id| self.drain(id)).collect()
    }

    /// Forgets lanes that have been idle for long, and names them.
    pub(crate) fn forget_idle(&mut self, now: Duration) -> Vec<EndpointId> {
        let idle: Vec<EndpointId> =
            self.by_endpoint.iter().filter(|(_, lane)| lane.is_idle(now) && !lane.waiting).map(|(id, _)| *id).collect();
        for id in &idle {
            self.by_endpoint.remove(id);
        }
        idle
    }

    /// Which deliveries of an endpoint wait, are in flight or are not settled.
    pub(crate) fn keys(&self, id: EndpointId) -> BTreeSet<DeliveryKey> {
        self.by_endpoint.get(&id).into_iter().flat_map(Lane::keys).collect()
    }

    /// What the lanes hold.
    pub(crate) fn census(&self) -> Census {
        Census {
            lanes: self.by_endpoint.len(),
            slow: self.by_endpoint.values().filter(|lane| lane.pace == Pace::Slow).count(),
            in_flight: self.board.in_flight(),
            bytes: self.memory.held(),
        }
    }

    /// How many deliveries are in flight or not yet settled, and how many may come of accepts and claims under way.
    pub(crate) fn unfinished(&self) -> usize {
        let expected: usize = self.by_endpoint.values().map(|lane| lane.reserved).sum();
        self.board.in_flight() + self.unsettled + expected
    }
}

#[cfg(test)]
mod tests;
