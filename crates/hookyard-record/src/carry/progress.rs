//! How far a move is, as the target keeps it until the end.
//!
//! Written in the transaction of each batch, so that what is there and what is said of it are never apart: a move that was
//! killed goes on behind its last batch. While it is there, the target is incomplete and no server starts on it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Cursor, Table, Value};

/// The name under which a target keeps it, among its single values.
pub const MARK: &str = "moving";

/// Which store, at which start of a server: another one begins another history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity([u8; 32]);

impl Identity {
    /// Of a store with this check value, which is sealed afresh with a random nonce whenever a server starts on it.
    pub fn of(check: &[u8]) -> Self {
        Self(Sha256::digest(check).into())
    }
}

/// How far a move is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Whence.
    pub from: Identity,
    /// The table that is being copied; `None` when all are.
    pub table: Option<Table>,
    /// Behind which of its rows; `None` at its beginning.
    pub after: Option<Cursor>,
    /// Rows that were copied, of all tables.
    pub rows: u64,
}

#[derive(Serialize, Deserialize)]
struct Written {
    from: Identity,
    tables: usize,
    after: Option<Vec<WrittenValue>>,
    rows: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenValue {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Progress {
    /// The beginning of a move.
    pub const fn begin(from: Identity) -> Self {
        Self { from, table: Some(Table::ALL[0]), after: None, rows: 0 }
    }

    /// After some more rows of the present table.
    #[must_use]
    pub fn behind(&self, after: Cursor, rows: usize) -> Self {
        Self { after: Some(after), rows: self.rows + rows as u64, ..self.clone() }
    }

    /// At the beginning of the next table.
    #[must_use]
    pub fn next_table(&self) -> Self {
        let next = self.tables() + 1;
        Self { table: Table::ALL.get(next).copied(), after: None, ..self.clone() }
    }

    /// Tables that are copied whole.
    fn tables(&self) -> usize {
        let place = self.table.and_then(|table| Table::ALL.iter().position(|other| *other == table));
        place.unwrap_or(Table::ALL.len())
    }

    /// The form that is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let after = self.after.as_ref().map(|cursor| cursor.iter().map(WrittenValue::from).collect());
        let written = Written { from: self.from, tables: self.tables(), after, rows: self.rows };
        serde_json::to_vec(&written).expect("every member has a JSON form")
    }

    /// Reads what [`Progress::to_bytes`] wrote; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        if written.tables > Table::ALL.len() {
            return None;
        }
        let after = written.after.map(|cursor| cursor.into_iter().map(Value::from).collect());
        Some(Self { from: written.from, table: Table::ALL.get(written.tables).copied(), after, rows: written.rows })
    }
}

impl From<&Value> for WrittenValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(number) => Self::Int(*number),
            Value::Text(text) => Self::Text(text.clone()),
            Value::Bytes(bytes) => Self::Bytes(bytes.clone()),
        }
    }
}

impl From<WrittenValue> for Value {
    fn from(value: WrittenValue) -> Self {
        match value {
            WrittenValue::Null => Self::Null,
            WrittenValue::Int(number) => Self::Int(number),
            WrittenValue::Text(text) => Self::Text(text),
            WrittenValue::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_back_at_every_step() {
        let mut progress = Progress::begin(Identity::of(b"check"));
        let cursor = vec![Value::Int(-3), Value::Text("k".into()), Value::Bytes(vec![0, 255]), Value::Null];
        for table in Table::ALL {
            assert_eq!(progress.table, Some(table));
            for step in [progress.clone(), progress.behind(cursor.clone(), 2)] {
                assert_eq!(Progress::from_bytes(&step.to_bytes()), Some(step));
            }
            progress = progress.behind(cursor.clone(), 2).next_table();
        }
        assert_eq!((progress.table, progress.rows), (None, 2 * Table::ALL.len() as u64));
        assert_eq!(Progress::from_bytes(&progress.to_bytes()), Some(progress));
        for other in ["", "{}", "7"] {
            assert_eq!(Progress::from_bytes(other.as_bytes()), None, "{other}");
        }
    }
}
