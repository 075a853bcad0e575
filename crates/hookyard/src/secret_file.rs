//! A file that holds one secret.
//!
//! Read for `secret_file` and `…_FILE` in settings, and for the keys in the data directory. What a file holds is never part
//! of an error's text.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use hookyard_model::Secret;

/// Bytes of a file that holds one secret.
const SECRET_FILE_BYTES: u64 = 64 * 1024;

/// Why a file gives no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It is not there, or not for us, or not text.
    #[error("secret file `{}` cannot be read", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is too long for a secret.
    #[error("secret file `{}` is longer than {SECRET_FILE_BYTES} bytes", .0.display())]
    TooLong(PathBuf),
    /// It has nothing in it.
    #[error("secret file `{}` is empty", .0.display())]
    Empty(PathBuf),
}

/// The secret in a file, without the line break that editors add.
pub(crate) fn read(path: &Path) -> Result<Secret<String>, SecretFileError> {
    let failed = |source: std::io::Error| SecretFileError::Unreadable { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(SECRET_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    let mut secret = Secret::new(text);
    if secret.expose().len() as u64 > SECRET_FILE_BYTES {
        return Err(SecretFileError::TooLong(path.to_owned()));
    }
    let trimmed = secret.expose().strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text).to_owned());
    if let Some(trimmed) = trimmed {
        secret = Secret::new(trimmed);
    }
    if secret.expose().is_empty() {
        return Err(SecretFileError::Empty(path.to_owned()));
    }
    Ok(secret)
}
