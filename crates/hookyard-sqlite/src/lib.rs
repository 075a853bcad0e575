//! The embedded store: `SQLite` in one directory, for one process.
//!
//! The binary opens it and hands it on as `Arc<dyn Store>`; nobody else names it. It keeps every promise of
//! [`hookyard_ports::Store`]: what was answered is on disk (`synchronous = FULL`), what failed did not happen.
//!
//! One thread writes. Callers' deeds wait in a queue; the writer takes all that wait, runs them in one transaction, commits
//! with one fsync and answers each. Reads have threads and connections of their own and never hold the writer up. Another
//! thread moves the write-ahead log into the database. [`backup`] makes copies from outside, in a process of its own.
//!
//! What it leaves to others: decisions (`hookyard-core`), the stored form of settings and codes (`hookyard-record`).

mod attempt;
pub mod backup;
mod books;
mod changes;
mod checkpoint;
mod column;
mod configuration;
mod deed;
mod delivery;
mod disk;
mod fault;
#[cfg(test)]
mod group;
mod hot;
mod marks;
mod message;
pub mod moving;
mod open;
mod options;
mod order;
#[cfg(test)]
mod plans;
mod queue;
mod read;
mod readers;
mod schema;
mod shared;
mod store;
mod writer;

pub use open::is_in_use;
pub use options::{OpenError, Options};
pub use store::SqliteStore;
