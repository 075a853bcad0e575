//! Accepting, resending and cancelling.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hookyard_model::{
    ApplicationId, CancelReason, Delivery, DeliveryKey, DeliveryState, ExtraAttempt, Incarnation, MessageId, Seq,
    Timestamp, Trigger,
};

use super::rows::{Rows, Taken};
use crate::store::{
    Accept, Acceptance, Accepted, Dedupe, DedupeKind, FirstState, Resend, Resent, Result, StoreError, StoredMessage,
};

type Key = (ApplicationId, DedupeKind, String);

fn key_of(application: ApplicationId, dedupe: &Dedupe) -> Key {
    (application, dedupe.kind, dedupe.key.clone())
}

impl Rows {
    /// Accepts all or none.
    pub(super) fn accept(&mut self, me: Incarnation, accepts: &[Accept]) -> Result<Accepted> {
        for Accept { message, .. } in accepts {
            let present = self.configuration.live(message.application);
            if present.is_none_or(|application| application.revision != message.revision) {
                return Ok(Accepted::Stale(message.application));
            }
        }
        let mut batch = Batch::default();
        let taken: Vec<Option<Acceptance>> =
            accepts.iter().map(|accept| batch.take(self, accept)).collect::<Result<_>>()?;
        let answers = accepts
            .iter()
            .zip(taken)
            .map(|(accept, duplicate)| duplicate.unwrap_or_else(|| Acceptance::New { seq: self.write(me, accept) }));
        Ok(Accepted::Committed(answers.collect()))
    }

    fn write(&mut self, me: Incarnation, accept: &Accept) -> Seq {
        let message = &accept.message;
        self.last_seq = Seq(self.last_seq.0 + 1);
        let seq = self.last_seq;
        self.remember(message.id.raw());
        for dedupe in &accept.dedupe {
            self.keys.insert(key_of(message.application, dedupe), Taken::by(message.id, dedupe));
        }
        if let Some(event_id) = &message.event_id {
            self.event_ids.insert((message.application, event_id.clone()), message.id);
        }
        for new in &accept.deliveries {
            let state = match new.state {
                FirstState::Leased => DeliveryState::Leased { holder: me, due: message.accepted },
                FirstState::Pending { due } => DeliveryState::Pending { due },
            };
            self.deliveries.put(Delivery {
                key: DeliveryKey { message: message.id, endpoint: new.endpoint },
                application: message.application,
                seq,
                state,
                order_key: new.order_key,
                charged: 0,
                round: 0,
                variant: 0,
                trigger: Trigger::Scheduled,
            });
        }
        self.messages.insert(message.id, StoredMessage { seq, message: Arc::clone(message) });
        seq
    }

    /// Makes a delivery due again by hand.
    pub(super) fn resend(&mut self, resend: &Resend) -> Resent {
        if let Some(dedupe) = &resend.idempotency
            && let Some(taken) = self.keys.get(&key_of(resend.application, dedupe))
            && taken.counts_at(resend.now)
        {
            return if taken.agrees_with(dedupe) { Resent::Repeated } else { Resent::Conflicting };
        }
        let stored = self.messages.get(&resend.key.message);
        let Some(stored) = stored.filter(|stored| stored.message.application == resend.application) else {
            return Resent::NotFound;
        };
        let endpoint = self.configuration.live_endpoint(resend.key.endpoint);
        if endpoint.is_none_or(|endpoint| endpoint.application != resend.application) {
            return Resent::NotFound;
        }
        if stored.message.payload.bytes().is_none() {
            return Resent::Expunged;
        }
        let (delivery, answer) = match self.deliveries.get(&resend.key) {
            Some(delivery) => match again_by_hand(delivery, resend.now) {
                Some(again) => again,
                None => return Resent::InFlight,
            },
            None => (first_by_hand(resend, stored.seq), Resent::Queued),
        };
        self.deliveries.put(delivery);
        if let Some(dedupe) = &resend.idempotency {
            self.keys.insert(key_of(resend.application, dedupe), Taken::by(resend.key.message, dedupe));
        }
        answer
    }

    /// Cancels what is pending.
    pub(super) fn cancel(&mut self, key: &DeliveryKey) -> bool {
        let Some(delivery) = self.deliveries.get(key) else { return false };
        if !matches!(delivery.state, DeliveryState::Pending { .. }) {
            return false;
        }
        let state = DeliveryState::Cancelled(CancelReason::ByHand);
        self.deliveries.put(Delivery { state, ..delivery.clone() });
        true
    }
}

fn first_by_hand(resend: &Resend, seq: Seq) -> Delivery {
    Delivery {
        key: resend.key,
        application: resend.application,
        seq,
        state: DeliveryState::Pending { due: resend.now },
        order_key: None,
        charged: 0,
        round: 0,
        variant: 0,
        trigger: Trigger::Manual,
    }
}

/// What a delivery becomes when it is resent; `None` when an attempt is in flight.
fn again_by_hand(delivery: &Delivery, now: Timestamp) -> Option<(Delivery, Resent)> {
    let by_hand = |state| Delivery { state, trigger: Trigger::Manual, ..delivery.clone() };
    match &delivery.state {
        DeliveryState::Pending { .. } => Some((by_hand(DeliveryState::Pending { due: now }), Resent::DueNow)),
        DeliveryState::Leased { .. } | DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { .. }) } => None,
        DeliveryState::Delivered { extra: None | Some(ExtraAttempt::Waiting { .. }) } => {
            let extra = Some(ExtraAttempt::Waiting { due: now });
            Some((by_hand(DeliveryState::Delivered { extra }), Resent::ExtraAttempt))
        }
        DeliveryState::Failed(_) | DeliveryState::Cancelled(_) => {
            let fresh = by_hand(DeliveryState::Pending { due: now });
            let round = delivery.round.saturating_add(1);
            Some((Delivery { round, charged: 0, variant: 0, ..fresh }, Resent::Queued))
        }
    }
}

/// What the messages of one batch take from each other, before any of them is written.
#[derive(Default)]
struct Batch {
    keys: BTreeMap<Key, Taken>,
    ids: BTreeSet<MessageId>,
}

impl Batch {
    /// The answer when a key is taken; else takes the keys.
    fn take(&mut self, rows: &Rows, accept: &Accept) -> Result<Option<Acceptance>> {
        let message = &accept.message;
        for dedupe in &accept.dedupe {
            let key = key_of(message.application, dedupe);
            let taken = self.keys.get(&key).or_else(|| rows.keys.get(&key));
            if let Some(taken) = taken.filter(|taken| taken.counts_at(message.accepted)) {
                let same_request = taken.agrees_with(dedupe);
                return Ok(Some(Acceptance::Duplicate { kind: dedupe.kind, message: taken.message, same_request }));
            }
        }
        if rows.messages.contains_key(&message.id) || !self.ids.insert(message.id) {
            return Err(StoreError::Conflict { constraint: "message id" });
        }
        let keys = accept.dedupe.iter();
        self.keys.extend(keys.map(|dedupe| (key_of(message.application, dedupe), Taken::by(message.id, dedupe))));
        Ok(None)
    }
}
