//! Secrets of the deployment that nobody set: made once, kept in the data directory.
//!
//! Called when a node starts, in the server as in a program that embeds one, and by commands that make a token from a
//! node's key. A file is complete or absent: it is written beside its place, fsynced, and linked there only if nobody was faster.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hookyard_model::Secret;
use hookyard_ports::Rng;

use crate::secret_file::{self, SecretFileError};

/// Random bytes of a generated secret.
const SECRET_BYTES: usize = 32;

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is nowhere to keep it.
    #[error("data directory `{}` cannot be made", .directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is there and not for us.
    #[error("key file `{}` cannot be read", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What it holds is no secret.
    #[error(transparent)]
    Content(#[from] SecretFileError),
    /// A fresh one cannot be kept.
    #[error("key file `{}` cannot be made", .path.display())]
    Unmakeable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody removes it as fast as it is made.
    #[error("key file `{}` was removed while it was made", .0.display())]
    Removed(PathBuf),
}

/// Which secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFile {
    /// What API tokens are signed with.
    #[cfg_attr(not(any(feature = "program", test)), expect(dead_code, reason = "only doors check tokens"))]
    Jwt,
    /// What secrets at rest are encrypted with.
    Main,
}

impl KeyFile {
    /// Its file in the data directory.
    pub(crate) fn path(self, data: &Path) -> PathBuf {
        data.join(match self {
            Self::Jwt => "jwt_secret",
            Self::Main => "main_secret",
        })
    }

    /// The secret, if it was made before.
    pub(crate) fn read(self, data: &Path) -> Result<Option<Secret<String>>, KeyFileError> {
        let path = self.path(data);
        let mode = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyFileError::Unreadable { path, source }),
        };
        if mode & 0o077 != 0 {
            tracing::warn!(
                file = %path.display(),
                mode = format_args!("{:o}", mode & 0o777),
                "others may read this key; `chmod 600` it"
            );
        }
        Ok(Some(secret_file::read(&path)?))
    }

    /// The secret; made if there is none. Afterwards it is on disk.
    pub(crate) fn read_or_make(self, data: &Path, rng: &dyn Rng) -> Result<Secret<String>, KeyFileError> {
        if let Some(secret) = self.read(data)? {
            return Ok(secret);
        }
        let mut bytes = [0; SECRET_BYTES];
        rng.fill(&mut bytes);
        let path = self.path(data);
        if let Err(source) = write_once(&path, hex::encode(bytes).as_bytes()) {
            return Err(KeyFileError::Unmakeable { path, source });
        }
        // Another process may have been faster; what is on disk counts.
        self.read(data)?.ok_or(KeyFileError::Removed(path))
    }

    /// Keeps a secret that was made elsewhere, unless there is one. Afterwards it is on disk.
    #[cfg(feature = "program")]
    pub(crate) fn keep(self, data: &Path, secret: &Secret<String>) -> Result<(), KeyFileError> {
        let path = self.path(data);
        write_once(&path, secret.expose().as_bytes()).map_err(|source| KeyFileError::Unmakeable { path, source })
    }
}

/// Makes the data directory, for its owner alone, if it does not exist.
pub(crate) fn make_folder(data: &Path) -> Result<(), KeyFileError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|source| KeyFileError::Directory { directory: data.to_owned(), source })
}

/// Writes a file whole, unless it exists.
fn write_once(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let written = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // A link, unlike a rename, does not replace what another process put there.
        match std::fs::hard_link(&beside, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    })();
    let removed = std::fs::remove_file(&beside);
    written.and(removed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use hookyard_ports::SystemRng;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_read_back() {
        let data = tempfile::tempdir().expect("a directory");
        assert_eq!(KeyFile::Jwt.read(data.path()).expect("readable"), None);
        let made = KeyFile::Jwt.read_or_make(data.path(), &SystemRng).expect("made");
        assert_eq!(made.expose().len(), 2 * SECRET_BYTES);
        assert_eq!(KeyFile::Jwt.read_or_make(data.path(), &SystemRng).expect("read"), made);
        assert_ne!(KeyFile::Main.read_or_make(data.path(), &SystemRng).expect("made"), made);
        let permissions = std::fs::metadata(KeyFile::Jwt.path(data.path())).expect("there").permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(data.path()).expect("readable").count(), 2, "nothing is left beside them");
    }

    #[test]
    fn an_empty_key_file_is_an_error_and_is_not_replaced() {
        let data = tempfile::tempdir().expect("a directory");
        std::fs::write(KeyFile::Main.path(data.path()), "\n").expect("written");
        let error = KeyFile::Main.read_or_make(data.path(), &SystemRng).expect_err("empty");
        assert!(error.to_string().contains("is empty"), "{error}");
    }

    #[test]
    fn what_is_there_is_not_replaced() {
        let data = tempfile::tempdir().expect("a directory");
        let path = data.path().join("key");
        write_once(&path, b"first").expect("written");
        write_once(&path, b"second").expect("left alone");
        assert_eq!(std::fs::read(&path).expect("readable"), b"first");
    }
}
