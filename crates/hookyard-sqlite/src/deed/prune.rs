//! Removes what is over.

use hookyard_model::{Timestamp, limits};
use hookyard_ports::store::Swept;
use rusqlite::params;

use crate::books::Books;
use crate::column::bound;
use crate::fault::Attempted;
use crate::writer::{Deed, Run};

/// Messages that one step looks at for each that it may take: those that still owe something are passed over.
const EXAMINED: usize = 4;
/// Rows of all tables that one step removes before it stops early; a fan-out to thousands of endpoints has many.
const REMOVED: usize = 20 * limits::SWEEP_ROWS;

/// Messages whose retention is over, after a place.
pub(crate) const EXPIRED: &str = "SELECT expires, seq FROM message INDEXED BY message_expires \
    WHERE expires <= ?1 AND (expires, seq) > (?2, ?3) ORDER BY expires, seq LIMIT ?4";
/// Whether a message still owes something.
pub(crate) const OWES: &str = "SELECT EXISTS (SELECT 1 FROM delivery WHERE message = ?1 AND due IS NOT NULL)";

/// Dedupe keys that ran out.
pub(crate) const KEYS: &str = "DELETE FROM dedupe WHERE (application, kind, key) IN (SELECT application, kind, key \
    FROM dedupe INDEXED BY dedupe_expires WHERE expires IS NOT NULL AND expires <= ?1 LIMIT ?2)";
/// Rollups older than the retention.
pub(crate) const ROLLUPS: &str = "DELETE FROM rollup WHERE (endpoint, minute) IN (SELECT endpoint, minute FROM rollup \
    INDEXED BY rollup_minute WHERE minute < ?1 LIMIT ?2)";
/// A message with all that hangs on it.
pub(crate) const REMOVE: [&str; 4] = [
    "DELETE FROM attempt WHERE message = ?1",
    "DELETE FROM delivery WHERE message = ?1",
    "DELETE FROM dedupe WHERE message = ?1",
    "DELETE FROM message WHERE seq = ?1",
];

/// Prunes.
pub(crate) struct Prune {
    pub(crate) now: Timestamp,
    pub(crate) limit: usize,
}

impl Deed for Prune {
    type Answer = Swept;

    fn run(&self, books: &mut Books<'_>) -> Run<Swept> {
        let examined = self.limit.saturating_mul(EXAMINED);
        let expired = expired(books, self.now, examined)?;
        let came_to_end = expired.len() < examined;
        let (mut rows, mut removed, mut to) = (0, 0, None);
        for place in &expired {
            if rows == self.limit || removed >= REMOVED {
                break;
            }
            to = Some(*place);
            let owes: bool = books.connection.prepare_cached(OWES)?.query_row([place.1], |row| row.get(0))?;
            if !owes {
                removed += remove(books, place.1)?;
                rows += 1;
            }
        }
        let is_over = came_to_end && to == expired.last().copied();
        books.pruned_to = if is_over { (i64::MIN, i64::MIN) } else { to.unwrap_or(books.pruned_to) };
        let limit = bound(self.limit);
        let keys = books.connection.prepare_cached(KEYS)?.execute([self.now.as_micros(), limit])?;
        let oldest = self.now.minus(limits::RETENTION).as_seconds().div_euclid(60);
        let rollups = books.connection.prepare_cached(ROLLUPS)?.execute([oldest, limit])?;
        if rows > 0 {
            // Rows are gone whose ids and places must not be given out again.
            books.marks.keep(books.connection)?;
        }
        let more = !is_over || keys >= self.limit || rollups >= self.limit;
        Ok(Ok(Swept { rows, more }))
    }
}

fn expired(books: &Books<'_>, now: Timestamp, limit: usize) -> Attempted<Vec<(i64, i64)>> {
    let mut statement = books.connection.prepare_cached(EXPIRED)?;
    let (expires, seq) = books.pruned_to;
    let rows = statement
        .query_map(params![now.as_micros(), expires, seq, bound(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes a message with all that hangs on it, and gives how many rows that were.
fn remove(books: &Books<'_>, message: i64) -> Attempted<usize> {
    let mut removed = 0;
    for query in REMOVE {
        removed += books.connection.prepare_cached(query)?.execute([message])?;
    }
    Ok(removed)
}
