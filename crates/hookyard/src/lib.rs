//! Hookyard as a library: everything that a program needs to publish, keep and deliver webhooks by itself.
//!
//! The binary of the same name is one such program. This crate adds nothing of its own: it names the parts, so that an
//! embedder depends on one crate and on one version.
//!
//! What it leaves to others: settings, signals and the command line, which belong to the program.

pub use hookyard_accept as accept;
pub use hookyard_core as core;
pub use hookyard_dialects as dialects;
pub use hookyard_model as model;
pub use hookyard_ports as ports;
pub use hookyard_server as server;
