//! TLS to the database: each mode is as strict as its name, and what it promises is what the server sees.

use hookyard_model::Secret;
use hookyard_ports::Store as _;
use hookyard_ports::testkit::build::at;
use hookyard_postgres::{OpenError, Options, PostgresStore};

use crate::ground::TestSchema;

/// The file of the authority that signed the server's certificate.
#[expect(clippy::disallowed_methods, reason = "which server there is to test with only the environment knows")]
fn authority() -> Option<String> {
    std::env::var("HOOKYARD_TEST_POSTGRES_CA").ok().filter(|file| !file.is_empty())
}

/// Opens the store at a host with these parameters; tells whether the server sees TLS.
async fn open(schema: &TestSchema, host: &str, parameters: &str) -> Result<bool, OpenError> {
    let url = schema.url.replacen("127.0.0.1", host, 1);
    let url = format!("{url}?application_name={}&{parameters}", schema.name);
    let options = Options { database: Secret::new(url), ..schema.options("one", at(0)) };
    let store = PostgresStore::open(options).await?;
    let seen = format!(
        "SELECT coalesce(bool_and(ssl), false) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = '{}'",
        schema.name
    );
    let is_seen = schema.client().await.query_typed_one(&seen, &[]).await.expect("reads").get(0);
    store.close().await;
    Ok(is_seen)
}

#[tokio::test]
async fn each_ssl_mode_is_as_strict_as_its_name() {
    let (Some(schema), Some(authority)) = (TestSchema::new(), authority()) else { return };
    let with = |mode: &str| format!("sslmode={mode}&sslrootcert={authority}");
    for (host, parameters, expected) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), Some(false)),
        ("127.0.0.1", "sslmode=prefer".to_owned(), Some(true)),
        ("127.0.0.1", "sslmode=require".to_owned(), Some(true)),
        ("127.0.0.1", with("require"), Some(true)),
        ("127.0.0.1", with("verify-ca"), Some(true)),
        ("127.0.0.1", with("verify-full"), None),
        ("127.0.0.1", "sslmode=verify-ca".to_owned(), None),
        ("localhost", with("verify-full"), Some(true)),
        ("localhost", "sslmode=verify-full".to_owned(), None),
    ] {
        let opened = open(&schema, host, &parameters).await;
        match expected {
            Some(_) => assert_eq!(opened.as_ref().ok().copied(), expected, "{host} {parameters}: {opened:?}"),
            None => assert!(matches!(opened, Err(OpenError::Unreachable { .. })), "{host} {parameters}: {opened:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_without_a_certificate_is_named() {
    let Some(schema) = TestSchema::new() else { return };
    for file in ["/no/such/file.pem", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let refused = open(&schema, "127.0.0.1", &format!("sslmode=verify-full&sslrootcert={file}")).await;
        let refused = refused.expect_err("there is none").to_string();
        assert!(refused.contains(file), "{refused}");
    }
}
