//! Rows of `SQLite` as the cells that every store reads.

use hookyard_record::{Cell, Cells};
pub(crate) use hookyard_record::{bound, int};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::fault::Fault;

/// The columns of a row.
pub(crate) type Columns<'r, 's> = hookyard_record::Columns<RowCells<'r, 's>>;

/// A row, or what stands in it behind its number.
pub(crate) struct RowCells<'r, 's> {
    row: &'r Row<'s>,
    first: usize,
}

impl<'r, 's> RowCells<'r, 's> {
    /// A row whose first column is only its number: its record begins behind it.
    pub(crate) const fn behind_number(row: &'r Row<'s>) -> Self {
        Self { row, first: 1 }
    }
}

impl<'r, 's> From<&'r Row<'s>> for RowCells<'r, 's> {
    fn from(row: &'r Row<'s>) -> Self {
        Self { row, first: 0 }
    }
}

impl<'r> Cells<'r> for RowCells<'r, '_> {
    type Fault = Fault;

    fn cell(&self, index: usize) -> Option<Cell<'r>> {
        Some(match self.row.get_ref(self.first + index).ok()? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Int(number),
            ValueRef::Text(text) => Cell::Text(std::str::from_utf8(text).ok()?),
            ValueRef::Blob(bytes) => Cell::Bytes(bytes),
            ValueRef::Real(_) => return None,
        })
    }

    /// The row is named by its first column, which is its integer key in every query.
    fn name(&self) -> String {
        self.row.get::<_, i64>(0).unwrap_or(-1).to_string()
    }
}
