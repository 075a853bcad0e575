//! What goes wrong while a deed or a read runs, and what a caller is told about it.

use hookyard_ports::StoreError;
use rusqlite::ErrorCode;

/// Why a deed or a read stopped half-way; whatever it wrote is rolled back.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database said no.
    Sql(rusqlite::Error),
    /// We said no.
    Store(StoreError),
}

/// What a deed or a read comes to.
pub(crate) type Attempted<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// A value that cannot be read.
    pub(crate) fn corrupt(table: &'static str, column: &'static str, id: impl std::fmt::Display) -> Self {
        Self::Store(StoreError::Corrupt { table, column, id: id.to_string() })
    }

    /// A uniqueness rule, when that is what the database said; anything else stays.
    pub(crate) fn or_conflict(error: rusqlite::Error, constraint: &'static str) -> Self {
        match error.sqlite_error().map(|error| error.extended_code) {
            Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                Self::Store(StoreError::Conflict { constraint })
            }
            _ => Self::Sql(error),
        }
    }

    /// What the caller is told. `is_disk_full` tells whether the disk has no byte left: some of `SQLite`'s writes say only
    /// that they failed, not why.
    pub(crate) fn into_error(self, is_disk_full: impl FnOnce() -> bool) -> StoreError {
        let error = match self {
            Self::Store(error) => return error,
            Self::Sql(error) => error,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full("there is no space left on the disk".to_owned()),
            Some(ErrorCode::SystemIoFailure) if is_disk_full() => {
                StoreError::Full("there is no space left on the disk".to_owned())
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
                StoreError::Unavailable(format!("the disk does not read or write: {error}"))
            }
            Some(ErrorCode::ReadOnly) => {
                StoreError::Unavailable("the database can only be read: its disk was mounted read-only".to_owned())
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory) => {
                StoreError::Unavailable(error.to_string())
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Other(format!("the database file is damaged: {error}"))
            }
            _ => StoreError::Other(error.to_string()),
        }
    }
}
