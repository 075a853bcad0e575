//! Calls off what is pending for endpoints that are gone, or off for too long.

use hookyard_model::{CancelReason, EndpointId, Timestamp, limits};
use hookyard_ports::store::Swept;
use tokio_postgres::types::Type;

use super::claim::call_off;
use crate::column::{Columns, Id, bound};
use crate::configuration::ARCHIVED;
use crate::delivery::{DeliveryRow, owed};
use crate::fault::Attempted;
use crate::node::Deed;
use crate::transaction::Tx;

/// The endpoints that are not enabled and have something that waits.
pub(crate) const OFF: &str = "SELECT e.id, e.status, e.since FROM @endpoint e WHERE e.status <> 0 \
    AND (EXISTS (SELECT 1 FROM @owed o WHERE o.endpoint = e.id AND NOT o.waits AND o.holder IS NULL) \
    OR EXISTS (SELECT 1 FROM @owed o WHERE o.endpoint = e.id AND o.waits AND o.holder IS NULL))";
/// What waits for an endpoint, due before a time.
pub(crate) const WAITING: &str = concat!(
    "SELECT ",
    owed!(),
    " FROM @owed o WHERE o.endpoint = $1 AND o.waits = $2 AND o.holder IS NULL AND o.due < $3 ORDER BY o.due, o.seq LIMIT $4"
);

/// Sweeps.
pub(crate) struct Sweep {
    pub(crate) now: Timestamp,
    pub(crate) limit: usize,
}

impl Deed for Sweep {
    type Answer = Swept;

    async fn run(&self, tx: &Tx) -> Attempted<Swept> {
        let mut left = self.limit;
        for row in tx.query(OFF, &[]).await? {
            let columns = Columns::new("endpoint", &row);
            let id = EndpointId::from_raw(columns.id(0, "id")?);
            let (reason, before) = if columns.get::<i16>(1, "status")? == ARCHIVED {
                (CancelReason::EndpointRemoved, i64::MAX)
            } else {
                let held_since = self.now.minus(limits::HELD);
                if columns.get::<Timestamp>(2, "since")? >= held_since {
                    continue;
                }
                (CancelReason::HeldTooLong, held_since.as_micros())
            };
            // All are read before the first is called off, because that changes which wait behind an order key.
            let mut rows = waiting(tx, id, false, before, left).await?;
            rows.extend(waiting(tx, id, true, before, left - rows.len()).await?);
            let swept = call_off(tx, &rows, reason).await?;
            left = left.saturating_sub(usize::try_from(swept).unwrap_or(left));
            if left == 0 {
                break;
            }
        }
        Ok(Swept { rows: self.limit - left, more: left == 0 })
    }
}

async fn waiting(tx: &Tx, id: EndpointId, waits: bool, before: i64, limit: usize) -> Attempted<Vec<DeliveryRow>> {
    let (endpoint, limit) = (Id(id.raw()), bound(limit));
    let parameters: [crate::column::Parameter<'_>; 4] =
        [(&endpoint, Type::BYTEA), (&waits, Type::BOOL), (&before, Type::INT8), (&limit, Type::INT8)];
    tx.query(WAITING, &parameters).await?.iter().map(DeliveryRow::read).collect()
}
