//! The statements that write out and take in the neutral rows of a table.
//!
//! Made from the neutral columns. Ids are ids here as well; what this store repeats of other rows (an application beside an
//! attempt, a payload's length beside what is owed) is looked up when a row is taken in.

use hookyard_record::carry::{Column, Kind, Table};
use tokio_postgres::types::Type;

/// The columns of the index by which a table is written out.
pub(super) const fn cursor(table: Table) -> &'static [&'static str] {
    match table {
        Table::Application | Table::Endpoint | Table::Message | Table::Source | Table::Task => &["id"],
        Table::EndpointRevision => &["endpoint", "revision"],
        Table::Owed | Table::Ended => &["message", "endpoint"],
        Table::Attempt => &["message", "id"],
        Table::Rollup => &["endpoint", "minute"],
        Table::Dedupe => &["application", "kind", "key"],
        Table::Refusal | Table::Job | Table::Audit => &["row"],
        Table::Key => &["name"],
    }
}

/// The type of a column's values as they are written out and as parameters.
pub(super) const fn kind(column: &Column) -> Type {
    match column.kind {
        Kind::Int => Type::INT8,
        Kind::Bool => Type::BOOL,
        Kind::Text => Type::TEXT,
        Kind::Bytes | Kind::Refers(_) => Type::BYTEA,
    }
}

/// The type of many values of a column as one parameter.
pub(super) const fn array(column: &Column) -> Type {
    match column.kind {
        Kind::Int => Type::INT8_ARRAY,
        Kind::Bool => Type::BOOL_ARRAY,
        Kind::Text => Type::TEXT_ARRAY,
        Kind::Bytes | Kind::Refers(_) => Type::BYTEA_ARRAY,
    }
}

/// Bytes of the column that may be long.
const fn weight(table: Table) -> Option<&'static str> {
    match table {
        Table::Message => Some("payload"),
        Table::Attempt => Some("body"),
        Table::Application
        | Table::Endpoint
        | Table::EndpointRevision
        | Table::Owed
        | Table::Ended
        | Table::Rollup
        | Table::Dedupe
        | Table::Source
        | Table::Refusal
        | Table::Job
        | Table::Task
        | Table::Key
        | Table::Audit => None,
    }
}

/// How many rows there are.
pub(super) fn count(table: Table) -> String {
    match table {
        Table::Rollup => "SELECT count(*) FROM (SELECT DISTINCT endpoint, minute FROM @rollup) AS r".to_owned(),
        Table::Application
        | Table::Endpoint
        | Table::EndpointRevision
        | Table::Message
        | Table::Owed
        | Table::Ended
        | Table::Attempt
        | Table::Dedupe
        | Table::Source
        | Table::Refusal
        | Table::Job
        | Table::Task
        | Table::Key
        | Table::Audit => format!("SELECT count(*) FROM @{}", table.name()),
    }
}

/// A condition on the cursor's columns: behind the parameters from `$3` on.
fn behind(table: Table, is_behind: bool) -> String {
    if !is_behind {
        return String::new();
    }
    let cursor = cursor(table);
    let places: Vec<String> = (3..)
        .zip(cursor)
        .map(|(place, name)| if *name == "kind" { format!("${place}::int2") } else { format!("${place}") })
        .collect();
    format!("WHERE ({}) > ({})", quoted(cursor), places.join(", "))
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}

/// At most `$1` rows, and at most one that passes `$2` bytes, behind a cursor if one is given.
pub(super) fn export(table: Table, is_behind: bool) -> String {
    let (name, order, behind) = (table.name(), quoted(cursor(table)), behind(table, is_behind));
    if table == Table::Rollup {
        // The minutes are chosen before their rows: each incarnation has one of its own, and all of them are one minute.
        return format!(
            "SELECT r.endpoint, r.minute, r.outcomes, r.latency FROM (SELECT DISTINCT endpoint, minute FROM @rollup {behind} \
             ORDER BY endpoint, minute LIMIT $1) k JOIN @rollup r ON r.endpoint = k.endpoint AND r.minute = k.minute \
             WHERE $2 > 0 ORDER BY r.endpoint, r.minute"
        );
    }
    let columns: Vec<String> = table.columns().iter().map(read).collect();
    let columns = columns.join(", ");
    let rows = format!("(SELECT * FROM @{name} {behind} ORDER BY {order} LIMIT $1) t");
    match weight(table) {
        None => format!("SELECT {columns} FROM {rows} WHERE $2 > 0 ORDER BY {order}"),
        // The length of a value that is kept apart is known without reading it.
        Some(heavy) => format!(
            "SELECT {columns} FROM (SELECT t.*, sum(coalesce(octet_length({heavy}), 0)) OVER (ORDER BY {order} \
             ROWS UNBOUNDED PRECEDING) - coalesce(octet_length({heavy}), 0) AS bytes_before FROM {rows}) t \
             WHERE bytes_before < $2 ORDER BY {order}"
        ),
    }
}

fn read(column: &Column) -> String {
    match (column.name, column.kind) {
        ("leased", _) => "t.holder IS NOT NULL".to_owned(),
        (name, Kind::Int) => format!("t.\"{name}\"::int8"),
        (name, Kind::Bool | Kind::Text | Kind::Bytes | Kind::Refers(_)) => format!("t.\"{name}\""),
    }
}

/// Writes many rows; its parameters are the neutral columns, an array each, save of a rollup, whose counts are two.
pub(super) fn insert(table: Table) -> String {
    let names: Vec<&str> = match table {
        Table::Rollup => vec!["endpoint", "minute", "outcomes", "latency"],
        Table::Application
        | Table::Endpoint
        | Table::EndpointRevision
        | Table::Message
        | Table::Owed
        | Table::Ended
        | Table::Attempt
        | Table::Dedupe
        | Table::Source
        | Table::Refusal
        | Table::Job
        | Table::Task
        | Table::Key
        | Table::Audit => table.columns().iter().map(|column| column.name).collect(),
    };
    let given: Vec<String> = (1..).take(names.len()).map(|place: usize| format!("${place}")).collect();
    let mut columns: Vec<(String, String)> = Vec::with_capacity(names.len() + 2);
    for name in &names {
        columns.push(match (table, *name) {
            // No incarnation has this number, so whoever starts next rescues what it holds.
            (Table::Owed, "leased") => ("holder".to_owned(), "CASE WHEN n.leased THEN 0 END".to_owned()),
            (Table::Rollup, "outcomes" | "latency") => (format!("\"{name}\""), format!("n.{name}::int8[]")),
            (_, name) => (format!("\"{name}\""), format!("n.\"{name}\"")),
        });
    }
    let mut add = |name: &str, value: &str| columns.push((name.to_owned(), value.to_owned()));
    let mut from = "";
    match table {
        Table::Message => {
            add("organisation", "a.organisation");
            from = " JOIN @application a ON a.id = n.application";
        }
        Table::Owed => {
            add("seq", "m.seq");
            add("bytes", "coalesce(octet_length(m.payload), -1)");
            from = " JOIN @message m ON m.id = n.message";
        }
        Table::Ended => {
            add("seq", "m.seq");
            from = " JOIN @message m ON m.id = n.message";
        }
        Table::Attempt => {
            add("application", "e.application");
            from = " JOIN @endpoint e ON e.id = n.endpoint";
        }
        Table::Rollup => add("incarnation", "0"),
        Table::Application
        | Table::Endpoint
        | Table::EndpointRevision
        | Table::Dedupe
        | Table::Source
        | Table::Refusal
        | Table::Job
        | Table::Task
        | Table::Key
        | Table::Audit => {}
    }
    let overriding = if numbered(table) { " OVERRIDING SYSTEM VALUE" } else { "" };
    let (into, values): (Vec<String>, Vec<String>) = columns.into_iter().unzip();
    format!(
        "INSERT INTO @{} ({}){overriding} SELECT {} FROM unnest({}) AS n({}){from}",
        table.name(),
        into.join(", "),
        values.join(", "),
        given.join(", "),
        quoted(&names)
    )
}

/// Whether the store numbers the rows of a table itself.
pub(super) const fn numbered(table: Table) -> bool {
    matches!(table, Table::Refusal | Table::Job | Table::Audit)
}
