//! The data directory: whether it is there or can be made, is ours alone, has room, and is free.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hookyard_model::{Timestamp, limits};
use rustix::fs::{Access, access, statvfs};

use super::super::output::size;
use super::Finding;
use crate::config::Config;

const DATA: &str = "data";
const DISK: &str = "disk";

/// Looks at the directory that the settings name.
pub(super) fn look(config: &Config, findings: &mut Vec<Finding>) {
    let directory = &config.settings.data.value;
    let shown = directory.display();
    match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => {
            findings.push(present(directory, &metadata));
            findings.extend(openness(directory, &metadata));
        }
        Ok(_) => {
            findings
                .push(Finding::fail(DATA, format!("`{shown}` is not a directory")).hint("name another with `data`"));
            return;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => findings.push(absent(directory)),
        Err(error) => {
            findings.push(Finding::fail(DATA, format!("`{shown}` cannot be looked at: {error}")));
            return;
        }
    }
    findings.extend(disk(directory));
}

fn present(directory: &Path, metadata: &Metadata) -> Finding {
    let shown = directory.display();
    if access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let mode = metadata.permissions().mode() & 0o7777;
        return Finding::fail(DATA, format!("`{shown}` is not ours to write (mode {mode:04o})"))
            .hint("run as its owner, or name another directory with `data`");
    }
    match hookyard_sqlite::is_in_use(directory) {
        Ok(true) => Finding::ok(DATA, format!("`{shown}` is in use by a running server")),
        Ok(false) => Finding::ok(DATA, format!("`{shown}` is there, ours and free")),
        Err(error) => Finding::fail(DATA, format!("the lock in `{shown}` cannot be looked at: {error}")),
    }
}

/// The database has everybody's payloads, and the keys lie beside it.
fn openness(directory: &Path, metadata: &Metadata) -> Option<Finding> {
    let mode = metadata.permissions().mode() & 0o7777;
    let shown = directory.display();
    (mode & 0o077 != 0).then(|| {
        Finding::warn(DATA, format!("`{shown}` is open to others (mode {mode:04o})")).hint(format!("chmod 700 {shown}"))
    })
}

fn absent(directory: &Path) -> Finding {
    let shown = directory.display();
    let above = nearest(directory);
    let at = above.display();
    if !above.is_dir() {
        return Finding::fail(DATA, format!("`{shown}` cannot be made: `{at}` is not a directory"));
    }
    if access(above, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Finding::fail(DATA, format!("`{shown}` cannot be made: `{at}` is not ours to write"))
            .hint("run as the owner of that directory, or name another with `data`");
    }
    Finding::ok(DATA, format!("`{shown}` is not there yet and can be made"))
}

/// The directory itself, or the first one above it that exists.
fn nearest(directory: &Path) -> &Path {
    let mut ancestors = directory.ancestors().filter(|above| !above.as_os_str().is_empty());
    ancestors.find(|above| above.exists()).unwrap_or(Path::new("."))
}

/// What the data's disk says is the time, which is a server's where the disk is mounted from one. `None` where no file can
/// be made.
pub(super) fn time(config: &Config) -> Option<Timestamp> {
    let made = tempfile::NamedTempFile::new_in(nearest(&config.settings.data.value)).ok()?;
    let modified = made.as_file().metadata().ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_micros(i64::try_from(since.as_micros()).ok()?))
}

fn disk(directory: &Path) -> Option<Finding> {
    let at = nearest(directory);
    let disk = statvfs(at).ok().filter(|disk| disk.f_blocks > 0)?;
    let bytes = |blocks: u64| size(blocks.saturating_mul(disk.f_frsize));
    let said = format!("{} of {} are free", bytes(disk.f_bavail), bytes(disk.f_blocks));
    let share = limits::FREE_DISK_SHARE;
    Some(if disk.f_bavail.saturating_mul(share) < disk.f_blocks {
        let said = format!("{said}, less than one part in {share}: the doors answer 503");
        Finding::fail(DISK, said).hint("free some room, or lower `retention`")
    } else {
        Finding::ok(DISK, said)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_directory_is_one_that_exists() {
        let folder = tempfile::tempdir().expect("a directory");
        assert_eq!(nearest(&folder.path().join("a/b/c")), folder.path());
        assert_eq!(nearest(folder.path()), folder.path());
        assert_eq!(nearest(Path::new("nothing-here/below")), Path::new("."));
    }

    #[test]
    fn a_directory_is_told_apart_from_what_is_none() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        assert_eq!(absent(&file.join("data")).verdict, super::super::Verdict::Fail);
        assert_eq!(absent(&folder.path().join("data")).verdict, super::super::Verdict::Ok);
    }
}
