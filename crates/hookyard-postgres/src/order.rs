//! Which deliveries wait for earlier ones.
//!
//! **Invariant:** of the open deliveries of an endpoint with the same order key, the one accepted first has `waits = false`
//! and all others have `waits = true`. So a claim finds what it may take without looking at what waits, however much that
//! is.
//!
//! Every deed that opens or closes a delivery with an order key holds the endpoint's lock ([`crate::lock::orders`]) from
//! before it looks until it has committed, and says so here. Places in the order are drawn under the same lock, so they
//! are committed in their order, on however many nodes the messages are accepted.

use std::collections::BTreeSet;

use hookyard_model::{DeliveryKey, EndpointId, OrderKey, Seq};
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, int};
use crate::fault::Attempted;
use crate::transaction::Tx;

/// An endpoint and an order key: deliveries of one wait for each other.
pub(crate) type Queue = (EndpointId, OrderKey);

/// Of these keys, those that have an open delivery, with its place and id.
pub(crate) const FIRST: &str = "SELECT f.message, k.endpoint, k.order_key, f.seq FROM unnest($1, $2) AS k(endpoint, order_key) \
    CROSS JOIN LATERAL (SELECT o.message, o.seq FROM @owed o WHERE o.endpoint = k.endpoint AND o.order_key = k.order_key \
    AND o.order_key IS NOT NULL AND o.state = 0 ORDER BY o.seq LIMIT 1) f";
/// The first open delivery of each of these keys waits for nothing.
pub(crate) const ADVANCE: &str = "UPDATE @owed o SET waits = false FROM unnest($1, $2) AS k(endpoint, order_key) \
    CROSS JOIN LATERAL (SELECT x.message FROM @owed x WHERE x.endpoint = k.endpoint AND x.order_key = k.order_key \
    AND x.order_key IS NOT NULL AND x.state = 0 ORDER BY x.seq LIMIT 1) f \
    WHERE o.message = f.message AND o.endpoint = k.endpoint AND o.waits";
/// A delivery waits.
pub(crate) const WAIT: &str = "UPDATE @owed SET waits = true WHERE message = $1 AND endpoint = $2 AND state = 0";

fn columns(queues: &BTreeSet<Queue>) -> (Vec<Id>, Vec<i64>) {
    queues.iter().map(|(endpoint, OrderKey(key))| (Id(endpoint.raw()), *key)).unzip()
}

/// Those of these queues in which something is open already.
pub(crate) async fn busy(tx: &Tx, queues: &BTreeSet<Queue>) -> Attempted<BTreeSet<Queue>> {
    if queues.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (endpoints, keys) = columns(queues);
    let rows = tx.query(FIRST, &[(&endpoints, Type::BYTEA_ARRAY), (&keys, Type::INT8_ARRAY)]).await?;
    let read = |row| {
        let columns = Columns::new("owed", row);
        Ok((EndpointId::from_raw(columns.id(1, "endpoint")?), OrderKey(columns.get(2, "order_key")?)))
    };
    rows.iter().map(read).collect()
}

/// Whether a delivery that is about to be open again waits for an earlier one. A later one that waited for nothing waits
/// for it.
pub(crate) async fn reopen(tx: &Tx, key: &DeliveryKey, order_key: OrderKey, seq: Seq) -> Attempted<bool> {
    let (endpoints, keys) = ([Id(key.endpoint.raw())], [order_key.0]);
    let parameters = [(&endpoints.as_slice() as &_, Type::BYTEA_ARRAY), (&keys.as_slice() as &_, Type::INT8_ARRAY)];
    let Some(first) = tx.find(FIRST, &parameters).await? else { return Ok(false) };
    let columns = Columns::new("owed", &first);
    if columns.get::<i64>(3, "seq")? < int(seq.0) {
        return Ok(true);
    }
    let later = Id(columns.id(0, "message")?);
    tx.execute(WAIT, &[(&later, Type::BYTEA), (&Id(key.endpoint.raw()), Type::BYTEA)]).await?;
    Ok(false)
}

/// Deliveries of these queues were just closed: the first of those that waited for them waits for nothing.
pub(crate) async fn advance(tx: &Tx, queues: &BTreeSet<Queue>) -> Attempted<()> {
    if queues.is_empty() {
        return Ok(());
    }
    let (endpoints, keys) = columns(queues);
    tx.execute(ADVANCE, &[(&endpoints, Type::BYTEA_ARRAY), (&keys, Type::INT8_ARRAY)]).await.map(drop)
}
