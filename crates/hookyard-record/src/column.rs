//! Columns of a row as values of the model, whatever database the row is of.
//!
//! A store hands out its driver's rows as [`Cells`]; everything that reads a row, here and in the stores, reads
//! [`Columns`]. What does not fit names table, column and row, and never panics.
//!
//! What it leaves to others: which columns a row has and in which order (whoever asks for the row).

use std::str::FromStr;

use hookyard_model::{ApplicationId, AttemptId, EndpointId, MessageId, OrganisationId, RawId, Timestamp};
use hookyard_ports::StoreError;

/// A value as a database gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'r> {
    /// Nothing.
    Null,
    /// A number of any width, or 0 and 1 for no and yes.
    Int(i64),
    /// A text.
    Text(&'r str),
    /// Bytes.
    Bytes(&'r [u8]),
}

/// A row of a database.
pub trait Cells<'r> {
    /// What goes wrong in the store.
    type Fault: From<StoreError>;

    /// The value of the column at `index`; `None` for one that no column of ours has.
    fn cell(&self, index: usize) -> Option<Cell<'r>>;

    /// What an error calls the row.
    fn name(&self) -> String;
}

/// A value that a column can hold.
pub trait FromCell<'r>: Sized {
    /// Reads it; `None` where the column holds something else.
    fn from_cell(cell: Cell<'r>) -> Option<Self>;
}

impl<'r, T: FromCell<'r>> FromCell<'r> for Option<T> {
    fn from_cell(cell: Cell<'r>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            Cell::Int(_) | Cell::Text(_) | Cell::Bytes(_) => T::from_cell(cell).map(Some),
        }
    }
}

macro_rules! from_cell {
    ($($kind:ident($value:ident) => $type:ty: $read:expr;)*) => {$(
        impl<'r> FromCell<'r> for $type {
            fn from_cell(cell: Cell<'r>) -> Option<Self> {
                if let Cell::$kind($value) = cell { $read } else { None }
            }
        }
    )*};
}

from_cell! {
    Int(number) => i64: Some(number);
    Int(number) => i32: number.try_into().ok();
    Int(number) => i16: number.try_into().ok();
    Int(number) => u64: number.try_into().ok();
    Int(number) => u16: number.try_into().ok();
    Int(number) => u8: number.try_into().ok();
    Int(number) => usize: number.try_into().ok();
    Int(number) => bool: Some(number != 0);
    Int(micros) => Timestamp: Some(Self::from_micros(micros));
    Text(text) => &'r str: Some(text);
    Text(text) => String: Some(text.to_owned());
    Bytes(bytes) => &'r [u8]: Some(bytes);
    Bytes(bytes) => Vec<u8>: Some(bytes.to_vec());
    Bytes(bytes) => RawId: bytes.try_into().ok().map(Self::from_bytes);
    Bytes(bytes) => OrganisationId: bytes.try_into().ok().map(RawId::from_bytes).map(Self::from_raw);
    Bytes(bytes) => ApplicationId: bytes.try_into().ok().map(RawId::from_bytes).map(Self::from_raw);
    Bytes(bytes) => EndpointId: bytes.try_into().ok().map(RawId::from_bytes).map(Self::from_raw);
    Bytes(bytes) => MessageId: bytes.try_into().ok().map(RawId::from_bytes).map(Self::from_raw);
    Bytes(bytes) => AttemptId: bytes.try_into().ok().map(RawId::from_bytes).map(Self::from_raw);
}

/// A row of a table, read column by column.
#[derive(Debug)]
pub struct Columns<R> {
    table: &'static str,
    row: R,
}

impl<'r, R: Cells<'r>> Columns<R> {
    /// The columns of a row of `table`.
    pub fn new(table: &'static str, row: impl Into<R>) -> Self {
        Self { table, row: row.into() }
    }

    /// That a column cannot be read.
    pub fn corrupt(&self, column: &'static str) -> R::Fault {
        StoreError::Corrupt { table: self.table, column, id: self.row.name() }.into()
    }

    /// The value of the column at `index`.
    pub fn get<T: FromCell<'r>>(&self, index: usize, column: &'static str) -> Result<T, R::Fault> {
        self.row.cell(index).and_then(T::from_cell).ok_or_else(|| self.corrupt(column))
    }

    /// The id at `index`, of whatever kind it is.
    pub fn id(&self, index: usize, column: &'static str) -> Result<RawId, R::Fault> {
        self.get(index, column)
    }

    /// The value at `index`, if there is one, as `decode` understands it.
    pub fn decode<V: FromCell<'r>, T>(
        &self,
        index: usize,
        column: &'static str,
        decode: impl FnOnce(V) -> Option<T>,
    ) -> Result<Option<T>, R::Fault> {
        let value: Option<V> = self.get(index, column)?;
        value.map(|value| decode(value).ok_or_else(|| self.corrupt(column))).transpose()
    }

    /// The text at `index`, read as a checked name.
    pub fn parse<T: FromStr>(&self, index: usize, column: &'static str) -> Result<T, R::Fault> {
        self.parse_or_null(index, column)?.ok_or_else(|| self.corrupt(column))
    }

    /// The text at `index`, read as a checked name, if there is one.
    pub fn parse_or_null<T: FromStr>(&self, index: usize, column: &'static str) -> Result<Option<T>, R::Fault> {
        self.decode(index, column, |text: &str| text.parse().ok())
    }

    /// The lines of the text at `index`, each read as a checked name; none where there is no text.
    pub fn lines<T: FromStr>(&self, index: usize, column: &'static str) -> Result<Vec<T>, R::Fault> {
        let lines = |text: &str| text.split('\n').map(|line| line.parse().ok()).collect();
        Ok(self.decode(index, column, lines)?.unwrap_or_default())
    }
}

/// A count or revision as a database keeps it. Nothing that we count reaches the upper half of its range.
pub fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A bound of rows as a database takes it.
pub fn bound(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row in memory.
    pub(crate) struct Given<'r>(&'r [Cell<'r>]);

    impl<'r> From<&'r [Cell<'r>]> for Given<'r> {
        fn from(cells: &'r [Cell<'r>]) -> Self {
            Self(cells)
        }
    }

    impl<'r> Cells<'r> for Given<'r> {
        type Fault = StoreError;

        fn cell(&self, index: usize) -> Option<Cell<'r>> {
            self.0.get(index).copied()
        }

        fn name(&self) -> String {
            "7".to_owned()
        }
    }

    /// The columns of a row of the table `given`.
    pub(crate) fn columns<'r>(cells: &'r [Cell<'r>]) -> Columns<Given<'r>> {
        Columns::new("given", cells)
    }

    /// That an error names this column of the row.
    pub(crate) fn assert_corrupt<T: std::fmt::Debug>(read: Result<T, StoreError>, expected: &str) {
        match read {
            Err(StoreError::Corrupt { table: "given", column, id }) => assert_eq!((column, &*id), (expected, "7")),
            other => panic!("{expected}: {other:?}"),
        }
    }

    #[test]
    fn a_value_that_its_column_may_not_hold_is_named() {
        let row = [Cell::Int(-1), Cell::Int(70_000), Cell::Text("a b"), Cell::Bytes(&[1; 19]), Cell::Null];
        let columns = columns(&row);
        assert_corrupt(columns.get::<u64>(0, "negative"), "negative");
        assert_corrupt(columns.get::<u16>(1, "wide"), "wide");
        assert_corrupt(columns.get::<i64>(2, "text"), "text");
        assert_corrupt(columns.parse::<hookyard_model::Channel>(2, "channel"), "channel");
        assert_corrupt(columns.id(3, "short"), "short");
        assert_corrupt(columns.get::<&str>(4, "nothing"), "nothing");
        assert_corrupt(columns.parse::<hookyard_model::Channel>(4, "nothing"), "nothing");
        assert_corrupt(columns.get::<Option<i64>>(5, "missing"), "missing");
    }

    #[test]
    fn nothing_is_nothing_and_no_zero() {
        let row = [Cell::Null, Cell::Int(0)];
        let columns = columns(&row);
        assert_eq!(columns.get::<Option<Timestamp>>(0, "at").expect("nothing"), None);
        assert_eq!(columns.get::<Option<Timestamp>>(1, "at").expect("a time"), Some(Timestamp::EPOCH));
        assert_eq!(columns.lines::<hookyard_model::Tag>(0, "tags").expect("no lines"), []);
        assert!(!columns.get::<bool>(1, "manual").expect("0 is no"));
    }
}
