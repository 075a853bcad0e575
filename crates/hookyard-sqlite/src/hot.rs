//! The statements of the hot path, prepared once for the writer's connection.

use rusqlite::{Connection, Statement};

use crate::{attempt, delivery, message};

/// Writes a delivery as it begins.
pub(crate) const INSERT_DELIVERY: &str = "INSERT INTO delivery (message, endpoint, state, due, holder, waits, order_key, \
    charged, round, variant, manual) VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, 0, 0, 0, 0)";
/// A held delivery was taken, or its extra attempt is over.
pub(crate) const DELIVER: &str = "UPDATE delivery SET state = 1, due = NULL, holder = NULL, waits = 0, manual = 0 \
    WHERE message = ?1 AND endpoint = ?2 AND holder = ?3";
/// A held delivery is tried again later.
pub(crate) const RETRY: &str = "UPDATE delivery SET due = ?4, holder = NULL, manual = 0, charged = ?5, variant = ?6 \
    WHERE message = ?1 AND endpoint = ?2 AND holder = ?3";
/// A delivery gets a holder.
pub(crate) const LEASE: &str = "UPDATE delivery SET holder = ?3 WHERE message = ?1 AND endpoint = ?2";
/// A message's place in the order.
pub(crate) const SEQ: &str = "SELECT seq FROM message INDEXED BY message_id WHERE application = ?1 AND id = ?2";
/// Whether a delivery is held, and how it stands.
pub(crate) const HELD: &str =
    "SELECT state, order_key FROM delivery WHERE message = ?1 AND endpoint = ?2 AND holder = ?3";

/// The prepared statements.
pub(crate) struct Hot<'c> {
    pub(crate) begin: Statement<'c>,
    pub(crate) commit: Statement<'c>,
    pub(crate) insert_message: Statement<'c>,
    pub(crate) insert_delivery: Statement<'c>,
    pub(crate) insert_attempt: Statement<'c>,
    pub(crate) deliver: Statement<'c>,
    pub(crate) retry: Statement<'c>,
    pub(crate) lease: Statement<'c>,
    pub(crate) seq: Statement<'c>,
    pub(crate) held: Statement<'c>,
    pub(crate) message: Statement<'c>,
    pub(crate) due: Statement<'c>,
    pub(crate) first_due: Statement<'c>,
}

impl<'c> Hot<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
            insert_message: connection.prepare(message::INSERT)?,
            insert_delivery: connection.prepare(INSERT_DELIVERY)?,
            insert_attempt: connection.prepare(attempt::INSERT)?,
            deliver: connection.prepare(DELIVER)?,
            retry: connection.prepare(RETRY)?,
            lease: connection.prepare(LEASE)?,
            seq: connection.prepare(SEQ)?,
            held: connection.prepare(HELD)?,
            message: connection.prepare(message::BY_SEQ)?,
            due: connection.prepare(delivery::DUE)?,
            first_due: connection.prepare(delivery::FIRST_DUE)?,
        })
    }
}
