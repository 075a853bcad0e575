//! Hookyard as a library: everything that a program needs to publish, keep and deliver webhooks by itself.
//!
//! [`embedded`] is the way in: it opens a data directory, takes what the program declares, and delivers what it publishes.
//! Beside it this crate names its parts, so that embedders depend on one crate and on one version. The binary of the same
//! name is the feature `program`, on by default; embedders leave it out (`default-features = false`) and have none of its
//! dependencies.
//!
//! What it leaves to others: settings, signals and the command line. Those belong to the program, whose modules are private
//! and stand here rather than beside `main` so that its parser of files can be fuzzed.

#[cfg(feature = "program")]
mod bench;
#[cfg(feature = "program")]
mod cmd;
#[cfg(feature = "program")]
mod config;
#[cfg(feature = "program")]
mod demo;
pub mod embedded;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod fuzz;
mod header;
#[cfg(feature = "program")]
mod hearing;
mod key_file;
#[cfg(feature = "program")]
mod log;
mod node;
#[cfg(all(test, feature = "program"))]
mod reference;
#[cfg(feature = "program")]
mod reload;
mod retention;
mod secret_file;
#[cfg(feature = "program")]
mod wiring;

pub use bytes;
pub use hookyard_accept as accept;
pub use hookyard_core as core;
pub use hookyard_dialects as dialects;
pub use hookyard_egress as egress;
pub use hookyard_engine as engine;
pub use hookyard_model as model;
pub use hookyard_ports as ports;
#[cfg(feature = "program")]
pub use hookyard_server as server;
pub use url;

/// Does what the command line asks, as the binary; the program's own door, nothing for embedders.
#[cfg(feature = "program")]
#[doc(hidden)]
pub fn run() -> std::process::ExitCode {
    use clap::Parser as _;
    cmd::Cli::parse().run()
}
