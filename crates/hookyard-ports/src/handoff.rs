//! How an accepted message reaches its lanes without being read back.
//!
//! The publisher reserves room before it accepts, accepts with the first attempts leased, and hands them over once the
//! store has said that they are on disk. Without room, the delivery is accepted as pending and the lane gets a hint; the
//! due index in the store is the truth either way.

use std::sync::Arc;

use hookyard_model::{Delivery, Endpoint, EndpointId, Message, Timestamp};

/// Takes accepted deliveries into lanes. Implemented by the engine; called by the publisher.
pub trait Handoff: Send + Sync + 'static {
    /// Reserves room for one delivery of `bytes` in the endpoint's lane. `false`: no room, accept it as pending.
    fn try_reserve(&self, endpoint: &Arc<Endpoint>, bytes: usize) -> bool;

    /// Gives room back that was reserved and will not be used.
    fn unreserve(&self, endpoint: EndpointId, bytes: usize);

    /// Takes a delivery that is leased to this node and on disk, into room that was reserved for it.
    fn hand_over(&self, handed: Handed);

    /// Says that a delivery of `endpoint` was accepted as pending and is due at `due`. A hint, may be lost.
    fn hint(&self, endpoint: EndpointId, due: Timestamp);
}

/// A leased delivery with its message. The endpoint is the lane's, in the form that it has when the attempt begins.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The delivery, leased.
    pub delivery: Delivery,
    /// Its message, payload included.
    pub message: Arc<Message>,
}

/// Room reserved in a lane; given back when dropped, unless [`Reservation::hand_over`] used it.
pub struct Reservation {
    handoff: Arc<dyn Handoff>,
    endpoint: EndpointId,
    bytes: usize,
    used: bool,
}

impl Reservation {
    /// Reserves room for one delivery, if the lane has any.
    pub fn try_new(handoff: &Arc<dyn Handoff>, endpoint: &Arc<Endpoint>, bytes: usize) -> Option<Self> {
        handoff.try_reserve(endpoint, bytes).then(|| Self {
            handoff: Arc::clone(handoff),
            endpoint: endpoint.id,
            bytes,
            used: false,
        })
    }

    /// Uses the room: the delivery is on disk and leased to this node.
    pub fn hand_over(mut self, handed: Handed) {
        self.used = true;
        self.handoff.hand_over(handed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.used {
            self.handoff.unreserve(self.endpoint, self.bytes);
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation")
            .field("endpoint", &self.endpoint)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// The handoff of a node that does not deliver: everything is accepted as pending.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHandoff;

impl Handoff for NoHandoff {
    fn try_reserve(&self, _: &Arc<Endpoint>, _: usize) -> bool {
        false
    }

    fn unreserve(&self, _: EndpointId, _: usize) {}

    fn hand_over(&self, _: Handed) {}

    fn hint(&self, _: EndpointId, _: Timestamp) {}
}
