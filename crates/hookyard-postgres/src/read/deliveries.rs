//! A message's deliveries, what is held, and what is due.

use hookyard_model::{ApplicationId, Delivery, DeliveryKey, EndpointId, MessageId};
use hookyard_ports::store::Due;
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, bound, int};
use crate::delivery::{self, DeliveryRow, earlier};
use crate::fault::{Attempted, Fault};
use crate::node::Deed;
use crate::transaction::{Mode, Tx};

/// Whether a message is of an application.
pub(crate) const IS_OF: &str = "SELECT id FROM @message WHERE id = $1 AND application = $2";
/// What an incarnation holds, after a key.
pub(crate) const HELD_BY: &str = "SELECT message, endpoint FROM @owed WHERE holder = $1 AND (message, endpoint) > ($2, $3) \
    ORDER BY message, endpoint LIMIT $4";
/// The enabled endpoints after an id that have something that waits, each with the earliest due times of what waits for
/// nothing and of what waits for an earlier one. One or two index lookups for each enabled endpoint, however much waits.
pub(crate) const DUE: &str = "SELECT e.id, f.due, b.due FROM @endpoint e \
    LEFT JOIN LATERAL (SELECT o.due FROM @owed o WHERE o.endpoint = e.id AND NOT o.waits AND o.holder IS NULL \
    ORDER BY o.due LIMIT 1) f ON true LEFT JOIN LATERAL (SELECT o.due FROM @owed o WHERE o.endpoint = e.id AND o.waits \
    AND o.holder IS NULL ORDER BY o.due LIMIT 1) b ON true WHERE e.status = 0 AND e.id > $1 \
    AND (f.due IS NOT NULL OR b.due IS NOT NULL) ORDER BY e.id LIMIT $2";

/// A message's deliveries, by endpoint id.
pub(crate) struct OfMessage {
    pub(crate) application: ApplicationId,
    pub(crate) message: MessageId,
}

impl Deed for OfMessage {
    type Answer = Vec<Delivery>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Vec<Delivery>> {
        let (message, application) = (Id(self.message.raw()), Id(self.application.raw()));
        let parameters: [crate::column::Parameter<'_>; 2] = [(&message, Type::BYTEA), (&application, Type::BYTEA)];
        if tx.find(IS_OF, &parameters).await?.is_none() {
            return Ok(Vec::new());
        }
        let rows = tx.query(delivery::OF_MESSAGE, &[(&message, Type::BYTEA)]).await?;
        let read = |row| Ok::<_, Fault>(DeliveryRow::read(row)?.of(self.application));
        let mut deliveries = rows.iter().map(read).collect::<Attempted<Vec<_>>>()?;
        deliveries.sort_unstable_by_key(|delivery| delivery.key);
        Ok(deliveries)
    }
}

/// The deliveries that this incarnation holds, after a key.
pub(crate) struct Held {
    pub(crate) after: Option<DeliveryKey>,
    pub(crate) limit: usize,
}

impl Deed for Held {
    type Answer = Vec<DeliveryKey>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Vec<DeliveryKey>> {
        let me = int(tx.node().incarnation.0);
        let bytes = |raw: hookyard_model::RawId| raw.as_bytes().to_vec();
        let (message, endpoint) =
            self.after.map_or_else(Default::default, |key| (bytes(key.message.raw()), bytes(key.endpoint.raw())));
        let limit = bound(self.limit);
        let parameters: [crate::column::Parameter<'_>; 4] =
            [(&me, Type::INT8), (&message, Type::BYTEA), (&endpoint, Type::BYTEA), (&limit, Type::INT8)];
        tx.query(HELD_BY, &parameters).await?.iter().map(delivery::key).collect()
    }
}

/// The enabled endpoints with something that waits, after an id, each with its earliest due time.
pub(crate) struct ListDue {
    pub(crate) after: Option<EndpointId>,
    pub(crate) limit: usize,
}

impl Deed for ListDue {
    type Answer = Vec<Due>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Vec<Due>> {
        due(tx, self.after, self.limit).await
    }
}

/// The enabled endpoints with something that waits.
pub(crate) async fn due(tx: &Tx, after: Option<EndpointId>, limit: usize) -> Attempted<Vec<Due>> {
    let after = after.map_or(Vec::new(), |after| after.raw().as_bytes().to_vec());
    let mut due = Vec::new();
    for row in tx.query(DUE, &[(&after, Type::BYTEA), (&bound(limit), Type::INT8)]).await? {
        let columns = Columns::new("endpoint", &row);
        if let Some(first) = earlier(columns.get(1, "due")?, columns.get(2, "due")?) {
            due.push(Due { endpoint: columns.get(0, "id")?, first });
        }
    }
    Ok(due)
}
