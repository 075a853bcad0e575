//! The generated keys of a store, in a file beside its copy.
//!
//! Written only when asked: a copy alone gives nobody the secrets in it, a copy with this file gives all of them. It is TOML
//! with the names of the settings, so that a line of it can also be moved into `hookyard.toml`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use hookyard_model::Secret;
use serde::{Deserialize, Serialize};

use super::super::failure::Failure;
use crate::key_file::KeyFile;

/// What the file is called: as the copy, with this behind it.
const SUFFIX: &str = ".keys";
/// Bytes of the file; two secrets are far less.
const MOST_BYTES: u64 = 256 * 1024;

/// The keys of a store.
#[derive(Debug)]
pub(crate) struct Keys {
    /// What opens the secrets in it.
    pub(crate) main: Secret<String>,
    /// What its tokens are signed with, unless a setting gives it.
    pub(crate) jwt: Option<Secret<String>>,
}

/// The form in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    main_secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_secret: Option<String>,
}

/// Where the keys of a copy are.
pub(crate) fn path(copy: &Path) -> PathBuf {
    let mut name = copy.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

impl Keys {
    /// The keys that are kept in a data directory, if the main secret is.
    pub(crate) fn kept(data: &Path) -> Result<Option<Self>, Failure> {
        let Some(main) = KeyFile::Main.read(data)? else { return Ok(None) };
        Ok(Some(Self { main, jwt: KeyFile::Jwt.read(data)? }))
    }

    /// Reads them from beside a copy; `None` when there is no such file.
    pub(crate) fn read(copy: &Path) -> Result<Option<Self>, Failure> {
        use std::io::Read as _;
        let path = path(copy);
        let shown = path.display();
        let failed = |error: std::io::Error| Failure::Other(anyhow::anyhow!("`{shown}` cannot be read: {error}"));
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text).map_err(failed)?;
        // What a parser says of it could hold a piece of a secret.
        let written: Written = toml::from_str(&text).map_err(|_| {
            Failure::Other(anyhow::anyhow!(
                "`{shown}` does not hold the keys of a backup (a line `main_secret = \"…\"`, and perhaps one of `jwt_secret`)"
            ))
        })?;
        Ok(Some(Self { main: Secret::new(written.main_secret), jwt: written.jwt_secret.map(Secret::new) }))
    }

    /// Writes them beside a copy, whole or not at all, for their owner alone. Afterwards they are on disk.
    pub(crate) fn write(&self, copy: &Path, replace: bool) -> Result<PathBuf, Failure> {
        let path = path(copy);
        let written = Written {
            main_secret: self.main.expose().clone(),
            jwt_secret: self.jwt.as_ref().map(|jwt| jwt.expose().clone()),
        };
        let text = toml::to_string(&written)
            .map_err(|_| Failure::Other(anyhow::anyhow!("a key cannot be written as text")))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let write = || -> std::io::Result<()> {
            // Temporary files are for their owner alone.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            if replace {
                file.persist(&path)?
            } else {
                file.persist_noclobber(&path)?
            };
            std::fs::File::open(folder)?.sync_all()
        };
        write().map_err(|error| Failure::Other(anyhow::anyhow!("`{}` cannot be written: {error}", path.display())))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(jwt: Option<&str>) -> Keys {
        Keys { main: Secret::new("a \"main\" secret\\".to_owned()), jwt: jwt.map(|jwt| Secret::new(jwt.to_owned())) }
    }

    #[test]
    fn what_is_written_is_read_back_and_only_its_owner_may() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a directory");
        let copy = folder.path().join("copy.sqlite");
        assert!(Keys::read(&copy).expect("no fault").is_none());
        for jwt in [None, Some("jwt")] {
            let written = keys(jwt).write(&copy, true).expect("written");
            assert_eq!(written, folder.path().join("copy.sqlite.keys"));
            let read = Keys::read(&copy).expect("readable").expect("there");
            assert_eq!(read.main, keys(None).main);
            assert_eq!(read.jwt.as_ref().map(|jwt| jwt.expose().as_str()), jwt);
            let mode = std::fs::metadata(&written).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(keys(None).write(&copy, false).is_err(), "it is not replaced unasked");
    }

    #[test]
    fn a_file_that_holds_no_keys_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().expect("a directory");
        let copy = folder.path().join("copy");
        for text in ["", "canary", "main_secret = \"canary", "main_secret = 5", "main_secret = \"canary\"\nother = 1\n"]
        {
            std::fs::write(path(&copy), text).expect("written");
            let error = Keys::read(&copy).expect_err("no keys").to_string();
            assert!(error.contains("does not hold the keys") && !error.contains("canary"), "{error}");
        }
    }
}
