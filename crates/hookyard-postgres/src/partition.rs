//! The days: a partition of each table that grows with the messages.
//!
//! A message's id says on which day it was minted, and deliveries and attempts are kept with it. Days are made ahead, and
//! when a message of another day comes (a clock may be anywhere), before the transaction that needs it. A day is attached
//! and not created in its place, because that does not lock out those who write to other days.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{EventTime, MessageId, RawId, Timestamp};
use tokio_postgres::types::Type;

use crate::column::Columns;
use crate::fault::Attempted;
use crate::node::{Deed, Node};
use crate::transaction::Tx;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Days that are there before they begin: a node that cannot make one for a while goes on.
const AHEAD: i64 = 3;
/// The tables, with how their days are kept. Messages and what has ended are written once; autovacuum must come all the
/// same, so that counting and searching by index need not read the rows, and long before the day is cold.
const TABLES: [(&str, &str); 3] = [
    ("message", "autovacuum_vacuum_insert_scale_factor = 0.1"),
    ("ended", "autovacuum_vacuum_insert_scale_factor = 0.1"),
    ("attempt", "autovacuum_vacuum_insert_scale_factor = 0.1"),
];

/// The days that are there: the partitions of `message`.
pub(crate) const DAYS: &str = "SELECT c.relname::text FROM pg_catalog.pg_inherits i \
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '@message'::regclass ORDER BY 1";

/// A day, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) i64);

impl Day {
    /// The day on which an id was minted.
    pub(crate) fn of(id: RawId) -> Self {
        Self::at(id.timestamp())
    }

    /// The day that holds a time.
    pub(crate) fn at(time: Timestamp) -> Self {
        Self(time.as_seconds().div_euclid(DAY))
    }

    /// When it begins.
    pub(crate) fn begins(self) -> Timestamp {
        Timestamp::from_seconds(self.0.saturating_mul(DAY))
    }

    /// The first id that may be of it.
    pub(crate) fn first_id(self) -> RawId {
        RawId::first_of(self.begins())
    }

    /// The name of its partitions, after the table's: `20260131`.
    fn name(self) -> String {
        let text = self.begins().to_string();
        let date = text.split('T').next().unwrap_or_default();
        date.chars().filter(char::is_ascii_digit).collect()
    }

    /// The day of a name.
    fn of_name(name: &str) -> Option<Self> {
        let (year, month, date) = (name.get(..4)?, name.get(4..6)?, name.get(6..8)?);
        let begins: EventTime = format!("{year}-{month}-{date}T00:00:00Z").parse().ok()?;
        let day = Self::at(begins.at());
        (day.name() == name).then_some(day)
    }

    /// The name of its partition of a table.
    pub(crate) fn partition(self, table: &str) -> String {
        format!("{table}_{}", self.name())
    }

    /// Makes its partition of a table.
    fn make(self, table: &str, storage: &str) -> String {
        let partition = self.partition(table);
        let (from, next) = (self.first_id(), Self(self.0 + 1));
        // Ids are clamped at the end of their range, and the last day holds all that is left.
        let is_last = Self::of(next.first_id()) != next;
        let to = if is_last { "MAXVALUE".to_owned() } else { literal(next.first_id()) };
        format!(
            "CREATE TABLE @{partition} (LIKE @{table} INCLUDING ALL) WITH ({storage}); \
             ALTER TABLE @{table} ATTACH PARTITION @{partition} FOR VALUES FROM ({}) TO ({to})",
            literal(from),
        )
    }

    /// Drops its partitions.
    pub(crate) fn drop(self) -> String {
        let tables: Vec<String> = TABLES.iter().map(|(table, _)| format!("@{}", self.partition(table))).collect();
        format!("DROP TABLE {}", tables.join(", "))
    }
}

/// An id as it stands in a statement that takes no parameters.
fn literal(id: RawId) -> String {
    format!("'\\x{}'", hex::encode(id.as_bytes()))
}

/// The days that are there.
pub(crate) async fn days(tx: &Tx) -> Attempted<BTreeSet<Day>> {
    let mut days = BTreeSet::new();
    for row in tx.query(DAYS, &[]).await? {
        let name: &str = Columns::new("message", &row).get(0, "partition")?;
        days.extend(name.strip_prefix("message_").and_then(Day::of_name));
    }
    Ok(days)
}

/// Makes days, save those that are there.
struct Make(BTreeSet<Day>);

impl Deed for Make {
    type Answer = BTreeSet<Day>;

    async fn run(&self, tx: &Tx) -> Attempted<BTreeSet<Day>> {
        crate::lock::partitions(tx).await?;
        let mut there = days(tx).await?;
        for day in &self.0 {
            if there.insert(*day) {
                for (table, storage) in TABLES {
                    tx.run(&day.make(table, storage)).await?;
                }
            }
        }
        Ok(there)
    }
}

impl Node {
    /// Sees to it that these messages have their days.
    pub(crate) async fn have_days(self: &Arc<Self>, messages: impl Iterator<Item = MessageId>) -> Attempted<()> {
        self.have(messages.map(|id| Day::of(id.raw())).collect()).await
    }

    /// Sees to it that the next days are there, before they begin.
    pub(crate) async fn have_days_ahead(self: &Arc<Self>, now: Timestamp) -> Attempted<()> {
        let today = Day::at(now);
        self.have((0..=AHEAD).map(|days| Day(today.0 + days)).collect()).await
    }

    async fn have(self: &Arc<Self>, wanted: BTreeSet<Day>) -> Attempted<()> {
        let is_there = {
            let there = self.days.lock();
            wanted.is_subset(&there)
        };
        if !is_there {
            let there = self.attempt(&Make(wanted)).await?;
            *self.days.lock() = there;
        }
        Ok(())
    }

    /// Forgets which days are there; they are looked for again.
    pub(crate) fn forget_days(&self) {
        self.days.lock().clear();
    }
}

/// How long a day lasts.
pub(crate) const LASTS: Duration = Duration::from_hours(24);

/// The type of a bound.
pub(crate) const ID: Type = Type::BYTEA;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_named_by_their_date() {
        for (seconds, name) in [(1_767_225_600, "20260101"), (1_767_225_599, "20251231"), (1_399_999_999, "20140513")] {
            let day = Day::at(Timestamp::from_seconds(seconds));
            assert_eq!(day.name(), name);
            assert_eq!(Day::of_name(name), Some(day));
        }
        for name in ["", "2026010", "20261301", "2026-1-1", "202601011"] {
            assert_eq!(Day::of_name(name), None, "{name}");
        }
    }

    #[test]
    fn every_id_is_of_a_day_that_holds_it() {
        for seconds in [1_400_000_000_i64, 1_767_225_600, 1_767_311_999, 5_694_967_295] {
            let id = RawId::first_of(Timestamp::from_seconds(seconds));
            let day = Day::of(id);
            assert!(day.first_id() <= id && (id < Day(day.0 + 1).first_id()), "{seconds}");
        }
        let last = Day::of(RawId::MAX);
        assert!(last.first_id() <= RawId::MAX && last.make("message", "x = 1").contains("MAXVALUE"), "{last:?}");
        assert!(Day::of(RawId::MIN).first_id() == RawId::MIN);
    }
}
