//! What an embedded node is opened with.
//!
//! Each setting has the server's default, so that a directory alone opens a node. What is declared here is imported before
//! anything is sent: deliveries that an earlier life of the program left pending go out in the form that it declares now.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hookyard_accept::Defaults;
use hookyard_egress::{Allow, Policy};
use hookyard_model::{RetryPolicy, Secret};
use rustix::process::{Resource, getrlimit};

use super::Hookyard;
use super::declaration::{self, Application, Rules};
use super::error::OpenError;
use crate::node::{self, Opened, Outward};
use crate::retention;

/// What a node is opened with.
#[derive(Debug)]
#[must_use = "a builder does nothing until `open` is called"]
pub struct Builder {
    directory: PathBuf,
    main_secrets: Vec<Secret<String>>,
    declared: Option<Vec<Application>>,
    policy: Policy,
    engine: hookyard_engine::Settings,
    defaults: Defaults,
    require_https: bool,
    delivers: bool,
}

impl Builder {
    pub(super) fn new(directory: PathBuf) -> Self {
        let files = getrlimit(Resource::Nofile).current;
        let engine = hookyard_engine::Settings { slots: node::slots(files), ..hookyard_engine::Settings::default() };
        Self {
            directory,
            main_secrets: Vec::new(),
            declared: None,
            policy: Policy::default(),
            engine,
            defaults: Defaults::default(),
            require_https: false,
            delivers: true,
        }
    }

    /// What encrypts secrets at rest. Without one it is the key that is kept in the directory, made at the first opening.
    /// Of several, the first encrypts and all decrypt.
    pub fn main_secret(mut self, secret: impl Into<String>) -> Self {
        self.main_secrets.push(Secret::new(secret.into()));
        self
    }

    /// What this program declares, exactly; see [`Hookyard::declare`]. Without this call, what an earlier opening declared
    /// stays as it is.
    pub fn declare(mut self, applications: impl IntoIterator<Item = Application>) -> Self {
        self.declared.get_or_insert_default().extend(applications);
        self
    }

    /// A network, an address or a name that deliveries may go to beside public addresses.
    pub fn allow(mut self, destination: Allow) -> Self {
        self.policy.allow.push(destination);
        self
    }

    /// Whether what this program declares may be on loopback and private networks; `true` by default, because its own code
    /// names it. Say `false` where its users choose the URLs.
    pub fn trust_declared(mut self, trust: bool) -> Self {
        self.policy.trust_files = trust;
        self
    }

    /// Whether endpoints must be `https` where their application does not say; `false` by default.
    pub fn require_https(mut self, require: bool) -> Self {
        self.require_https = require;
        self
    }

    /// How attempts are repeated where neither endpoint nor dialect says.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.engine.retry = policy;
        self
    }

    /// How long an attempt may take where neither endpoint nor dialect says.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.engine.timeout = timeout;
        self
    }

    /// How long nothing but failure is endured before an endpoint is disabled.
    pub fn disable_after(mut self, span: Duration) -> Self {
        self.engine.disable_after = span;
        self
    }

    /// How long messages are kept: at least the longest schedule and a day. What is still pending is kept until it is not.
    pub fn retention(mut self, span: Duration) -> Self {
        self.defaults.retention = span;
        self
    }

    /// Attempts at once to all endpoints, each of which takes a socket. By default an eighth of the files that this process
    /// may open, at most [`hookyard_model::limits::SLOTS`].
    pub fn slots(mut self, slots: usize) -> Self {
        self.engine.slots = slots.max(1);
        self
    }

    /// Accepts and delivers nothing: what is published waits for the next one to open the directory. For tests of a program
    /// that publishes.
    pub fn accept_only(mut self) -> Self {
        self.delivers = false;
        self
    }

    /// Opens the directory, declares, frees what a former life of the node held, and begins to deliver in the present tokio
    /// runtime.
    pub async fn open(mut self) -> Result<Hookyard, OpenError> {
        let rules = Rules { require_https: self.require_https, retention: self.defaults.retention };
        self.engine.retry = self.engine.retry.checked()?;
        retention::check(rules.retention, &self.engine.retry).map_err(OpenError::Retention)?;
        let declared = self.declared.map(|declared| declaration::checked(declared, rules)).transpose()?;
        let opened = Opened::open(&self.directory, &self.main_secrets).await?;
        if let Some(declared) = declared {
            let imported = declaration::import(declared, opened.store.as_ref(), &opened.ids, opened.clock.now()).await;
            if let Err(error) = imported {
                opened.close().await;
                return Err(error.into());
            }
        }
        let outward = self.delivers.then_some(Outward { policy: self.policy, engine: self.engine });
        let node = opened.begin(outward, self.defaults).await?;
        Ok(Hookyard { node: Arc::new(node), rules })
    }
}
