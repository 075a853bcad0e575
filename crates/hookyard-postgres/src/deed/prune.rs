//! Removes what is over: a day at once where all of it is, and one by one what may go earlier.
//!
//! A day whose messages were kept as long as by default is left alone for its last hours: row by row it would cost as much
//! as it did to write, and it goes whole within a day. A day that is over and still owes something is reported and stays.

use hookyard_model::{RawId, Timestamp, limits};
use hookyard_ports::store::Swept;
use tokio_postgres::types::Type;

use super::mark;
use crate::column::{Columns, Id, bound, int};
use crate::fault::Attempted;
use crate::node::Deed;
use crate::partition::{self, Day};
use crate::transaction::Tx;

/// Messages that one step looks at for each that it may take: those that still owe something are passed over.
const EXAMINED: usize = 4;
/// How long changes are told to nodes that were away; after that they read everything again.
const CHANGES_KEPT: std::time::Duration = std::time::Duration::from_hours(24);

/// Messages whose retention is over, after a place, of the days from an id on.
pub(crate) const EXPIRED: &str = "SELECT id, expires, EXISTS (SELECT 1 FROM @owed o WHERE o.message = m.id) FROM @message m \
    WHERE expires <= $1 AND (expires, id) > ($2, $3) AND id >= $4 ORDER BY expires, id LIMIT $5";
/// Dedupe keys that ran out.
pub(crate) const KEYS: &str = "DELETE FROM @dedupe WHERE (application, kind, key) IN (SELECT application, kind, key \
    FROM @dedupe WHERE expires <= $1 LIMIT $2)";
/// Rollups older than the retention.
pub(crate) const ROLLUPS: &str = "DELETE FROM @rollup WHERE (endpoint, minute, incarnation) IN \
    (SELECT endpoint, minute, incarnation FROM @rollup WHERE minute < $1 LIMIT $2)";
/// Messages with all that hangs on them. They are in the days of the range.
pub(crate) const REMOVE: [&str; 4] = [
    "DELETE FROM @attempt WHERE message = ANY($1) AND message >= $2 AND message <= $3",
    "DELETE FROM @ended WHERE message = ANY($1) AND message >= $2 AND message <= $3",
    "DELETE FROM @dedupe WHERE message = ANY($1) AND message >= $2 AND message <= $3",
    "DELETE FROM @message WHERE id = ANY($1) AND id >= $2 AND id <= $3",
];
/// Messages that nobody resends meanwhile.
pub(crate) const HOLD: &str =
    "SELECT id FROM @message m WHERE id = ANY($1) AND id >= $2 AND id <= $3 FOR UPDATE SKIP LOCKED";
/// Those of these messages that owe something.
pub(crate) const OWING: &str = "SELECT DISTINCT message FROM @owed WHERE message = ANY($1)";
/// When the last message of a range may go.
pub(crate) const LAST: &str = "SELECT max(expires) FROM @message WHERE id >= $1 AND id < $2";
/// Whether messages of a range owe something.
pub(crate) const OWES: &str = "SELECT 1 FROM @owed WHERE message >= $1 AND message < $2 LIMIT 1";
/// Keys of messages of a range.
pub(crate) const KEYS_OF_DAY: &str = "DELETE FROM @dedupe WHERE (application, kind, key) IN (SELECT application, kind, key \
    FROM @dedupe WHERE message >= $1 AND message < $2 LIMIT $3)";
/// The highest id of a range.
pub(crate) const HIGHEST: &str = "SELECT id FROM @message WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT 1";
/// How many messages a range has, up to a limit.
pub(crate) const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM @message WHERE id >= $1 AND id < $2 LIMIT $3) m";
/// Changes that nobody waits for any more, save the last one, which says how far the cursors are.
pub(crate) const CHANGES: &str = "DELETE FROM @change WHERE cursor IN (SELECT cursor FROM @change WHERE at < $1 \
    AND cursor < (SELECT max(cursor) FROM @change) ORDER BY cursor LIMIT $2)";
/// Lives that ended long ago and hold nothing.
pub(crate) const LIVES: &str = "DELETE FROM @node n WHERE incarnation <> $1 AND heartbeat < $2 \
    AND NOT EXISTS (SELECT 1 FROM @owed o WHERE o.holder = n.incarnation)";
/// Marks of lives that are forgotten, the highest of which is remembered.
pub(crate) const MARKS: &str = "WITH gone AS (DELETE FROM @mark m WHERE NOT EXISTS (SELECT 1 FROM @node n \
    WHERE n.incarnation = m.incarnation) RETURNING highest) \
    INSERT INTO @meta AS t (name, value) SELECT 'highest_id', highest FROM gone ORDER BY highest DESC LIMIT 1 \
    ON CONFLICT (name) DO UPDATE SET value = greatest(t.value, excluded.value)";

/// Prunes row by row, from a day on.
pub(crate) struct Prune {
    pub(crate) now: Timestamp,
    pub(crate) limit: usize,
    /// Days before it are left to go whole.
    pub(crate) from: Day,
}

impl Deed for Prune {
    type Answer = Swept;

    async fn run(&self, tx: &Tx) -> Attempted<Swept> {
        let examined = self.limit.saturating_mul(EXAMINED);
        let expired = self.expired(tx, examined).await?;
        let came_to_end = expired.len() < examined;
        let mut taken: Vec<Id> = Vec::new();
        let mut to = None;
        for (id, expires, owes) in &expired {
            if taken.len() == self.limit {
                break;
            }
            to = Some((*expires, id.0));
            if !owes {
                taken.push(*id);
            }
        }
        let is_over = came_to_end && to == expired.last().map(|(id, expires, _)| (*expires, id.0));
        *tx.node().pruned_to.lock() = if is_over { None } else { to };
        let rows = remove(tx, taken).await?;
        let (now, limit) = (self.now.as_micros(), bound(self.limit));
        let keys = tx.execute(KEYS, &[(&now, Type::INT8), (&limit, Type::INT8)]).await?;
        let oldest = self.now.minus(limits::RETENTION).as_seconds().div_euclid(60);
        let rollups = tx.execute(ROLLUPS, &[(&oldest, Type::INT8), (&limit, Type::INT8)]).await?;
        let long_ago = self.now.minus(CHANGES_KEPT).as_micros();
        tx.execute(CHANGES, &[(&long_ago, Type::INT8), (&limit, Type::INT8)]).await?;
        let me = int(tx.node().incarnation.0);
        tx.execute(LIVES, &[(&me, Type::INT8), (&long_ago, Type::INT8)]).await?;
        tx.execute(MARKS, &[]).await?;
        let full = int(self.limit as u64).unsigned_abs();
        Ok(Swept { rows, more: !is_over || keys >= full || rollups >= full })
    }
}

impl Prune {
    async fn expired(&self, tx: &Tx, limit: usize) -> Attempted<Vec<(Id, i64, bool)>> {
        let (expires, id) = tx.node().pruned_to.lock().unwrap_or((i64::MIN, RawId::MIN));
        let (now, id, from, limit) = (self.now.as_micros(), Id(id), Id(self.from.first_id()), bound(limit));
        let parameters: [crate::column::Parameter<'_>; 5] = [
            (&now, Type::INT8),
            (&expires, Type::INT8),
            (&id, partition::ID),
            (&from, partition::ID),
            (&limit, Type::INT8),
        ];
        let read = |row| {
            let columns = Columns::new("message", row);
            Ok((columns.get(0, "id")?, columns.get(1, "expires")?, columns.get(2, "id")?))
        };
        tx.query(EXPIRED, &parameters).await?.iter().map(read).collect()
    }
}

/// Removes messages that owe nothing, with all that hangs on them, and tells how many went.
async fn remove(tx: &Tx, taken: Vec<Id>) -> Attempted<usize> {
    let mut taken = held(tx, HOLD, &taken).await?;
    let owing: Vec<Id> = {
        let rows = tx.query(OWING, &[(&taken, Type::BYTEA_ARRAY)]).await?;
        rows.iter().map(|row| Columns::new("owed", row).get(0, "message")).collect::<Attempted<_>>()?
    };
    taken.retain(|id| !owing.contains(id));
    let (Some(first), Some(last)) = (taken.iter().min(), taken.iter().max()) else { return Ok(0) };
    // Rows are gone whose ids must not be given out again.
    mark::remember(tx, last.0).await?;
    for statement in REMOVE {
        tx.execute(statement, &[(&taken, Type::BYTEA_ARRAY), (first, partition::ID), (last, partition::ID)]).await?;
    }
    Ok(taken.len())
}

async fn held(tx: &Tx, query: &str, ids: &[Id]) -> Attempted<Vec<Id>> {
    let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else { return Ok(Vec::new()) };
    let rows = tx.query(query, &[(&ids, Type::BYTEA_ARRAY), (first, partition::ID), (last, partition::ID)]).await?;
    rows.iter().map(|row| Columns::new("message", row).get(0, "id")).collect()
}

/// What becomes of the days that are old enough to go whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aged {
    /// The first day that is pruned row by row.
    pub(crate) from: Day,
    /// What the step removed.
    pub(crate) swept: Swept,
}

/// Drops the oldest day that is over, or clears the way for it.
pub(crate) struct Age {
    pub(crate) now: Timestamp,
    pub(crate) limit: usize,
}

impl Deed for Age {
    type Answer = Aged;

    async fn run(&self, tx: &Tx) -> Attempted<Aged> {
        let today = Day::at(self.now);
        for day in partition::days(tx).await? {
            let is_old = day.begins().plus(limits::RETENTION) <= self.now;
            let is_past = day.0 + 2 < today.0;
            if !is_past {
                return Ok(Aged { from: day, swept: Swept::default() });
            }
            let last = last_expires(tx, day).await?;
            let is_empty = last.is_none();
            if !is_empty && (!is_old || last > Some(self.now.plus(partition::LASTS).as_micros())) {
                return Ok(Aged { from: day, swept: Swept::default() });
            }
            if is_empty || last <= Some(self.now.as_micros()) {
                let swept = self.let_go(tx, day).await?;
                if swept.more {
                    return Ok(Aged { from: Day(day.0 + 1), swept });
                }
            }
        }
        Ok(Aged { from: today, swept: Swept::default() })
    }
}

impl Age {
    /// Drops a day that is over. It stays, and is reported, while it owes something.
    async fn let_go(&self, tx: &Tx, day: Day) -> Attempted<Swept> {
        let (first, end) = (Id(day.first_id()), Id(Day(day.0 + 1).first_id()));
        let range: [crate::column::Parameter<'_>; 2] = [(&first, partition::ID), (&end, partition::ID)];
        if tx.find(OWES, &range).await?.is_some() {
            // Once for each day that such a day stays.
            if tx.node().reported.lock().insert((day, Day::at(self.now))) {
                tracing::warn!(
                    day = %day.partition("message"),
                    "a day's messages are over and some deliveries are still owed; it stays until they are cancelled"
                );
            }
            return Ok(Swept::default());
        }
        tx.node().reported.lock().retain(|(reported, _)| *reported != day);
        let limit = bound(self.limit);
        let limited: [crate::column::Parameter<'_>; 3] =
            [(&first, partition::ID), (&end, partition::ID), (&limit, Type::INT8)];
        if tx.execute(KEYS_OF_DAY, &limited).await? > 0 {
            return Ok(Swept { rows: 0, more: true });
        }
        crate::lock::partitions(tx).await?;
        if !partition::days(tx).await?.contains(&day) {
            return Ok(Swept::default());
        }
        // Writers wait behind the lock on the tables, so it must come soon or not at all.
        tx.run("SET LOCAL lock_timeout = '1s'").await?;
        tx.run(&format!("LOCK TABLE @{} IN ACCESS EXCLUSIVE MODE", day.partition("message"))).await?;
        // A resend holds the message's row: it may have come between the look and the lock, and comes no more.
        if tx.find(OWES, &range).await?.is_some() {
            return Ok(Swept::default());
        }
        let rows = match tx.find(COUNT, &limited).await? {
            None => 0,
            Some(row) => Columns::new("message", &row).get(0, "count")?,
        };
        if let Some(row) = tx.find(HIGHEST, &range).await? {
            mark::remember(tx, Columns::new("message", &row).id(0, "id")?).await?;
        }
        tx.run(&day.drop()).await?;
        tx.node().forget_days();
        tracing::info!(day = %day.partition("message"), "a day's messages were dropped");
        Ok(Swept { rows, more: rows > 0 })
    }
}

async fn last_expires(tx: &Tx, day: Day) -> Attempted<Option<i64>> {
    let (first, end) = (Id(day.first_id()), Id(Day(day.0 + 1).first_id()));
    let row = tx.find(LAST, &[(&first, partition::ID), (&end, partition::ID)]).await?;
    row.as_ref().map_or(Ok(None), |row| Columns::new("message", row).get(0, "expires"))
}
