//! What `backup` and `restore` have in common: which store, its keys, and how a copy is shown.

pub(super) mod keys;
pub(super) mod meter;

use std::path::PathBuf;

use clap::Args;
use hookyard_sqlite::backup::{BackupError, Contents};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::output::size;
use crate::config::{self, Environment, Faults, Flags, KeySettings, key};

/// Which store.
#[derive(Debug, Args)]
pub(super) struct StoreFlags {
    /// The server's configuration file, for its `data` and `main_secret`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's data directory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl StoreFlags {
    fn flags(&self) -> Flags {
        let data = self.data.as_ref().map(|data| (key::DATA, data.display().to_string()));
        Flags { config: self.config.clone(), settings: data.into_iter().collect() }
    }

    /// The data directory of the embedded store.
    pub(super) fn directory(&self) -> Result<PathBuf, Failure> {
        let settings = config::load_data_settings(&self.flags(), &Environment::of_process())?;
        match settings.database {
            None => Ok(settings.data.value),
            Some(database) => Err(Failure::Configuration(format!(
                "`database` ({}) names PostgreSQL, and this copies the embedded store\nhint: use PostgreSQL's own \
                 `pg_dump` and `pg_restore`, and keep `main_secret` with what they write",
                database.place
            ))),
        }
    }

    /// The secrets that settings give, not those that are kept in the directory.
    pub(super) fn keys(&self) -> Result<KeySettings, Faults> {
        config::load_key_settings(&self.flags(), &Environment::of_process())
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self::Other(error.into())
    }
}

/// What a copy holds, in two lines for people.
pub(super) fn shown(contents: &Contents) -> String {
    let Contents { bytes, schema, applications, endpoints, messages, deliveries, attempts, pending, in_flight, .. } =
        contents;
    let (applications, endpoints) = (count(*applications, "application"), count(*endpoints, "endpoint"));
    let (messages, attempts) = (count(*messages, "message"), count(*attempts, "attempt"));
    let (deliveries, bytes) = (counted(*deliveries, "delivery", "deliveries"), size(*bytes));
    format!(
        "{bytes}, schema {schema}, checked\n{applications}, {endpoints}, {messages}, {deliveries} ({pending} pending, \
         {in_flight} in flight), {attempts}"
    )
}

/// What a copy holds, for programs.
pub(super) fn members(contents: &Contents) -> Map<String, Value> {
    let members = [
        ("bytes", json!(contents.bytes)),
        ("schema", json!(contents.schema)),
        ("applications", json!(contents.applications)),
        ("endpoints", json!(contents.endpoints)),
        ("messages", json!(contents.messages)),
        ("deliveries", json!(contents.deliveries)),
        ("attempts", json!(contents.attempts)),
        ("pending", json!(contents.pending)),
        ("inFlight", json!(contents.in_flight)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn count(number: u64, one: &str) -> String {
    counted(number, one, &format!("{one}s"))
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
