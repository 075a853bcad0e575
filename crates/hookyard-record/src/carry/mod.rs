//! Copies everything from one store to another of a different kind.
//!
//! Called by `hookyard move` with a [`Side`] of each store; no server may run on either. Rows travel in a neutral form
//! ([`Table`]), in batches that bound the memory, each committed in the target together with how far the move is
//! ([`Progress`]): whatever ends it, the same move goes on behind its last batch. Nothing is sealed again. At the end both
//! stores are read once more from beginning to end, and counts and digests of every table compared; only then does the
//! target lose its mark and may be used.
//!
//! What it leaves to others: SQL, and what is refused when a side is opened (the stores); what is shown (the binary).

mod progress;
mod row;
mod table;

use async_trait::async_trait;
use hookyard_ports::StoreError;

pub use self::progress::{Identity, MARK, Progress};
pub use self::row::{Batch, Cursor, Digest, Row, Value, kept};
pub use self::table::{Column, Kind, Table};

/// Rows of a batch, at most.
pub const BATCH_ROWS: usize = 1_000;
/// Bytes of a batch, roughly: the last of its rows may pass it.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Why nothing was moved, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// A store fails.
    #[error("{side} fails")]
    Store {
        /// Which.
        side: String,
        /// Why.
        source: StoreError,
    },
    /// A server uses a store.
    #[error(
        "node `{node}` runs on {side}\nhint: stop every node; one that was killed counts as running until its last \
         heartbeat is 10 s old"
    )]
    Running {
        /// Which store.
        side: String,
        /// Which node.
        node: String,
    },
    /// The source is no store that anything was ever written to.
    #[error("there is nothing to move in {0}: no server has ever run on it")]
    Nothing(String),
    /// The source is the target of a move that has not ended.
    #[error("{0} is the target of a move that has not ended\nhint: end that move first, by the same command again")]
    SourceIncomplete(String),
    /// The target holds something.
    #[error(
        "{side} is not empty, `{table}` has rows\nhint: move to a directory or schema (`database_schema`) that holds \
         nothing; a move never adds to what is there"
    )]
    Occupied {
        /// Which store.
        side: String,
        /// Where something was found.
        table: &'static str,
    },
    /// The target holds the beginning of another move.
    #[error(
        "{0} holds the beginning of a move from another store, or from the state of this one before a server ran on it \
         again\nhint: remove what is there, or move to another directory or schema (`database_schema`)"
    )]
    OtherMove(String),
    /// A server was started on the source meanwhile.
    #[error("a server was started on {0} while it was copied\nhint: stop it, remove what was copied, and move again")]
    Changed(String),
    /// Another process fills the same target.
    #[error("{0} is filled by another process at the same time\nhint: let one of them end")]
    Raced(String),
    /// What is in both stores is not the same.
    #[error(
        "table `{table}` has {from} rows in {source_side} and {to} in {target_side}, or one of them differs; the target \
         stays incomplete and the source is as it was"
    )]
    Differs {
        /// Which table.
        table: &'static str,
        /// Whence.
        source_side: String,
        /// Rows there.
        from: u64,
        /// Whither.
        target_side: String,
        /// Rows there.
        to: u64,
    },
}

/// What a side answers.
pub type Result<T> = std::result::Result<T, CarryError>;

/// What was given out in a store and must not be given out again in its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Highest {
    /// The highest id of anything.
    pub id: [u8; 20],
    /// The place in the order that the next message gets.
    pub next_seq: i64,
}

/// How a target stands when a move comes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was empty, or a move of the same source was broken off here.
    At(Progress),
    /// Everything has been there since an earlier move, and no server has run on it.
    Whole,
}

/// A store that is opened for a move, by itself: nobody else uses it.
#[async_trait]
pub trait Side: Send {
    /// What it is called in messages.
    fn name(&self) -> String;

    /// A node that runs on it at this moment.
    async fn running(&mut self) -> Result<Option<String>>;

    // ---- as source -------------------------------------------------------------------------------------------------

    /// The check value of its main secret, if a server ever ran on it: as it is at this moment, also when reads see an
    /// earlier one.
    async fn check_value(&mut self) -> Result<Option<Vec<u8>>>;

    /// Whether it is itself the target of a move that has not ended.
    async fn is_incomplete(&mut self) -> Result<bool>;

    /// What it has given out.
    async fn highest(&mut self) -> Result<Highest>;

    // ---- as either -------------------------------------------------------------------------------------------------

    /// How many rows a table has.
    async fn count(&mut self, table: Table) -> Result<u64>;

    /// The next rows of a table. All reads of one side see one moment, save after a write to it.
    async fn next(&mut self, table: Table, after: Option<&Cursor>) -> Result<Batch>;

    // ---- as target -------------------------------------------------------------------------------------------------

    /// Marks it as incomplete, or finds out how far an earlier move came. Refuses what holds anything else.
    async fn begin(&mut self, from: Identity) -> Result<Standing>;

    /// Writes rows of `at.table` and that the move is at `to`, in one transaction, if it is at `at`.
    async fn take_in(&mut self, rows: &[Row], at: &Progress, to: &Progress) -> Result<()>;

    /// Keeps what was given out and the check value, and takes the mark off: from here on a server may start on it.
    async fn finish(&mut self, at: &Progress, highest: Highest, check: &[u8]) -> Result<()>;

    /// Lets go of it.
    async fn close(self: Box<Self>) -> Result<()>;
}

/// How far a move is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Whether rows are copied or compared.
    pub doing: Doing,
    /// The table.
    pub table: Table,
    /// Rows done, of all tables.
    pub done: u64,
    /// Rows in all.
    pub total: u64,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Copies.
    Copying,
    /// Reads both stores again.
    Comparing,
}

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Each table, with what both stores hold of it.
    pub tables: Vec<(Table, Digest)>,
    /// Rows that an earlier move, which was broken off, had copied.
    pub resumed_at: u64,
    /// Deliveries that were leased when the source was left; the next start rescues them.
    pub leased: u64,
}

/// Moves everything. Afterwards both stores hold the same and the source is as it was.
pub async fn carry(from: &mut dyn Side, to: &mut dyn Side, watch: &mut (dyn FnMut(Step) + Send)) -> Result<Moved> {
    refuse_running(from).await?;
    refuse_running(to).await?;
    if from.is_incomplete().await? {
        return Err(CarryError::SourceIncomplete(from.name()));
    }
    let check = from.check_value().await?.ok_or_else(|| CarryError::Nothing(from.name()))?;
    let identity = Identity::of(&check);
    let mut counts = Vec::with_capacity(Table::ALL.len());
    for table in Table::ALL {
        counts.push((table, from.count(table).await?));
    }
    let total = counts.iter().map(|(_, rows)| rows).sum();
    let standing = to.begin(identity).await?;
    // Whoever starts from here on finds the mark; this is for one that started a moment ago.
    refuse_running(to).await?;
    let resumed_at = match &standing {
        Standing::At(progress) => progress.rows,
        Standing::Whole => total,
    };
    let at = match standing {
        Standing::At(progress) => Some(copy(from, to, progress, total, watch).await?),
        Standing::Whole => None,
    };
    let (tables, leased) = compare(from, to, &counts, watch).await?;
    let highest = from.highest().await?;
    if from.check_value().await?.as_deref() != Some(&*check) {
        return Err(CarryError::Changed(from.name()));
    }
    if let Some(at) = at {
        to.finish(&at, highest, &check).await?;
    }
    Ok(Moved { tables, resumed_at, leased })
}

async fn refuse_running(side: &mut dyn Side) -> Result<()> {
    match side.running().await? {
        None => Ok(()),
        Some(node) => Err(CarryError::Running { side: side.name(), node }),
    }
}

async fn copy(
    from: &mut dyn Side,
    to: &mut dyn Side,
    mut at: Progress,
    total: u64,
    watch: &mut (dyn FnMut(Step) + Send),
) -> Result<Progress> {
    while let Some(table) = at.table {
        watch(Step { doing: Doing::Copying, table, done: at.rows, total });
        let batch = from.next(table, at.after.as_ref()).await?;
        let next = if batch.rows.is_empty() { at.next_table() } else { at.behind(batch.next, batch.rows.len()) };
        to.take_in(&batch.rows, &at, &next).await?;
        at = next;
    }
    Ok(at)
}

/// Reads both stores from beginning to end.
async fn compare(
    from: &mut dyn Side,
    to: &mut dyn Side,
    counts: &[(Table, u64)],
    watch: &mut (dyn FnMut(Step) + Send),
) -> Result<(Vec<(Table, Digest)>, u64)> {
    let total = 2 * counts.iter().map(|(_, rows)| rows).sum::<u64>();
    let mut reading = Reading { done: 0, total, leased: 0, watch };
    let mut leased = 0;
    let mut tables = Vec::with_capacity(counts.len());
    for &(table, counted) in counts {
        let target = reading.digest(to, table).await?;
        reading.leased = 0;
        let source = reading.digest(from, table).await?;
        // The count is taken without a cursor, so that rows which a cursor passes over in both stores are missed here.
        if source != target || source.rows != counted || to.count(table).await? != counted {
            return Err(CarryError::Differs {
                table: table.name(),
                source_side: from.name(),
                from: counted,
                target_side: to.name(),
                to: target.rows,
            });
        }
        tables.push((table, source));
        leased += reading.leased;
    }
    Ok((tables, leased))
}

struct Reading<'w> {
    done: u64,
    total: u64,
    leased: u64,
    watch: &'w mut (dyn FnMut(Step) + Send),
}

impl Reading<'_> {
    async fn digest(&mut self, side: &mut dyn Side, table: Table) -> Result<Digest> {
        let (mut digest, mut after) = (Digest::default(), None);
        loop {
            (self.watch)(Step { doing: Doing::Comparing, table, done: self.done, total: self.total });
            let batch = side.next(table, after.as_ref()).await?;
            if batch.rows.is_empty() {
                return Ok(digest);
            }
            for row in &batch.rows {
                digest.add(table, row);
            }
            self.done += batch.rows.len() as u64;
            if table == Table::Owed {
                let place = table.place("leased");
                self.leased += batch.rows.iter().filter(|row| row.get(place) == Some(&Value::Int(1))).count() as u64;
            }
            after = Some(batch.next);
        }
    }
}
