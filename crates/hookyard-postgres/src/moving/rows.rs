//! Rows as the database gives and takes them, and as they travel.

use std::collections::BTreeMap;

use hookyard_model::{MessageId, RawId};
use hookyard_ports::StoreError;
use hookyard_record::Counts;
use hookyard_record::carry::{Column, Cursor, Kind, Row, Table, Value, kept};
use tokio_postgres::types::{ToSql, Type};

use super::statements;
use crate::column::Parameter;
use crate::fault::{Attempted, Fault};
use crate::rollup::array;
use crate::transaction::Tx;

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
pub(super) fn behind(table: Table, row: &Row) -> Cursor {
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

/// Writes rows, all or none.
pub(super) async fn insert(tx: &Tx, table: Table, rows: &[Row]) -> Attempted<()> {
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

/// The ids of messages.
pub(super) fn ids(rows: &[Row]) -> Vec<MessageId> {
    let id = |row: &Row| match row.get(Table::Message.place("id")) {
        Some(Value::Bytes(bytes)) => Some(MessageId::from_raw(RawId::from_bytes(bytes.as_slice().try_into().ok()?))),
        Some(Value::Null | Value::Int(_) | Value::Text(_)) | None => None,
    };
    rows.iter().filter_map(id).collect()
}

pub(super) fn neutral(table: Table, rows: &[tokio_postgres::Row]) -> Attempted<Vec<Row>> {
    let row = |row: &tokio_postgres::Row| {
        let columns = table.columns().iter().enumerate();
        columns.map(|(place, column)| value(row, place, table, column)).collect()
    };
    rows.iter().map(row).collect()
}

/// One row for each minute, of all incarnations.
pub(super) fn minutes(rows: &[tokio_postgres::Row]) -> Attempted<Vec<Row>> {
    let mut minutes: BTreeMap<(Vec<u8>, i64), Counts> = BTreeMap::new();
    for row in rows {
        minutes.entry((row.try_get(0)?, row.try_get(1)?)).or_default().merge(&counts(row)?);
    }
    let row = |((endpoint, minute), counts): ((Vec<u8>, i64), Counts)| {
        vec![Value::Bytes(endpoint), Value::Int(minute), Value::Bytes(counts.to_bytes())]
    };
    Ok(minutes.into_iter().map(row).collect())
}
