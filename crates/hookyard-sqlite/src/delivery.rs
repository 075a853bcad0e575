//! Deliveries as rows: which columns mean which state.

use hookyard_model::{
    ApplicationId, Delivery, DeliveryKey, DeliveryState, EndpointId, MessageId, OrderKey, Seq, Trigger,
};
pub(crate) use hookyard_record::{CANCELLED, FAILED, OPEN, earlier};
use hookyard_record::{read_state, read_trigger};
use rusqlite::Row;

use crate::column::Columns;
use crate::fault::Attempted;

const TABLE: &str = "delivery";

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
        Ok(Self {
            message: columns.get(0, "message")?,
            state: read_state(&columns, 2)?,
            order_key: columns.get::<Option<i64>>(6, "order_key")?.map(OrderKey),
            charged: columns.get(7, "charged")?,
            round: columns.get(8, "round")?,
            variant: columns.get(9, "variant")?,
            trigger: read_trigger(&columns, 10)?,
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
    Columns::new(TABLE, row).get(1, "endpoint")
}
