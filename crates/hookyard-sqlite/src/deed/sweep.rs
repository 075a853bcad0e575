//! Calls off what is pending for endpoints that are gone, or off for too long.
//!
//! A reader looks for the endpoints first, so that many archived ones without anything pending cost the writer nothing.

use hookyard_model::{CancelReason, EndpointId, EndpointStatus, RawId, Timestamp, limits};
use hookyard_ports::store::Swept;
use rusqlite::{Connection, params};

use super::claim::call_off;
use crate::books::Books;
use crate::column::bound;
use crate::delivery::DeliveryRow;
use crate::fault::Attempted;
use crate::writer::{Deed, Run};

/// The endpoints that are not enabled and have something that waits.
pub(crate) const OFF: &str = "SELECT e.id FROM endpoint e INDEXED BY endpoint_off WHERE e.status IN (1, 2) \
    AND e.status <> 0 AND EXISTS \
    (SELECT 1 FROM delivery d INDEXED BY delivery_due WHERE d.endpoint = e.row AND d.due IS NOT NULL \
    AND d.holder IS NULL)";
/// What waits for an endpoint, due before a time.
pub(crate) const WAITING: &str = "SELECT message, NULL, state, reason, due, holder, order_key, charged, round, variant, \
    manual FROM delivery INDEXED BY delivery_due WHERE endpoint = ?1 AND waits = ?2 AND due IS NOT NULL AND due < ?3 \
    AND holder IS NULL ORDER BY due, message LIMIT ?4";

/// The endpoints to sweep.
pub(crate) fn off(connection: &Connection) -> Attempted<Vec<EndpointId>> {
    let mut statement = connection.prepare_cached(OFF)?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.map(|id| id.map(|id| EndpointId::from_raw(RawId::from_bytes(id)))).collect::<rusqlite::Result<_>>()?)
}

/// Sweeps some endpoints.
pub(crate) struct Sweep {
    pub(crate) endpoints: Vec<EndpointId>,
    pub(crate) now: Timestamp,
    pub(crate) limit: usize,
}

impl Deed for Sweep {
    type Answer = Swept;

    fn run(&self, books: &mut Books<'_>) -> Run<Swept> {
        let mut left = self.limit;
        for id in &self.endpoints {
            let Some(endpoint) = books.endpoint(*id)? else { continue };
            let over = match endpoint.status {
                EndpointStatus::Enabled => None,
                EndpointStatus::Archived { .. } => Some((CancelReason::EndpointRemoved, i64::MAX)),
                EndpointStatus::Disabled { since, .. } => {
                    let held_since = self.now.minus(limits::HELD);
                    (since < held_since).then_some((CancelReason::HeldTooLong, held_since.as_micros()))
                }
            };
            let Some((reason, before)) = over else { continue };
            // All are read before the first is called off, because that changes which wait behind an order key.
            let mut rows = waiting(books, endpoint.row, false, before, left)?;
            rows.extend(waiting(books, endpoint.row, true, before, left - rows.len())?);
            left -= rows.len();
            for row in rows {
                call_off(books, endpoint.row, &row, reason)?;
            }
        }
        Ok(Ok(Swept { rows: self.limit - left, more: left == 0 }))
    }
}

fn waiting(books: &Books<'_>, endpoint: i64, waits: bool, before: i64, limit: usize) -> Attempted<Vec<DeliveryRow>> {
    let mut statement = books.connection.prepare_cached(WAITING)?;
    let mut rows = statement.query(params![endpoint, waits, before, bound(limit)])?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next()? {
        waiting.push(DeliveryRow::read(row)?);
    }
    Ok(waiting)
}
