//! A file that holds one secret.
//!
//! Read for `secret_file` and `…_FILE` in settings, and for the keys in the data directory. What a file holds is never part
//! of an error's text.

use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
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
    /// It gives its bytes once, or waits for somebody who writes.
    #[error("secret file `{}` is a pipe; name a regular file, which a reload can read again", .0.display())]
    Pipe(PathBuf),
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
    // Asked before it is opened, which would wait for a writer.
    if std::fs::metadata(path).map_err(failed)?.file_type().is_fifo() {
        return Err(SecretFileError::Pipe(path.to_owned()));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_refused_before_it_is_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let (mode, kind) = (rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, rustix::fs::FileType::Fifo);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).expect("made");
        // A link to one is one.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).expect("made");
        for path in [pipe, link] {
            let error = read(&path).expect_err("it is a pipe").to_string();
            let expected = format!(
                "secret file `{}` is a pipe; name a regular file, which a reload can read again",
                path.display()
            );
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_file_gives_its_text_without_the_last_line_break() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        for (text, secret) in
            [("canary", "canary"), ("canary\n", "canary"), ("canary\r\n", "canary"), ("a\nb\n\n", "a\nb\n")]
        {
            std::fs::write(&path, text).expect("written");
            assert_eq!(read(&path).expect("a secret").expose(), secret);
        }
        for text in ["", "\n"] {
            std::fs::write(&path, text).expect("written");
            assert!(matches!(read(&path), Err(SecretFileError::Empty(_))));
        }
        assert!(matches!(read(&folder.path().join("absent")), Err(SecretFileError::Unreadable { .. })));
    }
}
