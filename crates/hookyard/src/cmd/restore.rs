//! `hookyard restore`: puts a copy of the embedded store in place, in a directory that has none.
//!
//! Everything that can be wrong with the copy, its key or the directory is found before anything is written. The keys are on
//! disk before the store is there, so that no server makes new ones for it.

use std::path::{Path, PathBuf};

use clap::Args;
use hookyard_model::Secret;
use hookyard_record::Keyring;
use hookyard_sqlite::backup::{self, Contents, Restoration};
use serde_json::json;

use super::copies::keys::{self, Keys};
use super::copies::{self, StoreFlags, count, meter};
use super::failure::Failure;
use super::output;
use crate::config::KeySettings;
use crate::key_file::KeyFile;

/// Put a backup in place as the embedded store, in a data directory that is empty or does not exist.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The file that `hookyard backup` wrote; keys in `FILE.keys` are restored as well.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreFlags,
}

/// What a secret of the restored store comes from.
enum Origin {
    /// A setting, as `serve` will find it.
    Setting(String),
    /// The data directory.
    Kept,
    /// The file beside the copy.
    Beside(Secret<String>),
}

impl Origin {
    const fn name(&self) -> &'static str {
        match self {
            Self::Setting(_) => "settings",
            Self::Kept => "data",
            Self::Beside(_) => "keys",
        }
    }
}

impl Restore {
    /// Restores.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let directory = self.store.directory()?;
        let settings = self.store.keys()?;
        backup::refuse_occupied(&directory)?;
        let file = self.file.clone();
        let checked = meter::watched(move |watch| backup::check(&file, watch)).await?;
        let beside = Keys::read(&self.file)?;
        let main = self.main_secret(&directory, &settings, beside.as_ref(), checked.contents())?;
        let jwt = jwt_secret(&directory, &settings, beside)?;

        let to = directory.clone();
        let restoration = meter::watched(move |watch| backup::restore(checked, &to, watch)).await?;
        let contents = restoration.contents().clone();
        keep(KeyFile::Main, Some(&main), &directory, &restoration)?;
        keep(KeyFile::Jwt, jwt.as_ref(), &directory, &restoration)?;
        restoration.place()?;
        self.tell(&directory, &contents, &main, jwt.as_ref())
    }

    /// The secret that `serve` will open the store with: given, else kept, else the one beside the copy.
    fn main_secret(
        &self,
        directory: &Path,
        settings: &KeySettings,
        beside: Option<&Keys>,
        contents: &Contents,
    ) -> Result<Origin, Failure> {
        let (given, kept) = (&settings.main_secret, KeyFile::Main.read(directory)?);
        let path = KeyFile::Main.path(directory);
        let (from, shown, secrets) = if !given.value.is_empty() {
            let place = given.place.to_string();
            (Origin::Setting(place.clone()), format!("`main_secret` ({place})"), given.value.clone())
        } else if let Some(kept) = kept {
            (Origin::Kept, format!("`{}`", path.display()), vec![kept])
        } else if let Some(keys) = beside {
            let shown = format!("`{}`", keys::path(&self.file).display());
            (Origin::Beside(keys.main.clone()), shown, vec![keys.main.clone()])
        } else {
            return Err(Failure::Configuration(format!(
                "there is no main secret to open the secrets in `{}` with\nhint: put the file `main_secret` of the old \
                 data directory into `{}`, or set `main_secret` to what the old server had",
                self.file.display(),
                directory.display()
            )));
        };
        let keyring = Keyring::from_secrets(&secrets).map_err(Failure::configuration)?;
        if contents.is_opened_by(&keyring) {
            return Ok(from);
        }
        Err(Failure::Configuration(format!(
            "{shown} does not open the secrets in `{}`\nhint: restore with the `main_secret` that the backup was made with",
            self.file.display()
        )))
    }

    fn tell(&self, directory: &Path, contents: &Contents, main: &Origin, jwt: Option<&Origin>) -> Result<(), Failure> {
        if self.json {
            let mut members = copies::members(contents);
            members.insert("file".to_owned(), json!(self.file.display().to_string()));
            members.insert("data".to_owned(), json!(directory.display().to_string()));
            members.insert("mainSecret".to_owned(), json!(main.name()));
            members.insert("jwtSecret".to_owned(), json!(jwt.map(Origin::name)));
            return output::json(&members);
        }
        let (file, shown) = (self.file.display(), copies::shown(contents));
        let owed = count(contents.pending + contents.in_flight, "attempt");
        let key = match main {
            Origin::Setting(place) => format!("`main_secret` ({place}) opens the secrets in it; `serve` needs it, too"),
            Origin::Kept => format!("`{}` opens the secrets in it", KeyFile::Main.path(directory).display()),
            Origin::Beside(_) => format!("its keys were in `{}` and are in place", keys::path(&self.file).display()),
        };
        let tokens = match jwt {
            Some(_) => "",
            None => {
                "\nits key for tokens was not there: `serve` makes a new one, and tokens given out before are of no use"
            }
        };
        output::line(&format!(
            "restored `{file}` to `{}`: {shown}\nowed: {owed}, made when `hookyard serve` runs again; what was delivered \
             after the backup is delivered once more\n{key}{tokens}",
            directory.display()
        ))
    }
}

/// The secret that tokens will be signed with; `None` when `serve` will make one.
fn jwt_secret(directory: &Path, settings: &KeySettings, beside: Option<Keys>) -> Result<Option<Origin>, Failure> {
    if let Some(given) = &settings.jwt_secret {
        return Ok(Some(Origin::Setting(given.place.to_string())));
    }
    if KeyFile::Jwt.read(directory)?.is_some() {
        return Ok(Some(Origin::Kept));
    }
    Ok(beside.and_then(|keys| keys.jwt).map(Origin::Beside))
}

fn keep(key: KeyFile, from: Option<&Origin>, directory: &Path, restoration: &Restoration) -> Result<(), Failure> {
    if let Some(Origin::Beside(secret)) = from {
        key.keep(directory, secret)?;
        restoration.hand_over(&key.path(directory))?;
    }
    Ok(())
}
