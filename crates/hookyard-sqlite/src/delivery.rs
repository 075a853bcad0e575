//! Deliveries as rows: which columns mean which state.

use hookyard_model::{
    ApplicationId, Delivery, DeliveryKey, DeliveryState, EndpointId, ExtraAttempt, Incarnation, MessageId, OrderKey,
    Seq, Timestamp, Trigger,
};
use hookyard_record::{decode_cancel, decode_fail};
use rusqlite::Row;

use crate::column::Columns;
use crate::fault::Attempted;

const TABLE: &str = "delivery";

/// Pending or leased.
pub(crate) const OPEN: i64 = 0;
/// Delivered, perhaps with an extra attempt.
pub(crate) const DELIVERED: i64 = 1;
/// Failed.
pub(crate) const FAILED: i64 = 2;
/// Cancelled.
pub(crate) const CANCELLED: i64 = 3;

/// A message's deliveries, by endpoint.
pub(crate) const OF_MESSAGE: &str = "SELECT d.message, e.id, d.state, d.reason, d.due, d.holder, d.order_key, d.charged, \
    d.round, d.variant, d.manual FROM delivery d JOIN endpoint e ON e.row = d.endpoint WHERE d.message = ?1 ORDER BY e.id";

/// What waits for an endpoint and is due, the longest due first; nothing that waits behind an order key.
pub(crate) const DUE: &str = "SELECT message, NULL, state, reason, due, holder, order_key, charged, round, variant, manual \
    FROM delivery INDEXED BY delivery_due WHERE endpoint = ?1 AND waits = 0 AND due IS NOT NULL AND due <= ?2 \
    AND holder IS NULL ORDER BY due, message LIMIT ?3";

/// The earliest due time of what waits for an endpoint, of those that wait behind an order key or of the others.
pub(crate) const FIRST_DUE: &str = "SELECT due FROM delivery INDEXED BY delivery_due WHERE endpoint = ?1 AND waits = ?2 \
    AND due IS NOT NULL AND holder IS NULL ORDER BY due LIMIT 1";

/// A row of [`OF_MESSAGE`] or [`DUE`], its public ids still open.
pub(crate) struct DeliveryRow {
    pub(crate) message: i64,
    pub(crate) state: DeliveryState,
    pub(crate) order_key: Option<OrderKey>,
    pub(crate) charged: u16,
    pub(crate) round: u16,
    pub(crate) variant: u8,
    pub(crate) trigger: Trigger,
}

impl DeliveryRow {
    /// Reads a row.
    pub(crate) fn read(row: &Row<'_>) -> Attempted<Self> {
        let columns = Columns::new(TABLE, row);
        let reason: Option<i64> = columns.get(3, "reason")?;
        let due = columns.time_or_null(4, "due")?;
        let holder = match columns.get::<Option<i64>>(5, "holder")? {
            None => None,
            Some(_) => Some(Incarnation(columns.number(5, "holder")?)),
        };
        let state = match (columns.get(2, "state")?, due, holder) {
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
            message: columns.get(0, "message")?,
            state,
            order_key: columns.get::<Option<i64>>(6, "order_key")?.map(OrderKey),
            charged: columns.number(7, "charged")?,
            round: columns.number(8, "round")?,
            variant: columns.number(9, "variant")?,
            trigger: if columns.get(10, "manual")? { Trigger::Manual } else { Trigger::Scheduled },
        })
    }

    /// The delivery, with the public ids of what it names.
    pub(crate) fn with_ids(self, message: MessageId, endpoint: EndpointId, application: ApplicationId) -> Delivery {
        Delivery {
            key: DeliveryKey { message, endpoint },
            application,
            seq: Seq(self.message.unsigned_abs()),
            state: self.state,
            order_key: self.order_key,
            charged: self.charged,
            round: self.round,
            variant: self.variant,
            trigger: self.trigger,
        }
    }
}

/// The endpoint's id of a row of [`OF_MESSAGE`].
pub(crate) fn endpoint_of(row: &Row<'_>) -> Attempted<EndpointId> {
    Columns::new(TABLE, row).id(1, "endpoint").map(EndpointId::from_raw)
}

/// The earlier of two due times, either of which may be missing.
pub(crate) fn earlier(a: Option<i64>, b: Option<i64>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
    .map(Timestamp::from_micros)
}
