//! Files of other systems that declare an application of their own: Immich's and Kiosk's, each unchanged.
//!
//! Read beside `hookyard.toml` at start, on reload and by `config check`. A file is named by one setting. Without it, or
//! when the file it names does not exist, there is no such application, and what an earlier one declared is archived: the
//! setting says what is wanted. A file that is there and wrong stops everything, as with `hookyard.toml`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hookyard_dialects::Dialect;
use hookyard_egress::EndpointUrl;
use hookyard_model::{DialectName, EventPattern, FileKind, NameError, Timestamp, Uid};
use hookyard_ports::Ids;
use hookyard_ports::store::Import;

use super::document::Document;
use super::endpoint::{DERIVED, DeclaredEndpoint, endpoint_url};
use super::environment::Environment;
use super::fault::{Faults, Place, nearest, quoted};
use super::file::{self, Declared, DeclaredApplication, Policy};
use super::key::{self, Key};
use super::layers::Layers;
use super::settings::{Setting, Settings};
use super::tree::Field;
use super::{content, immich, kiosk, text};

/// A system whose file we read.
pub(crate) struct System {
    /// The kind of its rows.
    pub(crate) kind: FileKind,
    /// Its own name.
    pub(crate) name: &'static str,
    /// The uid of its application, and the name of its dialect.
    pub(crate) uid: &'static str,
    /// The setting that names its file.
    pub(crate) key: Key,
    /// Whether the file's path must be absolute, as the system itself asks.
    absolute: bool,
    /// What the file calls an endpoint's retry policy.
    retry: &'static str,
    setting: fn(&Settings) -> Option<&Setting<PathBuf>>,
    read: fn(&Source<'_>, &mut Faults) -> Vec<DeclaredEndpoint>,
}

/// All of them.
pub(crate) static SYSTEMS: [System; 2] = [
    System {
        kind: FileKind::Immich,
        name: "Immich",
        uid: "immich",
        key: key::IMMICH_CONFIG,
        absolute: true,
        retry: "retries",
        setting: |settings| settings.immich_config.as_ref(),
        read: immich::read,
    },
    System {
        kind: FileKind::Kiosk,
        name: "Kiosk",
        uid: "kiosk",
        key: key::KIOSK_CONFIG,
        absolute: false,
        retry: "retry",
        setting: |settings| settings.kiosk_config.as_ref(),
        read: kiosk::read,
    },
];

/// A system's file, and what holds for its rows.
pub(super) struct Source<'a> {
    /// Whose file it is.
    pub(super) system: &'static System,
    /// Its text and its places.
    pub(super) document: &'a Document<'a>,
    /// Its text.
    pub(super) text: &'a str,
    /// What holds for the rows of any file.
    pub(super) policy: Policy,
}

/// What a system's file declares.
pub(crate) struct Foreign {
    /// Whose file it is.
    pub(crate) system: &'static System,
    /// The file that the setting names, whether it is there or not.
    pub(crate) file: Option<PathBuf>,
    /// The application; `None` when there is no file.
    pub(crate) application: Option<DeclaredApplication>,
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Foreign").field("system", &self.system.name).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Foreign {
    /// Reads the files of every system, named or not.
    pub(super) fn read_all(settings: &Settings, declared: &Declared, faults: &mut Faults) -> Vec<Self> {
        let read = |system| {
            let foreign = Self::read(system, settings, faults);
            foreign.refuse_twice(declared, faults);
            foreign
        };
        SYSTEMS.iter().map(read).collect()
    }

    fn read(system: &'static System, settings: &Settings, faults: &mut Faults) -> Self {
        let Some(setting) = (system.setting)(settings) else { return Self { system, file: None, application: None } };
        let (path, place) = (&beside(&setting.place, &setting.value), &setting.place);
        let nothing = Self { system, file: Some(path.clone()), application: None };
        if system.absolute && setting.value.is_relative() {
            let what = format!("is {}, must be an absolute path", quoted(&setting.value.display().to_string()));
            faults.add(place, system.key.name, what);
            return nothing;
        }
        if let Err(error) = std::fs::metadata(path)
            && error.kind() == ErrorKind::NotFound
        {
            let what = format!(
                "names the file {}, which does not exist; there is no application `{}`",
                quoted(&path.display().to_string()),
                system.uid
            );
            faults.warn(place, system.key.name, what, None);
            return nothing;
        }
        match content(path).and_then(|bytes| text(path, bytes)) {
            Ok(text) => Self { application: Some(system.application(path, &text, settings, faults)), ..nothing },
            Err(unreadable) => {
                faults.append(unreadable);
                nothing
            }
        }
    }

    /// What a system's file with these bytes declares, under settings that nobody changed.
    pub(crate) fn of_bytes(system: &'static System, path: &Path, bytes: Vec<u8>) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let settings = Settings::read(&Layers::default(), &Environment::default(), &mut faults);
        let text = text(path, bytes)?;
        let application = Some(system.application(path, &text, &settings, &mut faults));
        faults.or(Self { system, file: Some(path.to_owned()), application })
    }

    /// Two files cannot declare one application.
    fn refuse_twice(&self, declared: &Declared, faults: &mut Faults) {
        let Some(own) = &self.application else { return };
        if let Some(other) = declared.applications.iter().find(|other| other.uid == own.uid) {
            let (uid, name, key) = (&own.uid, self.system.name, self.system.key.name);
            let what = format!("`{uid}` is declared by {name}'s file, which `{key}` names; choose another uid");
            faults.add(&other.place, "application.uid", what);
        }
    }

    /// The rows as the store imports them; none of them when there is no file.
    pub(crate) fn import(&self, ids: &Ids, now: Timestamp) -> Import {
        let file = self.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        file::import(self.system.kind, &file, self.application.as_slice(), ids, now)
    }
}

impl System {
    /// Its dialect.
    pub(super) fn dialect(&self) -> (DialectName, &'static Dialect) {
        let name: DialectName = self.uid.parse().expect("a system's dialect has a name");
        let dialect = hookyard_dialects::find(&name).expect("a system's dialect is one of ours");
        (name, dialect)
    }

    fn application(
        &'static self,
        path: &Path,
        text: &str,
        settings: &Settings,
        faults: &mut Faults,
    ) -> DeclaredApplication {
        // Some editors begin a file with a mark of its encoding.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let nothing = Environment::default();
        let document = Document::new(path, text, &nothing);
        let source = Source { system: self, document: &document, text, policy: Policy::of(settings) };
        let endpoints = (self.read)(&source, faults);
        let application = DeclaredApplication {
            place: document.place(0),
            uid: self.uid.parse().expect("a system's name is a uid"),
            name: self.name.to_owned(),
            metadata: std::collections::BTreeMap::new(),
            rate_limit: None,
            require_https: None,
            endpoints: file::with_uids(endpoints, faults),
        };
        file::check_retention(std::slice::from_ref(&application), self.retry, settings, faults);
        application
    }

    /// The event that a text names. One that the system does not have is said and kept, as it may have it tomorrow; what
    /// no event can be called is said and left out, because these files know no patterns.
    pub(super) fn event(
        &self,
        field: &Field,
        text: &str,
        also: &[&'static str],
        faults: &mut Faults,
    ) -> Option<EventPattern> {
        let parsed: Result<EventPattern, NameError> = text.parse();
        let Some(name) = parsed.ok().filter(|name| !name.is_glob()) else {
            field.warn(
                faults,
                format_args!("is {}, which no event can be called; it matches nothing", quoted(text)),
                None,
            );
            return None;
        };
        let (_, dialect) = self.dialect();
        let known = || dialect.catalogue().iter().map(|entry| entry.name).chain(also.iter().copied());
        if known().all(|known| known != text) {
            let near = nearest(text, known()).map(|near| format!("did you mean `{near}`?"));
            field.warn(
                faults,
                format_args!("is {}, an event that {} does not have", quoted(text), self.name),
                near.as_deref(),
            );
        }
        Some(name)
    }
}

/// A path where it was written: one in a file starts from that file's folder. A start in another folder would otherwise find
/// nothing, and archive what the file declared.
fn beside(place: &Place, path: &Path) -> PathBuf {
    match place {
        Place::File { file, .. } => Path::new(&**file).parent().unwrap_or(Path::new("")).join(path),
        Place::Environment(_) | Place::Flag(_) | Place::Default => path.to_owned(),
    }
}

/// The URL of an entry, as every endpoint's is judged.
pub(super) fn read_url(field: &Field, https_only: bool, faults: &mut Faults) -> Option<EndpointUrl> {
    match endpoint_url(field.text(faults)?, https_only) {
        Ok(url) => Some(url),
        Err(what) => {
            field.fault(faults, what);
            None
        }
    }
}

/// What an entry without a name of its own is called; entries count from 1.
pub(super) fn numbered(index: usize) -> String {
    format!("webhook-{}", index + 1)
}

/// A uid that is the entry's own name, where that is one, and not one that could be made for an entry without.
pub(super) fn uid_of(name: &str) -> Option<Uid> {
    name.parse().ok().filter(|_| !name.starts_with(DERIVED))
}
