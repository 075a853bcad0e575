//! Where the store of one run lives, and how it is asked.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use hookyard_model::Timestamp;
use hookyard_ports::Store;
use hookyard_ports::testkit::conformance::{Ground, MemoryGround};
use hookyard_ports::testkit::{FaultyStore, Outside, Pace, Shares};
use hookyard_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::database::TestSchema;
use crate::embedded;

/// A store's data for one run, gone with it.
pub(crate) struct Place {
    ground: Box<dyn Ground>,
    /// The runtime outside the world, for a store that does real input and output.
    outside: Option<(Outside, Runtime)>,
}

/// A directory of the embedded store.
struct Directory(TempDir);

#[async_trait]
impl Ground for Directory {
    async fn open(&self, _node: &str, _now: Timestamp) -> Arc<dyn Store> {
        Arc::new(open_embedded(self.0.path()))
    }

    fn is_shared(&self) -> bool {
        false
    }
}

fn open_embedded(directory: &Path) -> SqliteStore {
    SqliteStore::open(embedded::options(directory)).expect("nobody has the directory any more")
}

/// A schema of a database.
struct Schema(TestSchema);

#[async_trait]
impl Ground for Schema {
    async fn open(&self, node: &str, now: Timestamp) -> Arc<dyn Store> {
        Arc::new(self.0.open(node, now).await)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

impl Place {
    /// In memory, for several workers.
    pub(crate) fn memory() -> Self {
        Self { ground: Box::new(MemoryGround::new()), outside: None }
    }

    /// A directory, for one worker.
    pub(crate) fn embedded(pace: Pace) -> Self {
        // On the disk of the build: what is kept in memory has no fsync to wait for.
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        Self::outside(Box::new(Directory(directory)), pace)
    }

    /// A schema, for several workers; `None`, and said, where there is no server.
    pub(crate) fn database(pace: Pace) -> Option<Self> {
        TestSchema::new().map(|schema| Self::outside(Box::new(Schema(schema)), pace))
    }

    fn outside(ground: Box<dyn Ground>, pace: Pace) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime outside the world");
        Self { ground, outside: Some((Outside::new(runtime.handle().clone(), pace), runtime)) }
    }

    /// How many workers the store carries at once.
    pub(crate) fn workers(&self) -> u64 {
        if self.ground.is_shared() { 3 } else { 1 }
    }

    /// Opens the store as a node. Whoever had it open as the same node is dead.
    pub(crate) async fn open(&self, node: &str, now: Timestamp) -> Arc<dyn Store> {
        let opening = self.ground.open(node, now);
        match &self.outside {
            None => opening.await,
            Some((outside, _)) => outside.call(opening).await,
        }
    }

    /// The store, asked as it must be asked here, failing as often as the shares say.
    pub(crate) fn faulty(&self, store: Arc<dyn Store>, seed: u64, shares: Shares) -> Arc<dyn Store> {
        let faulty = FaultyStore::seeded(store, seed, shares);
        match &self.outside {
            None => Arc::new(faulty),
            Some((outside, _)) => Arc::new(faulty.asked(outside.clone())),
        }
    }
}
