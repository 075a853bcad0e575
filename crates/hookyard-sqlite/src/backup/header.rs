//! The first bytes of a database file, read without opening it: what it is, whose, and how long it should be.
//!
//! Says more exactly than the database itself what is wrong with a file that is none, another program's, or cut short.
//! The offsets are those of the file format of `SQLite`, section "The Database Header".

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::companion;
use super::fault::BackupError;
use crate::schema;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const BYTES: usize = 100;

/// Refuses a file that cannot be a whole store of a version that we know; gives its length in bytes.
pub(super) fn look_at(file: &Path) -> Result<u64, BackupError> {
    let unreadable = |error: std::io::Error| BackupError::reading(file, &error);
    let corrupt = |why: String| Err(BackupError::corrupt(file, why));
    let opened = File::open(file).map_err(unreadable)?;
    let metadata = opened.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(BackupError::NotAFile(file.to_owned()));
    }
    let mut header = Vec::with_capacity(BYTES);
    opened.take(BYTES as u64).read_to_end(&mut header).map_err(unreadable)?;
    if !header.starts_with(MAGIC) {
        return corrupt("it is not a database".to_owned());
    }
    if header.len() < BYTES {
        return corrupt(format!("it has {} bytes and not even a whole header", header.len()));
    }
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if number(68) != schema::APPLICATION_ID.cast_unsigned() {
        return corrupt("it belongs to another program".to_owned());
    }
    let (found, known) = (i64::from(number(60)), schema::known());
    if found > known {
        return Err(BackupError::Newer { file: file.to_owned(), found, known });
    }
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let (length, expected) = (metadata.len(), u64::from(number(28)) * page);
    if length < expected {
        return corrupt(format!("it has {length} bytes and should have {expected}"));
    }
    let log = companion(file, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let log = log.display();
        return corrupt(format!("a part of it is still in `{log}`; it was copied from a running server"));
    }
    Ok(length)
}
