//! The deliveries, with the orders in which they are looked for.
//!
//! Every change goes through [`Deliveries::put`], so that the indexes cannot disagree with the rows.

use std::collections::{BTreeMap, BTreeSet};

use hookyard_model::{
    Delivery, DeliveryKey, DeliveryState, EndpointId, ExtraAttempt, Incarnation, MessageId, OrderKey, RawId, Seq,
    StateKind, Timestamp,
};

/// When the next attempt is due, for what waits to be claimed.
pub(super) fn waits_until(state: &DeliveryState) -> Option<Timestamp> {
    match state {
        DeliveryState::Pending { due } | DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { due }) } => {
            Some(*due)
        }
        DeliveryState::Leased { .. }
        | DeliveryState::Delivered { extra: None | Some(ExtraAttempt::Leased { .. }) }
        | DeliveryState::Failed(_)
        | DeliveryState::Cancelled(_) => None,
    }
}

/// Who holds it, for what is leased.
pub(super) fn holder(state: &DeliveryState) -> Option<Incarnation> {
    match state {
        DeliveryState::Leased { holder, .. }
        | DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { holder, .. }) } => Some(*holder),
        DeliveryState::Pending { .. }
        | DeliveryState::Delivered { extra: None | Some(ExtraAttempt::Waiting { .. }) }
        | DeliveryState::Failed(_)
        | DeliveryState::Cancelled(_) => None,
    }
}

/// What a leased delivery is once its holder has lost it, due at `due` or when it was due; anything else stays.
pub(super) fn freed(state: &DeliveryState, at: Option<Timestamp>) -> DeliveryState {
    match state {
        DeliveryState::Leased { due, .. } => DeliveryState::Pending { due: at.unwrap_or(*due) },
        DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { due, .. }) } => {
            DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { due: at.unwrap_or(*due) }) }
        }
        DeliveryState::Pending { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Failed(_)
        | DeliveryState::Cancelled(_) => state.clone(),
    }
}

/// What a waiting delivery is once it will not be sent: the called-off state, or delivered as before.
pub(super) fn called_off(state: &DeliveryState, reason: hookyard_model::CancelReason) -> DeliveryState {
    match state {
        DeliveryState::Delivered { .. } => DeliveryState::Delivered { extra: None },
        DeliveryState::Pending { .. }
        | DeliveryState::Leased { .. }
        | DeliveryState::Failed(_)
        | DeliveryState::Cancelled(_) => DeliveryState::Cancelled(reason),
    }
}

fn is_open(state: &DeliveryState) -> bool {
    matches!(state.kind(), StateKind::Pending | StateKind::Leased)
}

/// All deliveries of a store.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    rows: BTreeMap<DeliveryKey, Delivery>,
    waiting: BTreeMap<EndpointId, BTreeSet<(Timestamp, Seq, MessageId)>>,
    held: BTreeSet<(Incarnation, DeliveryKey)>,
    ordered: BTreeMap<(EndpointId, OrderKey), BTreeSet<Seq>>,
}

impl Deliveries {
    pub(super) fn get(&self, key: &DeliveryKey) -> Option<&Delivery> {
        self.rows.get(key)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Delivery> {
        self.rows.values()
    }

    /// A message's deliveries, by endpoint.
    pub(super) fn of_message(&self, message: MessageId) -> impl Iterator<Item = &Delivery> {
        let first = DeliveryKey { message, endpoint: EndpointId::from_raw(RawId::MIN) };
        let last = DeliveryKey { message, endpoint: EndpointId::from_raw(RawId::MAX) };
        self.rows.range(first..=last).map(|(_, delivery)| delivery)
    }

    /// Writes a delivery in the place of the one with its key.
    pub(super) fn put(&mut self, delivery: Delivery) {
        self.remove(&delivery.key);
        let DeliveryKey { message, endpoint } = delivery.key;
        if let Some(due) = waits_until(&delivery.state) {
            self.waiting.entry(endpoint).or_default().insert((due, delivery.seq, message));
        }
        if let Some(holder) = holder(&delivery.state) {
            self.held.insert((holder, delivery.key));
        }
        if let Some(order_key) = delivery.order_key
            && is_open(&delivery.state)
        {
            self.ordered.entry((endpoint, order_key)).or_default().insert(delivery.seq);
        }
        self.rows.insert(delivery.key, delivery);
    }

    pub(super) fn remove(&mut self, key: &DeliveryKey) {
        let Some(old) = self.rows.remove(key) else { return };
        if let Some(due) = waits_until(&old.state)
            && let Some(waiting) = self.waiting.get_mut(&key.endpoint)
        {
            waiting.remove(&(due, old.seq, key.message));
            if waiting.is_empty() {
                self.waiting.remove(&key.endpoint);
            }
        }
        if let Some(holder) = holder(&old.state) {
            self.held.remove(&(holder, *key));
        }
        if let Some(order_key) = old.order_key
            && let Some(open) = self.ordered.get_mut(&(key.endpoint, order_key))
        {
            open.remove(&old.seq);
            if open.is_empty() {
                self.ordered.remove(&(key.endpoint, order_key));
            }
        }
    }

    /// What waits for an endpoint and is due at `now`, the longest due first.
    pub(super) fn due(&self, endpoint: EndpointId, now: Timestamp) -> Vec<DeliveryKey> {
        let waiting = self.waiting.get(&endpoint).into_iter().flatten();
        waiting
            .take_while(|(due, ..)| *due <= now)
            .map(|(.., message)| DeliveryKey { message: *message, endpoint })
            .collect()
    }

    /// The earliest due time of what waits for an endpoint.
    pub(super) fn first_due(&self, endpoint: EndpointId) -> Option<Timestamp> {
        self.waiting.get(&endpoint)?.first().map(|(due, ..)| *due)
    }

    /// Whether a delivery is open and an earlier one with the same order key is too.
    pub(super) fn is_behind(&self, delivery: &Delivery) -> bool {
        let Some(order_key) = delivery.order_key.filter(|_| is_open(&delivery.state)) else { return false };
        let open = self.ordered.get(&(delivery.key.endpoint, order_key));
        open.and_then(BTreeSet::first).is_some_and(|first| *first < delivery.seq)
    }

    /// What these incarnations hold, at most `limit`.
    pub(super) fn held_by(&self, dead: impl Fn(Incarnation) -> bool, limit: usize) -> Vec<DeliveryKey> {
        self.held.iter().filter(|(holder, _)| dead(*holder)).take(limit).map(|(_, key)| *key).collect()
    }

    /// What `holder` holds, after `after`.
    pub(super) fn held_after(&self, holder: Incarnation, after: Option<DeliveryKey>, limit: usize) -> Vec<DeliveryKey> {
        let mine =
            self.held.iter().filter(|(held_by, key)| *held_by == holder && after.is_none_or(|after| *key > after));
        mine.take(limit).map(|(_, key)| *key).collect()
    }

    /// Whether a message has something pending or leased, extra attempts included.
    pub(super) fn are_owed(&self, message: MessageId) -> bool {
        self.of_message(message)
            .any(|delivery| waits_until(&delivery.state).is_some() || holder(&delivery.state).is_some())
    }

    /// Every endpoint with something waiting.
    pub(super) fn waiting_endpoints(&self) -> impl Iterator<Item = EndpointId> {
        self.waiting.keys().copied()
    }
}
