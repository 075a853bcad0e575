//! `serve --demo`: applications in the formats of several systems, a receiver for them, and a trickle of events.
//!
//! Called by `serve` and by the wiring. It uses only what every deployment has: rows imported as a file's rows are, the
//! publisher, and HTTP. It runs on the data directory that `serve` would use anyway, so that every command works without
//! a flag and a second start goes on where the first one ended; [`declare`] takes the rows back at the first start
//! without `--demo`, because the receiver's port may be somebody else's by then.
//!
//! What it leaves to others: delivering, and every word about what went wrong on the way.

mod events;
mod fault;
mod receiver;
mod systems;
mod trickle;
mod welcome;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hookyard_accept::Publisher;
use hookyard_dialects::{SecretForm, SignatureAlgorithm};
use hookyard_model::{
    DialectName, EndpointSettings, EventPattern, FileKind, OrganisationId, RetryPolicy, Secret, SigningKeys, Timestamp,
    Uid,
};
use hookyard_ports::store::{ApplicationRef, Import, ImportApplication, ImportEndpoint};
use hookyard_ports::{Clock, Ids, Rng as _, Store, SystemClock, SystemRng};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use self::receiver::Receiver;
use self::systems::{SYSTEMS, System};
use self::trickle::Trickle;
use crate::cmd::Failure;
use crate::config::{LogFormat, Settings};

/// The uid of the application that has no other system's format.
const APPLICATION: &str = "demo";
/// The endpoint at which everything arrives, and its path.
const GOOD: &str = "good";
/// The endpoint that fails for a while in every minute, and its path.
const SHAKY: &str = "shaky";
/// What the shaky endpoint subscribes to; the rest shows what a filtered delivery looks like.
const SHAKY_TYPES: [&str; 2] = ["order.*", "task.*"];
/// Who declares the rows, as errors name it.
const DECLARED_BY: &str = "serve --demo";
/// Short and fixed, so that a failure and its recovery are seen in one glance at the log.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// Beyond the longest failure that the receiver can be told.
const RETRIES: u16 = 19;

/// A demonstration whose receiver listens and whose rows are not declared yet.
pub(crate) struct Demo {
    receiver: Receiver,
    secret: Secret<String>,
    clock: Arc<dyn Clock>,
}

/// A demonstration that runs.
pub(crate) struct Running {
    receiver: Receiver,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Demo {
    /// Opens the receiver on a free port, with a secret of its own.
    pub(crate) async fn prepare() -> Result<Self, Failure> {
        let mut random = [0; 32];
        SystemRng.fill(&mut random);
        let secret = hookyard_dialects::generate(SecretForm::StandardWebhooks, SignatureAlgorithm::Hmac256, &random)
            .expect("the dialect `standard` signs");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let receiver = Receiver::start(secret.clone(), Arc::clone(&clock)).await;
        let receiver = receiver.context("the demo's receiver cannot listen on a port of 127.0.0.1")?;
        Ok(Self { receiver, secret, clock })
    }

    /// Publishes the first event and says what to try with it; afterwards the trickle runs until `stop`.
    pub(crate) async fn begin(
        self,
        publisher: Publisher,
        settings: &Settings,
        address: SocketAddr,
        stop: &CancellationToken,
    ) -> Running {
        let Self { receiver, clock, .. } = self;
        let mut trickle = Trickle::new(publisher, clock, receiver.tally());
        let first = trickle.publish().await;
        match settings.log_format.value {
            LogFormat::Text => welcome::print(address, &settings.data.value, receiver.address(), first),
            // Whatever reads the lines of a log expects one value in each.
            LogFormat::Json => tracing::info!(receiver = %receiver.address(), "the demo runs"),
        }
        let (tasks, stop) = (TaskTracker::new(), stop.child_token());
        tasks.spawn(stop.clone().run_until_cancelled_owned(trickle.run()));
        tasks.close();
        Running { receiver, tasks, stop }
    }

    fn import(&self, ids: &Ids) -> Vec<ImportApplication> {
        let standard = |uid: &str, event_types: Option<Vec<EventPattern>>| {
            let mut settings = self.endpoint(uid, "standard".parse().expect("it is a dialect's name"));
            settings.keys = SigningKeys::single(self.secret.expose().clone());
            settings.event_types = event_types;
            (uid_of(uid), settings)
        };
        let shaky_types = SHAKY_TYPES.map(|pattern| pattern.parse().expect("it is a pattern"));
        let own = application(
            ids,
            (APPLICATION, "Demo"),
            BTreeMap::new(),
            vec![standard(GOOD, None), standard(SHAKY, Some(shaky_types.into()))],
        );
        let of_system = |system: &System| {
            let mut settings = self.endpoint(system.dialect, system.dialect_name());
            system.prove(&mut settings, &self.secret);
            let endpoints = vec![(uid_of(system.dialect), settings)];
            application(ids, (system.application, system.name), system.metadata(), endpoints)
        };
        std::iter::once(own).chain(SYSTEMS.iter().map(of_system)).collect()
    }

    /// An endpoint at a path of the receiver.
    fn endpoint(&self, path: &str, dialect: DialectName) -> EndpointSettings {
        let url = format!("http://{}/{path}", self.receiver.address());
        let mut settings = EndpointSettings::new(Url::parse(&url).expect("an address and a word make a URL"), dialect);
        settings.retry = Some(RetryPolicy::Fixed { delay: RETRY_DELAY, retries: RETRIES });
        settings
    }
}

impl Running {
    /// Ends the trickle: afterwards nobody publishes any more.
    pub(crate) async fn quiet(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    /// Closes the receiver; after the engine, so that what is in flight is still answered.
    pub(crate) async fn stop(self) {
        self.receiver.stop().await;
    }
}

/// Makes the demo's rows what `demo` says; without one, archives those of an earlier start.
///
/// Before the engine begins: what is still owed from an earlier start goes to the receiver's port of this one.
pub(crate) async fn declare(demo: Option<&Demo>, store: &dyn Store, ids: &Ids, now: Timestamp) -> Result<(), Failure> {
    let organisation = OrganisationId::default_organisation();
    if demo.is_none() {
        let found = store.application(organisation, &ApplicationRef::Uid(uid_of(APPLICATION))).await;
        let found = found.context("the store does not tell whether it holds a demo")?;
        let declared = found.and_then(|view| view.application.declared.as_ref().map(|declared| declared.kind));
        if declared != Some(FileKind::Demo) {
            return Ok(());
        }
        tracing::info!(application = APPLICATION, "archived the applications of an earlier `{DECLARED_BY}`");
    }
    let applications = demo.map(|demo| demo.import(ids)).unwrap_or_default();
    let import = Import { kind: FileKind::Demo, file: DECLARED_BY.to_owned(), organisation, applications, now };
    let imported = store.import(import).await.context("the demo's rows cannot be imported")?;
    imported.map_err(|error| {
        Failure::configuration(format_args!("{error}\nhint: `--demo` declares that application itself; rename yours"))
    })?;
    Ok(())
}

fn application(
    ids: &Ids,
    (uid, name): (&str, &str),
    metadata: BTreeMap<String, String>,
    endpoints: Vec<(Uid, EndpointSettings)>,
) -> ImportApplication {
    let endpoint =
        |(uid, settings)| ImportEndpoint { id: ids.endpoint(), uid, settings: Arc::new(settings), disabled: false };
    ImportApplication {
        id: ids.application(),
        uid: uid_of(uid),
        name: name.to_owned(),
        metadata,
        rate_limit: None,
        // The receiver speaks plain HTTP over loopback, whatever the deployment asks of others.
        require_https: Some(false),
        endpoints: endpoints.into_iter().map(endpoint).collect(),
    }
}

fn uid_of(text: &str) -> Uid {
    text.parse().expect("the demo's words are uids")
}
