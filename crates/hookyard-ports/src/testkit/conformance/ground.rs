//! Where the store under test lives.

use std::sync::Arc;

use async_trait::async_trait;
use hookyard_model::Timestamp;

use crate::store::Store;
use crate::testkit::MemoryStore;

/// A place where one store's data lives, empty at first: a directory, a schema, a piece of memory.
#[async_trait]
pub trait Ground: Send + Sync + 'static {
    /// Opens what lives here, as the node `node`.
    ///
    /// Called again after every clone of what it gave before was dropped without `close`: the node crashed and comes back.
    /// On a shared ground it is also called with other names while earlier nodes live.
    async fn open(&self, node: &str, now: Timestamp) -> Arc<dyn Store>;

    /// Whether several nodes may have it open at once.
    fn is_shared(&self) -> bool;
}

/// The ground of the store in memory; shared.
#[derive(Debug)]
pub struct MemoryGround(MemoryStore);

impl MemoryGround {
    /// A ground with an empty store.
    pub fn new() -> Self {
        Self(MemoryStore::shared())
    }
}

impl Default for MemoryGround {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Ground for MemoryGround {
    async fn open(&self, node: &str, now: Timestamp) -> Arc<dyn Store> {
        Arc::new(self.0.node(node, now))
    }

    fn is_shared(&self) -> bool {
        true
    }
}
