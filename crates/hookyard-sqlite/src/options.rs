//! What a store is opened with, and why it does not open.

use std::path::PathBuf;
use std::sync::Arc;

use hookyard_model::limits;
use hookyard_ports::{Clock, Metrics, Rng, SystemRng};
use hookyard_record::Keyring;

/// What a store is opened with.
pub struct Options {
    /// Where its files are; made when it does not exist.
    pub directory: PathBuf,
    /// What seals secrets at rest.
    pub keyring: Keyring,
    /// Where commits and checkpoints are measured.
    pub metrics: Arc<Metrics>,
    /// The clock that spans are measured with.
    pub clock: Arc<dyn Clock>,
    /// The source of nonces.
    pub rng: Arc<dyn Rng>,
    /// Deliveries that may be pending or leased before accepting is refused.
    pub pending_limit: u64,
    /// One part in this many of the disk must be free, else accepting is refused; 0 asks for none.
    pub free_disk_share: u64,
    /// Pages that the database may have; bounds its size before the disk does.
    pub page_limit: Option<u32>,
    /// Bytes of write-ahead log at which it is moved into the database.
    pub checkpoint_bytes: u64,
    /// Bytes of write-ahead log at which the writer stops to move it, because the checkpoints beside it do not keep up.
    pub wal_limit: u64,
}

impl Options {
    /// Options with the bounds of [`limits`].
    pub fn new(directory: PathBuf, keyring: Keyring, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        Self {
            directory,
            keyring,
            metrics,
            clock,
            rng: Arc::new(SystemRng),
            pending_limit: limits::PENDING,
            free_disk_share: limits::FREE_DISK_SHARE,
            page_limit: None,
            checkpoint_bytes: 16 * 1024 * 1024,
            wal_limit: 256 * 1024 * 1024,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Why a store does not open. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "data directory `{}` is in use by another process\nhint: stop the other one, or give this one a `data` directory \
         of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// It cannot be written to.
    #[error(
        "data directory `{}` cannot be written to\nhint: let this user own it, or choose another with `data`",
        .0.display()
    )]
    ReadOnly(PathBuf),
    /// It cannot be made or read.
    #[error("data directory `{}` cannot be used", .directory.display())]
    Io {
        /// Which.
        directory: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database is damaged, or it is another file.
    #[error(
        "`{}` is not a database of Hookyard or is damaged: {why}\nhint: restore a backup with `hookyard restore`",
        .file.display()
    )]
    Corrupt {
        /// Which file.
        file: PathBuf,
        /// What was seen.
        why: String,
    },
    /// A newer version wrote it.
    #[error(
        "`{}` has schema version {found}, this version of Hookyard knows at most {known}\nhint: run the newer version, or \
         restore a backup from before the upgrade",
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
    /// Secrets in it were sealed with another key.
    #[error(
        "`main_secret` does not open the secrets in `{}`\nhint: set `main_secret` to the value that the data was written \
         with; to change it, list the new one first and the old one after it",
        .0.display()
    )]
    WrongSecret(PathBuf),
    /// A move to it has not ended.
    #[error(
        "data directory `{}` is the target of a `hookyard move` that has not ended\nhint: run the same move again, which \
         goes on where it was, or remove what it copied",
        .0.display()
    )]
    Incomplete(PathBuf),
    /// There is nothing to move.
    #[error("there is no store in `{}`\nhint: name the data directory of a server", .0.display())]
    Nothing(PathBuf),
    /// The disk is full.
    #[error(
        "there is no space left on the disk of `{}`\nhint: make room there, or choose a directory on another disk with \
         `data`",
        .0.display()
    )]
    Full(PathBuf),
    /// Anything else that the database says.
    #[error("`{}` cannot be opened", .file.display())]
    Database {
        /// Which file.
        file: PathBuf,
        /// What it says.
        #[source]
        source: rusqlite::Error,
    },
}
