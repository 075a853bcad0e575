//! Opening: what is refused, in words that say what to do, and what many nodes do at once.

use crate::ground::{TestSchema, keyring};
use hookyard_model::Secret;
use hookyard_ports::Store as _;
use hookyard_ports::testkit::build::{self, at};
use hookyard_postgres::{OpenError, Options, PostgresStore};

async fn refused(options: Options) -> OpenError {
    PostgresStore::open(options).await.map(drop).expect_err("it does not open")
}

#[tokio::test]
async fn another_main_secret_does_not_open() {
    let Some(schema) = TestSchema::new() else { return };
    drop(schema.open("one", at(0)).await);
    let error = refused(Options { keyring: keyring(&["other"]), ..schema.options("one", at(0)) }).await;
    assert!(matches!(error, OpenError::WrongSecret(_)), "{error}");
}

#[tokio::test]
async fn a_main_secret_is_changed_by_listing_the_new_one_first() {
    let Some(schema) = TestSchema::new() else { return };
    drop(schema.open("one", at(0)).await);
    for secrets in [&["new", "main"][..], &["new"]] {
        let options = Options { keyring: keyring(secrets), ..schema.options("one", at(0)) };
        PostgresStore::open(options).await.expect("it opens");
    }
    let error = refused(schema.options("one", at(0))).await;
    assert!(matches!(error, OpenError::WrongSecret(_)), "the old one alone does not open it any more: {error}");
}

#[tokio::test]
async fn many_nodes_open_an_empty_database_at_once() {
    let Some(schema) = TestSchema::new() else { return };
    let names = ["one", "two", "three", "four"];
    let opened = futures_util::future::join_all(names.map(|name| schema.open(name, at(0)))).await;
    let incarnations: std::collections::BTreeSet<_> = opened.iter().map(hookyard_ports::Store::incarnation).collect();
    assert_eq!(incarnations.len(), 4);
    for store in &opened {
        store.applications(build::organisation(), None, 9).await.expect("it reads");
    }
}

#[tokio::test]
async fn a_schema_of_another_program_is_left_alone() {
    let Some(schema) = TestSchema::new() else { return };
    let make = format!("CREATE SCHEMA {0}; CREATE TABLE {0}.theirs ()", schema.name);
    schema.client().await.batch_execute(&make).await.expect("it is made");
    let error = refused(schema.options("one", at(0))).await;
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");
}

#[tokio::test]
async fn a_form_that_a_newer_version_wrote_is_refused() {
    let Some(schema) = TestSchema::new() else { return };
    drop(schema.open("one", at(0)).await);
    let newer = format!("INSERT INTO {}.migration (version) VALUES (99)", schema.name);
    schema.client().await.batch_execute(&newer).await.expect("it is written");
    let error = refused(schema.options("one", at(0))).await;
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn what_cannot_be_used_is_said_without_the_password() {
    let Some(schema) = TestSchema::new() else { return };
    let to = |url: &str| Options { database: Secret::new(url.to_owned()), ..schema.options("one", at(0)) };
    let nobody = refused(to("postgres://user:hunter2@127.0.0.1:1/hooks")).await;
    assert!(matches!(nobody, OpenError::Unreachable { .. }), "{nobody}");
    let (before, _) = schema.url.rsplit_once('/').expect("a URL");
    let elsewhere = refused(to(&format!("{before}/no_such_database_here"))).await;
    assert!(matches!(elsewhere, OpenError::Refused { .. }), "{elsewhere}");
    let unsafe_name = refused(Options { schema: "a\"b".to_owned(), ..schema.options("one", at(0)) }).await;
    assert!(matches!(unsafe_name, OpenError::Schema(_)), "{unsafe_name}");
    let no_name = refused(schema.options("", at(0))).await;
    assert!(matches!(no_name, OpenError::Node(_)), "{no_name}");
    for error in [nobody, elsewhere, unsafe_name, no_name] {
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn nothing_of_the_settings_is_readable_in_the_database() {
    let Some(schema) = TestSchema::new() else { return };
    let store = schema.open("one", at(0)).await;
    let mut application = build::import_application(1, &[1]);
    application.endpoints[0].settings = std::sync::Arc::new(build::full_settings(1));
    store.import(build::import(vec![application])).await.expect("imports").expect("is new");
    let read = format!("SELECT settings FROM {}.endpoint_revision", schema.name);
    let rows = schema.client().await.query_typed(&read, &[]).await.expect("reads");
    let sealed: &[u8] = rows[0].get(0);
    for secret in ["pässword", "whsec_", "2001:db8"] {
        assert!(!sealed.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}
