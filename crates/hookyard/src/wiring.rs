//! Puts the server together: settings and files before the core of a node, doors around it.
//!
//! Called by `serve` with a configuration that was judged as a whole. The node is whole or does not start: a store that
//! does not open and rows that it does not take are said before the first connection is accepted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookyard_accept::{Defaults, Publisher};
use hookyard_egress::Policy;
use hookyard_model::{Secret, limits};
use hookyard_ports::SystemRng;
use hookyard_server::{Doors, DoorsSettings, Reload};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cmd::Failure;
use crate::config::{Config, Flags, Role, SYSTEMS, Settings, System};
use crate::demo::{self, Demo};
use crate::key_file::{KeyFile, make_folder};
use crate::node::{self, Opened, Outward};
use crate::reload::{Reloader, tell_of_unnamed};

/// How often a node asks the due index that has no connection to hear the others on.
const DEAF_SWEEP: Duration = Duration::from_secs(1);

/// A node that is ready to serve.
pub(crate) struct Node {
    core: node::Node,
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
        let jwt = jwt_secret(settings)?;
        let main = &settings.main_secret.value;
        let opened = match &settings.database {
            None => Opened::open(&settings.data.value, main).await?,
            Some(database) => {
                let delivers = settings.role.value != Role::Doors;
                Opened::open_shared(database.shared(), main, delivers).await?
            }
        };
        let (store, ids, clock) = (Arc::clone(&opened.store), Arc::clone(&opened.ids), Arc::clone(&opened.clock));
        let reloader = Arc::new(Reloader::new(config, flags, store, ids, clock));
        if settings.database.is_none() {
            tell_of_unnamed(config);
        }
        // No demo has ever been on a database of several nodes.
        let declared = match settings.database {
            None => demo::declare(demo, opened.store.as_ref(), &opened.ids, opened.clock.now()).await,
            Some(_) => Ok(()),
        };
        let imported = match declared {
            Ok(()) => reloader.import(config).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = imported {
            opened.close().await;
            return Err(failure);
        }
        let outward = (settings.role.value != Role::Doors).then(|| outward(settings, address));
        let core = opened.begin(outward, Defaults { retention: settings.retention.value }).await?;
        let mut doors = DoorsSettings::new(jwt);
        // A node that only delivers still answers how it is, and no more.
        doors.api_enabled = settings.api_enabled.value && settings.role.value != Role::Workers;
        doors.hints = SYSTEMS.iter().map(hint_of_missing).collect();
        doors.reload = Some(Reload::new({
            let reloader = Arc::clone(&reloader);
            move || Arc::clone(&reloader).reload_for_doors()
        }));
        let (store, clock, metrics) = (Arc::clone(&core.store), Arc::clone(&core.clock), Arc::clone(&core.metrics));
        let doors = Arc::new(Doors::new(doors, store, core.publisher.clone(), clock, metrics));
        Ok(Self { core, doors, reloader })
    }

    /// Its doors.
    pub(crate) fn doors(&self) -> Arc<Doors> {
        Arc::clone(&self.doors)
    }

    /// What accepts messages without a door.
    pub(crate) fn publisher(&self) -> Publisher {
        self.core.publisher.clone()
    }

    /// What reads its file again.
    pub(crate) fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
    }

    /// Ends what runs behind the doors, once these are closed. Afterwards everything is on disk and the data directory is
    /// free for another process.
    pub(crate) async fn stop(self) {
        self.core.stop().await;
    }
}

/// What a caller is told who publishes to an application that a file would have to declare.
fn hint_of_missing(system: &System) -> (String, String) {
    let (name, key) = (system.name, &system.key);
    let hint = format!(
        "no file declares `{}`: set `{}` (`{}`) to the path of {name}'s own file, and see that the file exists",
        system.uid, key.name, key.environment
    );
    (system.uid.to_owned(), hint)
}

/// What the settings say about delivering.
fn outward(settings: &Settings, address: SocketAddr) -> Outward {
    Outward {
        policy: policy(settings, address),
        engine: hookyard_engine::Settings {
            retry: settings.retry.clone(),
            timeout: settings.request_timeout.value,
            disable_after: settings.disable_after.value,
            slots: node::slots(raised_limit_of_files()),
            due_sweep: due_sweep(settings),
            ..hookyard_engine::Settings::default()
        },
    }
}

/// How often the due index is asked: a node that cannot hear the others finds what they leave to it only there.
fn due_sweep(settings: &Settings) -> Duration {
    let is_deaf = settings.database.as_ref().is_some_and(|database| database.listen.is_none());
    if is_deaf { DEAF_SWEEP } else { limits::DUE_SWEEP }
}

/// What the guard lets out.
pub(crate) fn policy(settings: &Settings, address: SocketAddr) -> Policy {
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

/// How many files may be open, once the limit is raised as far as it goes.
fn raised_limit_of_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current }
}

/// What API tokens are signed with: what the settings say, else what is kept in the data directory, else a fresh one that
/// is kept there.
fn jwt_secret(settings: &Settings) -> Result<Secret<String>, Failure> {
    if let Some(secret) = &settings.jwt_secret {
        return Ok(secret.value.clone());
    }
    let data = &settings.data.value;
    make_folder(data)?;
    Ok(KeyFile::Jwt.read_or_make(data, &SystemRng)?)
}
