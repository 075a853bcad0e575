//! The promises of the store port, kept by the store for several nodes: where a pooler may stand in between, and where
//! sessions are its own and keep what is prepared in them.

use std::sync::Arc;

use crate::ground::TestSchema;
use async_trait::async_trait;
use hookyard_model::{Secret, Timestamp};
use hookyard_ports::Store;
use hookyard_ports::testkit::MemoryStore;
use hookyard_ports::testkit::conformance::Ground;
use hookyard_postgres::{Options, PostgresStore};

/// A schema of the server there is. Without a server the sentences are asked of the store in memory, which says nothing
/// about this crate and fails nobody who has none; the reason is printed.
enum Place {
    Schema(TestSchema, Between),
    Nowhere(MemoryStore),
}

/// What may stand between a node and the server.
#[derive(Clone, Copy)]
enum Between {
    Anything,
    Nothing,
}

fn place(between: Between) -> Place {
    let schema = TestSchema::new().map(|schema| Place::Schema(schema, between));
    schema.unwrap_or_else(|| Place::Nowhere(MemoryStore::shared()))
}

#[async_trait]
impl Ground for Place {
    async fn open(&self, node: &str, now: Timestamp) -> Arc<dyn Store> {
        match self {
            Self::Schema(schema, Between::Anything) => Arc::new(schema.open(node, now).await),
            Self::Schema(schema, Between::Nothing) => {
                let options = Options { listen: Some(Secret::new(schema.url.clone())), ..schema.options(node, now) };
                Arc::new(PostgresStore::open(options).await.expect("the server lets the test in"))
            }
            Self::Nowhere(store) => Arc::new(store.node(node, now)),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }
}

hookyard_ports::conformance_tests!(place(Between::Anything));

mod in_sessions {
    use super::{Between, place};

    hookyard_ports::conformance_tests!(place(Between::Nothing));
}
