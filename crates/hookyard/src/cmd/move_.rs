//! `hookyard move`: copies everything between the embedded store and a database for several nodes.
//!
//! No server may run on either. The source stays as it was; the target cannot be used until it holds the same, which is
//! compared row by row at the end. A move that was broken off goes on when the same command runs again.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hookyard_model::Secret;
use hookyard_ports::{Metrics, SystemClock};
use hookyard_record::Keyring;
use hookyard_record::carry::{self, CarryError, Doing, Moved, Side, Step, Table};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::output;
use crate::config::{self, Environment, Flags};
use crate::key_file::KeyFile;
use crate::node::{OpenError, OpenSharedError};

/// What a place is written like.
const FORMS: &str = "must be `data:DIR` for the embedded store in a data directory or a URL `postgres://…`, or `data` or \
    `database` for what that setting says";
/// Connections of the side that has any: one to read, one to write, one to make room for a day.
const CONNECTIONS: usize = 6;

/// Copy everything from the embedded store to a `postgres://…` database or back, while no server runs on either.
#[derive(Debug, Args)]
pub(crate) struct Move {
    /// Where everything is: `data:DIR` or `postgres://…`; `data` or `database` for what that setting says.
    #[arg(long, value_name = "STORE")]
    from: String,
    /// Where to copy it, which must be empty: written likewise.
    #[arg(long, value_name = "STORE")]
    to: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The configuration file, for `main_secret`, `database_schema` and what `data` and `database` stand for.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A store.
enum Place {
    /// The embedded one in a directory.
    Data(PathBuf),
    /// The one in the schema that is set, of the database with this URL.
    Database(Secret<String>),
}

/// One store of each kind, and which way.
struct Way {
    directory: PathBuf,
    database: Secret<String>,
    schema: String,
    is_out: bool,
}

/// The main secret, and the file that it comes from if no setting gives it.
struct MainSecret {
    keyring: Keyring,
    kept: bool,
}

impl Move {
    /// Moves.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let flags = Flags { config: self.config.clone(), settings: Vec::new() };
        let environment = Environment::of_process();
        let settings = config::load_data_settings(&flags, &environment)?;
        let place = |flag: &str, text: &str| match text {
            "data" => Ok(Place::Data(settings.data.value.clone())),
            "database" => match &settings.database {
                Some(database) => Ok(Place::Database(database.value.clone())),
                None => Err(Failure::Configuration(format!("`{flag} database` needs the setting `database`"))),
            },
            // What was written is not repeated: it could hold a password.
            text => written(text).ok_or_else(|| Failure::Usage(format!("`{flag}` {FORMS}"))),
        };
        let (from, to) = (place("--from", &self.from)?, place("--to", &self.to)?);
        let way = Way::between(from, to, settings.schema.value.clone())?;
        let main = way.main_secret(&flags, &environment)?;
        let (mut from, mut to) = way.open(main.keyring).await?;
        let mut meter = Meter::new();
        let moved = carry::carry(&mut *from, &mut *to, &mut |step| meter.at(step)).await;
        meter.clear();
        let (names, moved) = ((from.name(), to.name()), moved?);
        from.close().await?;
        to.close().await?;
        if self.json {
            return output::json(&members(&names, &moved));
        }
        output::line(&way.told(&names, &moved, main.kept)?.join("\n"))
    }
}

fn written(text: &str) -> Option<Place> {
    if let Some(directory) = text.strip_prefix("data:").filter(|directory| !directory.is_empty()) {
        return Some(Place::Data(PathBuf::from(directory)));
    }
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    is_url.then(|| Place::Database(Secret::new(text.to_owned())))
}

impl Way {
    fn between(from: Place, to: Place, schema: String) -> Result<Self, Failure> {
        match (from, to) {
            (Place::Data(directory), Place::Database(database)) => {
                Ok(Self { directory, database, schema, is_out: true })
            }
            (Place::Database(database), Place::Data(directory)) => {
                Ok(Self { directory, database, schema, is_out: false })
            }
            (Place::Data(_), Place::Data(_)) => Err(Failure::Usage(
                "both are embedded stores, one must be PostgreSQL\nhint: `hookyard backup` and `hookyard restore` copy an \
                 embedded store"
                    .to_owned(),
            )),
            (Place::Database(_), Place::Database(_)) => Err(Failure::Usage(
                "both are PostgreSQL, one must be an embedded store\nhint: `pg_dump` and `pg_restore` copy a schema"
                    .to_owned(),
            )),
        }
    }

    /// The secret that both stores must have been written with: given, else kept in the data directory.
    fn main_secret(&self, flags: &Flags, environment: &Environment) -> Result<MainSecret, Failure> {
        let given = config::load_key_settings(flags, environment)?.main_secret.value;
        let (secrets, kept) = match KeyFile::Main.read(&self.directory)? {
            _ if !given.is_empty() => (given, false),
            Some(kept) => (vec![kept], true),
            None => {
                return Err(Failure::Configuration(format!(
                    "there is no main secret: `main_secret` is not set and `{}` is not there\nhint: set `main_secret` to \
                     what the servers had",
                    KeyFile::Main.path(&self.directory).display()
                )));
            }
        };
        Ok(MainSecret { keyring: Keyring::from_secrets(&secrets).map_err(Failure::configuration)?, kept })
    }

    /// The source and the target, open.
    async fn open(&self, keyring: Keyring) -> Result<(Box<dyn Side>, Box<dyn Side>), Failure> {
        use hookyard_postgres::moving::Purpose as Shared;
        use hookyard_sqlite::moving::Purpose as Embedded;
        let (embedded, shared) =
            if self.is_out { (Embedded::Source, Shared::Target) } else { (Embedded::Target, Shared::Source) };
        let clock = Arc::new(SystemClock::new());
        let embed = |keyring: &Keyring| {
            let side = hookyard_sqlite::moving::open(&self.directory, keyring, embedded);
            side.map_err(|error| Failure::from(OpenError::Store(error)))
        };
        // The source first, so that a target is not made for nothing.
        let early = if self.is_out { Some(embed(&keyring)?) } else { None };
        let mut options = hookyard_postgres::Options::new(
            self.database.clone(),
            "move".to_owned(),
            keyring,
            Arc::new(Metrics::new()),
            clock,
        );
        options.schema.clone_from(&self.schema);
        options.connections = CONNECTIONS;
        let database = hookyard_postgres::moving::open(options, shared).await;
        let database = database.map_err(|error| Failure::from(OpenSharedError::Store(error)))?;
        if let Some(directory) = early {
            return Ok((Box::new(directory), Box::new(database)));
        }
        let directory = embed(database.keyring())?;
        Ok((Box::new(database), Box::new(directory)))
    }

    /// What was done and what to do next, a line each.
    fn told(&self, names: &(String, String), moved: &Moved, is_kept: bool) -> Result<Vec<String>, Failure> {
        let (from, to) = names;
        let mut lines = vec![format!("moved {from} to {to}: {} rows, the same in both", rows(moved)), counted(moved)];
        if moved.resumed_at > 0 {
            lines.push(format!("{} rows were there from an earlier move", moved.resumed_at));
        }
        if moved.leased > 0 {
            let leased = moved.leased;
            lines.push(format!(
                "{leased} in flight when the source was left: the next start logs that as `interrupted` and sends it again"
            ));
        }
        lines.extend(self.keys(is_kept)?);
        lines.push(format!("start no server on {from} any more: it would deliver the same once again"));
        Ok(lines)
    }

    /// What the next start needs beside the store.
    fn keys(&self, is_kept: bool) -> Result<Vec<String>, Failure> {
        let path = |key: KeyFile| key.path(&self.directory).display().to_string();
        let jwt = KeyFile::Jwt.read(&self.directory)?;
        let mut lines = Vec::new();
        if self.is_out && is_kept {
            lines.push(format!("every node needs the setting `main_secret`: it is in `{}`", path(KeyFile::Main)));
        }
        if !self.is_out && !is_kept {
            lines.push("`serve` needs the setting `main_secret` there as well".to_owned());
        }
        if self.is_out && jwt.is_some() {
            lines.push(format!("tokens stay good with the setting `jwt_secret`: it is in `{}`", path(KeyFile::Jwt)));
        }
        if !self.is_out && jwt.is_none() {
            lines.push("tokens stay good with the setting `jwt_secret` of the nodes".to_owned());
        }
        Ok(lines)
    }
}

fn rows(moved: &Moved) -> u64 {
    moved.tables.iter().map(|(_, digest)| digest.rows).sum()
}

fn of(moved: &Moved, table: Table) -> u64 {
    moved.tables.iter().filter(|(other, _)| *other == table).map(|(_, digest)| digest.rows).sum()
}

fn counted(moved: &Moved) -> String {
    let of = |table| of(moved, table);
    format!(
        "applications: {}, endpoints: {}, messages: {}, deliveries: {} (owed: {}), attempts: {}",
        of(Table::Application),
        of(Table::Endpoint),
        of(Table::Message),
        of(Table::Owed) + of(Table::Ended),
        of(Table::Owed),
        of(Table::Attempt)
    )
}

fn members((from, to): &(String, String), moved: &Moved) -> Value {
    let tables: Map<String, Value> = (moved.tables.iter())
        .map(|(table, digest)| (table.name().to_owned(), json!({ "rows": digest.rows, "digest": digest.text() })))
        .collect();
    json!({
        "from": from,
        "to": to,
        "rows": rows(moved),
        "tables": tables,
        "resumedAt": moved.resumed_at,
        "inFlight": moved.leased,
    })
}

impl From<CarryError> for Failure {
    fn from(error: CarryError) -> Self {
        Self::Other(error.into())
    }
}

/// Shows how far it is: a bar on a terminal, else a line for each table.
struct Meter {
    is_terminal: bool,
    last: Option<(Doing, Table, u64)>,
}

impl Meter {
    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), last: None }
    }

    fn at(&mut self, step: Step) {
        let per_mille = if self.is_terminal { per_mille(step) } else { 0 };
        let shown = (step.doing, step.table, per_mille);
        if self.last.replace(shown) != Some(shown) {
            say(&if self.is_terminal { format!("\r\x1b[K{}", bar(step)) } else { line(step) });
        }
    }

    fn clear(&self) {
        if self.is_terminal && self.last.is_some() {
            say("\r\x1b[K");
        }
    }
}

fn per_mille(step: Step) -> u64 {
    (step.done.min(step.total).saturating_mul(1_000)).checked_div(step.total).unwrap_or(1_000)
}

fn doing(doing: Doing) -> &'static str {
    match doing {
        Doing::Copying => "copying",
        Doing::Comparing => "comparing",
    }
}

fn bar(step: Step) -> String {
    let per_mille = per_mille(step);
    let filled = usize::try_from(per_mille / 50).unwrap_or(20);
    let (done, left) = ("#".repeat(filled), "-".repeat(20 - filled.min(20)));
    format!("{} [{done}{left}] {} % {}", doing(step.doing), per_mille / 10, step.table.name())
}

fn line(step: Step) -> String {
    format!("{} `{}`, {} of {} rows done\n", doing(step.doing), step.table.name(), step.done, step.total)
}

/// Writes to standard error; whether anybody reads it changes nothing.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_directory_or_a_url() {
        assert!(
            matches!(written("data:/var/lib/hookyard"), Some(Place::Data(path)) if path == std::path::Path::new("/var/lib/hookyard"))
        );
        for url in ["postgres://u:p@db/h", "postgresql://db/h?sslmode=require"] {
            assert!(matches!(written(url), Some(Place::Database(given)) if given.expose() == url), "{url}");
        }
        for other in ["", "data:", "/var/lib/hookyard", "mysql://u:p@db/h", "postgres:db"] {
            assert!(written(other).is_none(), "{other}");
        }
    }

    #[test]
    fn progress_is_shown_from_nothing_to_all() {
        let step = |done, total| Step { doing: Doing::Copying, table: Table::Message, done, total };
        assert_eq!(bar(step(0, 4)), "copying [--------------------] 0 % message");
        assert_eq!(bar(step(3, 4)), "copying [###############-----] 75 % message");
        assert_eq!(bar(step(0, 0)), "copying [####################] 100 % message");
        assert_eq!(bar(step(9, 4)), "copying [####################] 100 % message");
        assert_eq!(line(step(3, 4)), "copying `message`, 3 of 4 rows done\n");
    }
}
