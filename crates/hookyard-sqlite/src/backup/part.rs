//! A file that appears whole or not at all.
//!
//! It is written under another name in the same directory, and renamed once it is on disk. Dropped before that, it is
//! removed; what a killed process left of it is replaced by the next one of the same name. A lock of its own tells such a
//! rest from a file that somebody is writing.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::fault::BackupError;
use super::{companion, folder};
use crate::disk;

/// What a file is called while it is written: its name with this behind it.
pub(super) const SUFFIX: &str = ".part";
/// What `SQLite` may put beside a file that it writes.
pub(super) const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// Whether what stands at the target may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overwrite {
    /// Nothing may stand there.
    Refuse,
    /// A file may.
    Replace,
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Part {
    target: PathBuf,
    path: PathBuf,
    overwrite: Overwrite,
    file: File,
    is_placed: bool,
}

impl Part {
    /// Begins to write `target`: afterwards an empty file for its owner alone is there under another name, and is ours.
    pub(super) fn begin(target: &Path, overwrite: Overwrite) -> Result<Self, BackupError> {
        look_at(target, overwrite)?;
        let path = companion(target, SUFFIX);
        let unwritable = |error: io::Error| BackupError::writing(&path, &error);
        let file = loop {
            let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
            let file = opened.map_err(unwritable)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(target.to_owned())),
                Err(TryLockError::Error(error)) => return Err(unwritable(error)),
            }
            // Whoever had the lock before us may have renamed the file since; then it is a finished one and not ours.
            let ours = file.metadata().map(|file| (file.dev(), file.ino())).map_err(unwritable)?;
            if disk::file_at(&path) == Some(ours) {
                break file;
            }
        };
        let part = Self { target: target.to_owned(), path, overwrite, file, is_placed: false };
        part.remove_companions();
        let mode = part.file.set_len(0).and_then(|()| Ok(part.file.metadata()?.permissions().mode()));
        let mode = mode.map_err(|error| BackupError::writing(&part.path, &error))?;
        if mode & 0o077 != 0
            && let Err(error) = part.file.set_permissions(Permissions::from_mode(0o600))
        {
            // Some disks know no owners; a copy there is better than none.
            tracing::warn!(file = %target.display(), %error, "others may read this file, the disk cannot keep them off");
        }
        Ok(part)
    }

    /// Where it is written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Has everything that was written on disk.
    pub(super) fn sync(&self) -> Result<(), BackupError> {
        self.file.sync_all().map_err(|error| BackupError::writing(&self.path, &error))
    }

    /// Puts it in place. Afterwards the target is there, whole and on disk.
    pub(super) fn place(mut self) -> Result<(), BackupError> {
        let unwritable = |error: io::Error| BackupError::writing(&self.target, &error);
        self.sync()?;
        // Whoever makes copies holds the lock, so only another program can have been faster.
        look_at(&self.target, self.overwrite)?;
        std::fs::rename(&self.path, &self.target).map_err(unwritable)?;
        self.is_placed = true;
        match File::open(folder(&self.target)).and_then(|folder| folder.sync_all()) {
            // Some disks do not know of directories that are written; they write them with the file.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            synced => synced.map_err(unwritable),
        }
    }

    fn remove_companions(&self) {
        for suffix in COMPANIONS {
            // One that is not there need not be removed.
            let _ = std::fs::remove_file(companion(&self.path, suffix));
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_placed {
            self.remove_companions();
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Refuses a target that may not be written.
fn look_at(target: &Path, overwrite: Overwrite) -> Result<(), BackupError> {
    if target.file_name().is_none() {
        return Err(BackupError::NotAFile(target.to_owned()));
    }
    match std::fs::symlink_metadata(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::writing(target, &error)),
        Ok(there) if !there.is_file() => Err(BackupError::NotAFile(target.to_owned())),
        Ok(_) if overwrite == Overwrite::Replace => Ok(()),
        Ok(_) => Err(BackupError::Exists(target.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<std::fs::DirEntry>| entry.expect("readable").file_name();
        let names = std::fs::read_dir(folder).expect("readable").map(name);
        names.map(|name| name.into_string().expect("text")).collect()
    }

    fn write(part: &Part, text: &str) {
        use std::io::Write as _;
        part.file().write_all(text.as_bytes()).expect("written");
    }

    #[test]
    fn a_file_is_there_once_it_is_placed_and_a_dropped_one_never() {
        let folder = tempfile::tempdir().expect("a directory");
        let target = folder.path().join("copy");
        let part = Part::begin(&target, Overwrite::Refuse).expect("begun");
        write(&part, "first");
        std::fs::write(companion(part.path(), "-wal"), "a rest").expect("written");
        assert!(!target.exists());
        drop(part);
        assert!(names(folder.path()).is_empty());

        let part = Part::begin(&target, Overwrite::Refuse).expect("begun");
        write(&part, "second");
        part.place().expect("placed");
        assert_eq!(names(folder.path()), ["copy"]);
        assert_eq!(std::fs::read(&target).expect("readable"), b"second");
        assert_eq!(std::fs::metadata(&target).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_there_is_replaced_only_when_asked_and_only_at_the_end() {
        let folder = tempfile::tempdir().expect("a directory");
        let target = folder.path().join("copy");
        std::fs::write(&target, "old").expect("written");
        let refused = Part::begin(&target, Overwrite::Refuse).expect_err("it exists");
        assert!(matches!(refused, BackupError::Exists(_)), "{refused:?}");
        let part = Part::begin(&target, Overwrite::Replace).expect("begun");
        write(&part, "new");
        assert_eq!(std::fs::read(&target).expect("readable"), b"old");
        part.place().expect("placed");
        assert_eq!(std::fs::read(&target).expect("readable"), b"new");
        assert_eq!(names(folder.path()), ["copy"]);
    }

    #[test]
    fn a_file_that_came_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a directory");
        let target = folder.path().join("copy");
        let part = Part::begin(&target, Overwrite::Refuse).expect("begun");
        std::fs::write(&target, "theirs").expect("written");
        let refused = part.place().expect_err("it exists");
        assert!(matches!(refused, BackupError::Exists(_)), "{refused:?}");
        assert_eq!(names(folder.path()), ["copy"]);
        assert_eq!(std::fs::read(&target).expect("readable"), b"theirs");
    }

    #[test]
    fn a_rest_of_a_killed_process_is_replaced_and_one_that_is_written_is_not_touched() {
        let folder = tempfile::tempdir().expect("a directory");
        let target = folder.path().join("copy");
        let rest = companion(&target, SUFFIX);
        std::fs::write(&rest, "a rest").expect("written");
        std::fs::write(companion(&rest, "-journal"), "a rest").expect("written");
        let part = Part::begin(&target, Overwrite::Refuse).expect("begun");
        assert_eq!(names(folder.path()), ["copy.part"]);
        write(&part, "ours");
        let refused = Part::begin(&target, Overwrite::Refuse).expect_err("it is locked");
        assert!(matches!(refused, BackupError::Busy(_)), "{refused:?}");
        part.place().expect("placed");
        assert_eq!(std::fs::read(&target).expect("readable"), b"ours");
    }

    #[test]
    fn a_directory_or_a_device_is_no_target() {
        let folder = tempfile::tempdir().expect("a directory");
        for target in [folder.path(), Path::new("/dev/null"), Path::new("/")] {
            let refused = Part::begin(target, Overwrite::Replace).expect_err("not a file");
            assert!(matches!(refused, BackupError::NotAFile(_)), "{}: {refused:?}", target.display());
        }
    }
}
