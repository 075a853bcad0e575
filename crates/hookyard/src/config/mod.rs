//! Settings and files: what the operator says, read and checked as a whole before anything starts.
//!
//! Called by every command of the binary. [`Config::load`] gives everything or a report of all that is wrong;
//! [`load_token_settings`] and its like read only what a command needs that runs beside a server, whose environment it may
//! not have. Nothing here opens a store or a socket.

mod document;
mod endpoint;
mod environment;
mod fault;
mod file;
mod foreign;
mod immich;
mod json_file;
pub(crate) mod key;
mod kiosk;
mod layers;
mod retry;
mod secret;
mod settings;
mod source;
mod support;
#[cfg(test)]
mod tests;
mod tree;
mod yaml_file;

use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hookyard_model::limits;

use self::document::Document;
pub(crate) use self::environment::Environment;
pub(crate) use self::fault::{Faults, Place, Warnings, nearest};
use self::file::Policy;
pub(crate) use self::file::{Declared, DeclaredApplication};
pub(crate) use self::foreign::{Foreign, SYSTEMS, System};
pub(crate) use self::key::Key;
use self::layers::Layers;
pub(crate) use self::settings::{DataSettings, Database, KeySettings, LogFormat, Role, Settings, TokenSettings};

/// The file that is read when none is named and it exists.
const FILE: &str = "hookyard.toml";
/// What our variables begin with.
const PREFIX: &str = "HOOKYARD_";
/// The variable that names the file.
const FILE_VARIABLE: &str = "HOOKYARD_CONFIG";

/// What the command line gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    /// The configuration file.
    pub(crate) config: Option<PathBuf>,
    /// Settings, each above environment and file.
    pub(crate) settings: Vec<(Key, String)>,
}

/// Everything that the operator said.
#[derive(Debug)]
pub(crate) struct Config {
    /// The settings.
    pub(crate) settings: Settings,
    /// The rows that the file declares.
    pub(crate) declared: Declared,
    /// The file that was read, by the name that the operator gave.
    pub(crate) file: Option<PathBuf>,
    /// What the files of other systems declare, those without a file included.
    pub(crate) foreign: Vec<Foreign>,
    /// What is strange and counts nevertheless.
    pub(crate) warnings: Warnings,
}

impl Config {
    /// Reads all files, environment and flags; the error is everything that is wrong with them.
    pub(crate) fn load(flags: &Flags, environment: &Environment) -> Result<Self, Faults> {
        match path(flags, environment) {
            Some(path) => Self::of_content(&path, content(&path), flags, environment),
            None => Self::read(None, Faults::default(), flags, environment),
        }
    }

    /// Reads a file's bytes, environment and flags, and what these name.
    pub(crate) fn of_bytes(
        path: &Path,
        bytes: Vec<u8>,
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Self, Faults> {
        Self::of_content(path, Ok(bytes), flags, environment)
    }

    fn of_content(
        path: &Path,
        content: Result<Vec<u8>, Faults>,
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Self, Faults> {
        match content.and_then(|bytes| text(path, bytes)) {
            Ok(text) => Self::read(Some((path, &text)), Faults::default(), flags, environment),
            // What environment and flags name is looked at all the same, so that one report holds every fault.
            Err(unreadable) => Self::read(None, unreadable, flags, environment),
        }
    }

    /// Reads a file's text, environment and flags, and what these name.
    fn read(
        file: Option<(&Path, &str)>,
        mut faults: Faults,
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Self, Faults> {
        let mut layers = Layers::default();
        let document = file.map(|(path, text)| Document::new(path, text, environment));
        let mut root = document.as_ref().map(|document| document.root(&mut faults));
        if let Some(root) = &mut root {
            layers.add_file(root, key::KEYS, &mut faults);
        }
        layers.add_environment(environment, key::KEYS, &mut faults);
        for (key, text) in &flags.settings {
            layers.add_flag(key, text);
        }
        let settings = Settings::read(&layers, environment, &mut faults);
        support::judge(&settings, &mut faults);
        support::warn_of_variables(environment, &mut faults);
        let mut declared = Declared::default();
        if let Some(mut root) = root {
            declared = Declared::read(&mut root, Policy::of(&settings), &mut faults);
            file::check_retention(&declared.applications, "retry", &settings, &mut faults);
            support::warn_of_sources(&declared, &mut faults);
            root.finish(&mut faults);
        }
        let foreign = Foreign::read_all(&settings, &declared, &mut faults);
        let file = file.map(|(path, _)| path.to_owned());
        faults.or_else(|warnings| Self { settings, declared, file, foreign, warnings })
    }
}

/// Reads what is needed to make a token, and reports only what is wrong with that.
pub(crate) fn load_token_settings(flags: &Flags, environment: &Environment) -> Result<TokenSettings, Faults> {
    load_some(flags, environment, &TokenSettings::KEYS, TokenSettings::read)
}

/// Reads where the embedded store is, and reports only what is wrong with that.
pub(crate) fn load_data_settings(flags: &Flags, environment: &Environment) -> Result<DataSettings, Faults> {
    load_some(flags, environment, &DataSettings::KEYS, DataSettings::read)
}

/// Reads the secrets that a store is opened with, and reports only what is wrong with those.
pub(crate) fn load_key_settings(flags: &Flags, environment: &Environment) -> Result<KeySettings, Faults> {
    load_some(flags, environment, &KeySettings::KEYS, KeySettings::read)
}

/// Reads these keys alone, so that what is wrong with others stops nobody who does not need them.
fn load_some<T>(
    flags: &Flags,
    environment: &Environment,
    keys: &[Key],
    read: impl FnOnce(&Layers, &mut Faults) -> T,
) -> Result<T, Faults> {
    let (mut faults, mut layers) = (Faults::default(), Layers::default());
    if let Some(path) = path(flags, environment) {
        let text = text(&path, content(&path)?)?;
        let document = Document::new(&path, &text, environment);
        let mut root = document.root(&mut faults);
        layers.add_file(&mut root, keys, &mut faults);
    }
    layers.add_environment(environment, keys, &mut faults);
    for (key, text) in &flags.settings {
        layers.add_flag(key, text);
    }
    let settings = read(&layers, &mut faults);
    faults.or(settings)
}

/// Variables that look like settings and are none, each with the setting that was probably meant.
fn unknown_variables(environment: &Environment) -> Vec<(&str, Option<&'static str>)> {
    // Read by clap, by the settings under another name, or by the commands alone.
    const OTHERS: [&str; 3] = ["HOOKYARD_SERVER", "HOOKYARD_TOKEN", FILE_VARIABLE];
    let known = || key::KEYS.iter().map(|key| key.environment).chain(OTHERS);
    let is_known = |name: &str| {
        let of_file = name.strip_suffix("_FILE").unwrap_or(name);
        known().any(|known| known == name || known == of_file)
    };
    let unknown = environment.names().filter(|name| name.starts_with(PREFIX) && !is_known(name));
    // What all of them begin with would make each near to any other.
    let own = |name: &'static str| name.strip_prefix(PREFIX);
    let near = |name: &str| {
        let meant = fault::nearest(name.strip_prefix(PREFIX)?, known().filter_map(own))?;
        known().find(|name| own(name) == Some(meant))
    };
    unknown.map(|name| (name, near(name))).collect()
}

/// The file to read: what a flag or a variable names, else the usual one if it is there.
fn path(flags: &Flags, environment: &Environment) -> Option<PathBuf> {
    let named = flags.config.clone().or_else(|| environment.get(FILE_VARIABLE).ok().map(PathBuf::from));
    named.or_else(|| Some(PathBuf::from(FILE)).filter(|path| path.exists()))
}

/// A file's bytes, within its limit.
fn content(path: &Path) -> Result<Vec<u8>, Faults> {
    let fault = |what: String| {
        let file: Arc<str> = path.display().to_string().into();
        Faults::from_one(&Place::whole(&file), what)
    };
    // A pipe gives its bytes once. Read again for a reload it would be empty, or never end.
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        return Err(fault("is a pipe; name a regular file, which a reload can read again".to_owned()));
    }
    let most = limits::CONFIG_FILE_BYTES;
    let file = std::fs::File::open(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    let mut bytes = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut bytes).map_err(|error| fault(format!("cannot be read: {error}")))?;
    if bytes.len() > most {
        return Err(fault(format!("is longer than {most} bytes")));
    }
    Ok(bytes)
}

/// A file's bytes as text; the fault stands where they stop being UTF-8.
fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Faults> {
    String::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let nothing = Environment::default();
        Faults::from_one(&Document::new(path, &before, &nothing).place(before.len()), "is not UTF-8 from here on")
    })
}
