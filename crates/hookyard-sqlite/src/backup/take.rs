//! Copies a store page by page, as of one moment.
//!
//! A read-only connection of its own begins a read and keeps it until the last page is copied, so that all pages are of one
//! moment, however much is written meanwhile; without it, each write of another process would have the copy begin afresh.
//! The writer is never held up. What it writes meanwhile stays in the write-ahead log, which cannot start over while we
//! read: so the read is as short as the disk allows. Pages are copied as they are, which takes a third of the time that
//! `VACUUM INTO` needs to build the same database anew, and what can be done later, checking and counting, is done on the
//! copy.

use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, ffi};
use rustix::fs::statvfs;

use super::check::check;
use super::fault::BackupError;
use super::part::{Overwrite, Part};
use super::{Contents, Progress, Watch, folder};
use crate::open::{DATABASE, PATIENCE};
use crate::{disk, schema};

/// Pages between two looks at who watches: a few milliseconds.
const STEP: i32 = 1_024;

/// What to copy, and where to.
pub struct Request<'a> {
    /// The data directory.
    pub directory: &'a Path,
    /// The file to write.
    pub file: &'a Path,
    /// Whether it may be replaced.
    pub replace: bool,
    /// One part in this many of the disk of the data must stay free; 0 asks for none.
    pub free_disk_share: u64,
    /// Who watches.
    pub watch: Watch,
}

/// A copy that is whole, checked and on disk, and not in place yet.
#[derive(Debug)]
pub struct Taken {
    part: Part,
    contents: Contents,
}

impl Taken {
    /// What it holds.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Puts it in place. Afterwards the file is there.
    pub fn place(self) -> Result<(), BackupError> {
        self.part.place()
    }
}

/// Copies the store: everything that was answered before this call is in it.
pub fn take(request: &Request<'_>) -> Result<Taken, BackupError> {
    let database = request.directory.join(DATABASE);
    refuse_inside(request.directory, request.file)?;
    let source = open(request.directory, &database)?;
    let read = |error: rusqlite::Error| BackupError::of_source(&database, &error);
    source.execute_batch("BEGIN").map_err(read)?;
    let bytes = look_at(&source, &database)?;
    let overwrite = if request.replace { Overwrite::Replace } else { Overwrite::Refuse };
    let part = Part::begin(request.file, overwrite)?;
    let share = if same_disk(request.directory, request.file) { request.free_disk_share } else { 0 };
    refuse_without_room(folder(request.file), bytes, share)?;

    copy(&source, &database, &part, &request.watch)?;
    // The moment is over: the log of whoever writes can start over while the copy is checked.
    drop(source);
    settle(part.path()).map_err(|error| BackupError::of_target(part.path(), &error))?;
    part.sync()?;
    let checked = check(part.path(), &request.watch);
    if let Err(BackupError::Corrupt { why, .. }) = checked {
        // The copy is what was read: it is the store that is damaged.
        return Err(BackupError::Damaged { file: database, why });
    }
    Ok(Taken { part, contents: checked?.contents })
}

fn open(directory: &Path, database: &Path) -> Result<Connection, BackupError> {
    match std::fs::metadata(database) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BackupError::NoStore(directory.to_owned()));
        }
        Err(error) => return Err(BackupError::reading(database, &error)),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(database, flags).and_then(|connection| {
        connection.busy_timeout(PATIENCE)?;
        Ok(connection)
    });
    opened.map_err(|error| BackupError::of_source(database, &error))
}

/// Reads what the store is, by which the moment of the copy begins; gives its bytes.
fn look_at(source: &Connection, database: &Path) -> Result<u64, BackupError> {
    let read = |pragma: &str| {
        let value = source.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        value.map_err(|error| BackupError::of_source(database, &error))
    };
    if read("application_id")? != i64::from(schema::APPLICATION_ID) {
        return Err(BackupError::corrupt(database, "it belongs to another program, or was never opened by a server"));
    }
    let (found, known) = (read("user_version")?, schema::known());
    if found > known {
        return Err(BackupError::Newer { file: database.to_owned(), found, known });
    }
    Ok(read("page_count")?.saturating_mul(read("page_size")?).unsigned_abs())
}

fn copy(source: &Connection, database: &Path, part: &Part, watch: &Watch) -> Result<(), BackupError> {
    let write = |error: rusqlite::Error| BackupError::of_target(part.path(), &error);
    let mut target = writable(part.path()).map_err(write)?;
    // Nobody reads it before it is placed, and a copy that fails is thrown away.
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(write)?;
    let page: i64 = source
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .map_err(|error| BackupError::of_source(database, &error))?;
    let copying = |error: rusqlite::Error| BackupError::of_copy(database, part.path(), &error);
    let backup = Backup::new(source, &mut target).map_err(copying)?;
    loop {
        let step = backup.step(STEP).map_err(copying)?;
        let progress = backup.progress();
        let bytes = |pages: i32| i64::from(pages).saturating_mul(page).unsigned_abs();
        let done = bytes(progress.pagecount.saturating_sub(progress.remaining));
        if watch(Progress::Copying { done, total: bytes(progress.pagecount) }).is_break() {
            return Err(BackupError::BrokenOff);
        }
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // Our read excludes no writer and our target has no reader, so waiting would not help.
            StepResult::Busy | StepResult::Locked | _ => {
                return Err(copying(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)));
            }
        }
    }
}

/// Opens the copy without locks of the database's own: ours is enough, and on a network's disk the two could exclude each other.
fn writable(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags_and_vfs(file, flags, c"unix-none")
}

/// Has the copy be a database without a log of its own, which any program can open where nothing can be written.
fn settle(file: &Path) -> rusqlite::Result<()> {
    let copy = writable(file)?;
    copy.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF")?;
    copy.pragma_update(None, "journal_mode", "DELETE")
}

/// Refuses a copy beside what it is a copy of: it would be lost with it, and could take its place.
fn refuse_inside(directory: &Path, file: &Path) -> Result<(), BackupError> {
    match (directory.canonicalize(), folder(file).canonicalize()) {
        (Ok(directory), Ok(folder)) if directory == folder => Err(BackupError::InsideData(file.to_owned())),
        _ => Ok(()),
    }
}

fn same_disk(directory: &Path, file: &Path) -> bool {
    let disk = |path: &Path| disk::file_at(path).map(|(disk, _)| disk);
    disk(directory).is_some_and(|of_data| disk(folder(file)) == Some(of_data))
}

/// Refuses what the disk has no room for, before a byte of it is written. A disk that does not tell is tried.
pub(super) fn refuse_without_room(folder: &Path, needed: u64, share: u64) -> Result<(), BackupError> {
    let Ok(disk) = statvfs(folder) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let reserved = disk.f_blocks.saturating_mul(disk.f_frsize).checked_div(share).unwrap_or(0);
    if disk.f_blocks == 0 || free >= needed.saturating_add(reserved) {
        return Ok(());
    }
    Err(BackupError::NoRoom { folder: PathBuf::from(folder), free, needed, reserved })
}
