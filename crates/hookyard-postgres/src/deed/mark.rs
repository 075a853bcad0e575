//! The highest id that was ever written, kept beyond its row.
//!
//! Messages, applications and endpoints are found by their primary keys; attempts are not found by id alone, and what was
//! pruned is not found at all. Each part of a node that logs attempts has a row of its own for the highest one, and
//! pruning leaves the highest message in `meta`.

use hookyard_model::RawId;
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, int};
use crate::fault::Attempted;
use crate::node::Deed;
use crate::transaction::{Mode, Tx};

/// Raises a mark.
pub(crate) const RAISE: &str = "INSERT INTO @mark AS m (incarnation, part, highest) VALUES ($1, $2, $3) \
    ON CONFLICT (incarnation, part) DO UPDATE SET highest = greatest(m.highest, excluded.highest)";
/// Raises what is remembered of pruned rows.
pub(crate) const REMEMBER: &str = "INSERT INTO @meta AS m (name, value) VALUES ('highest_id', $1) \
    ON CONFLICT (name) DO UPDATE SET value = greatest(m.value, excluded.value)";
/// The highest id of anything.
pub(crate) const HIGHEST: &str = "SELECT greatest((SELECT id FROM @message ORDER BY id DESC LIMIT 1), \
    (SELECT id FROM @application ORDER BY id DESC LIMIT 1), (SELECT id FROM @endpoint ORDER BY id DESC LIMIT 1), \
    (SELECT highest FROM @mark ORDER BY highest DESC LIMIT 1), (SELECT value FROM @meta WHERE name = 'highest_id'))";

/// Who raises a mark; two parts never wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The worker that settles.
    Settle = 0,
    /// Rescue.
    Rescue = 1,
}

/// Remembers that an id is taken.
pub(crate) async fn raise(tx: &Tx, part: Part, highest: RawId) -> Attempted<()> {
    let incarnation = int(tx.node().incarnation.0);
    tx.execute(RAISE, &[(&incarnation, Type::INT8), (&(part as i16), Type::INT2), (&Id(highest), Type::BYTEA)])
        .await
        .map(drop)
}

/// Remembers the id of a message that goes.
pub(crate) async fn remember(tx: &Tx, highest: RawId) -> Attempted<()> {
    tx.execute(REMEMBER, &[(&Id(highest), Type::BYTEA)]).await.map(drop)
}

/// The highest id.
pub(crate) struct Highest;

impl Deed for Highest {
    type Answer = RawId;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<RawId> {
        let found = tx.find(HIGHEST, &[]).await?;
        let highest = match &found {
            None => None,
            Some(row) => Columns::new("meta", row).get::<Option<Id>>(0, "value")?,
        };
        Ok(highest.map_or(RawId::MIN, |id| id.0))
    }
}
