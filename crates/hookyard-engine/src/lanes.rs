//! Decides whose turn it is: a lane per endpoint, a global number of slots, and a claim only where there is room.
//!
//! Owned by the engine behind a lock; every method is quick, does no IO and takes the time as an argument. Lanes with
//! work stand in a ring and take turns, one attempt each. Lanes that are slow stand in a ring of their own and together
//! hold at most a share of the slots, so that any number of dead receivers leaves the rest to the others. So do lanes that
//! nothing is known about: each shows with a single attempt which of the two it belongs to.
//!
//! **Invariants:** an attempt in flight holds exactly one slot until [`Lanes::ended`]; a delivery in memory holds room
//! and bytes of its lane from the reservation until [`Lanes::settled`] (or until it is given back).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hookyard_core::breaker::Health;
use hookyard_model::{DeliveryKey, Endpoint, EndpointId, Timestamp, limits};
use hookyard_ports::Handed;
use hookyard_ports::store::Room;

use crate::Settings;
use crate::lane::{Asking, InFlight, Lane, Pace, Token};
use crate::prepared::Prepared;

/// What a message costs in memory beside its payload: the row, its strings, its place in the queue.
const MESSAGE_OVERHEAD: usize = 1024;

/// Bytes that a delivery of a payload of this size holds while it is in memory.
pub(crate) const fn cost(payload: usize) -> usize {
    payload + MESSAGE_OVERHEAD
}

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
    /// Lanes that a claim would serve, by what they are due for.
    dues: BTreeSet<(Timestamp, EndpointId)>,
    /// Endpoints with something due that have no lane; they get one when they are claimed for.
    strangers: BTreeMap<EndpointId, Timestamp>,
    bytes: usize,
    bytes_limit: usize,
    /// Attempts that ended and are not settled.
    unsettled: usize,
    next_token: u64,
    open: bool,
}

/// Slots and turns.
struct Board {
    new: Ring,
    fast: Ring,
    slow: Ring,
    /// Lanes that wait for their rate limit.
    rated: BTreeSet<(Duration, EndpointId)>,
    slots: usize,
    /// Which ring is asked first; they take turns as well.
    first: usize,
    /// Whether somebody has been told to let time pass ([`Lanes::tick`]) soon enough.
    ticking: bool,
}

/// The lanes of one pace that have work, and the slots that lanes of this pace hold.
#[derive(Default)]
struct Ring {
    waiting: VecDeque<EndpointId>,
    held: usize,
}

impl Board {
    const PACES: [Pace; 3] = [Pace::Fast, Pace::New, Pace::Slow];

    fn ring(&mut self, pace: Pace) -> &mut Ring {
        match pace {
            Pace::New => &mut self.new,
            Pace::Fast => &mut self.fast,
            Pace::Slow => &mut self.slow,
        }
    }

    fn in_flight(&self) -> usize {
        self.new.held + self.fast.held + self.slow.held
    }

    /// Whether an attempt of this pace may begin. What slow lanes hold beyond their share does not count against the
    /// fast ones, and new lanes have as many slots again: they leave them within [`limits::SLOW_AFTER`].
    fn has_slot(&self, pace: Pace) -> bool {
        let share = self.slots / limits::SLOW_SHARE;
        let free = match pace {
            Pace::New => self.new.held < self.slots,
            Pace::Fast => self.fast.held + self.slow.held.min(share) < self.slots,
            Pace::Slow => self.slow.held < share && self.fast.held + self.slow.held < self.slots,
        };
        free && self.in_flight() < limits::SLOTS_HARD
    }

    /// Whether an attempt is in flight that may turn its lane slow.
    fn may_drag(&self) -> bool {
        self.new.held + self.fast.held > 0
    }

    fn enter(&mut self, id: EndpointId, lane: &mut Lane) {
        if !lane.waiting && lane.can_start() {
            lane.waiting = true;
            self.ring(lane.pace).waiting.push_back(id);
        }
    }

    fn set_pace(&mut self, lane: &mut Lane, pace: Pace) {
        self.ring(lane.pace).held -= lane.in_flight.len();
        self.ring(pace).held += lane.in_flight.len();
        lane.pace = pace;
    }

    /// The next lane in turn that may have a slot.
    fn next(&mut self) -> Option<EndpointId> {
        self.first = (self.first + 1) % Self::PACES.len();
        let (tail, head) = Self::PACES.split_at(self.first);
        for pace in head.iter().chain(tail) {
            if self.has_slot(*pace)
                && let Some(id) = self.ring(*pace).waiting.pop_front()
            {
                return Some(id);
            }
        }
        None
    }
}

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
            board: Board {
                new: Ring::default(),
                fast: Ring::default(),
                slow: Ring::default(),
                rated: BTreeSet::new(),
                slots: settings.slots,
                first: 0,
                ticking: false,
            },
            dues: BTreeSet::new(),
            strangers: BTreeMap::new(),
            bytes: 0,
            bytes_limit: settings.lane_bytes,
            unsettled: 0,
            next_token: 0,
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
        if !self.open || self.bytes.saturating_add(cost(bytes)) > self.bytes_limit {
            return false;
        }
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
                let mut lane = Lane::new(prepare(), now);
                lane.next_due = self.strangers.remove(&endpoint.id);
                entry.insert(lane)
            }
        };
        let taken = lane.takes_fresh(at) && lane.prepared.is_enabled();
        if taken {
            lane.reserved += 1;
            lane.used = now;
            self.bytes += cost(bytes);
        }
        taken
    }

    /// Gives reserved room back.
    pub(crate) fn unreserve(&mut self, id: EndpointId, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(cost(bytes));
        if let Some(lane) = self.by_endpoint.get_mut(&id) {
            lane.reserved -= 1;
        }
        self.list(id);
    }

    /// Takes a leased delivery into room that was reserved for it. Gives it back when its endpoint was disabled
    /// meanwhile, or when this node is stopping: then the caller gives the lease back.
    pub(crate) fn enqueue(&mut self, handed: Handed) -> Option<Handed> {
        let id = handed.delivery.key.endpoint;
        let lane = self.by_endpoint.get_mut(&id).expect("a lane with reserved room is not forgotten");
        lane.reserved -= 1;
        if !self.open || !lane.prepared.is_enabled() {
            self.bytes = self.bytes.saturating_sub(cost(handed.message.payload.len()));
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
        while let Some(id) = self.board.next() {
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
                self.board.ticking = false;
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
        if lane.in_flight.remove(&ended.token).is_none() {
            return;
        }
        self.board.ring(lane.pace).held -= 1;
        lane.unsettled += 1;
        self.unsettled += 1;
        lane.used = now;
        lane.record(ended.took, ended.health);
        if lane.pace != Pace::Fast && ended.took < limits::SLOW_AFTER && !lane.drags(now) {
            self.board.set_pace(lane, Pace::Fast);
        }
        self.board.enter(ended.endpoint, lane);
    }

    /// Gives the room of a delivery back that is settled, dropped or given back. `due` is when it is due again.
    pub(crate) fn settled(&mut self, id: EndpointId, bytes: usize, due: Option<Timestamp>) {
        self.bytes = self.bytes.saturating_sub(cost(bytes));
        if let Some(lane) = self.by_endpoint.get_mut(&id) {
            lane.unsettled -= 1;
            self.unsettled -= 1;
            lane.unstall();
            if let Some(due) = due {
                lane.next_due = Some(lane.next_due.map_or(due, |known| known.min(due)));
                lane.retry_due = Some(lane.retry_due.map_or(due, |known| known.min(due)));
            }
        }
        self.list(id);
    }

    /// Lets time pass: lanes that drag turn slow, lanes whose rate allows another attempt stand in their ring again.
    /// Returns when it wants to be asked again.
    pub(crate) fn tick(&mut self, now: Duration) -> Option<Duration> {
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
        if self.board.may_drag() {
            for lane in self.by_endpoint.values_mut() {
                if lane.pace != Pace::Slow && lane.drags(now) {
                    self.board.set_pace(lane, Pace::Slow);
                }
            }
        }
        let rated = self.board.rated.first().map(|(at, _)| *at);
        let slow = self.board.may_drag().then(|| now + limits::SLOW_AFTER / 10);
        let next = rated.into_iter().chain(slow).min();
        self.board.ticking = next.is_some();
        next
    }

    /// Whether time must pass sooner than the last tick asked for; says so once.
    pub(crate) fn wants_tick(&mut self) -> bool {
        let wanted = !self.board.ticking && (self.board.may_drag() || !self.board.rated.is_empty());
        self.board.ticking |= wanted;
        wanted
    }

    /// Whether a lane stands in a ring.
    pub(crate) fn has_waiting(&self) -> bool {
        [&self.board.new, &self.board.fast, &self.board.slow].iter().any(|ring| !ring.waiting.is_empty())
    }

    // ---- claims ----------------------------------------------------------------------------------------------------

    /// Notes that the store holds something pending for an endpoint, due at `due`.
    pub(crate) fn hint(&mut self, id: EndpointId, due: Timestamp) {
        if let Some(lane) = self.by_endpoint.get_mut(&id) {
            lane.next_due = Some(lane.next_due.map_or(due, |known| known.min(due)));
            self.list(id);
        } else {
            let known = self.strangers.entry(id).or_insert(due);
            *known = due.min(*known);
        }
    }

    /// Notes what a sweep of the due index found: like a hint, and whatever stalled is asked again.
    pub(crate) fn swept(&mut self, id: EndpointId, due: Timestamp) {
        if let Some(lane) = self.by_endpoint.get_mut(&id) {
            lane.unstall();
        }
        self.hint(id, due);
    }

    /// When the next claim is due, if any.
    pub(crate) fn next_claim(&self) -> Option<Timestamp> {
        if !self.open || !self.has_claim_bytes() {
            return None;
        }
        let known = self.dues.first().map(|(due, _)| *due);
        known.into_iter().chain(self.strangers.values().min().copied()).min()
    }

    /// Endpoints with something due at `now` that have no lane.
    pub(crate) fn strangers(&mut self, now: Timestamp) -> Vec<EndpointId> {
        let due = |(id, due): (&EndpointId, &Timestamp)| (*due <= now).then_some(*id);
        self.strangers.iter().filter_map(due).take(limits::CLAIM_LANES).collect()
    }

    /// Gives an endpoint's lane its present form, or an enabled endpoint a lane; `None` when there is no such endpoint.
    pub(crate) fn introduce(&mut self, id: EndpointId, prepared: Option<Arc<Prepared>>, now: Duration) {
        let due = self.strangers.remove(&id);
        let Some(prepared) = prepared else { return };
        if let Some(lane) = self.by_endpoint.get_mut(&id) {
            lane.prepare(prepared, now);
            self.board.enter(id, lane);
        } else if prepared.is_enabled() {
            self.by_endpoint.insert(id, Lane::new(prepared, now));
        }
        if let Some(due) = due.filter(|_| self.knows(id)) {
            self.hint(id, due);
        }
    }

    /// The bytes that one lane may claim: what the largest message has, so that each lane gets at least one.
    fn claim_share(&self) -> usize {
        limits::API_BODY_BYTES.min(self.bytes_limit)
    }

    fn has_claim_bytes(&self) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(self.claim_share()) <= self.bytes_limit
    }

    /// The rooms to claim for at `now`, the longest due first; each stays reserved until [`Lanes::claimed`].
    pub(crate) fn claims(&mut self, now: Timestamp) -> Vec<Room> {
        let mut rooms = Vec::new();
        let mut left = limits::CLAIM_ROWS;
        while let Some(&(due, id)) = self.dues.first() {
            if !self.open || due > now || rooms.len() >= limits::CLAIM_LANES || left == 0 || !self.has_claim_bytes() {
                break;
            }
            self.dues.pop_first();
            let share = self.claim_share();
            let lane = self.by_endpoint.get_mut(&id).expect("a listed lane is not forgotten");
            lane.listed = None;
            lane.asking = Asking::UnderWay;
            // What is hinted while the claim is under way may be missing from its answer, so it is noted afresh.
            lane.next_due = None;
            lane.retry_due = lane.retry_due.filter(|at| *at > now);
            let count = lane.room().min(left);
            lane.reserved += count;
            left -= count;
            self.bytes += share;
            rooms.push(Room { endpoint: id, count, bytes: share });
        }
        rooms
    }

    /// Takes what a claim brought for one room of [`Lanes::claims`]. What cannot be taken, because the endpoint was
    /// disabled meanwhile or this node is stopping, is returned: the caller gives the leases back.
    pub(crate) fn claimed(&mut self, room: Room, brought: Vec<Handed>, next: Left, now: Timestamp) -> Vec<Handed> {
        let id = room.endpoint;
        let lane = self.by_endpoint.get_mut(&id).expect("a lane with reserved room is not forgotten");
        let overtaken = std::mem::replace(&mut lane.asking, Asking::Free) == Asking::Overtaken;
        lane.reserved -= room.count;
        self.bytes = self.bytes.saturating_sub(room.bytes);
        match next {
            Left::Known(due) => {
                let nothing = brought.is_empty() && lane.next_due.is_none() && !overtaken;
                if nothing && due.is_some_and(|due| due <= now) {
                    lane.asking = Asking::Stalled;
                }
                lane.next_due = lane.next_due.into_iter().chain(due).min();
            }
            Left::Unknown => lane.next_due = Some(now),
        }
        if !self.open || !lane.prepared.is_enabled() {
            lane.next_due = None;
            self.list(id);
            return brought;
        }
        for handed in brought {
            self.bytes += cost(handed.message.payload.len());
            lane.queue.push_back(handed);
        }
        self.board.enter(id, lane);
        self.list(id);
        Vec::new()
    }

    /// Lists or unlists a lane among those to claim for.
    fn list(&mut self, id: EndpointId) {
        let Some(lane) = self.by_endpoint.get_mut(&id) else { return };
        let due = if lane.asking == Asking::Stalled { lane.retry_due } else { lane.next_due };
        let wanted = due.filter(|_| lane.wants_claim());
        if lane.listed != wanted {
            if let Some(due) = lane.listed {
                self.dues.remove(&(due, id));
            }
            if let Some(due) = wanted {
                self.dues.insert((due, id));
            }
            lane.listed = wanted;
        }
    }

    // ---- change and end --------------------------------------------------------------------------------------------

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
        for handed in &drained {
            self.bytes = self.bytes.saturating_sub(cost(handed.message.payload.len()));
        }
        self.list(id);
        drained
    }

    /// Takes everything queued, and lets nothing in any more.
    pub(crate) fn close(&mut self) -> Vec<Handed> {
        self.open = false;
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

    /// Which deliveries wait or are in flight.
    pub(crate) fn keys(&self) -> BTreeSet<DeliveryKey> {
        self.by_endpoint.values().flat_map(Lane::keys).collect()
    }

    /// What the lanes hold.
    pub(crate) fn census(&self) -> Census {
        Census {
            lanes: self.by_endpoint.len(),
            slow: self.by_endpoint.values().filter(|lane| lane.pace == Pace::Slow).count(),
            in_flight: self.board.in_flight(),
            bytes: self.bytes,
        }
    }

    /// How many deliveries are in flight or not yet settled.
    pub(crate) fn unfinished(&self) -> usize {
        self.board.in_flight() + self.unsettled
    }
}

/// What a claim told about what is left.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Left {
    /// The earliest due time of what is still pending.
    Known(Option<Timestamp>),
    /// The claim failed; something is due still.
    Unknown,
}

#[cfg(test)]
mod tests;
