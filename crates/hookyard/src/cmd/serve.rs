//! `hookyard serve`: runs a node until it is told to stop.
//!
//! SIGTERM and SIGINT finish what is in flight and leave; a second one leaves at once. SIGHUP reads the configuration
//! files again.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use hookyard_model::limits;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::failure::Failure;
use crate::config::{Config, Environment, Flags, Key, Role, key};
use crate::demo::Demo;
use crate::log;
use crate::wiring::Node;

/// Run the server.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    flags: ServeFlags,
    /// Show what it does: applications in the formats of several systems, a receiver for them, an event every two seconds.
    #[arg(long)]
    demo: bool,
}

/// Settings that flags may give; each has a key in the file and a variable in the environment.
#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    /// The configuration file; by default `hookyard.toml`, if it is there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The directory of the embedded database and the generated keys.
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// A `postgres://…` database instead of the embedded one.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// What this node does: `all`, `doors` or `workers`.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Immich's own webhook file.
    #[arg(long, value_name = "FILE")]
    immich_config: Option<String>,
    /// Kiosk's own `config.yaml`.
    #[arg(long, value_name = "FILE")]
    kiosk_config: Option<String>,
    /// How log lines look: `text` or `json`.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl ServeFlags {
    /// The flags as the settings read them.
    pub(crate) fn flags(&self) -> Flags {
        let given: [(Key, &Option<String>); 7] = [
            (key::LISTEN, &self.listen),
            (key::DATA, &self.data),
            (key::DATABASE, &self.database),
            (key::ROLE, &self.role),
            (key::IMMICH_CONFIG, &self.immich_config),
            (key::KIOSK_CONFIG, &self.kiosk_config),
            (key::LOG_FORMAT, &self.log_format),
        ];
        let settings = given.into_iter().filter_map(|(key, text)| Some((key, text.clone()?))).collect();
        Flags { config: self.config.clone(), settings }
    }
}

impl Serve {
    /// Runs until a signal.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (flags, environment) = (self.flags.flags(), Environment::of_process());
        let config = Config::load(&flags, &environment)?;
        log::start(&config.settings.log.value, config.settings.log_format.value);
        config.warnings.log();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Other(error.into()))?;
        let served = runtime.block_on(serve(&config, &flags, self.demo));
        // After a second signal, what is still running is not waited for.
        runtime.shutdown_background();
        served
    }
}

/// The signals that a server minds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

enum Asked {
    Stop,
    Reload,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::Other(error.into()));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }
}

async fn serve(config: &Config, flags: &Flags, demo: bool) -> Result<(), Failure> {
    if let (true, Some(database)) = (demo, &config.settings.database) {
        let place = &database.url.place;
        return Err(Failure::Usage(format!("`--demo` shows a node by itself and takes no `database` ({place})")));
    }
    if demo && config.settings.role.value != Role::All {
        let place = &config.settings.role.place;
        return Err(Failure::Usage(format!("`--demo` delivers what it publishes and needs the role `all` ({place})")));
    }
    // Before anything else, so that no signal kills a half-made start.
    let mut signals = Signals::listen()?;
    // Before the store, so that the guard knows the port; whoever connects meanwhile waits until the node is ready.
    let listener = listen(config).await?;
    let address = listener.local_addr().map_err(|error| Failure::Other(error.into()))?;
    let demo = if demo { Some(Demo::prepare().await?) } else { None };
    let node = Node::start(config, flags, address, demo.as_ref()).await?;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let serving = tasks.spawn(node.doors().serve(listener, stop.clone()));
    // Whether anybody reads the line changes nothing.
    let _ = writeln!(std::io::stderr(), "listening on http://{address}");
    let demo = match demo {
        Some(demo) => Some(demo.begin(node.publisher(), &config.settings, address, &stop).await),
        None => None,
    };
    let reloader = node.reloader();
    let stopped = async {
        // The listener ends by itself only when its task panicked.
        let _ = serving.await;
        if let Some(demo) = &demo {
            demo.quiet().await;
        }
        node.stop().await;
        if let Some(demo) = demo {
            demo.stop().await;
        }
    };
    let mut stopped = std::pin::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            asked = signals.next() => match asked {
                Asked::Reload => {
                    if let Err(failure) = reloader.reload().await {
                        tracing::error!("the configuration was not reloaded, nothing changed: {failure}");
                    }
                }
                Asked::Stop if stop.is_cancelled() => {
                    return Err(Failure::Other(anyhow::anyhow!("stopped at once by a second signal")));
                }
                Asked::Stop => {
                    let grace = hookyard_model::format_duration(limits::SHUTDOWN_GRACE);
                    tracing::info!("stopping; what is in flight has {grace}, a second signal stops at once");
                    stop.cancel();
                }
            },
        }
    }
    if stop.is_cancelled() {
        tracing::info!("stopped");
        return Ok(());
    }
    Err(Failure::Other(anyhow::anyhow!("the doors ended without being told to")))
}

async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let setting = &config.settings.listen;
    TcpListener::bind(setting.value).await.map_err(|error| {
        let address = setting.value;
        let error = anyhow::Error::new(error).context(format!("cannot listen on `{address}` ({})", setting.place));
        Failure::Other(error)
    })
}
