//! The promises of the store port, kept by the embedded store.

use std::sync::Arc;

use async_trait::async_trait;
use hookyard_model::{Secret, Timestamp};
use hookyard_ports::testkit::conformance::Ground;
use hookyard_ports::{Metrics, Store, SystemClock};
use hookyard_record::Keyring;
use hookyard_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

/// A directory that lives as long as the test.
struct Directory(TempDir);

#[async_trait]
impl Ground for Directory {
    async fn open(&self, _node: &str, _now: Timestamp) -> Arc<dyn Store> {
        let keyring = Keyring::from_secrets(&[Secret::new("main".to_owned())]).expect("a secret");
        let (metrics, clock) = (Arc::new(Metrics::new()), Arc::new(SystemClock::new()));
        let options = Options::new(self.0.path().to_owned(), keyring, metrics, clock);
        Arc::new(SqliteStore::open(options).expect("the directory is free"))
    }

    fn is_shared(&self) -> bool {
        false
    }
}

hookyard_ports::conformance_tests!(Directory(TempDir::new().expect("a directory")));
