//! What was given out and what is open: numbers that rows alone would not tell, or not quickly.
//!
//! Ids and places in the order must never be given twice, also when the rows that had them were pruned; so they are kept
//! in `meta` every few thousand rows and before anything is pruned, and what came after is read from the rows at the next
//! start. The counts of what is open are kept at a clean stop and counted after a crash.

use hookyard_model::RawId;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::shared::Tally;

/// Rows that may be newer than what is kept: reading them at a start takes milliseconds.
const KEPT_EVERY: i64 = 4_096;

/// The numbers as of the present transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The place in the order that the next message gets.
    pub(crate) next_seq: i64,
    /// The highest id of anything.
    pub(crate) highest: RawId,
    /// Deliveries that are pending.
    pub(crate) pending: u64,
    /// Deliveries that are leased.
    pub(crate) leased: u64,
    /// Attempts logged since the marks were kept.
    pub(crate) attempts_since_kept: i64,
    seq_when_kept: i64,
}

impl Marks {
    /// Reads the marks at a start.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let kept_seq: i64 = meta(connection, "next_seq")?.unwrap_or(1);
        let kept_attempt: i64 = meta(connection, "attempt")?.unwrap_or(0);
        let kept_highest: Option<[u8; 20]> = meta(connection, "highest_id")?;
        let mut highest = kept_highest.unwrap_or_default();
        let mut newer = |query: &str, after: i64| -> rusqlite::Result<()> {
            let id: Option<[u8; 20]> = connection.query_row(query, [after], |row| row.get(0))?;
            highest = highest.max(id.unwrap_or_default());
            Ok(())
        };
        newer("SELECT max(id) FROM message WHERE seq >= ?1", kept_seq)?;
        newer("SELECT max(id) FROM attempt WHERE row > ?1", kept_attempt)?;
        newer("SELECT max(id) FROM application WHERE ?1 IS NOT NULL", 0)?;
        newer("SELECT max(id) FROM endpoint WHERE ?1 IS NOT NULL", 0)?;
        let last_seq: Option<i64> = connection.query_row("SELECT max(seq) FROM message", [], |row| row.get(0))?;
        let (pending, leased) = match (meta(connection, "pending")?, meta(connection, "leased")?) {
            (Some(pending), Some(leased)) => (i64::unsigned_abs(pending), i64::unsigned_abs(leased)),
            _ => count(connection)?,
        };
        connection.execute("DELETE FROM meta WHERE name IN ('pending', 'leased')", [])?;
        let next_seq = kept_seq.max(last_seq.unwrap_or(0) + 1);
        Ok(Self {
            next_seq,
            highest: RawId::from_bytes(highest),
            pending,
            leased,
            attempts_since_kept: 0,
            seq_when_kept: kept_seq,
        })
    }

    /// Whether it is time to keep them.
    pub(crate) const fn are_due(&self) -> bool {
        self.next_seq - self.seq_when_kept >= KEPT_EVERY || self.attempts_since_kept >= KEPT_EVERY
    }

    /// Keeps what was given out.
    pub(crate) fn keep(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let attempt: Option<i64> = connection.query_row("SELECT max(row) FROM attempt", [], |row| row.get(0))?;
        let mut write = connection.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
        write.execute(params!["next_seq", self.next_seq])?;
        write.execute(params!["highest_id", self.highest.as_bytes()])?;
        write.execute(params!["attempt", attempt.unwrap_or(0)])?;
        self.seq_when_kept = self.next_seq;
        self.attempts_since_kept = 0;
        Ok(())
    }

    /// Keeps everything, at a clean stop.
    pub(crate) fn keep_all(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.keep(connection)?;
        let mut write = connection.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
        write.execute(params!["pending", i64::try_from(self.pending).unwrap_or(i64::MAX)])?;
        write.execute(params!["leased", i64::try_from(self.leased).unwrap_or(i64::MAX)])?;
        Ok(())
    }

    /// Shows them to everybody.
    pub(crate) fn publish(&self, tally: &Tally) {
        tally.publish(self.pending, self.leased, self.highest);
    }
}

fn meta<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<Option<T>> {
    connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
}

/// What is pending and what is leased, counted in the small indexes.
fn count(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let count = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    Ok((count(COUNT_PENDING)?, count(COUNT_LEASED)?))
}

/// What is pending.
pub(crate) const COUNT_PENDING: &str = "SELECT count(*) FROM delivery INDEXED BY delivery_due \
    WHERE due IS NOT NULL AND holder IS NULL AND state = 0";
/// What is leased.
pub(crate) const COUNT_LEASED: &str =
    "SELECT count(*) FROM delivery INDEXED BY delivery_holder WHERE holder IS NOT NULL AND state = 0";
