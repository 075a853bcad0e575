//! Deliveries as rows: which columns mean which state, and in which of the two tables a delivery is.
//!
//! **Invariant:** a delivery is in `owed` exactly while an attempt is owed (pending, leased, or delivered with an extra
//! attempt), otherwise in `ended`. Every deed that moves one deletes and inserts it in one transaction.

use hookyard_model::{ApplicationId, Delivery, DeliveryKey, DeliveryState, OrderKey, Seq, Trigger};
pub(crate) use hookyard_record::{CANCELLED, DELIVERED, FAILED, earlier};
use hookyard_record::{read_state, read_trigger};
use tokio_postgres::Row;

use crate::column::Columns;
use crate::fault::Attempted;

const TABLE: &str = "delivery";

/// The columns that [`DeliveryRow::read`] reads, of `owed AS o`.
macro_rules! owed {
    () => {
        "o.message, o.endpoint, o.seq, o.state, NULL::int2, o.due, o.holder, o.order_key, o.charged, o.round, o.variant, \
         o.manual"
    };
}
pub(crate) use owed;

/// A message's deliveries, in any order.
pub(crate) const OF_MESSAGE: &str = concat!(
    "SELECT ",
    owed!(),
    " FROM @owed o WHERE o.message = $1 UNION ALL SELECT message, endpoint, seq, state, reason, NULL, NULL, order_key, \
     charged, round, variant, false FROM @ended WHERE message = $1"
);
/// One delivery.
pub(crate) const ONE: &str = concat!(
    "SELECT ",
    owed!(),
    " FROM @owed o WHERE o.message = $1 AND o.endpoint = $2 UNION ALL SELECT message, endpoint, seq, state, reason, NULL, \
     NULL, order_key, charged, round, variant, false FROM @ended WHERE message = $1 AND endpoint = $2"
);

/// A row of either table.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryRow {
    pub(crate) key: DeliveryKey,
    pub(crate) seq: Seq,
    pub(crate) state: DeliveryState,
    pub(crate) order_key: Option<OrderKey>,
    pub(crate) charged: u16,
    pub(crate) round: u16,
    pub(crate) variant: u8,
    pub(crate) trigger: Trigger,
}

impl DeliveryRow {
    /// Reads a row.
    pub(crate) fn read(row: &Row) -> Attempted<Self> {
        let columns = Columns::new(TABLE, row);
        Ok(Self {
            key: key(row)?,
            seq: Seq(columns.get(2, "seq")?),
            state: read_state(&columns, 3)?,
            order_key: columns.get::<Option<i64>>(7, "order_key")?.map(OrderKey),
            charged: columns.get(8, "charged")?,
            round: columns.get(9, "round")?,
            variant: columns.get(10, "variant")?,
            trigger: read_trigger(&columns, 11)?,
        })
    }

    /// The delivery, of its message's application.
    pub(crate) fn of(self, application: ApplicationId) -> Delivery {
        Delivery {
            key: self.key,
            application,
            seq: self.seq,
            state: self.state,
            order_key: self.order_key,
            charged: self.charged,
            round: self.round,
            variant: self.variant,
            trigger: self.trigger,
        }
    }

    /// Whether it is open (pending or leased), so that others may wait behind it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, DeliveryState::Pending { .. } | DeliveryState::Leased { .. })
    }
}

/// The key in the first two columns of a row.
pub(crate) fn key(row: &Row) -> Attempted<DeliveryKey> {
    let columns = Columns::new(TABLE, row);
    Ok(DeliveryKey { message: columns.get(0, "message")?, endpoint: columns.get(1, "endpoint")? })
}
