//! `hookyard config`: checks, shows and reloads the configuration.

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::access::Access;
use super::client::Options;
use super::failure::Failure;
use super::output::{self, Table};
use super::serve::ServeFlags;
use crate::config::{Config, Declared, DeclaredApplication, Environment};

/// Check, show or reload the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read every file, the environment and the flags as `serve` would, and report everything that it would refuse. What
    /// only the machine decides, such as a port that is taken, is what `doctor` looks at.
    Check(Check),
    /// Show every setting and where it comes from; secrets are redacted.
    Show(Show),
    /// Have the running server read its files again. A file with a fault changes nothing.
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
        let mut report = config.warnings.to_string();
        for line in summary(&config) {
            report.push_str(&line);
            report.push('\n');
        }
        output::bytes(report.as_bytes())
    }
}

/// What each file declares, one line a file.
pub(super) fn summary(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(file) = &config.file {
        let Declared { applications, sources } = &config.declared;
        let sources = count(sources.len(), "source");
        lines.push(format!("{}: fine; {}, {sources}", file.display(), rows(applications)));
    }
    for foreign in &config.foreign {
        if let (Some(file), Some(application)) = (&foreign.file, &foreign.application) {
            lines.push(format!("{}: fine; {}", file.display(), rows(std::slice::from_ref(application))));
        }
    }
    if lines.is_empty() {
        lines.push("no file: fine; nothing is declared".to_owned());
    }
    lines
}

fn rows(applications: &[DeclaredApplication]) -> String {
    let endpoints = applications.iter().map(|application| application.endpoints.len()).sum();
    format!("{}, {}", count(applications.len(), "application"), count(endpoints, "endpoint"))
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
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
