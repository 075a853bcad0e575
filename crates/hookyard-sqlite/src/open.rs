//! Opens a data directory: lock, database, migrations, check value, threads.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hookyard_model::Incarnation;
use hookyard_record::carry::MARK;
use hookyard_record::{Keyring, Place};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};

use crate::books::Bounds;
use crate::checkpoint::Checkpoints;
use crate::column::int;
use crate::disk;
use crate::marks::Marks;
use crate::readers::{READERS, Readers};
use crate::schema::{self, SchemaError};
use crate::shared::Shared;
use crate::store::{Parts, SqliteStore};
use crate::writer::Writer;
use crate::{OpenError, Options};

/// The database's file name in the data directory.
pub(crate) const DATABASE: &str = "hookyard.sqlite";
/// The file whose lock says that a process has the store.
pub(crate) const LOCK: &str = "lock";
/// Bytes of a page: a message row with its attempt fits a few times, and a changed page is still cheap to log.
const PAGE_BYTES: u64 = 4_096;
/// KiB of pages that the writer keeps: what the hot path touches, many times over.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// KiB of pages that each reader keeps.
const READER_CACHE_KIB: i64 = 2 * 1024;
/// Bytes to which the write-ahead log is cut when it starts over.
const WAL_KEPT_BYTES: i64 = 64 * 1024 * 1024;
/// How long a connection waits for another: only the ends of checkpoints and of recoveries are ever waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// What the check value says; any text would do.
const CHECK: &[u8] = b"hookyard";
const CHECK_PLACE: Place<'static> = Place { table: "meta", id: b"secret_check", revision: 0 };

/// The check value, if a server ever ran here.
pub(crate) const CHECK_VALUE: &str = "SELECT value FROM meta WHERE name = 'secret_check'";
/// Whether a move to here has not ended.
pub(crate) const IS_INCOMPLETE: &str = "SELECT EXISTS (SELECT 1 FROM meta WHERE name = ?1)";

/// Opens the store in `options.directory`.
pub(crate) fn open(options: Options) -> Result<SqliteStore, OpenError> {
    let directory = options.directory.clone();
    let lock = Arc::new(lock(&directory)?);
    let file = directory.join(DATABASE);
    create(&directory, &file)?;
    let explain = |error| explain(&file, &directory, error);

    let mut connection = connect_up_to_date(&directory, &file)?;
    let (incarnation, marks) = begin_life(&mut connection, &options, &file)?;
    if let Some(pages) = options.page_limit {
        connection.pragma_update(None, "max_page_count", pages).map_err(explain)?;
    }

    let bounds = Bounds { pending: options.pending_limit, free_disk_share: options.free_disk_share };
    let (soft, hard) = (options.checkpoint_bytes, options.wal_limit);
    let shared = Arc::new(Shared::new(options, file.clone(), incarnation));
    marks.publish(&shared.tally);
    shared.metrics.store_bytes.set(int(shared.bytes()));

    let checkpoints = Arc::new(Checkpoints::new(Arc::clone(&shared), soft, hard, PAGE_BYTES));
    let readers = (0..READERS)
        .map(|_| connect(&file, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB))
        .collect::<rusqlite::Result<Vec<_>>>()
        .map_err(explain)?;
    let mover = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE, READER_CACHE_KIB).map_err(explain)?;

    let io = |source| OpenError::Io { directory: directory.clone(), source };
    let mut threads = Vec::new();
    let (readers, reading) = Readers::start(readers, Arc::clone(&shared), &lock).map_err(io)?;
    threads.extend(reading);
    threads.push(move_log(mover, Arc::clone(&checkpoints), Arc::clone(&lock)).map_err(io)?);
    let (writer, writing) =
        Writer::start(connection, Arc::clone(&shared), marks, bounds, Arc::clone(&checkpoints), lock).map_err(io)?;
    Ok(SqliteStore::of(Parts { shared, writer, readers, checkpoints, writing, threads }))
}

/// Connects to write, and brings the database to the form that this code knows.
pub(crate) fn connect_up_to_date(directory: &Path, file: &Path) -> Result<Connection, OpenError> {
    let explain = |error| explain(file, directory, error);
    let mut connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE_KIB).map_err(explain)?;
    check_size(&connection, file)?;
    connection
        .execute_batch(&format!("PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL"))
        .map_err(explain)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES).map_err(explain)?;
    schema::migrate(&mut connection).map_err(|error| match error {
        SchemaError::Foreign => {
            OpenError::Corrupt { file: file.to_owned(), why: "it belongs to another program".to_owned() }
        }
        SchemaError::Newer { found } => OpenError::Newer { file: file.to_owned(), found, known: schema::known() },
        SchemaError::Sql(error) => explain(error),
    })?;
    Ok(connection)
}

fn move_log(
    connection: Connection,
    checkpoints: Arc<Checkpoints>,
    lock: Arc<File>,
) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("hookyard-move".to_owned()).spawn(move || {
        checkpoints.work(&connection);
        drop(connection);
        drop(lock);
    })
}

/// Makes the directory and takes its lock, which is held for as long as the file is open.
pub(crate) fn lock(directory: &Path) -> Result<File, OpenError> {
    let explain = |source: io::Error| explain_io(directory, source);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(explain)?;
    let options = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(directory.join(LOCK));
    let file = options.map_err(explain)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(explain(source)),
    }
}

/// Whether a process has a store open in the directory. Nothing there is not in use.
///
/// Asks for the lock as a reader and gives it back at once; a start in that very instant would be refused.
pub fn is_in_use(directory: &Path) -> io::Result<bool> {
    let file = match File::open(directory.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes the database file readable by its owner only; `SQLite` gives its companions the same mode.
pub(crate) fn create(directory: &Path, file: &Path) -> Result<(), OpenError> {
    let explain = |source| explain_io(directory, source);
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(file).map_err(explain)?;
    // The directory's own entry is on disk before anything in it is called safe, where the file system knows of that.
    for made in [Some(directory), directory.parent().filter(|parent| !parent.as_os_str().is_empty())] {
        if let Some(Ok(made)) = made.map(File::open) {
            let _ = made.sync_all();
        }
    }
    Ok(())
}

fn explain_io(directory: &Path, source: io::Error) -> OpenError {
    let (kind, directory) = (source.kind(), directory.to_owned());
    if matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
        OpenError::ReadOnly(directory)
    } else if kind == io::ErrorKind::StorageFull {
        OpenError::Full(directory)
    } else {
        OpenError::Io { directory, source }
    }
}

pub(crate) fn explain(file: &Path, directory: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Corrupt { file: file.to_owned(), why: error.to_string() }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::ReadOnly(directory.to_owned()),
        Some(ErrorCode::DiskFull) => OpenError::Full(directory.to_owned()),
        // Growing the shared memory beside the database says only that it failed, not why.
        Some(ErrorCode::SystemIoFailure) if disk::is_full(file) => OpenError::Full(directory.to_owned()),
        _ => OpenError::Database { file: file.to_owned(), source: error },
    }
}

fn connect(file: &Path, access: OpenFlags, cache_kib: i64) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread, so SQLite's own locks would only cost.
    let connection = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; \
         PRAGMA cache_size = -{cache_kib}"
    ))?;
    Ok(connection)
}

/// Whether the file is as long as its header says; a file that was cut short is found before its missing pages are.
fn check_size(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    let corrupt = |why: String| OpenError::Corrupt { file: file.to_owned(), why };
    let read = |pragma: &str| {
        let value = connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        value.map_err(|error| corrupt(error.to_string()))
    };
    // Reading the schema reads the header, and what a crash left in the write-ahead log.
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    tables.map_err(|error| explain(file, file.parent().unwrap_or(file), error))?;
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    if std::fs::metadata(PathBuf::from(wal)).is_ok_and(|wal| wal.len() > 0) {
        // Pages may still be in the log only.
        return Ok(());
    }
    let (pages, page) = (read("page_count")?, read("page_size")?);
    let length = std::fs::metadata(file).map_or(0, |file| int(file.len()));
    if length < pages.saturating_mul(page) {
        return Err(corrupt(format!("it has {length} bytes and should have {}", pages.saturating_mul(page))));
    }
    Ok(())
}

/// Checks the secret, begins a new incarnation and reads the marks, in one transaction.
fn begin_life(connection: &mut Connection, options: &Options, file: &Path) -> Result<(Incarnation, Marks), OpenError> {
    let explain = |error| explain(file, &options.directory, error);
    let transaction = connection.transaction().map_err(explain)?;
    if transaction.query_row(IS_INCOMPLETE, [MARK], |row| row.get(0)).map_err(explain)? {
        return Err(OpenError::Incomplete(options.directory.clone()));
    }
    let check = transaction.query_row(CHECK_VALUE, [], |row| row.get(0));
    if !is_our_secret(&options.keyring, check.optional().map_err(explain)?) {
        return Err(OpenError::WrongSecret(file.to_owned()));
    }
    let begin = || {
        // Sealed again at every start, so that the first key alone opens it once the old ones are taken off the list.
        let check = options.keyring.seal(&CHECK_PLACE, CHECK, &*options.rng);
        transaction.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('secret_check', ?1)", [check])?;
        transaction.execute("INSERT INTO node (started) VALUES (?1)", [options.clock.now().as_micros()])?;
        let incarnation = transaction.last_insert_rowid();
        let marks = Marks::read(&transaction)?;
        transaction.execute("DELETE FROM node WHERE incarnation < ?1 - 1000", params![incarnation])?;
        Ok((Incarnation(incarnation.unsigned_abs()), marks))
    };
    let life = begin().map_err(explain)?;
    transaction.commit().map_err(explain)?;
    Ok(life)
}

/// Whether the keyring opens the check value; a fresh database has none.
pub(crate) fn is_our_secret(keyring: &Keyring, check: Option<Vec<u8>>) -> bool {
    check.is_none_or(|check| keyring.open(&CHECK_PLACE, &check).is_ok_and(|plain| plain.as_slice() == CHECK))
}
