//! Opens stores for the tests of this crate, each test in a schema of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hookyard_model::{Secret, Timestamp};
use hookyard_ports::{Clock, Metrics, SystemClock};
use hookyard_postgres::{Options, PostgresStore};
use hookyard_record::Keyring;

/// The server that tests may use.
#[expect(clippy::disallowed_methods, reason = "which server there is to test with only the environment knows")]
pub(crate) fn server() -> Option<String> {
    std::env::var("HOOKYARD_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

/// A keyring of these secrets.
pub(crate) fn keyring(secrets: &[&str]) -> Keyring {
    let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
    Keyring::from_secrets(&secrets).expect("secrets")
}

/// The wall clock stands where the test says; spans are real.
#[derive(Debug)]
struct Standing {
    now: Timestamp,
    spans: SystemClock,
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn monotonic(&self) -> Duration {
        self.spans.monotonic()
    }
}

/// A schema that is dropped when the test ends.
pub(crate) struct TestSchema {
    pub(crate) url: String,
    pub(crate) name: String,
}

impl TestSchema {
    /// A fresh schema; `None` where there is no server.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(url) = server() else {
            eprintln!("passed over: HOOKYARD_TEST_POSTGRES names no server");
            return None;
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Some(Self { url, name: format!("t_{}_{count}", std::process::id()) })
    }

    /// Options for a node of this schema at a time.
    pub(crate) fn options(&self, node: &str, now: Timestamp) -> Options {
        let clock = Arc::new(Standing { now, spans: SystemClock::new() });
        let url = Secret::new(self.url.clone());
        let options = Options::new(url, node.to_owned(), keyring(&["main"]), Arc::new(Metrics::new()), clock);
        Options { schema: self.name.clone(), connections: 6, ..options }
    }

    /// The store, as a node.
    pub(crate) async fn open(&self, node: &str, now: Timestamp) -> PostgresStore {
        PostgresStore::open(self.options(node, now)).await.expect("the server lets the test in")
    }

    /// A connection past the store.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.expect("connects");
        #[expect(clippy::disallowed_methods, reason = "it ends with the client")]
        drop(tokio::spawn(connection));
        client
    }
}

impl Drop for TestSchema {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        // A destructor cannot wait, and the test's own runtime may be the one that it would wait for.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (client, connection) =
                    tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("connects");
                let statement = format!("SET lock_timeout = '20s'; DROP SCHEMA IF EXISTS \"{name}\" CASCADE");
                tokio::select! {
                    _ = connection => {}
                    dropped = client.batch_execute(&statement) => dropped.expect("the schema is dropped"),
                }
            });
        });
        dropped.join().expect("the schema is dropped");
    }
}
