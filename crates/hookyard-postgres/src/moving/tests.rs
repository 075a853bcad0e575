//! What is copied is everything that the schema has.

use std::collections::{BTreeMap, BTreeSet};

use hookyard_ports::testkit::build::at;
use hookyard_record::Counts;
use hookyard_record::carry::{Batch, Side as _, Table, Value};

use crate::tests::ground;

use super::{Purpose, open, statements};

/// Columns that are not copied as such, each with the reason.
const LEFT_OUT: [(&str, &str, &str); 11] = [
    ("message", "organisation", "the application's"),
    ("owed", "holder", "only whether there is one, as `leased`"),
    ("owed", "leased", "kept as `holder`"),
    ("owed", "seq", "the message's"),
    ("owed", "bytes", "the payload's length"),
    ("ended", "seq", "the message's"),
    ("attempt", "application", "the endpoint's"),
    ("rollup", "incarnation", "summed over all"),
    ("rollup", "outcomes", "in `counts`"),
    ("rollup", "latency", "in `counts`"),
    ("rollup", "counts", "kept as `outcomes` and `latency`"),
];
/// Tables that are not copied, each with the reason.
const APART: [(&str, &str); 5] = [
    ("meta", "copied value by value"),
    ("migration", "the form of this schema"),
    ("node", "lives on this schema"),
    ("mark", "in the highest id"),
    ("change", "for nodes that live"),
];

#[tokio::test]
async fn every_table_and_column_is_copied_or_left_out_for_a_reason() {
    let Some(schema) = ground::TestSchema::new() else { return };
    let mut side = open(schema.options("move", at(0)), Purpose::Target).await.expect("opens");
    let client = schema.client().await;
    let query = "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition";
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in client.query(query, &[&schema.name]).await.expect("it can be read") {
        tables.entry(row.get(0)).or_default().insert(row.get(1));
    }
    let known = Table::ALL.iter().map(|table| table.name()).chain(APART.map(|(name, _)| name));
    assert_eq!(tables.keys().cloned().collect::<BTreeSet<_>>(), known.map(str::to_owned).collect());
    for table in Table::ALL {
        let is_left_out = |name: &str| LEFT_OUT.iter().any(|(of, column, _)| (*of, *column) == (table.name(), name));
        let ours: BTreeSet<&str> =
            tables[table.name()].iter().map(String::as_str).filter(|name| !is_left_out(name)).collect();
        let neutral = table.columns().iter().map(|column| column.name).filter(|name| !is_left_out(name));
        assert_eq!(ours, neutral.collect(), "{}", table.name());
        // Of an empty schema nothing is read; that it can be asked, and behind a cursor, is what is shown.
        let Batch { rows, .. } = side.next(table, None).await.expect("it can be written out");
        assert!(rows.is_empty() && side.count(table).await.expect("it can be counted") == 0, "{}", table.name());
        let cursor: Vec<_> = (statements::cursor(table).iter())
            .map(|name| match statements::kind(&table.columns()[table.place(name)]) {
                tokio_postgres::types::Type::INT8 => Value::Int(1),
                tokio_postgres::types::Type::TEXT => Value::Text("k".to_owned()),
                _ => Value::Bytes(vec![0; 20]),
            })
            .collect();
        let behind = side.next(table, Some(&cursor)).await.expect("it can be written out behind a cursor");
        assert!(behind.rows.is_empty(), "{}", table.name());
    }
    Box::new(side).close().await.expect("it lets go");
}

#[tokio::test]
async fn what_several_nodes_counted_in_a_minute_is_one_row() {
    let Some(schema) = ground::TestSchema::new() else { return };
    let mut side = open(schema.options("move", at(0)), Purpose::Target).await.expect("opens");
    let client = schema.client().await;
    let insert = format!(
        "INSERT INTO \"{}\".rollup (endpoint, minute, incarnation, outcomes, latency) \
         SELECT decode(repeat('0' || e, 20), 'hex'), m, i, ARRAY[m, i], ARRAY[i] \
         FROM generate_series(1, 2) e, generate_series(1, 700) m, generate_series(1, 2) i",
        schema.name
    );
    client.batch_execute(&insert).await.expect("it can be written");
    assert_eq!(side.count(Table::Rollup).await.expect("it can be counted"), 1_400);
    let first = side.next(Table::Rollup, None).await.expect("it can be written out");
    let rest = side.next(Table::Rollup, Some(&first.next)).await.expect("it goes on");
    assert_eq!((first.rows.len(), rest.rows.len()), (1_000, 400));
    for (place, row) in (0..).zip(first.rows.iter().chain(&rest.rows)) {
        let minute = place % 700 + 1;
        let counts = Counts::from_parts(&[2 * minute, 3], &[3]).expect("few").to_bytes();
        let endpoint = vec![if place < 700 { 1 } else { 2 }; 20];
        let minute = minute.try_into().expect("small");
        assert_eq!(*row, [Value::Bytes(endpoint), Value::Int(minute), Value::Bytes(counts)]);
    }
    let over = side.next(Table::Rollup, Some(&rest.next)).await.expect("it goes on");
    assert!(over.rows.is_empty());
    Box::new(side).close().await.expect("it lets go");
}
