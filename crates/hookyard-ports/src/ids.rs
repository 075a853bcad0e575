//! Mints ids for one node.

use std::sync::Arc;

use hookyard_model::{
    ApplicationId, AttemptId, EndpointId, JobId, MessageId, Minter, RawId, SourceId, TaskId, Timestamp,
};
use parking_lot::Mutex;

use crate::{Clock, Rng};

/// The one minter of a node, with the clock and the randomness it needs.
///
/// **Invariant:** every id is above all earlier ones of this node, those that the store remembers included.
pub struct Ids {
    minter: Mutex<Minter>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Ids {
    /// A minter that begins above `last`, which is what [`crate::Store::highest_id`] told.
    pub fn new(last: RawId, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { minter: Mutex::new(Minter::after(last)), clock, rng }
    }

    fn mint(&self) -> RawId {
        self.mint_at(self.clock.now())
    }

    fn mint_at(&self, now: Timestamp) -> RawId {
        self.minter.lock().mint(now, || {
            let mut random = [0; 15];
            self.rng.fill(&mut random);
            // The top bit stays clear, so that counting up inside a tick never wraps in practice.
            random[0] &= 0x7f;
            random
        })
    }

    /// A message's id; `now` is the accept time that the message carries.
    pub fn message(&self, now: Timestamp) -> MessageId {
        MessageId::from_raw(self.mint_at(now))
    }

    /// An attempt's id.
    pub fn attempt(&self) -> AttemptId {
        AttemptId::from_raw(self.mint())
    }

    /// An application's id.
    pub fn application(&self) -> ApplicationId {
        ApplicationId::from_raw(self.mint())
    }

    /// An endpoint's id.
    pub fn endpoint(&self) -> EndpointId {
        EndpointId::from_raw(self.mint())
    }

    /// A source's id.
    pub fn source(&self) -> SourceId {
        SourceId::from_raw(self.mint())
    }

    /// A job's id.
    pub fn job(&self) -> JobId {
        JobId::from_raw(self.mint())
    }

    /// A task's id.
    pub fn task(&self) -> TaskId {
        TaskId::from_raw(self.mint())
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ids").finish_non_exhaustive()
    }
}
