//! A schema as one side of a move to or from another kind of store.
//!
//! Called by `hookyard move`. No node may live on the schema, and none begins a life for the move. As a source all of it is
//! read at one moment, and left as it was, save that an older form is brought up to date as a start would.
//!
//! What it leaves to others: the order of the steps and the comparison (`hookyard_record::carry`).

mod statements;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use hookyard_model::{Incarnation, MessageId, RawId, limits};
use hookyard_ports::{Clock, StoreError};
use hookyard_record::carry::{
    BATCH_BYTES, BATCH_ROWS, Batch, CarryError, Column, Cursor, Highest, Identity, Kind, MARK, Progress, Result, Row,
    Side, Standing, Table, Value, kept,
};
use hookyard_record::{Counts, Keyring};
use tokio_postgres::types::{ToSql, Type};

use crate::column::{Parameter, bound};
use crate::deed::mark;
use crate::fault::{Attempted, Fault};
use crate::node::{Beginning, Deed as _, Node};
use crate::open::{self, READ_CHECK, READ_MARK, WRITE_CHECK};
use crate::pool::Share;
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
    let node = Node::new(options, Beginning { pools, schema, incarnation: Incarnation(0), is_commit_durable });
    Ok(PostgresSide { node: Arc::new(node), reading: None })
}

/// Values of one column of many rows, as a parameter.
fn values(rows: &[Row], place: usize, column: &Column) -> Attempted<Box<dyn ToSql + Sync + Send>> {
    let misfit =
        || Fault::Store(StoreError::Other(format!("column `{}` comes with values of another kind", column.name)));
    macro_rules! each {
        ($($value:pat => $read:expr),*) => {
            Box::new((rows.iter())
                .map(|row| match row.get(place) {
                    Some(Value::Null) => Ok(None),
                    $(Some($value) => Ok(Some($read)),)*
                    _ => Err(misfit()),
                })
                .collect::<Attempted<Vec<_>>>()?)
        };
    }
    Ok(match column.kind {
        Kind::Int => each!(Value::Int(number) => *number),
        Kind::Bool => each!(Value::Int(number) => *number != 0),
        Kind::Text => each!(Value::Text(text) => kept(text).into_owned()),
        Kind::Bytes | Kind::Refers(_) => each!(Value::Bytes(bytes) => bytes.clone()),
    })
}

/// The column at `place`, as it travels.
fn value(row: &tokio_postgres::Row, place: usize, table: Table, column: &Column) -> Attempted<Value> {
    let read = match column.kind {
        Kind::Int => row.try_get::<_, Option<i64>>(place).map(|value| value.map(Value::Int)),
        Kind::Bool => row.try_get::<_, Option<bool>>(place).map(|value| value.map(|is| Value::Int(i64::from(is)))),
        Kind::Text => row.try_get::<_, Option<String>>(place).map(|value| value.map(Value::Text)),
        Kind::Bytes | Kind::Refers(_) => row.try_get::<_, Option<Vec<u8>>>(place).map(|value| value.map(Value::Bytes)),
    };
    let read = read.map_err(|_| Fault::corrupt(table.name(), column.name, "?"))?;
    Ok(read.unwrap_or(Value::Null))
}

/// The cursor behind a row.
fn behind(table: Table, row: &Row) -> Cursor {
    let values = statements::cursor(table).iter().filter_map(|name| row.get(table.place(name)));
    values.cloned().collect()
}

/// The counts of a row of a rollup that an incarnation wrote.
fn counts(row: &tokio_postgres::Row) -> Attempted<Counts> {
    let of = |place: usize| {
        row.try_get::<_, Vec<i64>>(place).ok().map(|all| all.into_iter().map(i64::unsigned_abs).collect())
    };
    let read: Option<(Vec<u64>, Vec<u64>)> = of(2).zip(of(3));
    let counts = read.and_then(|(outcomes, latency)| Counts::from_parts(&outcomes, &latency));
    counts.ok_or_else(|| Fault::corrupt("rollup", "outcomes", "?"))
}

/// An array as the database reads it from text: a list of lists has no other form as a parameter.
fn array(counts: &[u64]) -> String {
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    format!("{{{}}}", counts.join(","))
}

/// Writes rows, all or none.
async fn insert(tx: &Tx, table: Table, rows: &[Row]) -> Attempted<()> {
    let mut parameters: Vec<(Box<dyn ToSql + Sync + Send>, Type)> = Vec::new();
    for (place, column) in table.columns().iter().enumerate() {
        if table == Table::Rollup && column.name == "counts" {
            let (mut outcomes, mut latency) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
            for row in rows {
                let counts = match row.get(place) {
                    Some(Value::Bytes(bytes)) => Counts::from_bytes(bytes),
                    Some(Value::Null | Value::Int(_) | Value::Text(_)) | None => None,
                };
                let counts = counts.ok_or_else(|| Fault::corrupt("rollup", "counts", "?"))?;
                let (by_outcome, by_latency) = counts.parts();
                outcomes.push(array(by_outcome));
                latency.push(array(by_latency));
            }
            parameters.push((Box::new(outcomes), Type::TEXT_ARRAY));
            parameters.push((Box::new(latency), Type::TEXT_ARRAY));
        } else {
            parameters.push((values(rows, place, column)?, statements::array(column)));
        }
    }
    let parameters: Vec<Parameter<'_>> =
        parameters.iter().map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone())).collect();
    let written = tx.execute(&statements::insert(table), &parameters).await?;
    if written != rows.len() as u64 {
        let error = format!("{} of {} rows of `{}` name rows that are there", written, rows.len(), table.name());
        return Err(Fault::Store(StoreError::Other(error)));
    }
    Ok(())
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
        let rows = if table == Table::Rollup { minutes(&rows)? } else { neutral(table, &rows)? };
        let next = rows.last().map(|row| behind(table, row)).unwrap_or_default();
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
            self.node.have_days(ids(rows).into_iter()).await?;
        }
        let tx = self.transaction(Mode::Write).await?;
        if !note(&tx, at, to).await? {
            tx.roll_back().await;
            return Ok(false);
        }
        if let (Some(table), false) = (at.table, rows.is_empty()) {
            insert(&tx, table, rows).await?;
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

/// The ids of messages.
fn ids(rows: &[Row]) -> Vec<MessageId> {
    let id = |row: &Row| match row.get(Table::Message.place("id")) {
        Some(Value::Bytes(bytes)) => Some(MessageId::from_raw(RawId::from_bytes(bytes.as_slice().try_into().ok()?))),
        Some(Value::Null | Value::Int(_) | Value::Text(_)) | None => None,
    };
    rows.iter().filter_map(id).collect()
}

fn neutral(table: Table, rows: &[tokio_postgres::Row]) -> Attempted<Vec<Row>> {
    let row = |row: &tokio_postgres::Row| {
        let columns = table.columns().iter().enumerate();
        columns.map(|(place, column)| value(row, place, table, column)).collect()
    };
    rows.iter().map(row).collect()
}

/// One row for each minute, of all incarnations.
fn minutes(rows: &[tokio_postgres::Row]) -> Attempted<Vec<Row>> {
    let mut minutes: BTreeMap<(Vec<u8>, i64), Counts> = BTreeMap::new();
    for row in rows {
        minutes.entry((row.try_get(0)?, row.try_get(1)?)).or_default().merge(&counts(row)?);
    }
    let row = |((endpoint, minute), counts): ((Vec<u8>, i64), Counts)| {
        vec![Value::Bytes(endpoint), Value::Int(minute), Value::Bytes(counts.to_bytes())]
    };
    Ok(minutes.into_iter().map(row).collect())
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
