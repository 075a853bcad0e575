//! The one way in: turns a request to publish into an accepted message.
//!
//! Called by every door, by jobs, and by programs that embed Hookyard. [`Publisher::publish`] checks what was asked,
//! decides with `hookyard-core` what it owes, has the store put both on disk in one transaction, and hands first attempts
//! to their lanes without reading anything back.
//!
//! **Invariant:** when `publish` answers with a message, that message and every delivery it owes are on disk; and whatever
//! is leased to this node by it has been handed over, also when the caller stopped waiting.
//!
//! What it leaves to others: wire formats and authentication (the doors), what a message owes (`hookyard-core`), and
//! sending (the engine).

mod check;
mod directory;
mod finish;
mod publish;
mod publisher;

pub use publish::{Defaults, Publish, PublishError, Published, RepeatKey};
pub use publisher::Publisher;
