//! The `hookyard` binary: gives the program its allocator and leaves with its exit code.

use std::process::ExitCode;

/// Many small allocations on several threads at once, freed by others: what the system's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    small_pages();
    hookyard::run()
}

/// Has memory come in small pages. The kernel clears a huge one while a delivery waits, half a millisecond and more each,
/// and most of it is never used.
fn small_pages() {
    // Where this cannot be asked for, memory comes as the machine likes it, and everything works.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
