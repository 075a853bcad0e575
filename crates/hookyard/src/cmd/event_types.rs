//! `hookyard event-types`: what the systems that Hookyard knows announce.
//!
//! Answers from the catalogues of the dialects and needs no server. A sample can be published as it is:
//! `hookyard event-types sample photobooth session | hookyard send party session -`.

use clap::{Args, Subcommand};
use hookyard_dialects::{CatalogueEntry, Dialect};
use hookyard_model::DialectName;
use serde_json::json;

use super::failure::Failure;
use super::output::{self, Table};
use crate::config::nearest;

/// Show the event types of the systems that Hookyard knows, each with a sample.
#[derive(Debug, Subcommand)]
pub(crate) enum EventTypes {
    /// List event types, of one dialect or of all.
    List(List),
    /// Print a payload of an event type.
    Sample(Named),
    /// Print the JSON Schema of an event type's payload.
    Schema(Named),
}

/// Whose.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The dialect; all that have a catalogue without it.
    dialect: Option<String>,
    /// Print JSON, samples and schemas included.
    #[arg(long)]
    json: bool,
}

/// Which one.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The dialect.
    dialect: String,
    /// The event type.
    event_type: String,
}

impl EventTypes {
    /// Prints it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Sample(named) => output::line(named.find()?.sample.trim()),
            Self::Schema(named) => output::line(named.find()?.schema.trim()),
        }
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let dialects = match &self.dialect {
            Some(name) => vec![dialect(name)?],
            None => with_catalogue().collect(),
        };
        let entries = dialects.iter().flat_map(|dialect| {
            let name = dialect.name();
            dialect.catalogue().iter().map(move |entry| (name, entry))
        });
        if self.json {
            let shown: Result<Vec<_>, _> = entries.map(|(dialect, entry)| shown(dialect, entry)).collect();
            return output::json(&shown.map_err(|error| Failure::Other(error.into()))?);
        }
        let mut table = Table::new(["DIALECT", "EVENT TYPE", "", "TELLS"]);
        for (dialect, entry) in entries {
            let danger = if entry.danger.is_some() { "dangerous" } else { "" };
            table.row([dialect, entry.name, danger, entry.description]);
        }
        output::bytes(table.render().as_bytes())
    }
}

fn shown(dialect: &str, entry: &CatalogueEntry) -> serde_json::Result<serde_json::Value> {
    let [schema, sample] = [entry.schema, entry.sample].map(serde_json::from_str::<serde_json::Value>);
    Ok(json!({
        "dialect": dialect,
        "name": entry.name,
        "description": entry.description,
        "danger": entry.danger,
        "schema": schema?,
        "sample": sample?,
    }))
}

impl Named {
    fn find(&self) -> Result<&'static CatalogueEntry, Failure> {
        let catalogue = dialect(&self.dialect)?.catalogue();
        let found = catalogue.iter().find(|entry| entry.name == self.event_type);
        found.ok_or_else(|| {
            let near = nearest(&self.event_type, catalogue.iter().map(|entry| entry.name));
            let hint = near.map_or_else(
                || format!("`hookyard event-types list {}` shows which there are", self.dialect),
                |near| format!("did you mean `{near}`?"),
            );
            Failure::Usage(format!("dialect `{}` has no event type `{}`\nhint: {hint}", self.dialect, self.event_type))
        })
    }
}

/// The dialects that know what their systems announce.
fn with_catalogue() -> impl Iterator<Item = &'static Dialect> {
    hookyard_dialects::all().iter().copied().filter(|dialect| !dialect.catalogue().is_empty())
}

/// A dialect that has a catalogue.
fn dialect(name: &str) -> Result<&'static Dialect, Failure> {
    let found = name.parse::<DialectName>().ok().and_then(|name| hookyard_dialects::find(&name));
    found.filter(|dialect| !dialect.catalogue().is_empty()).ok_or_else(|| {
        let known: Vec<String> = with_catalogue().map(|dialect| format!("`{}`", dialect.name())).collect();
        Failure::Usage(format!("`{name}` is no dialect with a catalogue of events; there are {}", known.join(", ")))
    })
}
