//! Locks that end with their transaction, by number.
//!
//! Every deed that takes several takes them in this order, and each kind in the order of its numbers, so that no two wait
//! for each other in a circle: imports, applications, order, changes. Should two do so all the same (rows are locked too), the
//! database ends one of them, and it runs again.
//!
//! Numbers are hashes into few buckets: a transaction over thousands of endpoints must not fill the server's table of
//! locks, and to wait for a stranger's transaction now and then costs little.

use std::collections::BTreeSet;

use hookyard_model::{ApplicationId, EndpointId};
use tokio_postgres::types::Type;

use crate::fault::Attempted;
use crate::schema::Schema;
use crate::transaction::Tx;

/// Locks of one kind in one schema.
const BUCKETS: u64 = 256;

const SHARED: &str = "SELECT pg_advisory_xact_lock_shared(n) FROM unnest($1) AS n";
const EXCLUSIVE: &str = "SELECT pg_advisory_xact_lock(n) FROM unnest($1) AS n";

/// FNV-1a: the same number on every node and in every version.
fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.iter().chain(&[0xff])) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// A lock's number: the upper bytes say which kind of which schema, the lowest which bucket.
fn number(schema: &Schema, kind: &str, of: &[u8]) -> i64 {
    let family = hash(&[b"hookyard", schema.name().as_bytes(), kind.as_bytes()]) & !(BUCKETS - 1);
    (family | (hash(&[of]) % BUCKETS)).cast_signed()
}

/// Held while the schema's form changes, or partitions are made or dropped.
pub(crate) fn migrations(schema: &Schema) -> i64 {
    number(schema, "form", b"")
}

/// Who uses a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Any number at once.
    Shared,
    /// One.
    Exclusive,
}

async fn take(tx: &Tx, numbers: BTreeSet<i64>, used: Use) -> Attempted<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = numbers.into_iter().collect();
    let query = match used {
        Use::Shared => SHARED,
        Use::Exclusive => EXCLUSIVE,
    };
    tx.query(query, &[(&numbers, Type::INT8_ARRAY)]).await.map(drop)
}

/// Keeps the configuration of applications as it is (shared), or to oneself in order to change it (exclusive).
pub(crate) async fn applications(
    tx: &Tx,
    applications: impl IntoIterator<Item = ApplicationId>,
    used: Use,
) -> Attempted<()> {
    let schema = &tx.node().schema;
    let numbers = applications.into_iter().map(|id| number(schema, "application", id.raw().as_bytes()));
    take(tx, numbers.collect(), used).await
}

/// Keeps out other imports: applications and endpoints are made by nobody else meanwhile.
pub(crate) async fn imports(tx: &Tx) -> Attempted<()> {
    let number = number(&tx.node().schema, "import", b"");
    take(tx, BTreeSet::from([number]), Use::Exclusive).await
}

/// Keeps the order of endpoints' deliveries to oneself: held by whoever opens or closes a delivery with an order key. What
/// is accepted under it has its place in the order before the next one draws.
pub(crate) async fn orders(tx: &Tx, endpoints: impl IntoIterator<Item = EndpointId>) -> Attempted<()> {
    let schema = &tx.node().schema;
    let numbers = endpoints.into_iter().map(|id| number(schema, "order", id.raw().as_bytes()));
    take(tx, numbers.collect(), Use::Exclusive).await
}

/// Keeps the list of changes to oneself, so that cursors are committed in their order.
pub(crate) async fn changes(tx: &Tx) -> Attempted<()> {
    let number = number(&tx.node().schema, "changes", b"");
    take(tx, BTreeSet::from([number]), Use::Exclusive).await
}

/// Keeps the partitions to oneself.
pub(crate) async fn partitions(tx: &Tx) -> Attempted<()> {
    take(tx, BTreeSet::from([migrations(&tx.node().schema)]), Use::Exclusive).await
}
