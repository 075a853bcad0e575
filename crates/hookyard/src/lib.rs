//! Hookyard as a library: everything that a program needs to publish, keep and deliver webhooks by itself.
//!
//! The binary of the same name is one such program. To embedders this crate adds nothing of its own: it names the parts,
//! so that they depend on one crate and on one version.
//!
//! What it leaves to others: settings, signals and the command line. Those belong to the program, whose modules are private
//! and stand here rather than beside `main` so that its parser of files can be fuzzed.

mod bench;
mod cmd;
mod config;
mod demo;
#[doc(hidden)]
pub mod fuzz;
mod header;
mod key_file;
mod log;
mod node;
#[cfg(test)]
mod reference;
mod reload;
mod secret_file;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;
pub use hookyard_accept as accept;
pub use hookyard_core as core;
pub use hookyard_dialects as dialects;
pub use hookyard_model as model;
pub use hookyard_ports as ports;
pub use hookyard_server as server;

/// Does what the command line asks, as the binary; the program's own door, nothing for embedders.
#[doc(hidden)]
pub fn run() -> ExitCode {
    cmd::Cli::parse().run()
}
