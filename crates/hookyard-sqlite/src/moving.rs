//! The embedded store as one side of a move to or from another kind of store.
//!
//! Called by `hookyard move`. It holds the lock of the directory, so no server uses the store meanwhile, and begins no
//! incarnation: as a source it is left as it was, save that an older form is brought up to date as a start would.
//!
//! What it leaves to others: the order of the steps and the comparison (`hookyard_record::carry`).

mod statements;

use std::fs::File;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use hookyard_ports::StoreError;
use hookyard_record::carry::{
    BATCH_BYTES, BATCH_ROWS, Batch, CarryError, Cursor, Highest, Identity, Kind, MARK, Progress, Result, Row, Side,
    Standing, Table, Value,
};
use hookyard_record::{Counts, Keyring};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use crate::column::bound;
use crate::fault::{Attempted, Fault};
use crate::marks::Marks;
use crate::open::{self, CHECK_VALUE, IS_INCOMPLETE};
use crate::{OpenError, disk};

/// Pages of write-ahead log at which they are moved into the database; a server has a thread for that.
const CHECKPOINT_PAGES: i64 = 4_096;
/// Keeps a single value.
const KEEP: &str = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";
/// Notes how far the move is, if it is where this process left it.
const NOTE: &str = "UPDATE meta SET value = ?3 WHERE name = ?1 AND value = ?2";

/// Which side of the move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be read; it must be there.
    Source,
    /// To be written; made if it is not there.
    Target,
}

/// An embedded store that is moved from or to.
#[derive(Debug)]
pub struct SqliteSide {
    directory: PathBuf,
    file: PathBuf,
    connection: Connection,
    /// Held until the connection is closed.
    _lock: File,
}

/// Opens the store in a directory, which nobody else may use. Its check value must be the keyring's.
pub fn open(directory: &Path, keyring: &Keyring, purpose: Purpose) -> std::result::Result<SqliteSide, OpenError> {
    let file = directory.join(open::DATABASE);
    if purpose == Purpose::Source && !file.exists() {
        return Err(OpenError::Nothing(directory.to_owned()));
    }
    let lock = open::lock(directory)?;
    open::create(directory, &file)?;
    let connection = open::connect_up_to_date(directory, &file)?;
    let explain = |error| open::explain(&file, directory, error);
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(explain)?;
    let check = connection.query_row(CHECK_VALUE, [], |row| row.get(0)).optional().map_err(explain)?;
    if !open::is_our_secret(keyring, check) {
        return Err(OpenError::WrongSecret(file));
    }
    Ok(SqliteSide { directory: directory.to_owned(), file, connection, _lock: lock })
}

/// A value as the database takes it.
struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl SqliteSide {
    fn told<T>(&self, done: Attempted<T>) -> Result<T> {
        done.map_err(|fault| CarryError::Store {
            side: self.name(),
            source: fault.into_error(|| disk::is_full(&self.file)),
        })
    }

    fn export(&self, table: Table, after: Option<&Cursor>) -> Attempted<Batch> {
        let mut statement = self.connection.prepare_cached(&statements::export(table, after.is_some()))?;
        let limit = Value::Int(bound(BATCH_ROWS));
        let parameters = std::iter::once(&limit).chain(after.into_iter().flatten()).map(Parameter);
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let (columns, mut batch, mut bytes) = (table.columns(), Batch::default(), 0);
        while bytes < BATCH_BYTES
            && let Some(row) = rows.next()?
        {
            let mut values = Row::with_capacity(columns.len());
            for (place, column) in columns.iter().enumerate() {
                let value = value(row.get_ref(place)?);
                let value = value.filter(|value| !(matches!(column.kind, Kind::Refers(_)) && *value == Value::Null));
                let Some(value) = value else {
                    let id = format!("{:?}", row.get_ref(columns.len())?);
                    return Err(Fault::corrupt(statements::physical(table), column.name, id));
                };
                bytes += value.weight();
                values.push(value);
            }
            if table == Table::Rollup {
                same_counts(&mut values)?;
            }
            let cursor = (columns.len()..).take(statements::cursor(table).len());
            batch.next =
                cursor.map(|place| Ok(value(row.get_ref(place)?).unwrap_or(Value::Null))).collect::<Attempted<_>>()?;
            batch.rows.push(values);
        }
        Ok(batch)
    }

    fn stand(&mut self, from: Identity) -> Result<Standing> {
        let stood = self.note_beginning(from);
        match self.told(stood)? {
            Ok(standing) => Ok(standing),
            Err(Some(table)) => Err(CarryError::Occupied { side: self.name(), table }),
            Err(None) => Err(CarryError::OtherMove(self.name())),
        }
    }

    /// How it stands, with a mark from here on; else the table that has rows already, or nothing for another move's mark.
    fn note_beginning(&mut self, from: Identity) -> Attempted<std::result::Result<Standing, Option<&'static str>>> {
        let transaction = self.connection.transaction()?;
        let read = "SELECT value FROM meta WHERE name = ?1";
        let mark: Option<Vec<u8>> = transaction.query_row(read, [MARK], |row| row.get(0)).optional()?;
        if let Some(mark) = mark {
            let progress = Progress::from_bytes(&mark).filter(|progress| progress.from == from);
            return Ok(progress.map(Standing::At).ok_or(None));
        }
        let check: Option<Vec<u8>> = transaction.query_row(CHECK_VALUE, [], |row| row.get(0)).optional()?;
        for table in Table::ALL {
            let exists = format!("SELECT EXISTS (SELECT 1 FROM {})", statements::physical(table));
            if transaction.query_row(&exists, [], |row| row.get(0))? {
                let is_whole = check.is_some_and(|check| Identity::of(&check) == from);
                return Ok(if is_whole { Ok(Standing::Whole) } else { Err(Some(statements::physical(table))) });
            }
        }
        let progress = Progress::begin(from);
        transaction.execute(KEEP, params![MARK, progress.to_bytes()])?;
        transaction.commit()?;
        Ok(Ok(Standing::At(progress)))
    }

    /// Whether the move was where this process left it; nothing is written otherwise.
    fn import(&mut self, rows: &[Row], at: &Progress, to: &Progress) -> Attempted<bool> {
        let transaction = self.connection.transaction()?;
        if transaction.execute(NOTE, params![MARK, at.to_bytes(), to.to_bytes()])? != 1 {
            return Ok(false);
        }
        if let Some(table) = at.table {
            let mut insert = transaction.prepare_cached(&statements::insert(table))?;
            for row in rows {
                insert.execute(rusqlite::params_from_iter(row.iter().map(Parameter)))?;
            }
        }
        transaction.commit()?;
        Ok(true)
    }

    fn end(&mut self, at: &Progress, highest: Highest, check: &[u8]) -> Attempted<bool> {
        let transaction = self.connection.transaction()?;
        if transaction.execute(NOTE, params![MARK, at.to_bytes(), at.to_bytes()])? != 1 {
            return Ok(false);
        }
        // What is kept here is newer where a server ran on it before it was emptied.
        let kept = Marks::read(&transaction)?;
        let attempt: Option<i64> = transaction.query_row("SELECT max(row) FROM attempt", [], |row| row.get(0))?;
        transaction.execute(KEEP, params!["next_seq", kept.next_seq.max(highest.next_seq)])?;
        transaction.execute(KEEP, params!["highest_id", (*kept.highest.as_bytes()).max(highest.id)])?;
        transaction.execute(KEEP, params!["attempt", attempt.unwrap_or(0)])?;
        transaction.execute(KEEP, params!["secret_check", check])?;
        transaction.execute("DELETE FROM meta WHERE name = ?1", [MARK])?;
        transaction.commit()?;
        Ok(true)
    }

    fn given_out(&mut self) -> Attempted<Highest> {
        // Reading them forgets the counts of a clean stop, which is undone here.
        let transaction = self.connection.transaction()?;
        let marks = Marks::read(&transaction)?;
        transaction.rollback()?;
        Ok(Highest { id: *marks.highest.as_bytes(), next_seq: marks.next_seq })
    }

    fn expect_place(&self, is_in_place: bool) -> Result<()> {
        if is_in_place { Ok(()) } else { Err(CarryError::Raced(self.name())) }
    }
}

/// A value as it travels; `None` for one that no column of ours has.
fn value(value: ValueRef<'_>) -> Option<Value> {
    Some(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).ok()?.to_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return None,
    })
}

/// Brings counts to the one form that the same counts have in every store.
fn same_counts(row: &mut Row) -> Attempted<()> {
    let counts = row.get_mut(Table::Rollup.place("counts"));
    if let Some(Value::Bytes(bytes)) = counts {
        let counts = Counts::from_bytes(bytes);
        *bytes = counts.ok_or_else(|| Fault::corrupt("rollup", "counts", "?"))?.to_bytes();
    }
    Ok(())
}

#[async_trait]
impl Side for SqliteSide {
    fn name(&self) -> String {
        format!("data directory `{}`", self.directory.display())
    }

    async fn running(&mut self) -> Result<Option<String>> {
        // The lock of the directory is ours.
        Ok(None)
    }

    async fn check_value(&mut self) -> Result<Option<Vec<u8>>> {
        let check = self.connection.query_row(CHECK_VALUE, [], |row| row.get(0)).optional();
        self.told(check.map_err(Fault::from))
    }

    async fn is_incomplete(&mut self) -> Result<bool> {
        let is_incomplete = self.connection.query_row(IS_INCOMPLETE, [MARK], |row| row.get(0));
        self.told(is_incomplete.map_err(Fault::from))
    }

    async fn highest(&mut self) -> Result<Highest> {
        let highest = self.given_out();
        self.told(highest)
    }

    async fn count(&mut self, table: Table) -> Result<u64> {
        let count = self.connection.query_row(&statements::count(table), [], |row| row.get::<_, i64>(0));
        self.told(count.map(i64::unsigned_abs).map_err(Fault::from))
    }

    async fn next(&mut self, table: Table, after: Option<&Cursor>) -> Result<Batch> {
        let batch = self.export(table, after);
        self.told(batch)
    }

    async fn begin(&mut self, from: Identity) -> Result<Standing> {
        self.stand(from)
    }

    async fn take_in(&mut self, rows: &[Row], at: &Progress, to: &Progress) -> Result<()> {
        let taken = self.import(rows, at, to);
        let is_in_place = self.told(taken)?;
        self.expect_place(is_in_place)
    }

    async fn finish(&mut self, at: &Progress, highest: Highest, check: &[u8]) -> Result<()> {
        let ended = self.end(at, highest, check);
        let is_in_place = self.told(ended)?;
        self.expect_place(is_in_place)
    }

    async fn close(self: Box<Self>) -> Result<()> {
        let moved = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.told(moved.map_err(|error| Fault::Store(StoreError::Other(error.to_string()))))
    }
}
