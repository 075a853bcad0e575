//! What is asked about the disk: how much room it has, and whether the database is still on it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Which file a path names: its device and its number there. `None` when it names none, or the disk does not tell.
pub(crate) fn file_at(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

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
