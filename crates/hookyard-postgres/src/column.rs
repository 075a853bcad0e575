//! Values as the database takes them, and columns of a row as values of the model.
//!
//! What does not fit the model names table, column and row: the first column of every query is the row's id.

use std::error::Error;
use std::str::FromStr;

use bytes::BytesMut;
use hookyard_model::{RawId, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::fault::{Attempted, Fault};

/// A parameter with its type: statements are unnamed, so the types are said each time.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// An id as a column of 20 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) RawId);

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(BYTEA);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Id {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(RawId::from_bytes(raw.try_into()?)))
    }

    accepts!(BYTEA);
}

/// A row of a table, read column by column.
pub(crate) struct Columns<'r> {
    table: &'static str,
    row: &'r Row,
}

impl<'r> Columns<'r> {
    pub(crate) const fn new(table: &'static str, row: &'r Row) -> Self {
        Self { table, row }
    }

    /// That this column cannot be read.
    pub(crate) fn corrupt(&self, column: &'static str) -> Fault {
        let id = match self.row.try_get::<_, &[u8]>(0) {
            Ok(bytes) => bytes.try_into().map_or_else(|_| "?".to_owned(), |id| format!("{:?}", RawId::from_bytes(id))),
            Err(_) => "?".to_owned(),
        };
        Fault::corrupt(self.table, column, id)
    }

    /// The value of the column at `index`.
    pub(crate) fn get<T: FromSql<'r>>(&self, index: usize, column: &'static str) -> Attempted<T> {
        self.row.try_get(index).map_err(|_| self.corrupt(column))
    }

    /// The text at `index`, read as a checked name.
    pub(crate) fn parse<T: FromStr>(&self, index: usize, column: &'static str) -> Attempted<T> {
        self.get::<&str>(index, column)?.parse().map_err(|_| self.corrupt(column))
    }

    /// The text at `index`, read as a checked name, if there is one.
    pub(crate) fn parse_or_null<T: FromStr>(&self, index: usize, column: &'static str) -> Attempted<Option<T>> {
        let text: Option<&str> = self.get(index, column)?;
        text.map(|text| text.parse().map_err(|_| self.corrupt(column))).transpose()
    }

    /// The lines of the text at `index`, each read as a checked name; none where there is no text.
    pub(crate) fn lines<T: FromStr>(&self, index: usize, column: &'static str) -> Attempted<Vec<T>> {
        let text: Option<&str> = self.get(index, column)?;
        let lines = text.into_iter().flat_map(|text| text.split('\n'));
        lines.map(|line| line.parse().map_err(|_| self.corrupt(column))).collect()
    }

    /// The id at `index`.
    pub(crate) fn id(&self, index: usize, column: &'static str) -> Attempted<RawId> {
        self.get::<Id>(index, column).map(|id| id.0)
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

    /// The number at `index` of an `integer` column.
    pub(crate) fn number_of_integer<T: TryFrom<i32>>(&self, index: usize, column: &'static str) -> Attempted<T> {
        T::try_from(self.get(index, column)?).map_err(|_| self.corrupt(column))
    }

    /// The code at `index` of a `smallint` column.
    pub(crate) fn code(&self, index: usize, column: &'static str) -> Attempted<i64> {
        self.get::<i16>(index, column).map(i64::from)
    }

    /// The code at `index` of a `smallint` column, if there is one.
    pub(crate) fn code_or_null(&self, index: usize, column: &'static str) -> Attempted<Option<i64>> {
        Ok(self.get::<Option<i16>>(index, column)?.map(i64::from))
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

/// A text that the database can keep: its texts have no zero character, which a stranger's answer may carry into the log.
pub(crate) fn text(given: &str) -> String {
    if given.contains('\0') { given.replace('\0', "\u{2400}") } else { given.to_owned() }
}
