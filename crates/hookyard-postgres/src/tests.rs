//! The plans of the queries: what runs often or over much finds its rows by an index, in the days where they are.
//!
//! The tables are filled and analysed, and each query is explained with values as the store gives them and under the
//! settings of its transactions, `enable_seqscan = off` among them: a plan that reads a whole table all the same has no
//! index that it could use.

#[path = "../tests/store/ground.rs"]
pub(crate) mod ground;

use hookyard_model::{Message, MessageId, Next, Outcome, RawId, Timestamp};
use hookyard_ports::Store as _;
use hookyard_ports::store::{FirstState, Settlement};
use hookyard_ports::testkit::build::{self, at};
use tokio_postgres::types::{ToSql, Type};

use self::ground::TestSchema;
use crate::column::{Id, Parameter};
use crate::deed::{
    accept, by_hand, claim, expunge, import, keys, life, mark, prune, release, rescue, settle, status, sweep,
};
use crate::read::{counts, deliveries};
use crate::schema::Schema;
use crate::{attempt, configuration, delivery, listen, message, order, partition, rollup};

/// Days that have messages, and messages of each.
const DAYS: i64 = 6;
const MESSAGES: u64 = 600;

/// Tables that have a row or a few for each life of a node.
const SMALL: [&str; 3] = ["mark", "meta", "node"];

/// The `n`th message of a day.
fn message_id(day: i64, n: u64) -> MessageId {
    let mut bytes = *RawId::first_of(Timestamp::from_seconds(at(0).as_seconds() + day * 86_400)).as_bytes();
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    MessageId::from_raw(RawId::from_bytes(bytes))
}

/// A schema with messages on several days, of which a third is owed and the rest was sent.
async fn filled(schema: &TestSchema) {
    let store = schema.open("one", at(0)).await;
    store
        .import(build::import(vec![build::import_application(1, &[1, 2, 3])]))
        .await
        .expect("imports")
        .expect("is new");
    let mut attempts = 0;
    for day in 0..DAYS {
        let accepts = (0..MESSAGES).map(|n| {
            let message = Message { id: message_id(day, n), ..build::message(1) };
            build::accept(message, &[(1, build::pending(0)), (2, FirstState::Leased), (3, FirstState::Leased)])
        });
        store.accept(accepts.collect()).await.expect("accepts");
        let settlements = (0..MESSAGES).flat_map(|n| [2, 3].map(|endpoint| (n, endpoint))).map(|(n, endpoint)| {
            attempts += 1;
            let key =
                hookyard_model::DeliveryKey { message: message_id(day, n), endpoint: build::endpoint_id(endpoint) };
            let attempt = build::attempt(attempts, key, Outcome::Delivered);
            Settlement { key, attempt, next: Next::Delivered, endpoint: None, operational: Vec::new() }
        });
        store.settle(settlements.collect()).await.expect("settles");
    }
    store.close().await;
    let client = schema.client().await;
    for table in ["owed", "message", "ended", "attempt", "endpoint", "application", "dedupe", "node", "change"] {
        client.batch_execute(&format!("ANALYZE \"{}\".{table}", schema.name)).await.expect("analyses");
    }
}

/// Values as the store gives them.
struct Values {
    id: Id,
    ids: Vec<Id>,
    endpoint: Id,
    endpoints: Vec<Id>,
    application: Id,
    below: Vec<u8>,
    empty: Vec<u8>,
    first: Id,
    end: Id,
    number: i64,
    numbers: Vec<i64>,
    limit: i64,
    small: i16,
    integer: i32,
    smalls: Vec<i16>,
    integers: Vec<i32>,
    texts: Vec<String>,
    no_number: Option<i64>,
    no_text: Option<&'static str>,
    no_texts: Option<Vec<String>>,
    no_id: Option<Id>,
    no_integer: Option<i32>,
    no_truth: Option<bool>,
    truth: bool,
    truths: Vec<bool>,
    text: &'static str,
}

impl Values {
    fn new() -> Self {
        let id = Id(message_id(2, 5).raw());
        Self {
            id,
            ids: vec![id, Id(message_id(2, 6).raw())],
            endpoint: Id(build::endpoint_id(1).raw()),
            endpoints: vec![Id(build::endpoint_id(1).raw()), Id(build::endpoint_id(2).raw())],
            application: Id(build::application_id(1).raw()),
            below: vec![0xff; 21],
            empty: Vec::new(),
            first: Id(message_id(2, 0).raw()),
            end: Id(message_id(2, MESSAGES).raw()),
            number: at(5_000).as_micros(),
            numbers: vec![1, 2],
            limit: 100,
            small: 1,
            integer: 1,
            smalls: vec![1, 1],
            integers: vec![1, 1],
            texts: vec!["{1}".to_owned(), "{1}".to_owned()],
            no_number: None,
            no_text: None,
            no_texts: None,
            no_id: None,
            no_integer: None,
            no_truth: None,
            truth: false,
            truths: vec![false, true],
            text: "name",
        }
    }

    /// The parameters that letters stand for.
    fn of(&self, letters: &str) -> Vec<Parameter<'_>> {
        letters.split(' ').filter(|letter| !letter.is_empty()).map(|letter| self.one(letter)).collect()
    }

    fn one(&self, letter: &str) -> Parameter<'_> {
        let (value, kind): (&(dyn ToSql + Sync), Type) = match letter {
            "id" => (&self.id, Type::BYTEA),
            "ids" => (&self.ids, Type::BYTEA_ARRAY),
            "ep" => (&self.endpoint, Type::BYTEA),
            "eps" => (&self.endpoints, Type::BYTEA_ARRAY),
            "app" => (&self.application, Type::BYTEA),
            "below" => (&self.below, Type::BYTEA),
            "empty" => (&self.empty, Type::BYTEA),
            "first" => (&self.first, Type::BYTEA),
            "end" => (&self.end, Type::BYTEA),
            "n" => (&self.number, Type::INT8),
            "ns" => (&self.numbers, Type::INT8_ARRAY),
            "limit" => (&self.limit, Type::INT8),
            "small" => (&self.small, Type::INT2),
            "int" => (&self.integer, Type::INT4),
            "smalls" => (&self.smalls, Type::INT2_ARRAY),
            "ints" => (&self.integers, Type::INT4_ARRAY),
            "texts" => (&self.texts, Type::TEXT_ARRAY),
            "n?" => (&self.no_number, Type::INT8),
            "text?" => (&self.no_text, Type::TEXT),
            "texts?" => (&self.no_texts, Type::TEXT_ARRAY),
            "id?" => (&self.no_id, Type::BYTEA),
            "int?" => (&self.no_integer, Type::INT4),
            "bool?" => (&self.no_truth, Type::BOOL),
            "bool" => (&self.truth, Type::BOOL),
            "bools" => (&self.truths, Type::BOOL_ARRAY),
            "text" => (&self.text, Type::TEXT),
            other => panic!("no value is called `{other}`"),
        };
        (value, kind)
    }
}

/// How many days a plan may look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// None: its tables are not kept by days.
    None,
    /// The day of the ids that it is given.
    One,
    /// Any.
    All,
}

/// Every query that runs often or over much, with its parameters.
fn queries() -> Vec<(&'static str, &'static str, Look)> {
    let page = "app empty below limit texts? text? n? n? limit";
    let log = "app empty below limit id? bool? int? n? n? app limit";
    let of_message = "id empty below limit id? bool? int? n? n? app limit";
    let mut queries = vec![
        (accept::REVISIONS, "ids", Look::None),
        (accept::INSERT_OWED, "ids eps ns ns ns bools ns ints", Look::None),
        (attempt::BY_ID, "app id", Look::All),
        (attempt::OF_APPLICATION_DOWNWARDS, log, Look::All),
        (attempt::OF_APPLICATION_UPWARDS, log, Look::All),
        (attempt::OF_ENDPOINT_DOWNWARDS, log, Look::All),
        (attempt::OF_ENDPOINT_UPWARDS, log, Look::All),
        (attempt::OF_MESSAGE_DOWNWARDS, of_message, Look::One),
        (attempt::OF_MESSAGE_UPWARDS, of_message, Look::One),
        (by_hand::BEGIN, "id ep n n int", Look::None),
        (by_hand::ENDPOINT, "ep", Look::None),
        (by_hand::HASTEN, "id ep n", Look::None),
        (by_hand::HOLD, "id", Look::One),
        (by_hand::REOPEN, "id ep n bool int", Look::One),
        (claim::CALL_OFF, "small ids eps", Look::None),
        (claim::DUE, "eps ns n limit", Look::None),
        (claim::ENABLED, "eps", Look::None),
        (claim::FIRST_DUE, "eps", Look::None),
        (claim::LEASE, "n ids eps", Look::None),
        (configuration::APPLICATIONS, "id empty limit", Look::None),
        (configuration::APPLICATIONS_BY_ID, "ids", Look::None),
        (configuration::APPLICATIONS_BY_UID, "id texts", Look::None),
        (configuration::ENDPOINTS, "app", Look::None),
        (configuration::ENDPOINTS_AT, "app n", Look::None),
        (configuration::ENDPOINTS_BY_ID, "eps", Look::None),
        (delivery::OF_MESSAGE, "id", Look::One),
        (delivery::ONE, "id ep", Look::One),
        (deliveries::DUE, "empty limit", Look::None),
        (deliveries::HELD_BY, "n empty empty limit", Look::None),
        (deliveries::IS_OF, "id app", Look::One),
        (counts::LEASED, "limit", Look::None),
        (counts::PENDING, "limit", Look::None),
        (expunge::EMPTY, "id", Look::None),
        (expunge::EXPUNGE, "id app", Look::One),
        (import::LAST_DECLARED, "app", Look::None),
        (import::SET_REVISION, "app n", Look::None),
        (keys::FREE, "ids smalls texts ids", Look::None),
        (keys::TAKEN, "ids smalls texts", Look::None),
        (life::BEAT, "n n n", Look::None),
        (life::STOP, "n n", Look::None),
        (listen::KNOWN, "", Look::None),
        (listen::SINCE, "n", Look::None),
        (mark::HIGHEST, "", Look::All),
        (message::BY_EVENT_ID, "app text", Look::All),
        (message::BY_ID, "app id", Look::One),
        (message::BY_IDS, "ids first end", Look::One),
        (message::DOWNWARDS, page, Look::All),
        (message::PAYLOADS, "ids first end", Look::One),
        (message::UPWARDS, page, Look::All),
        (order::ADVANCE, "eps ns", Look::None),
        (order::FIRST, "eps ns", Look::None),
        (order::WAIT, "id ep", Look::None),
        (prune::CHANGES, "n limit", Look::None),
        (prune::COUNT, "first end limit", Look::One),
        (prune::EXPIRED, "n n id first limit", Look::All),
        (prune::HIGHEST, "first end", Look::One),
        (prune::HOLD, "ids first end", Look::One),
        (prune::KEYS, "n limit", Look::None),
        (prune::KEYS_OF_DAY, "first end limit", Look::None),
        (prune::LAST, "first end", Look::One),
        (prune::LIVES, "n n", Look::None),
        (prune::OWES, "first end", Look::None),
        (prune::OWING, "ids", Look::None),
        (prune::ROLLUPS, "n limit", Look::None),
        (release::RELEASE, "n ids eps", Look::None),
        (rescue::DEAD, "n text n", Look::None),
        (rescue::FREE, "n ids eps", Look::None),
        (rescue::HELD_BY_DEAD, "ns limit", Look::None),
        (rollup::READ, "ep n n", Look::None),
        (settle::END, "n ids eps smalls smalls ints smalls", Look::None),
        (settle::GO_ON, "n ids eps ns ns ints smalls bools", Look::None),
        (settle::HELD, "ids eps n", Look::None),
        (settle::STORED, "ids first end", Look::One),
        (status::NOTE, "ep n", Look::None),
        (status::NOTED, "eps", Look::None),
        (status::OWNER, "ep", Look::None),
        (sweep::OFF, "", Look::None),
        (sweep::WAITING, "ep bool n limit", Look::None),
    ];
    queries.extend(prune::REMOVE.map(|query| {
        let look = if query.contains("@dedupe") { Look::None } else { Look::One };
        (query, "ids first end", look)
    }));
    queries
}

#[tokio::test]
async fn every_query_finds_its_rows_by_an_index_in_the_days_where_they_are() {
    let Some(schema) = TestSchema::new() else { return };
    filled(&schema).await;
    let (client, names, values) = (schema.client().await, Schema::new(&schema.name).expect("a name"), Values::new());
    let settings = "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL jit = off";
    for (query, letters, look) in queries() {
        client.batch_execute(settings).await.expect("begins");
        let explain = names.qualify(&format!("EXPLAIN {query}"));
        let rows = client.query_typed(&explain, &values.of(letters)).await;
        let rows = rows.unwrap_or_else(|error| panic!("{:?} in {query}", error.as_db_error()));
        client.batch_execute("ROLLBACK").await.expect("ends");
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        for step in &plan {
            // A handful of rows is read as a whole, and may be.
            let is_small = SMALL.iter().any(|table| step.contains(&format!("Seq Scan on {table}")));
            let reads_all = step.contains("Seq Scan on") && !is_small;
            assert!(!reads_all, "{step} in {query}\n{}", plan.join("\n"));
        }
        let days = (0..DAYS).filter(|day| {
            let day = partition::Day::of(message_id(*day, 0).raw());
            plan.iter()
                .any(|step| ["message", "ended", "attempt"].iter().any(|table| step.contains(&day.partition(table))))
        });
        let (days, expected) = (
            days.count(),
            match look {
                Look::None => 0..=0,
                Look::One => 1..=1,
                Look::All => 2..=usize::MAX,
            },
        );
        assert!(expected.contains(&days), "{days} days in {query}\n{}", plan.join("\n"));
    }
}

#[tokio::test]
async fn a_claim_reads_the_index_of_what_is_due_and_sorts_nothing() {
    let Some(schema) = TestSchema::new() else { return };
    filled(&schema).await;
    let (client, names, values) = (schema.client().await, Schema::new(&schema.name).expect("a name"), Values::new());
    for (query, letters) in
        [(claim::DUE, "eps ns n limit"), (claim::FIRST_DUE, "eps"), (deliveries::DUE, "empty limit")]
    {
        client.batch_execute("BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL jit = off").await.expect("begins");
        let explain = names.qualify(&format!("EXPLAIN {query}"));
        let rows = client.query_typed(&explain, &values.of(letters)).await.expect(query);
        client.batch_execute("ROLLBACK").await.expect("ends");
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("owed_due") && !plan.contains("Sort"), "{plan}");
    }
}
