//! Leases what is due, for the lanes that have room.

use std::collections::HashMap;
use std::sync::Arc;

use hookyard_model::{CancelReason, DeliveryState, Message, OrderKey, Timestamp, limits};
use hookyard_ports::StoreError;
use hookyard_ports::store::{Claim, ClaimedDelivery, Claims, Room};
use hookyard_record::cancel_code;
use rusqlite::{OptionalExtension as _, params};

use crate::books::{Books, EndpointMark, Lease};
use crate::column::{bound, int};
use crate::delivery::{DeliveryRow, earlier};
use crate::fault::{Attempted, Fault};
use crate::writer::{Deed, Run};
use crate::{message, order};

/// Deliveries of expunged messages that one claim calls off, at most; keeps the transaction short.
const CALLED_OFF: usize = limits::CLAIM_ROWS;

/// Calls off what waits; a delivered one stays delivered without its extra attempt.
pub(crate) const CALL_OFF: &str = "UPDATE delivery SET state = iif(state = 0, 3, state), \
    reason = iif(state = 0, ?3, reason), due = NULL, holder = NULL, waits = 0, manual = 0 \
    WHERE message = ?1 AND endpoint = ?2";

/// Claims.
pub(crate) struct ClaimDue(pub(crate) Claim);

impl Deed for ClaimDue {
    type Answer = Claims;

    fn run(&self, books: &mut Books<'_>) -> Run<Claims> {
        let mut work = Work { now: self.0.now, claims: Claims::default(), messages: HashMap::new(), called_off: 0 };
        for room in &self.0.rooms {
            let next = match books.endpoint(room.endpoint)?.filter(EndpointMark::is_enabled) {
                None => None,
                Some(endpoint) => {
                    work.claim(books, &endpoint, room)?;
                    first_due(books, endpoint.row)?
                }
            };
            work.claims.next.push((room.endpoint, next));
        }
        Ok(Ok(work.claims))
    }
}

struct Work {
    now: Timestamp,
    claims: Claims,
    /// Messages that were read already: one that several endpoints are owed is kept once.
    messages: HashMap<i64, Arc<Message>>,
    called_off: usize,
}

impl Work {
    fn claim(&mut self, books: &mut Books<'_>, endpoint: &EndpointMark, room: &Room) -> Attempted<()> {
        let (mut count, mut bytes) = (0, 0_usize);
        loop {
            let left = (room.count - count).min(limits::CLAIM_ROWS.saturating_sub(self.claims.deliveries.len()));
            if left == 0 {
                return Ok(());
            }
            let due = due(books, endpoint.row, self.now, left)?;
            if due.is_empty() {
                return Ok(());
            }
            for row in due {
                let message = self.message(books, row.message)?;
                if message.payload.bytes().is_none() {
                    self.called_off += 1;
                    call_off(books, endpoint.row, &row, CancelReason::Expunged)?;
                    if self.called_off >= CALLED_OFF {
                        return Ok(());
                    }
                    continue;
                }
                if count > 0 && bytes.saturating_add(message.payload.len()) > room.bytes {
                    return Ok(());
                }
                count += 1;
                bytes = bytes.saturating_add(message.payload.len());
                self.lease(books, endpoint, row, message)?;
            }
        }
    }

    fn message(&mut self, books: &mut Books<'_>, seq: i64) -> Attempted<Arc<Message>> {
        if let Some(message) = self.messages.get(&seq) {
            return Ok(Arc::clone(message));
        }
        let found = books.hot.message.query_row([seq], |row| Ok(message::read(row))).optional()?;
        let stored = found.transpose()?.ok_or_else(|| Fault::corrupt("delivery", "message", seq))?;
        self.messages.insert(seq, Arc::clone(&stored.message));
        Ok(stored.message)
    }

    fn lease(
        &mut self,
        books: &mut Books<'_>,
        endpoint: &EndpointMark,
        row: DeliveryRow,
        message: Arc<Message>,
    ) -> Attempted<()> {
        let holder = books.shared.incarnation;
        books.hot.lease.execute(params![row.message, endpoint.row, int(holder.0)])?;
        let is_open = matches!(row.state, DeliveryState::Pending { .. });
        if is_open {
            books.marks.pending = books.marks.pending.saturating_sub(1);
            books.marks.leased += 1;
        }
        let order_key = row.order_key.map(|OrderKey(key)| key);
        let lease = Lease { message: row.message, order_key, is_open };
        let mut delivery = row.with_ids(message.id, endpoint.id, message.application);
        delivery.state = delivery.state.leased_to(holder).ok_or_else(|| {
            let error = format!("delivery {:?} is due and does not wait", delivery.key);
            Fault::Store(StoreError::Other(error))
        })?;
        books.know_lease(delivery.key, lease);
        self.claims.deliveries.push(ClaimedDelivery { delivery, message, endpoint_revision: endpoint.revision });
        Ok(())
    }
}

/// Calls off a delivery that waits.
pub(super) fn call_off(books: &mut Books<'_>, endpoint: i64, row: &DeliveryRow, reason: CancelReason) -> Attempted<()> {
    books.connection.prepare_cached(CALL_OFF)?.execute(params![row.message, endpoint, cancel_code(reason)])?;
    if matches!(row.state, DeliveryState::Pending { .. }) {
        books.marks.pending = books.marks.pending.saturating_sub(1);
        order::close(books.connection, endpoint, row.order_key.map(|OrderKey(key)| key))?;
    }
    Ok(())
}

fn due(books: &mut Books<'_>, endpoint: i64, now: Timestamp, limit: usize) -> Attempted<Vec<DeliveryRow>> {
    let mut rows = books.hot.due.query(params![endpoint, now.as_micros(), bound(limit)])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        due.push(DeliveryRow::read(row)?);
    }
    Ok(due)
}

fn first_due(books: &mut Books<'_>, endpoint: i64) -> Attempted<Option<Timestamp>> {
    let mut first = |waits: bool| books.hot.first_due.query_row(params![endpoint, waits], |row| row.get(0)).optional();
    Ok(earlier(first(false)?, first(true)?))
}
