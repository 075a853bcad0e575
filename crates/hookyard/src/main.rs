//! The `hookyard` binary: reads the command line and leaves with an exit code; everything else is in its modules.

mod bench;
mod cmd;
mod config;
mod demo;
mod log;
#[cfg(test)]
mod reference;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

/// Many small allocations on several threads at once, freed by others: what the system's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cmd::Cli::parse().run()
}
