//! Deliveries as rows: which columns mean which state, and in which of the two tables a delivery is.
//!
//! **Invariant:** a delivery is in `owed` exactly while an attempt is owed (pending, leased, or delivered with an extra
//! attempt), otherwise in `ended`. Every deed that moves one deletes and inserts it in one transaction.

use hookyard_model::{
    ApplicationId, Delivery, DeliveryKey, DeliveryState, EndpointId, ExtraAttempt, Incarnation, MessageId, OrderKey,
    Seq, Timestamp, Trigger,
};
use hookyard_record::{decode_cancel, decode_fail};
use tokio_postgres::Row;

use crate::column::Columns;
use crate::fault::Attempted;

const TABLE: &str = "delivery";

/// Pending or leased.
pub(crate) const OPEN: i16 = 0;
/// Delivered, perhaps with an extra attempt.
pub(crate) const DELIVERED: i16 = 1;
/// Failed.
pub(crate) const FAILED: i16 = 2;
/// Cancelled.
pub(crate) const CANCELLED: i16 = 3;

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
        let reason = columns.code_or_null(4, "reason")?;
        let due = columns.time_or_null(5, "due")?;
        let holder = match columns.get::<Option<i64>>(6, "holder")? {
            None => None,
            Some(_) => Some(Incarnation(columns.number(6, "holder")?)),
        };
        let state = match (columns.get(3, "state")?, due, holder) {
            (OPEN, Some(due), None) => DeliveryState::Pending { due },
            (OPEN, Some(due), Some(holder)) => DeliveryState::Leased { holder, due },
            (DELIVERED, None, None) => DeliveryState::Delivered { extra: None },
            (DELIVERED, Some(due), None) => DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { due }) },
            (DELIVERED, Some(due), Some(holder)) => {
                DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { holder, due }) }
            }
            (FAILED, None, None) => {
                DeliveryState::Failed(reason.and_then(decode_fail).ok_or_else(|| columns.corrupt("reason"))?)
            }
            (CANCELLED, None, None) => {
                DeliveryState::Cancelled(reason.and_then(decode_cancel).ok_or_else(|| columns.corrupt("reason"))?)
            }
            _ => return Err(columns.corrupt("state")),
        };
        Ok(Self {
            key: key(row)?,
            seq: Seq(columns.number(2, "seq")?),
            state,
            order_key: columns.get::<Option<i64>>(7, "order_key")?.map(OrderKey),
            charged: columns.number_of_integer(8, "charged")?,
            round: columns.number_of_integer(9, "round")?,
            variant: u8::try_from(columns.code(10, "variant")?).map_err(|_| columns.corrupt("variant"))?,
            trigger: if columns.get(11, "manual")? { Trigger::Manual } else { Trigger::Scheduled },
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
    Ok(DeliveryKey {
        message: MessageId::from_raw(columns.id(0, "message")?),
        endpoint: EndpointId::from_raw(columns.id(1, "endpoint")?),
    })
}

/// The earlier of two due times, either of which may be missing.
pub(crate) fn earlier(a: Option<i64>, b: Option<i64>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
    .map(Timestamp::from_micros)
}
