//! A schema of a test's own, and nodes on it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cluster::program;
use crate::deployment::Deployment;
use crate::pass_over;

/// The server that tests may use; `None`, and said, where there is none.
#[expect(clippy::disallowed_methods, reason = "which server there is to test with only the environment knows")]
pub(crate) fn server() -> Option<String> {
    let url = std::env::var("HOOKYARD_TEST_POSTGRES").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        pass_over("HOOKYARD_TEST_POSTGRES names no server");
    }
    url
}

/// A schema that its nodes make; dropped with this.
pub(crate) struct Schema {
    url: String,
    name: String,
    psql: PathBuf,
}

impl Schema {
    /// One on the server that tests may use.
    pub(crate) fn new() -> Option<Self> {
        server().and_then(|url| Self::on(&url))
    }

    /// One on this server.
    pub(crate) fn on(url: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(psql) = program("psql") else {
            pass_over("`psql` is not installed");
            return None;
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Some(Self { url: url.to_owned(), name: format!("n_{}_{count}", std::process::id()), psql })
    }

    /// The server.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A node of this name.
    pub(crate) fn node(&self, name: &str, config: &str) -> Deployment {
        self.node_through(&self.url, name, config)
    }

    /// A node of this name that finds the server at another URL.
    pub(crate) fn node_through(&self, url: &str, name: &str, config: &str) -> Deployment {
        Deployment::new(config)
            .set("HOOKYARD_DATABASE", url)
            .set("HOOKYARD_DATABASE_SCHEMA", &self.name)
            .set("HOOKYARD_NODE", name)
            .set("HOOKYARD_JWT_SECRET", "the token secret of several nodes")
            .set("HOOKYARD_MAIN_SECRET", "the main secret of several nodes")
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let words = format!("set lock_timeout = '10s'; drop schema if exists \"{}\" cascade", self.name);
        let dropped =
            Command::new(&self.psql).args(["-X", "-q", "-d", &self.url, "-c", &words]).env("PGOPTIONS", QUIET).output();
        if !dropped.is_ok_and(|output| output.status.success()) {
            eprintln!("the schema `{}` is left behind", self.name);
        }
    }
}

/// No word about each table that goes with its schema.
const QUIET: &str = "-c client_min_messages=warning";
