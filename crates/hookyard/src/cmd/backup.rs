//! `hookyard backup`: copies the embedded store to a file, beside a server that uses it or without one.
//!
//! Needs neither the server nor the lock of its directory. The generated keys stay where they are unless asked for, and the
//! answer says which key the copy will need: without it, nobody can open the secrets in it.

use std::path::{Path, PathBuf};

use clap::Args;
use hookyard_model::limits;
use hookyard_record::Keyring;
use hookyard_sqlite::backup::{self, Request, Taken};
use serde_json::json;

use super::copies::keys::{self, Keys};
use super::copies::{self, StoreFlags, meter};
use super::failure::Failure;
use super::output;
use crate::key_file::KeyFile;

/// Copy the embedded store to a file, while a server runs on it or not.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write; it appears once it is whole and checked.
    file: PathBuf,
    /// Replace the file if there is one.
    #[arg(long)]
    force: bool,
    /// Also write the keys that are kept in the data directory, to `FILE.keys`. Whoever has both files can read every secret.
    #[arg(long)]
    with_keys: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreFlags,
}

/// The main secret that the store is expected to need.
struct MainSecret {
    /// Where it was found, or looked for: a file, or the place of a setting.
    from: String,
    /// The same for people.
    shown: String,
    /// Whether it opens the copy; `None` when there is none, or it cannot be read.
    opens: Option<bool>,
}

impl Backup {
    /// Copies.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let directory = self.store.directory()?;
        let kept = if self.with_keys { Some(self.keys_to_write(&directory)?) } else { None };
        let (from, file, replace) = (directory.clone(), self.file.clone(), self.force);
        let taken = meter::watched(move |watch| {
            let free_disk_share = limits::FREE_DISK_SHARE;
            let watch = std::sync::Arc::clone(watch);
            backup::take(&Request { directory: &from, file: &file, replace, free_disk_share, watch })
        })
        .await?;
        let contents = taken.contents().clone();
        let main_secret = self.main_secret(&directory, &taken);
        main_secret.warn();
        let written = match &kept {
            None => None,
            Some(_) if main_secret.opens != Some(true) => {
                return Err(Failure::Configuration(format!(
                    "{} does not open the secrets in the store, so `--with-keys` would write a key that is of no use\n\
                     hint: leave it out, and keep the `main_secret` that the server runs with",
                    main_secret.shown
                )));
            }
            Some(keys) => Some(keys.write(&self.file, self.force)?),
        };
        if let Err(error) = taken.place() {
            if let Some(written) = written.filter(|_| !self.force) {
                // Keys of a copy that is not there; what could not be written is the greater trouble.
                let _ = std::fs::remove_file(written);
            }
            return Err(error.into());
        }
        if self.json {
            let mut members = copies::members(&contents);
            members.insert("file".to_owned(), json!(self.file.display().to_string()));
            members.insert("data".to_owned(), json!(directory.display().to_string()));
            let secret = json!({ "from": main_secret.from, "opens": main_secret.opens });
            members.insert("mainSecret".to_owned(), secret);
            members.insert("keys".to_owned(), json!(written.map(|path| path.display().to_string())));
            return output::json(&members);
        }
        let (directory, file) = (directory.display(), self.file.display());
        let shown = copies::shown(&contents);
        let key = main_secret.told(written.as_deref());
        output::line(&format!("copied `{directory}` to `{file}`: {shown}\n{key}"))
    }

    fn keys_to_write(&self, directory: &Path) -> Result<Keys, Failure> {
        let path = keys::path(&self.file);
        if !self.force && path.exists() {
            return Err(backup::BackupError::Exists(path).into());
        }
        let given = self.store.keys()?.main_secret;
        if !given.value.is_empty() {
            return Err(Failure::Configuration(format!(
                "`main_secret` is given ({}) and not kept in the data directory, so `--with-keys` has nothing to write\n\
                 hint: leave it out, and keep that secret where the backup is not",
                given.place
            )));
        }
        Keys::kept(directory)?.ok_or_else(|| {
            Failure::Configuration(format!(
                "there is no key `{}` that `--with-keys` could write\nhint: name the server's data directory with `--data`",
                KeyFile::Main.path(directory).display()
            ))
        })
    }

    /// Which secret the server would open the copy with. A backup must not fail because of it, so what is wrong is told.
    fn main_secret(&self, directory: &Path, taken: &Taken) -> MainSecret {
        let path = KeyFile::Main.path(directory).display().to_string();
        let kept = format!("`{path}`");
        let (from, shown, secrets) = match self.store.keys() {
            Ok(keys) if !keys.main_secret.value.is_empty() => {
                let place = keys.main_secret.place.to_string();
                let shown = format!("`main_secret` ({place})");
                (place, shown, keys.main_secret.value)
            }
            Ok(_) => match KeyFile::Main.read(directory) {
                Ok(secret) => (path, kept, secret.into_iter().collect()),
                Err(error) => {
                    tracing::warn!("the main secret is not checked: {:#}", anyhow::Error::new(error));
                    (path, kept, Vec::new())
                }
            },
            Err(faults) => {
                tracing::warn!("the main secret is not checked: {faults}");
                ("settings".to_owned(), "`main_secret`".to_owned(), Vec::new())
            }
        };
        let keyring = if secrets.is_empty() { None } else { Keyring::from_secrets(&secrets).ok() };
        MainSecret { from, shown, opens: keyring.map(|keyring| taken.contents().is_opened_by(&keyring)) }
    }
}

impl MainSecret {
    /// Says on standard error, where also a timer's mail is made of, that a copy may be of no use.
    fn warn(&self) {
        let advice = "keep the `main_secret` that the server runs with, the backup is of no use without it";
        match self.opens {
            Some(true) => {}
            Some(false) => tracing::warn!("{} does not open the secrets in the backup; {advice}", self.shown),
            None => tracing::warn!("{} is not known here; {advice}", self.shown),
        }
    }

    /// What the copy needs to be of use, in one line.
    fn told(&self, written: Option<&Path>) -> String {
        match written {
            Some(written) => {
                format!("its keys are in `{}`: whoever has both files can read every secret", written.display())
            }
            None => format!(
                "the backup is of no use without {}, which is not in it: keep a copy of that elsewhere",
                match self.opens {
                    Some(true) => &self.shown,
                    Some(false) | None => "the server's `main_secret`",
                }
            ),
        }
    }
}
