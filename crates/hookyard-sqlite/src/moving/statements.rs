//! The statements that write out and take in the neutral rows of a table.
//!
//! Made from the neutral columns: where the store has integers of its own for rows, a lookup stands beside the id.

use hookyard_record::carry::{Column, Kind, Table};

/// The table of ours that has the rows.
pub(super) const fn physical(table: Table) -> &'static str {
    match table {
        Table::Owed | Table::Ended => "delivery",
        Table::Application
        | Table::Endpoint
        | Table::EndpointRevision
        | Table::Message
        | Table::Attempt
        | Table::Rollup
        | Table::Dedupe
        | Table::Source
        | Table::Refusal
        | Table::Job
        | Table::Task
        | Table::Key
        | Table::Audit => table.name(),
    }
}

/// Which rows of [`physical`] are meant.
const fn filter(table: Table) -> &'static str {
    match table {
        Table::Owed => "t.due IS NOT NULL",
        Table::Ended => "t.due IS NULL",
        Table::Application
        | Table::Endpoint
        | Table::EndpointRevision
        | Table::Message
        | Table::Attempt
        | Table::Rollup
        | Table::Dedupe
        | Table::Source
        | Table::Refusal
        | Table::Job
        | Table::Task
        | Table::Key
        | Table::Audit => "true",
    }
}

/// The columns by which the table is clustered, in which order it is written out.
pub(super) const fn cursor(table: Table) -> &'static [&'static str] {
    match table {
        Table::Application
        | Table::Endpoint
        | Table::Attempt
        | Table::Source
        | Table::Refusal
        | Table::Job
        | Table::Task
        | Table::Audit => &["row"],
        Table::EndpointRevision => &["endpoint", "revision"],
        Table::Message => &["seq"],
        Table::Owed | Table::Ended => &["message", "endpoint"],
        Table::Rollup => &["endpoint", "minute"],
        Table::Dedupe => &["application", "kind", "key"],
        Table::Key => &["name"],
    }
}

/// The integer by which rows of a table are named.
const fn integer(table: Table) -> &'static str {
    if matches!(table, Table::Message) { "seq" } else { "row" }
}

/// How many rows there are.
pub(super) fn count(table: Table) -> String {
    format!("SELECT count(*) FROM {} t WHERE {}", physical(table), filter(table))
}

/// Rows behind a cursor, if one is given: the neutral columns, then the cursor's.
pub(super) fn export(table: Table, is_behind: bool) -> String {
    let columns = table.columns().iter().map(read);
    let cursor: Vec<String> = cursor(table).iter().map(|name| format!("t.\"{name}\"")).collect();
    let columns: Vec<String> = columns.chain(cursor.iter().cloned()).collect();
    let behind = if is_behind {
        let places: Vec<String> = (2..).take(cursor.len()).map(|place| format!("?{place}")).collect();
        format!(" AND ({}) > ({})", cursor.join(", "), places.join(", "))
    } else {
        String::new()
    };
    format!(
        "SELECT {} FROM {} t WHERE {}{behind} ORDER BY {} LIMIT ?1",
        columns.join(", "),
        physical(table),
        filter(table),
        cursor.join(", ")
    )
}

fn read(column: &Column) -> String {
    match (column.name, column.kind) {
        ("leased", _) => "t.holder IS NOT NULL".to_owned(),
        (name, Kind::Refers(other)) => {
            format!("(SELECT id FROM {} WHERE {} = t.\"{name}\")", other.name(), integer(other))
        }
        (name, Kind::Int | Kind::Bool | Kind::Text | Kind::Bytes) => format!("t.\"{name}\""),
    }
}

/// Writes a row; its parameters are the neutral columns.
pub(super) fn insert(table: Table) -> String {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (place, column) in (1..).zip(table.columns()) {
        let (name, value) = match (column.name, column.kind) {
            // No incarnation has this number, so whoever starts next rescues what it holds.
            ("leased", _) => ("holder", format!("iif(?{place}, 0, NULL)")),
            (name, Kind::Refers(Table::Message)) => (name, message(table, place)),
            (name, Kind::Refers(other)) => {
                (name, format!("(SELECT {} FROM {} WHERE id = ?{place})", integer(other), other.name()))
            }
            (name, Kind::Int | Kind::Bool | Kind::Text | Kind::Bytes) => (name, format!("?{place}")),
        };
        names.push(format!("\"{name}\""));
        values.push(value);
    }
    if table == Table::Ended {
        names.extend(["waits".to_owned(), "manual".to_owned()]);
        values.extend(["0".to_owned(), "0".to_owned()]);
    }
    format!("INSERT INTO {} ({}) VALUES ({})", physical(table), names.join(", "), values.join(", "))
}

/// The place of the message whose id is a parameter: found within its application, as every message is.
fn message(table: Table, place: usize) -> String {
    let application = if table.columns().iter().any(|column| column.name == "application") {
        format!("(SELECT row FROM application WHERE id = ?{})", table.place("application") + 1)
    } else {
        format!("(SELECT application FROM endpoint WHERE id = ?{})", table.place("endpoint") + 1)
    };
    format!("(SELECT seq FROM message WHERE application = {application} AND id = ?{place})")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rusqlite::Connection;

    use super::*;

    /// Columns that are not copied as such, each with the reason.
    const LEFT_OUT: [(&str, &str, &str); 12] = [
        ("application", "row", "an integer of this store"),
        ("endpoint", "row", "an integer of this store"),
        ("attempt", "row", "an integer of this store"),
        ("source", "row", "an integer of this store"),
        ("task", "row", "an integer of this store"),
        ("owed", "reason", "what is owed has none"),
        ("owed", "holder", "only whether there is one, as `leased`"),
        ("ended", "due", "what has ended owes nothing"),
        ("ended", "holder", "what has ended is not held"),
        ("ended", "waits", "what has ended waits for nothing"),
        ("ended", "manual", "what has ended has no next attempt"),
        ("owed", "leased", "kept as `holder`"),
    ];
    /// Tables that are not copied, each with the reason.
    const APART: [(&str, &str); 2] = [("meta", "copied value by value"), ("node", "lives of this store")];

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().expect("memory");
        crate::schema::migrate(&mut connection).expect("the migrations apply");
        connection
    }

    fn names(connection: &Connection, query: &str) -> BTreeSet<String> {
        let mut statement = connection.prepare(query).expect(query);
        let names = statement.query_map([], |row| row.get(0)).expect(query);
        names.collect::<rusqlite::Result<_>>().expect(query)
    }

    #[test]
    fn every_table_and_column_is_copied_or_left_out_for_a_reason() {
        let connection = database();
        let tables = names(&connection, "SELECT name FROM sqlite_schema WHERE type = 'table'");
        let known = Table::ALL.iter().map(|table| physical(*table)).chain(APART.map(|(name, _)| name));
        assert_eq!(tables, known.map(str::to_owned).collect());
        for table in Table::ALL {
            let is_left_out =
                |name: &str| LEFT_OUT.iter().any(|(of, column, _)| (*of, *column) == (table.name(), name));
            let query = format!("SELECT name FROM pragma_table_info('{}')", physical(table));
            let ours: BTreeSet<String> =
                names(&connection, &query).into_iter().filter(|name| !is_left_out(name)).collect();
            let neutral = table.columns().iter().map(|column| column.name).filter(|name| !is_left_out(name));
            assert_eq!(ours, neutral.map(str::to_owned).collect(), "{}", table.name());
        }
    }

    #[test]
    fn tables_are_written_out_in_the_order_in_which_they_lie() {
        let connection = database();
        for table in Table::ALL {
            for query in [export(table, false), export(table, true)] {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).expect(&query);
                let unbound = vec![None::<i64>; statement.parameter_count()];
                let steps = statement.query_map(rusqlite::params_from_iter(unbound), |row| row.get(3)).expect(&query);
                let steps: Vec<String> = steps.collect::<rusqlite::Result<_>>().expect(&query);
                assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{query}: {steps:?}");
                let scans = steps.iter().filter(|step| step.starts_with("SCAN")).count();
                assert!(scans <= usize::from(!query.contains(") > (")), "{query}: {steps:?}");
            }
            connection.prepare(&insert(table)).expect("it can be written");
            connection.prepare(&count(table)).expect("it can be counted");
        }
    }
}
