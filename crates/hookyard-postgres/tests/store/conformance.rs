//! The promises of the store port, kept by the store for several nodes.

use std::sync::Arc;

use crate::ground::TestSchema;
use async_trait::async_trait;
use hookyard_model::Timestamp;
use hookyard_ports::Store;
use hookyard_ports::testkit::MemoryStore;
use hookyard_ports::testkit::conformance::Ground;

/// A schema of the server there is. Without a server the sentences are asked of the store in memory, which says nothing
/// about this crate and fails nobody who has none; the reason is printed.
enum Place {
    Schema(TestSchema),
    Nowhere(MemoryStore),
}

fn place() -> Place {
    TestSchema::new().map_or_else(|| Place::Nowhere(MemoryStore::shared()), Place::Schema)
}

#[async_trait]
impl Ground for Place {
    async fn open(&self, node: &str, now: Timestamp) -> Arc<dyn Store> {
        match self {
            Self::Schema(schema) => Arc::new(schema.open(node, now).await),
            Self::Nowhere(store) => Arc::new(store.node(node, now)),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }
}

hookyard_ports::conformance_tests!(place());
