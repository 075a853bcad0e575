//! Reads a copy from its first page to its last before anybody relies on it.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::fault::BackupError;
use super::{Contents, Progress, Watch, header};

/// Instructions of the database between two looks at who watches: a few milliseconds.
const INSTRUCTIONS: i32 = 100_000;
/// Faults that a report shows; one is enough not to use the file.
const FAULTS: u8 = 3;

/// A copy that is whole.
#[derive(Debug)]
pub struct Checked {
    pub(super) file: PathBuf,
    pub(super) contents: Contents,
}

impl Checked {
    /// What it holds.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }
}

/// Checks a copy. Nothing is written, neither to it nor beside it.
pub fn check(file: &Path, watch: &Watch) -> Result<Checked, BackupError> {
    let bytes = header::look_at(file)?;
    if watch(Progress::Checking).is_break() {
        return Err(BackupError::BrokenOff);
    }
    let read = |error: rusqlite::Error| BackupError::of_source(file, &error);
    // As a file that nobody changes: it needs no lock, no companion, and no right to write in its directory.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let mut connection = Connection::open_with_flags(uri(file), flags).map_err(read)?;
    let watch = Arc::clone(watch);
    connection.progress_handler(INSTRUCTIONS, Some(move || watch(Progress::Checking).is_break())).map_err(read)?;
    let faults = faults(&connection).map_err(read)?;
    if !faults.is_empty() {
        return Err(BackupError::corrupt(file, faults.join("; ")));
    }
    let contents = contents(&connection, bytes).map_err(read)?;
    Ok(Checked { file: file.to_owned(), contents })
}

fn faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare(&format!("PRAGMA quick_check({FAULTS})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(if lines == ["ok"] { Vec::new() } else { lines })
}

fn contents(connection: &Connection, bytes: u64) -> rusqlite::Result<Contents> {
    let count = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    let check = connection.query_row("SELECT value FROM meta WHERE name = 'secret_check'", [], |row| row.get(0));
    Ok(Contents {
        bytes,
        schema: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        applications: count("SELECT count(*) FROM application WHERE archived IS NULL")?,
        endpoints: count("SELECT count(*) FROM endpoint WHERE status <> 2")?,
        messages: count("SELECT count(*) FROM message")?,
        deliveries: count("SELECT count(*) FROM delivery")?,
        attempts: count("SELECT count(*) FROM attempt")?,
        pending: count(
            "SELECT count(*) FROM delivery INDEXED BY delivery_due WHERE due IS NOT NULL AND holder IS NULL",
        )?,
        in_flight: count("SELECT count(*) FROM delivery INDEXED BY delivery_holder WHERE holder IS NOT NULL")?,
        secret_check: check.optional()?,
    })
}

/// The file as a URI, in which some characters of a path would mean something.
fn uri(file: &Path) -> String {
    let mut uri = String::from(if file.is_absolute() { "file://" } else { "file:" });
    for byte in file.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_path_means_anything_in_its_uri() {
        let path = Path::new("/a b/c?d#e%41/ä.sqlite");
        assert_eq!(uri(path), "file:///a%20b/c%3fd%23e%2541/%c3%a4.sqlite?immutable=1");
        assert_eq!(uri(Path::new("x/y")), "file:x/y?immutable=1");
    }
}
