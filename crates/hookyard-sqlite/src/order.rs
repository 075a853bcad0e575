//! Which deliveries wait for earlier ones.
//!
//! **Invariant:** of the open deliveries of an endpoint with the same order key, the one accepted first has `waits = 0` and
//! all others have `waits = 1`. So a claim finds what it may take without looking at what waits, however much that is.
//!
//! Every deed that opens or closes a delivery with an order key says so here.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::fault::Attempted;

/// The first open delivery of a key.
pub(crate) const FIRST: &str = "SELECT message, waits FROM delivery INDEXED BY delivery_order WHERE endpoint = ?1 \
    AND order_key = ?2 AND order_key IS NOT NULL AND state = 0 ORDER BY message LIMIT 1";

fn first(connection: &Connection, endpoint: i64, order_key: i64) -> Attempted<Option<(i64, bool)>> {
    let mut statement = connection.prepare_cached(FIRST)?;
    Ok(statement.query_row([endpoint, order_key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn set(connection: &Connection, message: i64, endpoint: i64, waits: bool) -> Attempted<()> {
    let mut statement =
        connection.prepare_cached("UPDATE delivery SET waits = ?3 WHERE message = ?1 AND endpoint = ?2")?;
    statement.execute(params![message, endpoint, waits])?;
    Ok(())
}

/// Whether a delivery that is about to be open waits for an earlier one. A later one that waited for nothing waits for it.
pub(crate) fn open(connection: &Connection, endpoint: i64, order_key: Option<i64>, message: i64) -> Attempted<bool> {
    let Some(order_key) = order_key else { return Ok(false) };
    match first(connection, endpoint, order_key)? {
        None => Ok(false),
        Some((earlier, _)) if earlier < message => Ok(true),
        Some((later, _)) => {
            set(connection, later, endpoint, true)?;
            Ok(false)
        }
    }
}

/// A delivery was just closed: the first of those that waited for it waits for nothing.
pub(crate) fn close(connection: &Connection, endpoint: i64, order_key: Option<i64>) -> Attempted<()> {
    let Some(order_key) = order_key else { return Ok(()) };
    if let Some((message, true)) = first(connection, endpoint, order_key)? {
        set(connection, message, endpoint, false)?;
    }
    Ok(())
}
