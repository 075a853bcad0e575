//! Values as the database takes them, and rows as the cells that every store reads.

use std::error::Error;

use bytes::BytesMut;
use hookyard_model::RawId;
use hookyard_record::carry::kept;
use hookyard_record::{Cell, Cells, FromCell};
pub(crate) use hookyard_record::{bound, int};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::fault::Fault;

/// A parameter with its type, which is said each time: on a session of anybody's no statement is known before.
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

impl<'r> FromCell<'r> for Id {
    fn from_cell(cell: Cell<'r>) -> Option<Self> {
        RawId::from_cell(cell).map(Self)
    }
}

/// The columns of a row.
pub(crate) type Columns<'r> = hookyard_record::Columns<RowCells<'r>>;

/// A row. It is named by its first column, which is its id in every query.
pub(crate) struct RowCells<'r>(&'r Row);

impl<'r> From<&'r Row> for RowCells<'r> {
    fn from(row: &'r Row) -> Self {
        Self(row)
    }
}

impl<'r> Cells<'r> for RowCells<'r> {
    type Fault = Fault;

    fn cell(&self, index: usize) -> Option<Cell<'r>> {
        self.0.try_get::<_, Given<'r>>(index).ok().map(|Given(cell)| cell)
    }

    fn name(&self) -> String {
        match self.0.try_get::<_, Id>(0) {
            Ok(Id(id)) => format!("{id:?}"),
            Err(_) => "?".to_owned(),
        }
    }
}

/// A value of any type that our columns have.
struct Given<'r>(Cell<'r>);

impl<'r> FromSql<'r> for Given<'r> {
    fn from_sql(kind: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *kind {
            Type::INT8 => Cell::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Cell::Int(i32::from_sql(kind, raw)?.into()),
            Type::INT2 => Cell::Int(i16::from_sql(kind, raw)?.into()),
            Type::BOOL => Cell::Int(bool::from_sql(kind, raw)?.into()),
            Type::BYTEA => Cell::Bytes(raw),
            _ => Cell::Text(<&str>::from_sql(kind, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Cell::Null))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::BYTEA].contains(kind) || <&str as FromSql>::accepts(kind)
    }
}

/// A text that the database can keep: its texts have no zero character, which a stranger's answer may carry into the log.
pub(crate) fn text(given: &str) -> String {
    kept(given).into_owned()
}
