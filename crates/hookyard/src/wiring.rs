//! Puts a node together: keys, store, egress, engine, publisher, doors.
//!
//! Called by `serve`, and the only place that names a store. The node is whole or does not start: settings this version
//! cannot honour, a wrong file and a store that does not open are all said before the first connection is accepted.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use hookyard_accept::{Defaults, Publisher};
use hookyard_egress::{Client, Policy, SystemResolver, Tls};
use hookyard_engine::{Engine, Parts};
use hookyard_model::{Secret, limits};
use hookyard_ports::store::ImportReport;
use hookyard_ports::{Clock, Handoff, Ids, Metrics, NoHandoff, Store, SystemClock, SystemRng};
use hookyard_record::Keyring;
use hookyard_server::{Doors, DoorsSettings, Reload, ReloadError};
use hookyard_sqlite::{OpenError, Options, SqliteStore};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cmd::Failure;
use crate::config::key_file::{KeyFile, make_folder};
use crate::config::{Config, Environment, Faults, Flags, Place, Role, Settings};
use crate::demo::{self, Demo};

/// A node that is ready to serve.
pub(crate) struct Node {
    store: Arc<dyn Store>,
    /// `None` on a node that only accepts.
    delivering: Option<Delivering>,
    publisher: Publisher,
    doors: Arc<Doors>,
    reloader: Arc<Reloader>,
}

impl Node {
    /// Opens the store, imports the demo's rows and the file's, begins to deliver and puts the doors before it all.
    /// `address` is where the doors will listen; nothing that strangers name may be sent there.
    pub(crate) async fn start(
        config: &Config,
        flags: &Flags,
        address: SocketAddr,
        demo: Option<&Demo>,
    ) -> Result<Self, Failure> {
        let settings = &config.settings;
        refuse_unsupported(settings)?;
        warn_of_idle(settings);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metrics = Arc::new(Metrics::new());
        let keys = Keys::read_or_make(settings)?;
        let policy = policy(settings, address);
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
            turn: tokio::sync::Mutex::new(()),
        });
        let imported = match demo::declare(demo, store.as_ref(), &ids, clock.now()).await {
            Ok(()) => reloader.import(config).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = imported {
            store.close().await;
            return Err(failure);
        }

        let delivering = if settings.role.value == Role::Doors {
            None
        } else {
            let (store, clock, ids, metrics) =
                (Arc::clone(&store), Arc::clone(&clock), Arc::clone(&ids), Arc::clone(&metrics));
            Some(Delivering::start(settings, policy, store, clock, ids, metrics).await?)
        };
        let handoff: Arc<dyn Handoff> = match &delivering {
            Some(delivering) => delivering.engine.handoff(),
            None => Arc::new(NoHandoff),
        };
        let defaults = Defaults { retention: settings.retention.value };
        let publisher =
            Publisher::new(Arc::clone(&store), handoff, Arc::clone(&clock), ids, Arc::clone(&metrics), defaults);
        let mut doors = DoorsSettings::new(keys.jwt);
        doors.api_enabled = settings.api_enabled.value;
        doors.reload = Some(Reload::new({
            let reloader = Arc::clone(&reloader);
            move || Arc::clone(&reloader).reload_for_doors()
        }));
        let doors = Arc::new(Doors::new(doors, Arc::clone(&store), publisher.clone(), clock, metrics));
        Ok(Self { store, delivering, publisher, doors, reloader })
    }

    /// Its doors.
    pub(crate) fn doors(&self) -> Arc<Doors> {
        Arc::clone(&self.doors)
    }

    /// What accepts messages without a door.
    pub(crate) fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// What reads its file again.
    pub(crate) fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
    }

    /// Ends what runs behind the doors, once these are closed. Afterwards everything is on disk and the data directory is
    /// free for another process.
    pub(crate) async fn stop(self) {
        self.publisher.finish().await;
        if let Some(Delivering { engine, client }) = self.delivering {
            engine.stop(limits::SHUTDOWN_GRACE).await;
            client.shutdown().await;
        }
        self.store.close().await;
    }
}

/// The part of a node that delivers.
struct Delivering {
    engine: Engine,
    client: Arc<Client>,
}

impl Delivering {
    /// Frees what a former life of this node held, and begins.
    async fn start(
        settings: &Settings,
        policy: Policy,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<Ids>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Failure> {
        let client = Arc::new(Client::new(hookyard_egress::Options {
            policy,
            resolver: Arc::new(SystemResolver::new(Arc::clone(&clock))),
            tls: Tls::system([]),
            metrics: Arc::clone(&metrics),
            clock: Arc::clone(&clock),
        }));
        let engine = Engine::start(Parts {
            store,
            transport: Arc::clone(&client) as _,
            clock,
            rng: Arc::new(SystemRng),
            ids,
            metrics,
            settings: hookyard_engine::Settings {
                retry: settings.retry.clone(),
                timeout: settings.request_timeout.value,
                disable_after: settings.disable_after.value,
                slots: slots(),
                ..hookyard_engine::Settings::default()
            },
        })
        .await
        .context("what a former life of this node held cannot be freed")?;
        Ok(Self { engine, client })
    }
}

/// What the guard lets out.
fn policy(settings: &Settings, address: SocketAddr) -> Policy {
    let public = settings.public_url.as_ref().map(|setting| &setting.value);
    Policy {
        allow: settings.egress_allow.value.clone(),
        trust_files: settings.egress_trust_files.value,
        own_listeners: vec![address],
        own_names: public
            .and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)))
            .into_iter()
            .collect(),
        ..Policy::default()
    }
}

/// How many attempts may be in flight: each takes a socket, and so does each connection to the doors. The limit of open
/// files is raised as far as it goes.
fn slots() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    let slots = limits::SLOTS.min(files / 8).max(1);
    if slots < limits::SLOTS {
        tracing::warn!(
            files,
            slots,
            "the limit of open files is low; fewer attempts run at once (raise it with `ulimit -n`)"
        );
    }
    slots
}

/// Reads the configuration file again and makes its rows what it says.
pub(crate) struct Reloader {
    store: Arc<dyn Store>,
    ids: Arc<Ids>,
    clock: Arc<dyn Clock>,
    flags: Flags,
    started_with: Vec<(&'static str, String)>,
    /// Held while a reload runs: of two at once, the later one reads the file after the earlier one imported its own.
    turn: tokio::sync::Mutex<()>,
}

impl Reloader {
    /// Imports the file's rows; with a fault anywhere in file or environment, nothing changes.
    pub(crate) async fn reload(&self) -> Result<ImportReport, Failure> {
        let _turn = self.turn.lock().await;
        let config = Config::load(&self.flags, &Environment::of_process())?;
        if config.file.is_none() {
            return Err(Failure::configuration("there is no configuration file to read again"));
        }
        let changed =
            config.settings.shown.iter().zip(&self.started_with).filter(|(now, (_, then))| now.value != *then);
        for (now, _) in changed {
            tracing::warn!(setting = now.name, "the setting changed; it counts after a restart");
        }
        self.import(&config).await
    }

    async fn reload_for_doors(self: Arc<Self>) -> Result<ImportReport, ReloadError> {
        self.reload().await.map_err(|failure| match failure {
            Failure::Configuration(report) => ReloadError::Refused(report),
            Failure::Other(_)
            | Failure::Usage(_)
            | Failure::Unreachable(_)
            | Failure::Refused(_)
            | Failure::Server(_)
            | Failure::OutputClosed => ReloadError::Failed(failure.to_string()),
        })
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
    if matches!(error, OpenError::WrongSecret(_)) {
        Failure::configuration(error)
    } else {
        Failure::Other(error.into())
    }
}

/// Says which of the settings that were given have no effect.
fn warn_of_idle(settings: &Settings) {
    let places = [
        ("admin_password", settings.admin_password.as_ref().map(|setting| &setting.place)),
        ("default_signature", Some(&settings.default_signature.place)),
        ("trusted_proxies", Some(&settings.trusted_proxies.place)),
    ];
    for (name, place) in places {
        if let Some(place) = place.filter(|place| **place != Place::Default) {
            tracing::warn!(setting = name, %place, "the setting has no effect in this version");
        }
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
