//! Puts a node together: keys, store, publisher, doors.
//!
//! Called by `serve`, and the only place that names a store. The node is whole or does not start: settings this version
//! cannot honour, a wrong file and a store that does not open are all said before the first connection is accepted.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use hookyard_accept::{Defaults, Publisher};
use hookyard_model::Secret;
use hookyard_ports::store::ImportReport;
use hookyard_ports::{Clock, Handoff, Ids, Metrics, NoHandoff, Store, SystemClock, SystemRng};
use hookyard_record::Keyring;
use hookyard_server::{Doors, DoorsSettings};
use hookyard_sqlite::{OpenError, Options, SqliteStore};

use crate::cmd::Failure;
use crate::config::key_file::{KeyFile, make_folder};
use crate::config::{Config, Environment, Faults, Flags, Role, Settings};

/// A node that is ready to listen.
pub(crate) struct Node {
    store: Arc<dyn Store>,
    publisher: Publisher,
    doors: Arc<Doors>,
    reloader: Arc<Reloader>,
}

impl Node {
    /// Opens the store, imports the file's rows and puts the doors before them.
    pub(crate) async fn start(config: &Config, flags: &Flags) -> Result<Self, Failure> {
        refuse_unsupported(&config.settings)?;
        let settings = &config.settings;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metrics = Arc::new(Metrics::new());
        let keys = Keys::read_or_make(settings)?;
        let directory = settings.data.value.clone();
        let keyring = Keyring::from_secrets(&keys.main).map_err(Failure::configuration)?;
        let options = Options::new(directory, keyring, Arc::clone(&metrics), Arc::clone(&clock));
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).map_err(open_failure)?);

        let last = store.highest_id().await.context("the store does not tell its highest id")?;
        let ids = Arc::new(Ids::new(last, Arc::clone(&clock), Arc::new(SystemRng)));
        let reloader = Arc::new(Reloader {
            store: Arc::clone(&store),
            ids: Arc::clone(&ids),
            clock: Arc::clone(&clock),
            flags: flags.clone(),
            started_with: settings.shown.iter().map(|shown| (shown.name, shown.value.clone())).collect(),
        });
        if let Err(failure) = reloader.import(config).await {
            store.close().await;
            return Err(failure);
        }

        let handoff: Arc<dyn Handoff> = Arc::new(NoHandoff);
        let defaults = Defaults { retention: settings.retention.value };
        let publisher =
            Publisher::new(Arc::clone(&store), handoff, Arc::clone(&clock), ids, Arc::clone(&metrics), defaults);
        let mut doors = DoorsSettings::new(keys.jwt);
        doors.api_enabled = settings.api_enabled.value;
        let doors = Arc::new(Doors::new(doors, Arc::clone(&store), publisher.clone(), clock, metrics));
        Ok(Self { store, publisher, doors, reloader })
    }

    /// Its doors.
    pub(crate) fn doors(&self) -> Arc<Doors> {
        Arc::clone(&self.doors)
    }

    /// What reads its file again.
    pub(crate) fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
    }

    /// Ends what runs behind the doors, once these are closed. Afterwards everything is on disk and the data directory is
    /// free for another process.
    pub(crate) async fn stop(self) {
        self.publisher.finish().await;
        self.store.close().await;
    }
}

/// Reads the configuration file again and makes its rows what it says.
pub(crate) struct Reloader {
    store: Arc<dyn Store>,
    ids: Arc<Ids>,
    clock: Arc<dyn Clock>,
    flags: Flags,
    started_with: Vec<(&'static str, String)>,
}

impl Reloader {
    /// Imports the file's rows; with a fault anywhere in file or environment, nothing changes.
    pub(crate) async fn reload(&self) -> Result<ImportReport, Failure> {
        let config = Config::load(&self.flags, &Environment::of_process())?;
        let changed =
            config.settings.shown.iter().zip(&self.started_with).filter(|(now, (_, then))| now.value != *then);
        for (now, _) in changed {
            tracing::warn!(setting = now.name, "the setting changed; it counts after a restart");
        }
        self.import(&config).await
    }

    /// Imports the rows that a configuration declares. Without a file, what an earlier one declared stays as it is: a
    /// start that forgot `--config` must not archive everything.
    async fn import(&self, config: &Config) -> Result<ImportReport, Failure> {
        let Some(file) = &config.file else { return Ok(ImportReport::default()) };
        if let Some(source) = config.declared.sources.first() {
            tracing::warn!(place = %source.place, "sources have no door in this version; they are checked and not opened");
        }
        let import = config.declared.import(&file.display().to_string(), &self.ids, self.clock.now());
        let imported = self.store.import(import).await.context("the file's rows cannot be imported")?;
        let report = imported.map_err(|error| Failure::configuration(format_args!("{}: {error}", file.display())))?;
        tracing::info!(
            file = %file.display(),
            created = report.created,
            updated = report.updated,
            archived = report.archived,
            unchanged = report.unchanged,
            "imported the configuration file"
        );
        Ok(report)
    }
}

/// The deployment's secrets.
struct Keys {
    jwt: Secret<String>,
    main: Vec<Secret<String>>,
}

impl Keys {
    /// What the settings say, else what is kept in the data directory, else fresh ones kept there.
    fn read_or_make(settings: &Settings) -> Result<Self, Failure> {
        let data: &Path = &settings.data.value;
        make_folder(data)?;
        let jwt = match &settings.jwt_secret {
            Some(secret) => secret.value.clone(),
            None => KeyFile::Jwt.read_or_make(data, &SystemRng)?,
        };
        let main = match settings.main_secret.value.as_slice() {
            [] => vec![KeyFile::Main.read_or_make(data, &SystemRng)?],
            secrets => secrets.to_vec(),
        };
        Ok(Self { jwt, main })
    }
}

fn open_failure(error: OpenError) -> Failure {
    match error {
        OpenError::WrongSecret(_) => Failure::configuration(error),
        error => Failure::Other(error.into()),
    }
}

/// Refuses settings that would silently do nothing: a server without TLS that was told to use it is worse than none.
fn refuse_unsupported(settings: &Settings) -> Result<(), Faults> {
    let mut faults = Faults::default();
    let places = [
        ("database", settings.database.as_ref().map(|setting| &setting.place)),
        ("doors_listen", settings.doors_listen.as_ref().map(|setting| &setting.place)),
        ("tls.cert", settings.tls.as_ref().map(|tls| &tls.cert.place)),
        ("egress.proxy", settings.egress_proxy.as_ref().map(|setting| &setting.place)),
        ("immich_config", settings.immich_config.as_ref().map(|setting| &setting.place)),
        ("kai.github_secret", settings.kai_github_secret.as_ref().map(|setting| &setting.place)),
        ("kai.api_secret", settings.kai_api_secret.as_ref().map(|setting| &setting.place)),
        ("role", (settings.role.value == Role::Workers).then_some(&settings.role.place)),
    ];
    for (name, place) in places {
        if let Some(place) = place {
            faults.add(place, name, "is not supported by this version");
        }
    }
    faults.or(())
}
