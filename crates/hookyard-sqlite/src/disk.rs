//! How much room the disk has.

use std::path::Path;

/// Whether less than one part in `share` of the disk of `database` is free. A disk that does not tell counts as free:
/// when it is full, the write says so.
pub(crate) fn is_low(database: &Path, share: u64) -> bool {
    rustix::fs::statvfs(database)
        .is_ok_and(|disk| disk.f_blocks > 0 && disk.f_bavail.saturating_mul(share) < disk.f_blocks)
}

/// Whether the disk of `database` has next to nothing left.
pub(crate) fn is_full(database: &Path) -> bool {
    const LEFT: u64 = 1024 * 1024;
    rustix::fs::statvfs(database).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LEFT)
}
