//! The doors: the management API, health and metrics, over HTTP/1.1.
//!
//! Made by the binary, which gives them a store, a publisher, a clock and a listener. A door authenticates, reads within
//! limits, turns wire forms into the words of the model and back, and answers every refusal with one shape of JSON.
//!
//! **Invariant:** a 2xx answer to a publish request is sent after the store has said that the message is on disk.
//!
//! What it leaves to others: accepting (`hookyard-accept`), every decision (`hookyard-core`), sending (the engine). It names
//! no store backend.

mod api;
mod auth;
mod body;
mod doors;
mod error;
mod health;
mod metrics;
mod patience;
mod query;
mod reply;
mod room;
mod segments;
mod serve;

pub use api::reload::{Reload, ReloadError};
pub use auth::mint_token;
pub use doors::{Doors, DoorsSettings};
pub use error::Code;
