//! The core of a node: store, ids, egress, engine and publisher, put together and taken apart in one place.
//!
//! The binary's wiring puts doors before it, [`crate::embedded`] a library; both import what is declared between
//! [`Opened::open`] and [`Opened::begin`], so that no delivery leaves in the form of a configuration that has been replaced.
//!
//! **Invariant:** a step that fails closes what the steps before it opened; afterwards the data directory is free for
//! another process.

use std::path::Path;
use std::sync::Arc;

use hookyard_accept::{Defaults, Publisher};
use hookyard_egress::{Client, Policy, SystemResolver, Tls};
use hookyard_engine::{Engine, Parts};
use hookyard_model::{Secret, limits};
use hookyard_ports::{Clock, Handoff, Ids, Metrics, NoHandoff, Store, StoreError, SystemClock, SystemRng};
use hookyard_record::{Keyring, KeyringError};
use hookyard_sqlite::{Options, SqliteStore};
use tokio::sync::Mutex;

use crate::key_file::{KeyFile, KeyFileError, make_folder};

/// Why a node's store does not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The directory or the key in it.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// What was given as main secret is none.
    #[error(transparent)]
    Secret(#[from] KeyringError),
    /// The store.
    #[error(transparent)]
    Store(#[from] hookyard_sqlite::OpenError),
    /// The store opened and does not answer.
    #[error("the store does not tell its highest id")]
    HighestId(#[source] StoreError),
}

/// Why a store of several nodes does not open.
#[cfg(feature = "program")]
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenSharedError {
    /// What was given as main secret is none.
    #[error(transparent)]
    Secret(#[from] KeyringError),
    /// The store.
    #[error(transparent)]
    Store(#[from] hookyard_postgres::OpenError),
    /// The store opened and does not answer.
    #[error("the store does not tell its highest id")]
    HighestId(#[source] StoreError),
}

/// Why an open node does not begin to deliver.
#[derive(Debug, thiserror::Error)]
#[error("what a former life of this node held cannot be freed")]
pub(crate) struct BeginError(#[source] pub(crate) StoreError);

/// Where the store of several nodes is, and which of them this one is.
#[cfg(feature = "program")]
pub(crate) struct SharedDatabase<'a> {
    pub(crate) url: &'a Secret<String>,
    /// Where to hear at once what other nodes change.
    pub(crate) listen: Option<&'a Secret<String>>,
    pub(crate) schema: &'a str,
    pub(crate) node: &'a str,
}

#[cfg(feature = "program")]
impl SharedDatabase<'_> {
    /// What the store is opened with, by a node as by whoever looks at it for one.
    pub(crate) fn options(
        &self,
        main: &[Secret<String>],
        clock: &Arc<dyn Clock>,
        metrics: &Arc<Metrics>,
    ) -> Result<hookyard_postgres::Options, KeyringError> {
        let (url, node, keyring) = (self.url.clone(), self.node.to_owned(), Keyring::from_secrets(main)?);
        let mut options = hookyard_postgres::Options::new(url, node, keyring, Arc::clone(metrics), Arc::clone(clock));
        options.listen = self.listen.cloned();
        self.schema.clone_into(&mut options.schema);
        Ok(options)
    }
}

/// An open store with what all parts of a node share. Nothing is accepted or delivered yet.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    /// What other nodes leave to this one.
    #[cfg(feature = "program")]
    hints: Option<hookyard_postgres::Hints>,
}

/// What the part of a node that delivers goes by.
pub(crate) struct Outward {
    /// What the guard lets out.
    pub(crate) policy: Policy,
    /// What the engine keeps to.
    pub(crate) engine: hookyard_engine::Settings,
}

/// A node that accepts, and delivers unless it was told not to.
pub(crate) struct Node {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) publisher: Publisher,
    part: Mutex<Part>,
}

/// What has to be ended.
enum Part {
    /// A node that only accepts.
    Accepting,
    Delivering(Delivering),
    Stopped,
}

struct Delivering {
    engine: Engine,
    client: Arc<Client>,
    /// What hears other nodes.
    #[cfg(feature = "program")]
    hearing: Option<crate::hearing::Hearing>,
}

/// What every store is opened with.
pub(crate) fn shared() -> (Arc<dyn Clock>, Arc<Metrics>) {
    (Arc::new(SystemClock::new()), Arc::new(Metrics::new()))
}

impl Opened {
    /// Opens the store in `directory`, which is made if it is not there. Without a main secret, the one that is kept in
    /// the directory counts, made if there is none.
    pub(crate) async fn open(directory: &Path, main: &[Secret<String>]) -> Result<Self, OpenError> {
        make_folder(directory)?;
        let keyring = match main {
            [] => Keyring::from_secrets(&[KeyFile::Main.read_or_make(directory, &SystemRng)?])?,
            secrets => Keyring::from_secrets(secrets)?,
        };
        let (clock, metrics) = shared();
        let options = Options::new(directory.to_owned(), keyring, Arc::clone(&metrics), Arc::clone(&clock));
        Self::on(Arc::new(SqliteStore::open(options)?), clock, metrics).await.map_err(OpenError::HighestId)
    }

    /// Opens the store of several nodes, for one that delivers or leaves that to the others. Each must be given the same
    /// main secret.
    #[cfg(feature = "program")]
    pub(crate) async fn open_shared(
        database: SharedDatabase<'_>,
        main: &[Secret<String>],
        delivers: bool,
    ) -> Result<Self, OpenSharedError> {
        let (clock, metrics) = shared();
        let mut options = database.options(main, &clock, &metrics)?;
        options.delivers = delivers;
        let store = hookyard_postgres::PostgresStore::open(options).await?;
        let hints = store.hints();
        let opened = Self::on(Arc::new(store), clock, metrics).await.map_err(OpenSharedError::HighestId)?;
        Ok(Self { hints: Some(hints), ..opened })
    }

    async fn on(store: Arc<dyn Store>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Result<Self, StoreError> {
        match store.highest_id().await {
            Ok(last) => {
                let ids = Arc::new(Ids::new(last, Arc::clone(&clock), Arc::new(SystemRng)));
                Ok(Self {
                    store,
                    ids,
                    clock,
                    metrics,
                    #[cfg(feature = "program")]
                    hints: None,
                })
            }
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    /// Begins to accept, and to deliver if it is told how: first what a former life of this node held is freed.
    ///
    /// Must be called within a tokio runtime, in which the engine's loops then run.
    pub(crate) async fn begin(mut self, outward: Option<Outward>, defaults: Defaults) -> Result<Node, BeginError> {
        let part = match outward {
            None => Part::Accepting,
            Some(outward) => match self.deliver(outward).await {
                Ok(delivering) => Part::Delivering(delivering),
                Err(error) => {
                    self.close().await;
                    return Err(error);
                }
            },
        };
        let handoff: Arc<dyn Handoff> = match &part {
            Part::Delivering(delivering) => delivering.engine.handoff(),
            Part::Accepting | Part::Stopped => Arc::new(NoHandoff),
        };
        let Self { store, ids, clock, metrics, .. } = self;
        let publisher = Publisher::new(
            Arc::clone(&store),
            handoff,
            Arc::clone(&clock),
            Arc::clone(&ids),
            Arc::clone(&metrics),
            defaults,
        );
        Ok(Node { store, ids, clock, metrics, publisher, part: Mutex::new(part) })
    }

    /// Closes the store of a node that does not begin.
    pub(crate) async fn close(self) {
        self.store.close().await;
    }

    async fn deliver(&mut self, outward: Outward) -> Result<Delivering, BeginError> {
        let client = Arc::new(Client::new(hookyard_egress::Options {
            policy: outward.policy,
            resolver: Arc::new(SystemResolver::new(Arc::clone(&self.clock))),
            tls: Tls::system([]),
            metrics: Arc::clone(&self.metrics),
            clock: Arc::clone(&self.clock),
        }));
        let begun = Engine::start(Parts {
            store: Arc::clone(&self.store),
            transport: Arc::clone(&client) as _,
            clock: Arc::clone(&self.clock),
            rng: Arc::new(SystemRng),
            ids: Arc::clone(&self.ids),
            metrics: Arc::clone(&self.metrics),
            settings: outward.engine,
        })
        .await;
        match begun {
            Ok(engine) => {
                #[cfg(feature = "program")]
                let hearing = self.hints.take().map(|hints| crate::hearing::Hearing::begin(hints, engine.handoff()));
                Ok(Delivering {
                    engine,
                    client,
                    #[cfg(feature = "program")]
                    hearing,
                })
            }
            Err(error) => {
                client.shutdown().await;
                Err(BeginError(error))
            }
        }
    }
}

impl Node {
    /// Ends what runs behind the doors, once these are closed. Afterwards everything is on disk and the data directory is
    /// free for another process. A second call waits for the first.
    pub(crate) async fn stop(&self) {
        let mut part = self.part.lock().await;
        let ended = std::mem::replace(&mut *part, Part::Stopped);
        if matches!(ended, Part::Stopped) {
            return;
        }
        self.publisher.finish().await;
        if let Part::Delivering(delivering) = ended {
            #[cfg(feature = "program")]
            if let Some(hearing) = delivering.hearing {
                hearing.stop().await;
            }
            let Delivering { engine, client, .. } = delivering;
            engine.stop(limits::SHUTDOWN_GRACE).await;
            client.shutdown().await;
        }
        self.store.close().await;
    }
}

/// How many attempts may be in flight where `files` may be open: each takes a socket, and so do connections to the doors.
pub(crate) fn slots(files: Option<u64>) -> usize {
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

#[cfg(test)]
mod tests {
    use hookyard_ports::testkit::{Call, Deed, Fault, FaultyStore};
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_node_that_cannot_begin_gives_its_directory_back() {
        let directory = TempDir::new().expect("a directory");
        let opened = Opened::open(directory.path(), &[]).await.expect("opens");
        let rescue_fails = |call: Call| if call.deed == Deed::Rescue { Fault::Broken } else { Fault::Pass };
        let store = Arc::new(FaultyStore::new(Arc::clone(&opened.store), rescue_fails));
        let outward = Outward { policy: Policy::default(), engine: hookyard_engine::Settings::default() };
        let begun = Opened { store, ..opened }.begin(Some(outward), Defaults::default()).await;
        assert!(begun.is_err_and(|error| error.to_string().contains("cannot be freed")));
        Opened::open(directory.path(), &[]).await.expect("it is free").close().await;
    }

    #[test]
    fn attempts_take_an_eighth_of_the_files() {
        assert_eq!(slots(Some(800)), 100);
        assert_eq!(slots(Some(3)), 1);
        assert_eq!([slots(Some(u64::MAX)), slots(None)], [limits::SLOTS; 2]);
    }
}
