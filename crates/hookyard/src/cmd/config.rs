//! `hookyard config`: checks, shows and reloads the configuration.

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::access::Access;
use super::client::Options;
use super::failure::Failure;
use super::output::{self, Table};
use super::serve::ServeFlags;
use crate::config::{Config, Environment};

/// Check, show or reload the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read file, environment and flags as `serve` would, and report everything that is wrong.
    Check(Check),
    /// Show every setting and where it comes from; secrets are redacted.
    Show(Show),
    /// Have the running server read its file again. A file with a fault changes nothing.
    Reload(Reload),
}

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    serve: ServeFlags,
}

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    serve: ServeFlags,
}

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    access: Access,
}

impl ConfigCommand {
    /// Does it.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(check) => check.run(),
            Self::Show(show) => show.run(),
            Self::Reload(reload) => reload.run().await,
        }
    }
}

impl Check {
    fn run(self) -> Result<(), Failure> {
        let config = Config::load(&self.serve.flags(), &Environment::of_process())?;
        let declared = &config.declared;
        let endpoints: usize = declared.applications.iter().map(|application| application.endpoints.len()).sum();
        let file = config.file.as_ref().map_or("no file".to_owned(), |file| file.display().to_string());
        output::line(&format!(
            "{file}: fine; {} applications, {endpoints} endpoints, {} sources",
            declared.applications.len(),
            declared.sources.len()
        ))
    }
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let config = Config::load(&self.serve.flags(), &Environment::of_process())?;
        let shown = &config.settings.shown;
        if self.json {
            let settings: serde_json::Map<String, Value> = shown
                .iter()
                .map(|shown| (shown.name.to_owned(), json!({ "value": shown.value, "from": shown.place.to_string() })))
                .collect();
            return output::json(&settings);
        }
        let mut table = Table::new(["SETTING", "VALUE", "FROM"]);
        for shown in shown {
            table.row([shown.name, &shown.value, &shown.place.to_string()]);
        }
        output::bytes(table.render().as_bytes())
    }
}

impl Reload {
    async fn run(self) -> Result<(), Failure> {
        let mut client = self.access.client()?;
        let done = client.post(&["hookyard", "config", "reload"], Bytes::new(), &Options::default()).await?.json()?;
        let count = |name: &str| done[name].as_u64().unwrap_or(0);
        output::line(&format!(
            "reloaded: {} created, {} updated, {} archived, {} unchanged",
            count("created"),
            count("updated"),
            count("archived"),
            count("unchanged")
        ))
    }
}
