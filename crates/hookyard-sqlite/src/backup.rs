//! Copies of the store in one file, taken while it is used or not, and put in place again.
//!
//! Called by the binary's `backup` and `restore`. [`take`] needs no lock of the data directory, so it works beside the
//! process that has the store open; [`restore`] takes the lock. Both give something that is complete and checked but not in
//! place yet, so that the caller can look at it and put keys beside it first; dropped before that, it leaves nothing behind.
//!
//! What it leaves to others: the keys, whose files are the binary's.

mod check;
mod fault;
mod header;
mod part;
mod restore;
mod take;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hookyard_record::Keyring;

use crate::open;

pub use self::check::{Checked, check};
pub use self::fault::BackupError;
pub use self::restore::{Restoration, refuse_occupied, restore};
pub use self::take::{Request, Taken, take};

/// What is looked at while a copy is made; breaking ends it, and nothing of it is left.
pub type Watch = Arc<dyn Fn(Progress) -> ControlFlow<()> + Send + Sync>;

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Bytes are copied.
    Copying {
        /// How many.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// What is there is read and checked; how far that is, nobody knows.
    Checking,
}

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its bytes.
    pub bytes: u64,
    /// The version of its schema.
    pub schema: i64,
    /// Applications that are not archived.
    pub applications: u64,
    /// Endpoints that are not archived.
    pub endpoints: u64,
    /// Messages.
    pub messages: u64,
    /// Deliveries, whatever their state.
    pub deliveries: u64,
    /// Attempts.
    pub attempts: u64,
    /// Attempts that are owed and wait.
    pub pending: u64,
    /// Attempts that were in flight at the moment of the copy.
    pub in_flight: u64,
    /// The check value of the main secret; a store that was never opened has none.
    secret_check: Option<Vec<u8>>,
}

impl Contents {
    /// Whether the keyring opens the secrets in it.
    pub fn is_opened_by(&self, keyring: &Keyring) -> bool {
        open::is_our_secret(keyring, self.secret_check.clone())
    }
}

/// A file's companion of `SQLite`'s.
fn companion(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The directory that a file is in.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
