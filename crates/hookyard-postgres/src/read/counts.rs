//! Numbers for the operator, and how many deliveries may still be accepted.

use std::time::Duration;

use hookyard_model::StateKind;
use hookyard_ports::StoreError;
use hookyard_ports::store::Overview;
use tokio_postgres::types::Type;

use super::deliveries::due;
use crate::column::{Columns, int};
use crate::fault::Attempted;
use crate::node::{Deed, Node};
use crate::transaction::{Mode, Tx};

/// Deliveries that are counted one by one; beyond it the database's own estimate is as good and costs nothing.
const COUNTED: i64 = 100_000;
/// How long a count of what is open is good enough to accept by.
const OPEN_KEPT: Duration = Duration::from_secs(2);
/// How long a count of bytes is good enough to show.
const BYTES_KEPT: Duration = Duration::from_secs(30);

/// What is pending, up to a number.
pub(crate) const PENDING: &str =
    "SELECT count(*) FROM (SELECT 1 FROM @owed WHERE holder IS NULL AND state = 0 LIMIT $1) o";
/// What is leased, up to a number.
pub(crate) const LEASED: &str =
    "SELECT count(*) FROM (SELECT 1 FROM @owed WHERE holder IS NOT NULL AND state = 0 LIMIT $1) o";
/// About how many rows there are, as vacuum and analyze saw it last.
const ESTIMATE: &str = "SELECT greatest(reltuples, 0)::int8 FROM pg_catalog.pg_class WHERE oid = '@owed'::regclass";
/// Bytes of everything in the schema.
const BYTES: &str = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'";

async fn count(tx: &Tx, query: &str) -> Attempted<u64> {
    let Some(row) = tx.find(query, &[(&COUNTED, Type::INT8)]).await? else { return Ok(0) };
    Columns::new("owed", &row).get(0, "count")
}

/// What is pending and what is leased: exact up to [`COUNTED`] each, beyond it about right.
async fn open(tx: &Tx) -> Attempted<(u64, u64)> {
    let (mut pending, mut leased) = (count(tx, PENDING).await?, count(tx, LEASED).await?);
    let counted = COUNTED.unsigned_abs();
    if pending >= counted || leased >= counted {
        let estimate = match tx.find(ESTIMATE, &[]).await? {
            None => 0,
            Some(row) => Columns::new("owed", &row).get::<u64>(0, "count")?,
        };
        if pending >= counted {
            pending = pending.max(estimate.saturating_sub(leased));
        } else {
            leased = leased.max(estimate.saturating_sub(pending));
        }
    }
    Ok((pending, leased))
}

/// How many deliveries there is room for, by a count that is a few seconds old at most.
pub(crate) async fn room(tx: &Tx) -> Attempted<u64> {
    let node = tx.node();
    let now = node.clock.monotonic();
    let known = *node.open.lock();
    let open = match known {
        Some((counted, open)) if now.saturating_sub(counted) < OPEN_KEPT => open,
        Some(_) | None => {
            let (pending, leased) = open(tx).await?;
            *node.open.lock() = Some((now, pending + leased));
            pending + leased
        }
    };
    Ok(node.pending_limit.saturating_sub(open))
}

/// Deliveries were accepted since the count.
pub(crate) fn took(node: &Node, deliveries: u64) {
    if let Some((_, open)) = node.open.lock().as_mut() {
        *open = open.saturating_add(deliveries);
    }
}

/// That there is no room.
pub(crate) fn full(node: &Node) -> StoreError {
    let limit = node.pending_limit;
    StoreError::Full(format!("as many deliveries are pending or leased as may be, which is {limit}"))
}

/// What is open in all.
pub(crate) struct Look;

impl Deed for Look {
    type Answer = Overview;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Overview> {
        let (pending, leased) = open(tx).await?;
        let due = due(tx, None, usize::MAX).await?;
        Ok(Overview {
            open: vec![(StateKind::Pending, pending), (StateKind::Leased, leased)],
            oldest_due: due.into_iter().map(|due| due.first).min(),
            bytes: bytes(tx).await?,
        })
    }
}

async fn bytes(tx: &Tx) -> Attempted<u64> {
    let node = tx.node();
    let now = node.clock.monotonic();
    let known = *node.bytes.lock();
    if let Some((counted, bytes)) = known
        && now.saturating_sub(counted) < BYTES_KEPT
    {
        return Ok(bytes);
    }
    let Some(row) = tx.find(BYTES, &[(&node.schema.name(), Type::TEXT)]).await? else { return Ok(0) };
    let bytes: u64 = Columns::new("meta", &row).get(0, "bytes")?;
    node.metrics.store_bytes.set(int(bytes));
    *node.bytes.lock() = Some((now, bytes));
    Ok(bytes)
}
