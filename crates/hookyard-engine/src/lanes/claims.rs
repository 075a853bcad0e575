//! Which lanes to claim for, and what comes of a claim.
//!
//! Called by the claiming loop, and by whatever learns that something is due. A lane is listed while it has room and
//! something due that is known; what is known are hints, and a sweep of the due index replaces what was missed.

use std::collections::BTreeSet;

use hookyard_model::{EndpointId, Timestamp, limits};
use hookyard_ports::Handed;
use hookyard_ports::store::Room;

use super::Lanes;
use crate::lane::{Asking, Listed, Pace};
use crate::memory::cost;

/// What a claim told about what is left.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Left {
    /// The earliest due time of what is still pending.
    Known(Option<Timestamp>),
    /// The claim failed; something is due still.
    Unknown,
}

impl Lanes {
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
        if !self.open || !self.memory.takes_claim(Pace::Fast) {
            return None;
        }
        let known = self.next_listed().map(|(due, _)| due);
        known.into_iter().chain(self.strangers.values().min().copied()).min()
    }

    /// The lane to claim for next.
    fn next_listed(&self) -> Option<(Timestamp, EndpointId)> {
        let of = |pace, dues: &BTreeSet<_>| self.memory.takes_claim(pace).then(|| dues.first().copied()).flatten();
        of(Pace::Fast, &self.dues).into_iter().chain(of(Pace::Slow, &self.slow_dues)).min()
    }

    fn table(&mut self, pace: Pace) -> &mut BTreeSet<(Timestamp, EndpointId)> {
        match pace {
            Pace::New | Pace::Fast => &mut self.dues,
            Pace::Slow => &mut self.slow_dues,
        }
    }

    /// Endpoints with something due at `now` that have no lane.
    pub(crate) fn strangers(&mut self, now: Timestamp) -> Vec<EndpointId> {
        let due = |(id, due): (&EndpointId, &Timestamp)| (*due <= now).then_some(*id);
        self.strangers.iter().filter_map(due).take(limits::CLAIM_LANES).collect()
    }

    /// The rooms to claim for at `now`, the longest due first; each stays reserved until [`Lanes::claimed`].
    pub(crate) fn claims(&mut self, now: Timestamp) -> Vec<Room> {
        let mut rooms = Vec::new();
        let mut left = limits::CLAIM_ROWS;
        while self.open && rooms.len() < limits::CLAIM_LANES && left > 0 {
            let Some((_, id)) = self.next_listed().filter(|(due, _)| *due <= now) else { break };
            let lane = self.by_endpoint.get_mut(&id).expect("a listed lane is not forgotten");
            if !lane.wants_claim() {
                // Fresh messages have filled it since it was listed; the next of them that is settled lists it again.
                self.unlist(id);
                continue;
            }
            let count = lane.room().min(left);
            lane.asking = Asking::UnderWay;
            // What is hinted while the claim is under way may be missing from its answer, so it is noted afresh.
            lane.next_due = None;
            lane.retry_due = lane.retry_due.filter(|at| *at > now);
            lane.reserved += count;
            left -= count;
            let share = self.memory.claim_share();
            self.memory.add(lane, share);
            self.unlist(id);
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
        self.memory.remove(lane, room.bytes);
        match next {
            Left::Known(due) => {
                let nothing = brought.is_empty() && lane.next_due.is_none() && !overtaken;
                if nothing && due.is_some_and(|due| due <= now) {
                    lane.asking = Asking::Stalled;
                }
                // Whoever was just served stands behind all that are due already: a backlog that flows out as fast as it
                // is claimed would keep the others from their turn until its end.
                lane.next_due = lane.next_due.into_iter().chain(due.map(|due| due.max(now))).min();
            }
            Left::Unknown => lane.next_due = Some(now),
        }
        if !self.open || !lane.prepared.is_enabled() {
            lane.next_due = None;
            self.list(id);
            return brought;
        }
        for handed in brought {
            self.memory.add(lane, cost(handed.message.payload.len()));
            lane.queue.push_back(handed);
        }
        self.board.enter(id, lane);
        self.list(id);
        Vec::new()
    }

    /// Lists or unlists a lane among those to claim for.
    pub(super) fn list(&mut self, id: EndpointId) {
        let Some(lane) = self.by_endpoint.get(&id) else { return };
        let due = if lane.asking == Asking::Stalled { lane.retry_due } else { lane.next_due };
        let wanted = due
            .filter(|_| lane.wants_claim() && self.memory.has_lane_room(lane))
            .map(|due| Listed { pace: lane.pace, due });
        if lane.listed != wanted {
            self.unlist(id);
            if let Some(Listed { pace, due }) = wanted {
                self.table(pace).insert((due, id));
                self.by_endpoint.get_mut(&id).expect("it was there").listed = wanted;
            }
        }
    }

    fn unlist(&mut self, id: EndpointId) {
        let listed = self.by_endpoint.get_mut(&id).and_then(|lane| lane.listed.take());
        if let Some(Listed { pace, due }) = listed {
            self.table(pace).remove(&(due, id));
        }
    }
}
