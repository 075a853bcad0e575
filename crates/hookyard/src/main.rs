//! The `hookyard` binary: gives the program its allocator and leaves with its exit code.

use std::process::ExitCode;

/// Many small allocations on several threads at once, freed by others: what the system's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hookyard::run()
}
