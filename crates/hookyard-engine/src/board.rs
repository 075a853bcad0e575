//! Slots and turns.
//!
//! Held by [`crate::lanes::Lanes`]. Lanes with work stand in the ring of their pace and take turns, one attempt each; the
//! board knows how many slots each pace holds and which ring is asked next, and nothing of what a lane queues.
//!
//! Attempts of lanes that are new or slow trickle: each opens a connection that may lead nowhere, and a thousand of them
//! at once would keep the processor from everything else for as long as that takes. So would their time limits, which
//! end as they began.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use hookyard_core::rate::Bucket;
use hookyard_model::{EndpointId, limits};

use crate::lane::{Lane, Pace};

/// Slots and turns of all lanes.
pub(crate) struct Board {
    new: Ring,
    fast: Ring,
    slow: Ring,
    /// Lanes that wait for their rate limit.
    pub(crate) rated: BTreeSet<(Duration, EndpointId)>,
    trickle: Bucket,
    /// When the next attempt of a lane that is new or slow may begin, if one has been kept waiting.
    pub(crate) trickles: Option<Duration>,
    slots: usize,
    /// Which ring is asked first; they take turns as well.
    first: usize,
    /// When time will be let pass the next time, as far as somebody was told.
    pub(crate) ticks: Option<Duration>,
}

/// The lanes of one pace that have work, and the slots that lanes of this pace hold.
#[derive(Default)]
pub(crate) struct Ring {
    waiting: VecDeque<EndpointId>,
    pub(crate) held: usize,
}

impl Board {
    const PACES: [Pace; 3] = [Pace::Fast, Pace::New, Pace::Slow];

    /// A board of so many slots.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            new: Ring::default(),
            fast: Ring::default(),
            slow: Ring::default(),
            rated: BTreeSet::new(),
            trickle: Bucket::spaced(limits::TRICKLE, limits::TRICKLE_AT_ONCE, Duration::ZERO),
            trickles: None,
            slots,
            first: 0,
            ticks: None,
        }
    }

    pub(crate) fn ring(&mut self, pace: Pace) -> &mut Ring {
        match pace {
            Pace::New => &mut self.new,
            Pace::Fast => &mut self.fast,
            Pace::Slow => &mut self.slow,
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.new.held + self.fast.held + self.slow.held
    }

    /// Whether an attempt of this pace may begin. What slow lanes hold beyond their share does not count against the
    /// fast ones, and new lanes have as many slots again: they leave them within [`limits::SLOW_AFTER`].
    pub(crate) fn has_slot(&self, pace: Pace) -> bool {
        let share = self.slots / limits::SLOW_SHARE;
        let free = match pace {
            Pace::New => self.new.held < self.slots,
            Pace::Fast => self.fast.held + self.slow.held.min(share) < self.slots,
            Pace::Slow => self.slow.held < share && self.fast.held + self.slow.held < self.slots,
        };
        free && self.in_flight() < limits::SLOTS_HARD
    }

    /// Whether an attempt is in flight that may turn its lane slow.
    pub(crate) fn may_drag(&self) -> bool {
        self.new.held + self.fast.held > 0
    }

    /// Whether a lane stands in a ring.
    pub(crate) fn has_waiting(&self) -> bool {
        [&self.new, &self.fast, &self.slow].iter().any(|ring| !ring.waiting.is_empty())
    }

    /// Lets a lane with work stand in the ring of its pace.
    pub(crate) fn enter(&mut self, id: EndpointId, lane: &mut Lane) {
        if !lane.waiting && lane.can_start() {
            lane.waiting = true;
            self.ring(lane.pace).waiting.push_back(id);
        }
    }

    /// Takes what a lane has in flight along to its new pace. A lane that turns fast leaves the ring of the others at once,
    /// where its turn may be long in coming; another stays where it stands until its turn.
    pub(crate) fn set_pace(&mut self, id: EndpointId, lane: &mut Lane, pace: Pace) {
        self.ring(lane.pace).held -= lane.in_flight.len();
        self.ring(pace).held += lane.in_flight.len();
        if pace == Pace::Fast && lane.waiting {
            let left = &mut self.ring(lane.pace).waiting;
            if let Some(place) = left.iter().position(|waiting| *waiting == id) {
                left.remove(place);
                self.fast.waiting.push_back(id);
            }
        }
        lane.pace = pace;
    }

    /// The next lane in turn that may have a slot at `now`.
    pub(crate) fn next(&mut self, now: Duration) -> Option<EndpointId> {
        self.first = (self.first + 1) % Self::PACES.len();
        let (tail, head) = Self::PACES.split_at(self.first);
        for pace in head.iter().chain(tail) {
            if self.ring(*pace).waiting.is_empty() || !self.has_slot(*pace) || !self.may_begin(*pace, now) {
                continue;
            }
            return self.ring(*pace).waiting.pop_front();
        }
        None
    }

    fn may_begin(&mut self, pace: Pace, now: Duration) -> bool {
        if pace == Pace::Fast {
            return true;
        }
        let taken = self.trickle.try_take(now);
        if let Err(wait) = taken
            && self.trickles.is_none()
        {
            self.trickles = Some(now + wait);
        }
        taken.is_ok()
    }
}
