//! Reads columns of a row as values of the model; what does not fit names table, column and row.

use std::str::FromStr;

use hookyard_model::{RawId, Timestamp};
use rusqlite::Row;
use rusqlite::types::FromSql;

use crate::fault::{Attempted, Fault};

/// A row of a table, read column by column.
pub(crate) struct Columns<'r, 's> {
    table: &'static str,
    row: &'r Row<'s>,
}

impl<'r, 's> Columns<'r, 's> {
    pub(crate) const fn new(table: &'static str, row: &'r Row<'s>) -> Self {
        Self { table, row }
    }

    /// That this column cannot be read. The row is named by its first column, which is its integer key in every query.
    pub(crate) fn corrupt(&self, column: &'static str) -> Fault {
        Fault::corrupt(self.table, column, self.row.get::<_, i64>(0).unwrap_or(-1))
    }

    /// The value of the column at `index`.
    pub(crate) fn get<T: FromSql>(&self, index: usize, column: &'static str) -> Attempted<T> {
        self.row.get(index).map_err(|_| self.corrupt(column))
    }

    /// The text at `index`, borrowed from the row.
    pub(crate) fn text(&self, index: usize, column: &'static str) -> Attempted<&str> {
        self.row.get_ref(index)?.as_str().map_err(|_| self.corrupt(column))
    }

    /// The text at `index`, borrowed from the row, if there is one.
    pub(crate) fn text_or_null(&self, index: usize, column: &'static str) -> Attempted<Option<&str>> {
        self.row.get_ref(index)?.as_str_or_null().map_err(|_| self.corrupt(column))
    }

    /// The text at `index`, read as a checked name.
    pub(crate) fn parse<T: FromStr>(&self, index: usize, column: &'static str) -> Attempted<T> {
        self.text(index, column)?.parse().map_err(|_| self.corrupt(column))
    }

    /// The text at `index`, read as a checked name, if there is one.
    pub(crate) fn parse_or_null<T: FromStr>(&self, index: usize, column: &'static str) -> Attempted<Option<T>> {
        let text = self.text_or_null(index, column)?;
        text.map(|text| text.parse().map_err(|_| self.corrupt(column))).transpose()
    }

    /// The lines of the text at `index`, each read as a checked name; none where there is no text.
    pub(crate) fn lines<T: FromStr>(&self, index: usize, column: &'static str) -> Attempted<Vec<T>> {
        let text = self.text_or_null(index, column)?;
        let lines = text.into_iter().flat_map(|text| text.split('\n'));
        lines.map(|line| line.parse().map_err(|_| self.corrupt(column))).collect()
    }

    /// The id at `index`.
    pub(crate) fn id(&self, index: usize, column: &'static str) -> Attempted<RawId> {
        self.get::<[u8; 20]>(index, column).map(RawId::from_bytes)
    }

    /// The time at `index`.
    pub(crate) fn time(&self, index: usize, column: &'static str) -> Attempted<Timestamp> {
        self.get(index, column).map(Timestamp::from_micros)
    }

    /// The time at `index`, if there is one.
    pub(crate) fn time_or_null(&self, index: usize, column: &'static str) -> Attempted<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>(index, column)?.map(Timestamp::from_micros))
    }

    /// The number at `index`, in the type that its column's bounds allow.
    pub(crate) fn number<T: TryFrom<i64>>(&self, index: usize, column: &'static str) -> Attempted<T> {
        T::try_from(self.get(index, column)?).map_err(|_| self.corrupt(column))
    }
}

/// A count or revision as the database keeps it. Nothing that we count reaches the upper half of its range.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A bound of rows as the database takes it.
pub(crate) fn bound(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
