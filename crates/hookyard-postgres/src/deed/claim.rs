//! Leases what is due, for the lanes that have room.
//!
//! Rows that another node is looking at are passed over, not waited for: it takes them, or the next claim finds them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hookyard_model::{CancelReason, EndpointId, Message, MessageId, Revision, Timestamp, limits};
use hookyard_ports::store::{Claim, ClaimedDelivery, Claims, Room};
use hookyard_record::cancel_code;
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, bound, int};
use crate::delivery::{DeliveryRow, earlier, owed};
use crate::fault::{Attempted, Fault};
use crate::node::Deed;
use crate::order::Queue;
use crate::transaction::Tx;
use crate::{lock, message, order};

/// Deliveries of expunged messages that one claim calls off, at most; keeps the transaction short.
const CALLED_OFF: usize = limits::CLAIM_ROWS;

/// The endpoints that are enabled, with the revision of their present form.
pub(crate) const ENABLED: &str = "SELECT id, revision FROM @endpoint WHERE id = ANY($1) AND status = 0";
/// What is due for endpoints, as many for each as it has room for, the longest due first.
pub(crate) const DUE: &str = concat!(
    "SELECT d.* FROM unnest($1, $2) AS r(endpoint, room) CROSS JOIN LATERAL (SELECT ",
    owed!(),
    ", o.bytes FROM @owed o WHERE o.endpoint = r.endpoint AND NOT o.waits AND o.holder IS NULL AND o.due <= $3 \
     ORDER BY o.due, o.seq LIMIT r.room FOR UPDATE SKIP LOCKED) d LIMIT $4"
);
/// Deliveries get a holder. Said in a way that no index answers but the one that names each: the one of what waits would be
/// read as far as the endpoint's goes, those just leased included.
pub(crate) const LEASE: &str = "UPDATE @owed o SET holder = $1 FROM unnest($2, $3) AS k(message, endpoint) \
    WHERE o.message = k.message AND o.endpoint = k.endpoint AND coalesce(o.holder, 0) = 0";
/// The earliest due time of what waits for endpoints: of what waits for nothing else, and of what waits for an earlier one.
pub(crate) const FIRST_DUE: &str = "SELECT r.endpoint, (SELECT o.due FROM @owed o WHERE o.endpoint = r.endpoint \
    AND NOT o.waits AND o.holder IS NULL ORDER BY o.due LIMIT 1), (SELECT o.due FROM @owed o \
    WHERE o.endpoint = r.endpoint AND o.waits AND o.holder IS NULL ORDER BY o.due LIMIT 1) \
    FROM unnest($1) AS r(endpoint)";
/// Calls off what waits; a delivered one stays delivered without its extra attempt.
pub(crate) const CALL_OFF: &str = "WITH gone AS (DELETE FROM @owed o USING unnest($2, $3) AS k(message, endpoint) \
    WHERE o.message = k.message AND o.endpoint = k.endpoint AND o.holder IS NULL RETURNING o.*) \
    INSERT INTO @ended (message, endpoint, seq, state, reason, order_key, charged, round, variant) \
    SELECT message, endpoint, seq, CASE state WHEN 0 THEN 3 ELSE 1 END, CASE state WHEN 0 THEN $1 END, order_key, \
    charged, round, variant FROM gone";

impl Deed for Claim {
    type Answer = Claims;

    async fn run(&self, tx: &Tx) -> Attempted<Claims> {
        let ids: Vec<Id> = self.rooms.iter().map(|room| Id(room.endpoint.raw())).collect();
        let mut enabled = HashMap::new();
        for row in tx.query(ENABLED, &[(&ids, Type::BYTEA_ARRAY)]).await? {
            let columns = Columns::new("endpoint", &row);
            enabled.insert(EndpointId::from_raw(columns.id(0, "id")?), Revision(columns.get(1, "revision")?));
        }
        let mut work = Work { now: self.now, enabled, claimed: Vec::new(), messages: HashMap::new(), called_off: 0 };
        let rooms = self.rooms.iter().filter(|room| work.enabled.contains_key(&room.endpoint));
        let mut rooms: BTreeMap<EndpointId, Left> = rooms.map(|room| (room.endpoint, Left::of(room))).collect();
        while !rooms.is_empty() && work.claimed.len() < limits::CLAIM_ROWS {
            work.round(tx, &mut rooms).await?;
        }
        let first = first_due(tx, work.enabled.keys().copied()).await?;
        let next = self.rooms.iter().map(|room| (room.endpoint, first.get(&room.endpoint).copied())).collect();
        Ok(Claims { deliveries: work.claimed, next })
    }
}

/// What a lane's room still takes.
struct Left {
    count: usize,
    bytes: usize,
    taken: usize,
    used: usize,
}

impl Left {
    fn of(room: &Room) -> Self {
        Self { count: room.count, bytes: room.bytes, taken: 0, used: 0 }
    }
}

struct Work {
    now: Timestamp,
    enabled: HashMap<EndpointId, Revision>,
    claimed: Vec<ClaimedDelivery>,
    /// Messages that were read already: one that several endpoints are owed is kept once.
    messages: HashMap<MessageId, Arc<Message>>,
    called_off: usize,
}

impl Work {
    /// Fills rooms as far as what is due now goes; leaves those that may take more because something was called off.
    async fn round(&mut self, tx: &Tx, rooms: &mut BTreeMap<EndpointId, Left>) -> Attempted<()> {
        let most = limits::CLAIM_ROWS - self.claimed.len();
        rooms.retain(|_, left| left.count > 0);
        if rooms.is_empty() {
            return Ok(());
        }
        let (endpoints, counts): (Vec<Id>, Vec<i64>) =
            rooms.iter().map(|(id, left)| (Id(id.raw()), bound(left.count.min(most)))).unzip();
        let (now, most) = (self.now.as_micros(), bound(most));
        let parameters: [crate::column::Parameter<'_>; 4] =
            [(&endpoints, Type::BYTEA_ARRAY), (&counts, Type::INT8_ARRAY), (&now, Type::INT8), (&most, Type::INT8)];
        let (mut ended, mut again, mut expunged) = (HashSet::new(), HashSet::new(), Vec::new());
        let mut fitting = Vec::new();
        for row in &tx.query(DUE, &parameters).await? {
            let bytes = Columns::new("owed", row).get::<i32>(12, "bytes")?;
            let row = DeliveryRow::read(row)?;
            let endpoint = row.key.endpoint;
            let left = rooms.get_mut(&endpoint).ok_or_else(|| Fault::corrupt("owed", "endpoint", endpoint))?;
            if ended.contains(&endpoint) {
                continue;
            }
            // What was expunged takes no room.
            let Ok(bytes) = usize::try_from(bytes) else {
                again.insert(endpoint);
                expunged.push(row);
                continue;
            };
            // The first that does not fit ends the endpoint's share, so that a large one is not overtaken for ever.
            if left.taken > 0 && left.used.saturating_add(bytes) > left.bytes {
                ended.insert(endpoint);
                continue;
            }
            (left.count, left.taken) = (left.count - 1, left.taken + 1);
            left.used = left.used.saturating_add(bytes);
            fitting.push((row, bytes));
        }
        self.read_messages(tx, &fitting).await?;
        let mut leased = Vec::new();
        for (row, bytes) in fitting {
            let message = self.messages.get(&row.key.message);
            let message = message.ok_or_else(|| Fault::corrupt("owed", "message", row.key.message))?;
            if message.payload.bytes().is_some() {
                leased.push(row);
                continue;
            }
            // It was expunged since the row was read.
            if let Some(left) = rooms.get_mut(&row.key.endpoint) {
                (left.count, left.taken) = (left.count + 1, left.taken - 1);
                left.used = left.used.saturating_sub(bytes);
            }
            again.insert(row.key.endpoint);
            expunged.push(row);
        }
        self.called_off += expunged.len();
        call_off(tx, &expunged, CancelReason::Expunged).await?;
        self.lease(tx, leased).await?;
        let goes_on = self.called_off < CALLED_OFF;
        rooms.retain(|endpoint, _| goes_on && again.contains(endpoint));
        Ok(())
    }

    async fn read_messages(&mut self, tx: &Tx, due: &[(DeliveryRow, usize)]) -> Attempted<()> {
        let missing = due.iter().map(|(row, _)| row.key.message).filter(|id| !self.messages.contains_key(id));
        let mut ids: Vec<Id> = missing.map(|id| Id(id.raw())).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = message::by_ids(tx, &ids).await?;
        self.messages.extend(found.into_iter().map(|stored| (stored.message.id, stored.message)));
        Ok(())
    }

    async fn lease(&mut self, tx: &Tx, rows: Vec<DeliveryRow>) -> Attempted<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let holder = tx.node().incarnation;
        let (messages, endpoints): (Vec<Id>, Vec<Id>) =
            rows.iter().map(|row| (Id(row.key.message.raw()), Id(row.key.endpoint.raw()))).unzip();
        let me = int(holder.0);
        let parameters: [crate::column::Parameter<'_>; 3] =
            [(&me, Type::INT8), (&messages, Type::BYTEA_ARRAY), (&endpoints, Type::BYTEA_ARRAY)];
        if tx.execute(LEASE, &parameters).await? != rows.len() as u64 {
            return Err(Fault::Overtaken);
        }
        for row in rows {
            let key = row.key;
            let message = self.messages.get(&key.message).map(Arc::clone);
            let message = message.ok_or_else(|| Fault::corrupt("owed", "message", key.message))?;
            let endpoint_revision = self.enabled.get(&key.endpoint).copied();
            let endpoint_revision =
                endpoint_revision.ok_or_else(|| Fault::corrupt("owed", "endpoint", key.endpoint))?;
            let mut delivery = row.of(message.application);
            let leased = delivery.state.leased_to(holder);
            delivery.state = leased.ok_or_else(|| Fault::corrupt("owed", "holder", key.message))?;
            self.claimed.push(ClaimedDelivery { delivery, message, endpoint_revision });
        }
        Ok(())
    }
}

/// Calls off deliveries that wait, and lets those behind them go. The rows must be locked by this transaction, or the
/// endpoints' order.
pub(super) async fn call_off(tx: &Tx, rows: &[DeliveryRow], reason: CancelReason) -> Attempted<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let queues: BTreeSet<Queue> =
        rows.iter().filter(|row| row.is_open()).filter_map(|row| Some((row.key.endpoint, row.order_key?))).collect();
    lock::orders(tx, queues.iter().map(|(endpoint, _)| *endpoint)).await?;
    let (messages, endpoints): (Vec<Id>, Vec<Id>) =
        rows.iter().map(|row| (Id(row.key.message.raw()), Id(row.key.endpoint.raw()))).unzip();
    let reason = i16::from(cancel_code(reason));
    let parameters: [crate::column::Parameter<'_>; 3] =
        [(&reason, Type::INT2), (&messages, Type::BYTEA_ARRAY), (&endpoints, Type::BYTEA_ARRAY)];
    let called_off = tx.execute(CALL_OFF, &parameters).await?;
    order::advance(tx, &queues).await?;
    Ok(called_off)
}

async fn first_due(tx: &Tx, endpoints: impl Iterator<Item = EndpointId>) -> Attempted<HashMap<EndpointId, Timestamp>> {
    let ids: Vec<Id> = endpoints.map(|id| Id(id.raw())).collect();
    let mut first = HashMap::new();
    if ids.is_empty() {
        return Ok(first);
    }
    for row in tx.query(FIRST_DUE, &[(&ids, Type::BYTEA_ARRAY)]).await? {
        let columns = Columns::new("owed", &row);
        if let Some(due) = earlier(columns.get(1, "due")?, columns.get(2, "due")?) {
            first.insert(EndpointId::from_raw(columns.id(0, "endpoint")?), due);
        }
    }
    Ok(first)
}
