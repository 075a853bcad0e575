//! The plans of the queries: what runs often or over much finds its rows by an index and sorts nothing.

use rusqlite::Connection;

use crate::deed::{accept, by_hand, claim, prune, release, rescue, settle, sweep};
use crate::read::{attempts, counts, deliveries};
use crate::{attempt, configuration, delivery, hot, marks, message, order, schema};

fn database() -> Connection {
    let mut connection = Connection::open_in_memory().expect("memory");
    schema::migrate(&mut connection).expect("the migrations apply");
    connection
}

fn plan(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).expect(query);
    let unbound = vec![None::<i64>; statement.parameter_count()];
    let steps = statement.query_map(rusqlite::params_from_iter(unbound), |row| row.get(3)).expect(query);
    steps.collect::<rusqlite::Result<_>>().expect(query)
}

#[test]
fn every_query_finds_its_rows_by_an_index_and_sorts_nothing() {
    let connection = database();
    for query in [
        accept::TAKEN,
        attempt::BY_ID,
        attempt::INSERT,
        attempt::NEXT_DOWNWARDS,
        attempt::NEXT_UPWARDS,
        attempt::OF_ENDPOINT_DOWNWARDS,
        attempt::OF_ENDPOINT_UPWARDS,
        attempt::OF_MESSAGE_DOWNWARDS,
        attempt::OF_MESSAGE_UPWARDS,
        attempts::ENDPOINT,
        attempts::ENDPOINTS,
        by_hand::BEGIN,
        by_hand::HASTEN,
        by_hand::ONE,
        by_hand::REOPEN,
        claim::CALL_OFF,
        configuration::APPLICATIONS,
        configuration::APPLICATION_BY_ID,
        configuration::APPLICATION_BY_UID,
        configuration::ENDPOINTS,
        configuration::ENDPOINTS_AT,
        configuration::ENDPOINT_BY_ID,
        counts::ROLLUPS,
        deliveries::ENABLED,
        delivery::DUE,
        delivery::FIRST_DUE,
        hot::DELIVER,
        hot::HELD,
        hot::INSERT_DELIVERY,
        hot::LEASE,
        hot::RETRY,
        hot::SEQ,
        message::BY_EVENT_ID,
        message::BY_ID,
        message::BY_SEQ,
        message::DOWNWARDS,
        message::INSERT,
        message::PAYLOAD,
        message::UPWARDS,
        order::FIRST,
        prune::EXPIRED,
        prune::KEYS,
        prune::OWES,
        prune::ROLLUPS,
        release::RELEASE,
        rescue::FREE,
        rescue::HELD_BY_OTHERS,
        settle::AGAIN,
        settle::END,
        sweep::OFF,
        sweep::WAITING,
    ]
    .into_iter()
    .chain(prune::REMOVE)
    {
        for step in plan(&connection, query) {
            let is_found = !step.starts_with("SCAN") || step == "SCAN CONSTANT ROW";
            assert!(is_found && !step.contains("TEMP B-TREE"), "{step} in {query}");
        }
    }
}

#[test]
fn a_claim_reads_the_index_of_what_is_due_alone() {
    let connection = database();
    assert_eq!(
        plan(&connection, delivery::FIRST_DUE),
        ["SEARCH delivery USING COVERING INDEX delivery_due (endpoint=? AND waits=? AND due>?)"]
    );
    for step in plan(&connection, delivery::DUE) {
        assert_eq!(step, "SEARCH delivery USING INDEX delivery_due (endpoint=? AND waits=? AND due>? AND due<?)");
    }
}

#[test]
fn what_is_open_is_counted_in_indexes_alone() {
    let connection = database();
    for (query, index) in [(marks::COUNT_PENDING, "delivery_due"), (marks::COUNT_LEASED, "delivery_holder")] {
        for step in plan(&connection, query) {
            assert!(step.contains(&format!("USING COVERING INDEX {index}")), "{step} in {query}");
        }
    }
}

#[test]
fn the_hot_path_builds_no_table_of_its_own() {
    let connection = database();
    for query in [message::INSERT, hot::INSERT_DELIVERY, attempt::INSERT, hot::DELIVER, hot::RETRY, hot::LEASE] {
        let mut statement = connection.prepare(&format!("EXPLAIN {query}")).expect(query);
        let unbound = vec![None::<i64>; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(unbound), |row| row.get::<_, String>(1));
        for step in steps.expect(query) {
            assert_ne!(step.expect(query), "OpenEphemeral", "{query}");
        }
    }
}
