//! Sweeping, pruning and expunging.

use std::sync::Arc;

use hookyard_model::{
    ApplicationId, CancelReason, Delivery, DeliveryKey, EndpointStatus, Message, MessageId, Payload, Timestamp,
    Trigger, limits,
};

use super::deliveries::{called_off, waits_until};
use super::rows::Rows;
use crate::store::{StoredMessage, Swept};

fn swept(rows: usize, limit: usize) -> Swept {
    Swept { rows, more: rows == limit }
}

impl Rows {
    /// Cancels what will never be sent.
    pub(super) fn sweep(&mut self, now: Timestamp, limit: usize) -> Swept {
        let over = |delivery: &Delivery| {
            let due = waits_until(&delivery.state)?;
            match self.configuration.endpoint(delivery.key.endpoint)?.status {
                EndpointStatus::Enabled => None,
                EndpointStatus::Archived { .. } => Some(CancelReason::EndpointRemoved),
                EndpointStatus::Disabled { since, .. } => {
                    (now > due.max(since).plus(limits::HELD)).then_some(CancelReason::HeldTooLong)
                }
            }
        };
        let all = self.deliveries.all().filter_map(|delivery| Some((delivery.clone(), over(delivery)?)));
        let cancelled: Vec<(Delivery, CancelReason)> = all.take(limit).collect();
        let rows = cancelled.len();
        for (delivery, reason) in cancelled {
            let state = called_off(&delivery.state, reason);
            self.deliveries.put(Delivery { state, trigger: Trigger::Scheduled, ..delivery });
        }
        swept(rows, limit)
    }

    /// Removes what is over.
    pub(super) fn prune(&mut self, now: Timestamp, limit: usize) -> Swept {
        let over =
            |stored: &&StoredMessage| stored.message.expires <= now && !self.deliveries.are_owed(stored.message.id);
        let gone: Vec<Arc<Message>> =
            self.messages.values().filter(over).take(limit).map(|stored| Arc::clone(&stored.message)).collect();
        for message in &gone {
            self.forget(message);
        }
        self.keys.retain(|_, taken| taken.counts_at(now));
        self.rollups.retain(|(_, minute), _| *minute >= now.minus(limits::RETENTION));
        swept(gone.len(), limit)
    }

    fn forget(&mut self, message: &Message) {
        let keys: Vec<DeliveryKey> = self.deliveries.of_message(message.id).map(|delivery| delivery.key).collect();
        for key in keys {
            self.deliveries.remove(&key);
        }
        self.attempts.retain(|_, attempt| attempt.message != message.id);
        self.keys.retain(|_, taken| taken.message != message.id);
        self.event_ids.retain(|_, id| *id != message.id);
        self.messages.remove(&message.id);
    }

    /// Removes a payload.
    pub(super) fn expunge(&mut self, application: ApplicationId, id: MessageId) -> bool {
        let stored = self.messages.get_mut(&id).filter(|stored| stored.message.application == application);
        let Some(stored) = stored else { return false };
        let message = Message { payload: Payload::Expunged, ..Message::clone(&stored.message) };
        stored.message = Arc::new(message);
        true
    }
}
