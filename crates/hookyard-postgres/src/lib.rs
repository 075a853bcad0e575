//! The store for several nodes: one schema of a `PostgreSQL` database.
//!
//! The binary opens it and hands it on as `Arc<dyn Store>`; nobody else names it. It keeps every promise of
//! [`hookyard_ports::Store`]: what was answered is committed with `synchronous_commit`, what failed did not happen, and an
//! answer that was lost on the way is `Unavailable` for a deed that is safe to repeat.
//!
//! Many nodes use one schema at once. Accepts and settlements that wait are committed together, in statements over arrays;
//! claims pass over each other's rows; a lease belongs to a node's incarnation, which its heartbeat keeps alive. No session
//! state is needed (locks and settings end with the transaction), so that a pooler that gives each transaction another
//! connection may stand in between; only the listener wants a connection of its own. Where its URL says that no pooler
//! does, statements stay prepared.
//!
//! What it leaves to others: decisions (`hookyard-core`), the stored form of settings and codes (`hookyard-record`).

#[cfg(test)]
extern crate self as hookyard_postgres;

mod attempt;
mod batch;
mod column;
mod configuration;
mod counted;
mod deed;
mod delivery;
mod fault;
mod hint;
mod listen;
mod lock;
mod look;
mod message;
pub mod moving;
mod node;
mod open;
mod options;
mod order;
mod partition;
mod pool;
mod read;
mod rollup;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;
mod url;

pub use counted::{Counted, Statements, counted};
pub use hint::Hints;
pub use look::{Form, Listening, Seen, look};
pub use open::check_url;
pub use options::{OpenError, Options};
pub use store::PostgresStore;
