//! `serve --demo`: an application with two endpoints, a receiver for them, and a trickle of events.
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
mod trickle;
mod welcome;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hookyard_accept::Publisher;
use hookyard_dialects::{SecretForm, SignatureAlgorithm};
use hookyard_model::{
    EndpointSettings, EventPattern, FileKind, OrganisationId, RetryPolicy, Secret, SigningKeys, Timestamp, Uid,
};
use hookyard_ports::store::{ApplicationRef, Import, ImportApplication, ImportEndpoint};
use hookyard_ports::{Clock, Ids, Rng as _, Store, SystemClock, SystemRng};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use self::receiver::Receiver;
use self::trickle::Trickle;
use crate::cmd::Failure;
use crate::config::{LogFormat, Settings};

/// The application's uid.
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

    fn import(&self, ids: &Ids) -> ImportApplication {
        let endpoint = |uid: &str, event_types: Option<Vec<EventPattern>>| {
            let url = format!("http://{}/{uid}", self.receiver.address());
            let url = Url::parse(&url).expect("an address and a word make a URL");
            let mut settings = EndpointSettings::new(url, "standard".parse().expect("it is a dialect's name"));
            settings.keys = SigningKeys::single(self.secret.expose().clone());
            settings.retry = Some(RetryPolicy::Fixed { delay: RETRY_DELAY, retries: RETRIES });
            settings.event_types = event_types;
            ImportEndpoint { id: ids.endpoint(), uid: uid_of(uid), settings: Arc::new(settings), disabled: false }
        };
        let shaky_types = SHAKY_TYPES.map(|pattern| pattern.parse().expect("it is a pattern"));
        ImportApplication {
            id: ids.application(),
            uid: uid_of(APPLICATION),
            name: "Demo".to_owned(),
            metadata: std::collections::BTreeMap::new(),
            rate_limit: None,
            // The receiver speaks plain HTTP over loopback, whatever the deployment asks of others.
            require_https: Some(false),
            endpoints: vec![endpoint(GOOD, None), endpoint(SHAKY, Some(shaky_types.into()))],
        }
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
        tracing::info!(application = APPLICATION, "archived the application of an earlier `{DECLARED_BY}`");
    }
    let applications = demo.map(|demo| demo.import(ids)).into_iter().collect();
    let import = Import { kind: FileKind::Demo, file: DECLARED_BY.to_owned(), organisation, applications, now };
    let imported = store.import(import).await.context("the demo's rows cannot be imported")?;
    imported.map_err(|error| {
        Failure::configuration(format_args!("{error}\nhint: `--demo` declares that application itself; rename yours"))
    })?;
    Ok(())
}

fn uid_of(text: &str) -> Uid {
    text.parse().expect("the demo's words are uids")
}
