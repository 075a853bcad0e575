//! Why a copy is not made or not put in place. Each says what to do.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::{Error, ErrorCode, ffi};

use crate::disk;

/// Why a copy is not made or not put in place.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to copy.
    #[error("there is no store in `{}`\nhint: name the server's data directory with `--data`", .0.display())]
    NoStore(PathBuf),
    /// What is there may not be replaced.
    #[error("`{}` exists\nhint: name another file, or replace it with `--force`", .0.display())]
    Exists(PathBuf),
    /// A place that no file can take.
    #[error("`{}` is not a file\nhint: name the file to write, such as `hookyard-backup.sqlite`", .0.display())]
    NotAFile(PathBuf),
    /// The copy would lie beside what it is a copy of.
    #[error(
        "`{}` is in the data directory that it would be a copy of\nhint: name a file elsewhere, best on another disk",
        .0.display()
    )]
    InsideData(PathBuf),
    /// Somebody else is writing it.
    #[error("another process is writing `{}`\nhint: wait for it, or name another file", .0.display())]
    Busy(PathBuf),
    /// It would not fit, or leave too little for the server beside it.
    #[error(
        "the disk of `{}` has {free} bytes free and the copy needs {needed}{}\nhint: make room there, or choose another \
         disk",
        .folder.display(),
        if *.reserved > 0 { format!(", and {reserved} that the server keeps free") } else { String::new() }
    )]
    NoRoom {
        /// Where it was to be.
        folder: PathBuf,
        /// What is free there.
        free: u64,
        /// What the copy needs.
        needed: u64,
        /// What must stay free on the disk of a store.
        reserved: u64,
    },
    /// The disk became full.
    #[error("there is no space left on the disk of `{}`\nhint: make room there, or choose another disk", .0.display())]
    Full(PathBuf),
    /// It cannot be read.
    #[error("`{}` cannot be read: {why}", .file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// It cannot be written.
    #[error("`{}` cannot be written: {why}", .file.display())]
    Unwritable {
        /// Which file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// The store itself is damaged, so that a copy of it would be of no use.
    #[error(
        "`{}` is damaged: {why}\nhint: keep a copy of the whole data directory and the last good backup; `hookyard restore` \
         puts the latter in place",
        .file.display()
    )]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What was seen.
        why: String,
    },
    /// It is no store, or damaged.
    #[error("`{}` is not a store of Hookyard or is damaged: {why}", .file.display())]
    Corrupt {
        /// Which file.
        file: PathBuf,
        /// What was seen.
        why: String,
    },
    /// A newer version wrote it.
    #[error(
        "`{}` has schema version {found}, this version of Hookyard knows at most {known}\nhint: run the newer version",
        .file.display()
    )]
    Newer {
        /// Which file.
        file: PathBuf,
        /// What it has.
        found: i64,
        /// What we know.
        known: i64,
    },
    /// A process has the directory's store open.
    #[error("data directory `{}` is in use by another process\nhint: stop the server first", .0.display())]
    InUse(PathBuf),
    /// There is something in the directory already.
    #[error(
        "data directory `{}` is not empty: it has `{found}`\nhint: move what is in it elsewhere, the files `main_secret` \
         and `jwt_secret` may stay; or name another directory with `--data`",
        .directory.display()
    )]
    NotEmpty {
        /// Which directory.
        directory: PathBuf,
        /// The first thing in it that is in the way.
        found: String,
    },
    /// Whoever watched has ended it.
    #[error("broken off; nothing was left behind")]
    BrokenOff,
}

impl BackupError {
    /// What reading a file came to.
    pub(super) fn reading(file: &Path, error: &io::Error) -> Self {
        Self::Unreadable { file: file.to_owned(), why: error.to_string() }
    }

    /// What writing a file came to.
    pub(super) fn writing(file: &Path, error: &io::Error) -> Self {
        if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            return Self::Full(super::folder(file).to_owned());
        }
        Self::Unwritable { file: file.to_owned(), why: error.to_string() }
    }

    /// What the database says about a file that is only read.
    pub(super) fn of_source(file: &Path, error: &Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::BrokenOff,
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::corrupt(file, error.to_string()),
            _ => Self::Unreadable { file: file.to_owned(), why: error.to_string() },
        }
    }

    /// What the database says while it copies `source` to `file`: it is told by the kind of the failure which of the two
    /// is to blame.
    pub(super) fn of_copy(source: &Path, file: &Path, error: &Error) -> Self {
        let is_reading = error.sqlite_error().is_some_and(|error| {
            matches!(
                error.extended_code,
                ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS
            ) || matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        });
        if is_reading { Self::of_source(source, error) } else { Self::of_target(file, error) }
    }

    /// What the database says about a file that it writes.
    pub(super) fn of_target(file: &Path, error: &Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(super::folder(file).to_owned()),
            Some(ErrorCode::SystemIoFailure) if disk::is_full(super::folder(file)) => {
                Self::Full(super::folder(file).to_owned())
            }
            _ => Self::Unwritable { file: file.to_owned(), why: error.to_string() },
        }
    }

    pub(super) fn corrupt(file: &Path, why: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), why: why.into() }
    }
}
