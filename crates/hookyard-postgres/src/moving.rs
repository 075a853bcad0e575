//! A schema as one side of a move to or from another kind of store.
//!
//! Called by `hookyard move`. No node may live on the schema, and none begins a life for the move. As a source all of it is
//! read at one moment, and left as it was, save that an older form is brought up to date as a start would.
//!
//! What it leaves to others: the order of the steps and the comparison (`hookyard_record::carry`).

mod rows;
mod statements;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hookyard_model::{Incarnation, RawId, limits};
use hookyard_ports::{Clock, StoreError};
use hookyard_record::Keyring;
use hookyard_record::carry::{
    BATCH_BYTES, BATCH_ROWS, Batch, CarryError, Cursor, Highest, Identity, MARK, Progress, Result, Row, Side, Standing,
    Table, Value,
};
use tokio_postgres::types::{ToSql, Type};

use crate::column::{Parameter, bound};
use crate::deed::mark;
use crate::fault::{Attempted, Fault};
use crate::node::{Beginning, Deed as _, Node};
use crate::open::{self, READ_CHECK, READ_MARK, WRITE_CHECK};
use crate::pool::{Sessions, Share};
use crate::transaction::{Mode, Tx};
use crate::{OpenError, Options, lock};

/// What each transaction of a move runs with: it may take long, waits for nobody, and looks up by index, whatever is known
/// of tables that were empty a moment ago.
const SESSION: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";
/// Whether there is a schema of ours.
const IS_THERE: &str = "SELECT to_regclass('@migration') IS NOT NULL";
/// A node that lives.
const LIVING: &str = "SELECT name FROM @node WHERE stopped IS NULL AND heartbeat >= $1 ORDER BY heartbeat DESC LIMIT 1";
/// Marks the target.
const BEGIN: &str = "INSERT INTO @meta (name, value) VALUES ($1, $2)";
/// Notes how far the move is, if it is where this process left it.
const NOTE: &str = "UPDATE @meta SET value = $3 WHERE name = $1 AND value = $2";
/// Takes the mark off.
const END: &str = "DELETE FROM @meta WHERE name = $1";
/// The next place in the order.
const NEXT_SEQ: &str = "SELECT last_value + is_called::int FROM @message_seq";
/// Places below this one are not given out again.
const KEEP_SEQ: &str = "SELECT setval('@message_seq', greatest($1, (SELECT last_value + is_called::int FROM @message_seq)), \
    false)";
/// What plans are made from.
const ANALYZE: &str = "ANALYZE @application, @endpoint, @endpoint_revision, @message, @owed, @ended, @attempt, @rollup, \
    @dedupe";

/// Which side of the move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be read; it must be there.
    Source,
    /// To be written; made if it is not there.
    Target,
}

/// A schema that is moved from or to.
pub struct PostgresSide {
    node: Arc<Node>,
    /// What is read of one moment.
    reading: Option<Tx>,
}

/// Opens the schema that the options name; their node and bounds do not matter. Its check value must be the keyring's.
pub async fn open(options: Options, purpose: Purpose) -> std::result::Result<PostgresSide, OpenError> {
    let mut reached = open::reach(&options).await?;
    if purpose == Purpose::Source {
        let is_there = reached.client.query_typed_one(&reached.schema.qualify(IS_THERE), &[]).await;
        if !is_there.and_then(|row| row.try_get(0)).map_err(|error| reached.explain(&error))? {
            return Err(OpenError::Nothing(reached.schema.name().to_owned()));
        }
    }
    reached.migrate().await?;
    let check = reached.client.query_typed_opt(&reached.schema.qualify(READ_CHECK), &[]).await;
    if let Some(check) = check.map_err(|error| reached.explain(&error))? {
        let value = check.try_get(0).map_err(|error| reached.explain(&error))?;
        if !open::is_our_secret(&options.keyring, value) {
            return Err(OpenError::WrongSecret(reached.schema.name().to_owned()));
        }
    }
    let open::Reached { pools, schema, is_commit_durable, .. } = reached;
    // Leases name incarnations from 1 on.
    let (incarnation, mark, sessions) = (Incarnation(0), String::new(), Sessions::Anybodys);
    let node = Node::new(options, Beginning { pools, schema, incarnation, mark, is_commit_durable, sessions });
    Ok(PostgresSide { node: Arc::new(node), reading: None })
}

impl PostgresSide {
    /// What it was opened with, and the other side must be.
    pub fn keyring(&self) -> &Keyring {
        &self.node.keyring
    }

    fn told<T>(&self, done: Attempted<T>) -> Result<T> {
        done.map_err(|fault| CarryError::Store { side: self.name(), source: fault.into_error() })
    }

    async fn transaction(&self, mode: Mode) -> Attempted<Tx> {
        let tx = Tx::begin(&self.node, mode, Share::Other).await?;
        tx.run(SESSION).await?;
        Ok(tx)
    }

    /// The transaction that all reads share.
    async fn reading(&mut self) -> Attempted<&Tx> {
        let tx = match self.reading.take() {
            Some(tx) => tx,
            None => self.transaction(Mode::Read).await?,
        };
        Ok(self.reading.insert(tx))
    }

    /// A value of one row, as it is at this moment.
    async fn now<T>(&self, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Option<T>>
    where
        T: for<'r> tokio_postgres::types::FromSql<'r>,
    {
        let tx = self.transaction(Mode::Read).await?;
        let row = tx.find(query, parameters).await?;
        tx.commit().await?;
        row.map(|row| row.try_get(0)).transpose().map_err(Fault::Sql)
    }

    async fn export(&mut self, table: Table, after: Option<&Cursor>) -> Attempted<Batch> {
        let (most, bytes) = (bound(BATCH_ROWS), bound(BATCH_BYTES));
        let mut parameters: Vec<Parameter<'_>> = vec![(&most, Type::INT8), (&bytes, Type::INT8)];
        for (value, name) in after.into_iter().flatten().zip(statements::cursor(table)) {
            let column = &table.columns()[table.place(name)];
            let value: &(dyn ToSql + Sync) = match value {
                Value::Null => return Err(Fault::Store(StoreError::Other("a cursor has no value".to_owned()))),
                Value::Int(number) => number,
                Value::Text(text) => text,
                Value::Bytes(bytes) => bytes,
            };
            parameters.push((value, statements::kind(column)));
        }
        let query = statements::export(table, after.is_some());
        let rows = self.reading().await?.query(&query, &parameters).await?;
        let rows = if table == Table::Rollup { rows::minutes(&rows)? } else { rows::neutral(table, &rows)? };
        let next = rows.last().map(|row| rows::behind(table, row)).unwrap_or_default();
        Ok(Batch { rows, next })
    }

    async fn stand(&mut self, from: Identity) -> Attempted<std::result::Result<Standing, Option<&'static str>>> {
        self.reading = None;
        let tx = self.transaction(Mode::Write).await?;
        // Whoever begins a life waits for this, and finds the mark.
        lock::partitions(&tx).await?;
        if let Some(row) = tx.find(READ_MARK, &[(&MARK, Type::TEXT)]).await? {
            let mark: Vec<u8> = row.try_get(0)?;
            tx.roll_back().await;
            let progress = Progress::from_bytes(&mark).filter(|progress| progress.from == from);
            return Ok(progress.map(Standing::At).ok_or(None));
        }
        let check = tx.find(READ_CHECK, &[]).await?.map(|row| row.try_get::<_, Vec<u8>>(0)).transpose()?;
        for table in Table::ALL {
            let exists = format!("SELECT EXISTS (SELECT 1 FROM @{})", table.name());
            let found = tx.find(&exists, &[]).await?.map(|row| row.try_get(0)).transpose()?;
            if found == Some(true) {
                tx.roll_back().await;
                let is_whole = check.is_some_and(|check| Identity::of(&check) == from);
                return Ok(if is_whole { Ok(Standing::Whole) } else { Err(Some(table.name())) });
            }
        }
        let progress = Progress::begin(from);
        tx.execute(BEGIN, &[(&MARK, Type::TEXT), (&progress.to_bytes(), Type::BYTEA)]).await?;
        tx.commit().await?;
        Ok(Ok(Standing::At(progress)))
    }

    /// Whether the move was where this process left it; nothing is written otherwise.
    async fn import(&mut self, rows: &[Row], at: &Progress, to: &Progress) -> Attempted<bool> {
        self.reading = None;
        if at.table == Some(Table::Message) {
            self.node.have_days(rows::ids(rows).into_iter()).await?;
        }
        let tx = self.transaction(Mode::Write).await?;
        if !note(&tx, at, to).await? {
            tx.roll_back().await;
            return Ok(false);
        }
        if let (Some(table), false) = (at.table, rows.is_empty()) {
            rows::insert(&tx, table, rows).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn end(&mut self, at: &Progress, highest: Highest, check: &[u8]) -> Attempted<bool> {
        self.reading = None;
        let tx = self.transaction(Mode::Write).await?;
        if !note(&tx, at, at).await? {
            tx.roll_back().await;
            return Ok(false);
        }
        tx.query(KEEP_SEQ, &[(&highest.next_seq, Type::INT8)]).await?;
        mark::remember(&tx, RawId::from_bytes(highest.id)).await?;
        for table in Table::ALL.into_iter().filter(|table| statements::numbered(*table)) {
            let name = table.name();
            let keep = format!(
                "SELECT setval(pg_get_serial_sequence('@{name}', 'row'), greatest(max(\"row\"), 1), max(\"row\") IS NOT NULL) \
                 FROM @{name}"
            );
            tx.query(&keep, &[]).await?;
        }
        tx.execute(WRITE_CHECK, &[(&check, Type::BYTEA)]).await?;
        tx.execute(END, &[(&MARK, Type::TEXT)]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Has the server look at what it has, so that the first plans are right; without it they are slower for a while.
    async fn analyse(&self) {
        let analysed = async {
            let tx = self.transaction(Mode::Write).await?;
            tx.run(ANALYZE).await?;
            tx.commit().await
        };
        if let Err(fault) = analysed.await {
            let error = fault.into_error();
            tracing::warn!(%error, "the tables could not be analysed; autovacuum will do it");
        }
    }
}

async fn note(tx: &Tx, at: &Progress, to: &Progress) -> Attempted<bool> {
    let (at, to) = (at.to_bytes(), to.to_bytes());
    let parameters: [Parameter<'_>; 3] = [(&MARK, Type::TEXT), (&at, Type::BYTEA), (&to, Type::BYTEA)];
    Ok(tx.execute(NOTE, &parameters).await? == 1)
}

#[async_trait]
impl Side for PostgresSide {
    fn name(&self) -> String {
        format!("schema `{}`", self.node.schema.name())
    }

    async fn running(&mut self) -> Result<Option<String>> {
        let oldest = Clock::now(&*self.node.clock).minus(limits::HEARTBEAT_LIMIT).as_micros();
        let name = self.now(LIVING, &[(&oldest, Type::INT8)]).await;
        self.told(name)
    }

    async fn check_value(&mut self) -> Result<Option<Vec<u8>>> {
        let check = self.now(READ_CHECK, &[]).await;
        self.told(check)
    }

    async fn is_incomplete(&mut self) -> Result<bool> {
        let mark = self.now::<Vec<u8>>(READ_MARK, &[(&MARK, Type::TEXT)]).await;
        Ok(self.told(mark)?.is_some())
    }

    async fn highest(&mut self) -> Result<Highest> {
        let highest = async {
            let id = mark::Highest.run(self.reading().await?).await?;
            let next_seq = self.now(NEXT_SEQ, &[]).await?.unwrap_or(1);
            Ok(Highest { id: *id.as_bytes(), next_seq })
        };
        let highest = highest.await;
        self.told(highest)
    }

    async fn count(&mut self, table: Table) -> Result<u64> {
        let count = async {
            let row = self.reading().await?.find(&statements::count(table), &[]).await?;
            Ok(row.map(|row| row.try_get::<_, i64>(0)).transpose()?.map_or(0, i64::unsigned_abs))
        };
        let count = count.await;
        self.told(count)
    }

    async fn next(&mut self, table: Table, after: Option<&Cursor>) -> Result<Batch> {
        let batch = self.export(table, after).await;
        self.told(batch)
    }

    async fn begin(&mut self, from: Identity) -> Result<Standing> {
        let stood = self.stand(from).await;
        match self.told(stood)? {
            Ok(standing) => Ok(standing),
            Err(Some(table)) => Err(CarryError::Occupied { side: self.name(), table }),
            Err(None) => Err(CarryError::OtherMove(self.name())),
        }
    }

    async fn take_in(&mut self, rows: &[Row], at: &Progress, to: &Progress) -> Result<()> {
        let taken = self.import(rows, at, to).await;
        if self.told(taken)? { Ok(()) } else { Err(CarryError::Raced(self.name())) }
    }

    async fn finish(&mut self, at: &Progress, highest: Highest, check: &[u8]) -> Result<()> {
        let ended = self.end(at, highest, check).await;
        if !self.told(ended)? {
            return Err(CarryError::Raced(self.name()));
        }
        self.analyse().await;
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<()> {
        if let Some(reading) = self.reading {
            reading.roll_back().await;
        }
        self.node.pools.close();
        Ok(())
    }
}
