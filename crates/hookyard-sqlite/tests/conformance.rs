//! The promises of the store port, kept by the embedded store.

mod ground;

use std::sync::Arc;

use async_trait::async_trait;
use hookyard_model::Timestamp;
use hookyard_ports::Store;
use hookyard_ports::testkit::conformance::Ground;
use hookyard_sqlite::SqliteStore;
use tempfile::TempDir;

/// A directory that lives as long as the test.
struct Directory(TempDir);

#[async_trait]
impl Ground for Directory {
    async fn open(&self, _node: &str, _now: Timestamp) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(ground::options(self.0.path())).expect("the directory is free"))
    }

    fn is_shared(&self) -> bool {
        false
    }
}

hookyard_ports::conformance_tests!(Directory(TempDir::new().expect("a directory")));
