//! Keeps account of the bytes that deliveries in memory hold, and says who may have more.
//!
//! Held by [`crate::lanes::Lanes`]. A receiver that hangs keeps what its lane holds for as long as its time limit, so no
//! lane may hold much of the whole, slow lanes together hold at most a share, and what comes fresh leaves room to what
//! waits in the store: otherwise one dead receiver of large messages would stop everybody's deliveries.

use hookyard_model::limits;

use crate::lane::{Lane, Pace};

/// What a message costs in memory beside its payload: the row, its strings, its place in the queue.
const MESSAGE_OVERHEAD: usize = 1024;

/// Bytes that a delivery of a payload of this size holds while it is in memory.
pub(crate) const fn cost(payload: usize) -> usize {
    payload + MESSAGE_OVERHEAD
}

/// Bytes held by all lanes.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    held: usize,
    /// What slow lanes hold of it.
    slow: usize,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, held: 0, slow: 0 }
    }

    /// Bytes held by all lanes.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// What slow lanes together may hold.
    fn slow_share(&self) -> usize {
        self.limit / limits::SLOW_SHARE
    }

    /// Whether slow lanes hold more than their share: some turned slow with much in their hands.
    pub(crate) fn is_slow_over(&self) -> bool {
        self.slow > self.slow_share()
    }

    /// Whether a lane may take an accepted message of `bytes` straight in.
    pub(crate) fn takes_fresh(&self, lane: &Lane, bytes: usize) -> bool {
        let fresh = self.limit - self.limit / limits::CLAIM_BYTES_SHARE;
        self.held.saturating_add(bytes) <= fresh
            && (lane.bytes == 0 || lane.bytes.saturating_add(bytes) <= self.limit / limits::LANE_BYTES_SHARE)
            && (lane.pace != Pace::Slow || self.slow.saturating_add(bytes) <= self.slow_share())
    }

    /// The bytes that one lane may claim: what the largest message has, so that each lane gets at least one.
    pub(crate) fn claim_share(&self) -> usize {
        limits::API_BODY_BYTES.min(self.limit)
    }

    /// Whether a claim may be made for a lane of this pace. Who holds nothing may always have one message.
    pub(crate) fn takes_claim(&self, pace: Pace) -> bool {
        let fits = |held: usize, limit: usize| held == 0 || held.saturating_add(self.claim_share()) <= limit;
        fits(self.held, self.limit) && (pace != Pace::Slow || fits(self.slow, self.slow_share()))
    }

    /// Whether a lane holds so little that a claim may add to it.
    pub(crate) fn has_lane_room(&self, lane: &Lane) -> bool {
        lane.bytes == 0 || lane.bytes.saturating_add(self.claim_share()) <= self.limit / limits::LANE_BYTES_SHARE
    }

    pub(crate) fn add(&mut self, lane: &mut Lane, bytes: usize) {
        lane.bytes += bytes;
        self.held += bytes;
        if lane.pace == Pace::Slow {
            self.slow += bytes;
        }
    }

    pub(crate) fn remove(&mut self, lane: &mut Lane, bytes: usize) {
        lane.bytes -= bytes;
        self.held -= bytes;
        if lane.pace == Pace::Slow {
            self.slow -= bytes;
        }
    }

    /// Takes what a lane holds along to its new pace; called before the lane has it.
    pub(crate) fn set_pace(&mut self, lane: &Lane, pace: Pace) {
        if lane.pace == Pace::Slow {
            self.slow -= lane.bytes;
        }
        if pace == Pace::Slow {
            self.slow += lane.bytes;
        }
    }
}
