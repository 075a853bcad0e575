//! Claiming, settling, releasing and rescuing.

use std::sync::Arc;

use hookyard_model::{
    Attempt, AttemptId, CancelReason, Delivery, DeliveryKey, DeliveryState, EndpointId, Incarnation, Next, Timestamp,
    Trigger, limits,
};

use super::deliveries::{called_off, freed, holder};
use super::rows::Rows;
use crate::store::{Claim, ClaimedDelivery, Claims, Due, Result, Room, Settled, Settlement, StoreError};

impl Rows {
    /// Leases due deliveries to `me`.
    pub(super) fn claim(&mut self, me: Incarnation, claim: &Claim) -> Claims {
        let mut claims = Claims::default();
        for room in &claim.rooms {
            let next = if self.configuration.enabled_endpoint(room.endpoint).is_some() {
                self.claim_for(me, room, claim.now, &mut claims.deliveries);
                self.deliveries.first_due(room.endpoint)
            } else {
                None
            };
            claims.next.push((room.endpoint, next));
        }
        claims
    }

    fn claim_for(&mut self, me: Incarnation, room: &Room, now: Timestamp, claimed: &mut Vec<ClaimedDelivery>) {
        let endpoint = self.configuration.enabled_endpoint(room.endpoint).expect("the caller asked");
        let endpoint_revision = endpoint.revision;
        let (mut count, mut bytes) = (0, 0usize);
        for key in self.deliveries.due(room.endpoint, now) {
            if count == room.count || claimed.len() >= limits::CLAIM_ROWS {
                break;
            }
            let delivery = self.deliveries.get(&key).expect("the index names rows that exist").clone();
            if self.deliveries.is_behind(&delivery) {
                continue;
            }
            let message = Arc::clone(&self.messages.get(&key.message).expect("a delivery outlives no message").message);
            if message.payload.bytes().is_none() {
                let state = called_off(&delivery.state, CancelReason::Expunged);
                self.deliveries.put(Delivery { state, trigger: Trigger::Scheduled, ..delivery });
                continue;
            }
            if count > 0 && bytes.saturating_add(message.payload.len()) > room.bytes {
                break;
            }
            count += 1;
            bytes = bytes.saturating_add(message.payload.len());
            let state = delivery.state.leased_to(me).expect("what is due waits");
            let delivery = Delivery { state, ..delivery };
            self.deliveries.put(delivery.clone());
            claimed.push(ClaimedDelivery { delivery, message, endpoint_revision });
        }
    }

    /// Records one attempt and moves its delivery on.
    pub(super) fn settle(&mut self, me: Incarnation, settlement: Settlement) -> Settled {
        let held = self.deliveries.get(&settlement.key).filter(|delivery| holder(&delivery.state) == Some(me)).cloned();
        if self.attempts.contains_key(&settlement.attempt.id) {
            let goes_on = matches!(settlement.next, Next::Again { .. });
            return if goes_on && held.is_none() { Settled::LeaseLost } else { Settled::Moved };
        }
        self.log(settlement.attempt);
        let Some(delivery) = held else { return Settled::LeaseLost };
        self.deliveries.put(after(delivery, settlement.next));
        for announced in &settlement.operational {
            // Stale or taken: the attempt and the state must not wait for it, so it is dropped.
            let _ = self.accept(me, std::slice::from_ref(announced));
        }
        if let Some(change) = settlement.endpoint {
            self.configuration.change(settlement.key.endpoint, change);
        }
        Settled::Moved
    }

    /// Gives back what `me` holds of these.
    pub(super) fn release(&mut self, me: Incarnation, keys: &[DeliveryKey]) {
        for key in keys {
            let held = self.deliveries.get(key).filter(|delivery| holder(&delivery.state) == Some(me));
            if let Some(delivery) = held.cloned() {
                self.deliveries.put(Delivery { state: freed(&delivery.state, None), ..delivery });
            }
        }
    }

    /// What `me` holds, in the order of the keys.
    pub(super) fn held(&self, me: Incarnation, after: Option<DeliveryKey>, limit: usize) -> Vec<DeliveryKey> {
        self.deliveries.held_after(me, after, limit)
    }

    /// Frees what dead nodes hold, and logs it.
    pub(super) fn rescue(&mut self, me: Incarnation, now: Timestamp, attempt_ids: Vec<AttemptId>) -> Result<usize> {
        if attempt_ids.iter().any(|id| self.attempts.contains_key(id)) {
            return Err(StoreError::Conflict { constraint: "attempt id" });
        }
        let dead = |holder| self.is_dead(holder, me, now);
        let keys = self.deliveries.held_by(dead, attempt_ids.len());
        let freed_now = keys.len();
        for (key, id) in keys.into_iter().zip(attempt_ids) {
            let delivery = self.deliveries.get(&key).expect("the index names rows that exist").clone();
            self.log(Attempt::interrupted(id, delivery.key, delivery.application, delivery.trigger, now));
            self.deliveries.put(Delivery { state: freed(&delivery.state, Some(now)), ..delivery });
        }
        Ok(freed_now)
    }

    /// The enabled endpoints with something waiting.
    pub(super) fn due(&self, after: Option<EndpointId>, limit: usize) -> Vec<Due> {
        let endpoints = self.deliveries.waiting_endpoints().filter(|id| after.is_none_or(|after| *id > after));
        let enabled = endpoints.filter(|id| self.configuration.enabled_endpoint(*id).is_some());
        enabled
            .filter_map(|endpoint| Some(Due { endpoint, first: self.deliveries.first_due(endpoint)? }))
            .take(limit)
            .collect()
    }
}

/// What a held delivery becomes.
fn after(delivery: Delivery, next: Next) -> Delivery {
    if let Next::Again { charged, variant } = next {
        // The schedule of a delivered one is over; only the variant matters to its extra attempt.
        let charged =
            if matches!(delivery.state, DeliveryState::Delivered { .. }) { delivery.charged } else { charged };
        return Delivery { charged, variant, ..delivery };
    }
    let delivery = Delivery { trigger: Trigger::Scheduled, ..delivery };
    if matches!(delivery.state, DeliveryState::Delivered { .. }) {
        return Delivery { state: DeliveryState::Delivered { extra: None }, ..delivery };
    }
    match next {
        Next::Delivered | Next::StaysDelivered => {
            Delivery { state: DeliveryState::Delivered { extra: None }, ..delivery }
        }
        Next::Retry { due, charged, variant } => {
            Delivery { state: DeliveryState::Pending { due }, charged, variant, ..delivery }
        }
        Next::Failed { reason, charged } => Delivery { state: DeliveryState::Failed(reason), charged, ..delivery },
        Next::Cancelled { reason, charged } => {
            Delivery { state: DeliveryState::Cancelled(reason), charged, ..delivery }
        }
        Next::Again { .. } => delivery,
    }
}
