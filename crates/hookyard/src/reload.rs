//! Reads the operator's files and makes their rows what they say, at start and again whenever somebody asks.
//!
//! Called by the wiring at start, by `serve` on SIGHUP and by the door for `config reload`. All files are read and checked
//! before any row changes, and their rows change in one transaction: a fault in one of them changes nothing of any.

use std::sync::Arc;

use anyhow::Context as _;
use hookyard_model::limits;
use hookyard_ports::store::{Import, ImportError, ImportReport};
use hookyard_ports::{Clock, Ids, Store};
use hookyard_server::ReloadError;
use tokio::sync::Mutex;

use crate::cmd::Failure;
use crate::config::{Config, Environment, Flags, Foreign, key};

/// How many steps of cancelling whoever asks for a reload waits for.
const SWEEPS: usize = 16;

/// What reads the files again.
pub(crate) struct Reloader {
    store: Arc<dyn Store>,
    ids: Arc<Ids>,
    clock: Arc<dyn Clock>,
    flags: Flags,
    started_with: Vec<(&'static str, String)>,
    /// Held while a reload runs: of two at once, the later one reads the files after the earlier one imported its own.
    turn: Mutex<()>,
}

impl Reloader {
    /// One for a node that starts with this configuration and these flags.
    pub(crate) fn new(
        config: &Config,
        flags: &Flags,
        store: Arc<dyn Store>,
        ids: Arc<Ids>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let started_with = config.settings.shown.iter().map(|shown| (shown.name, shown.value.clone())).collect();
        Self { store, ids, clock, flags: flags.clone(), started_with, turn: Mutex::new(()) }
    }

    /// Reads the files again and imports their rows; with a fault anywhere in them or in the environment, nothing changes.
    pub(crate) async fn reload(&self) -> Result<ImportReport, Failure> {
        let _turn = self.turn.lock().await;
        let config = Config::load(&self.flags, &Environment::of_process())?;
        // What named a file at the start and names none any more is worth a look as well.
        let had_none =
            |key: &key::Key| self.started_with.iter().any(|(name, value)| *name == key.name && value == "none");
        let never_any = config.foreign.iter().all(|foreign| foreign.file.is_none() && had_none(&foreign.system.key));
        if config.file.is_none() && never_any {
            return Err(Failure::configuration("there is no configuration file to read again"));
        }
        config.warnings.log();
        let names_a_file = |name| config.foreign.iter().any(|foreign| foreign.system.key.name == name);
        for (now, (_, then)) in config.settings.shown.iter().zip(&self.started_with) {
            if now.value != *then && !names_a_file(now.name) {
                tracing::warn!(setting = now.name, "the setting changed; it counts after a restart");
            }
        }
        self.import(&config).await
    }

    /// [`Self::reload`] for a door, which tells a wrong file from a store that fails.
    pub(crate) async fn reload_for_doors(self: Arc<Self>) -> Result<ImportReport, ReloadError> {
        self.reload().await.map_err(|failure| match failure {
            Failure::Configuration(report) => ReloadError::Refused(report),
            Failure::Other(_)
            | Failure::Usage(_)
            | Failure::Unreachable(_)
            | Failure::Refused(_)
            | Failure::Server(_)
            | Failure::OutputClosed => ReloadError::Failed(failure.to_string()),
        })
    }

    /// Imports the rows that a configuration declares, those of all files in one transaction.
    ///
    /// Without `hookyard.toml`, what an earlier one declared stays as it is: a start that forgot `--config` must not
    /// archive everything. The files of other systems are each named by one setting, which says that they are not wanted
    /// when it is gone; then, and when the file is gone, what they declared is archived. Of several nodes on one database
    /// each may be given other files, so there only a file that is named and gone says that.
    pub(crate) async fn import(&self, config: &Config) -> Result<ImportReport, Failure> {
        let now = self.clock.now();
        let is_shared = config.settings.database.is_some();
        let mut files: Vec<(File<'_>, Import)> = Vec::new();
        // What is archived first frees its uid for the files that come after.
        let gone = |foreign: &&Foreign| foreign.application.is_none() && (foreign.file.is_some() || !is_shared);
        for foreign in config.foreign.iter().filter(gone) {
            files.push((File::Gone(foreign), foreign.import(&self.ids, now)));
        }
        if let Some(file) = &config.file {
            files.push((File::Ours, config.declared.import(&file.display().to_string(), &self.ids, now)));
        }
        for foreign in config.foreign.iter().filter(|foreign| foreign.application.is_some()) {
            files.push((File::Foreign(foreign), foreign.import(&self.ids, now)));
        }
        let (files, imports): (Vec<File<'_>>, Vec<Import>) = files.into_iter().unzip();
        let names: Vec<String> = imports.iter().map(|import| import.file.clone()).collect();
        let imported = self.store.import_all(imports).await.context("the files' rows cannot be imported")?;
        let reports = imported.map_err(|error| {
            let ImportError::Taken { uid, .. } = &error;
            let declares = |foreign: &&Foreign| foreign.application.as_ref().is_some_and(|own| own.uid == *uid);
            match (config.foreign.iter().find(declares), &config.file) {
                (Some(foreign), _) => Failure::configuration(format_args!("`{}`: {error}", foreign.system.key.name)),
                (None, Some(file)) => Failure::configuration(format_args!("{}: {error}", file.display())),
                (None, None) => Failure::configuration(error),
            }
        })?;
        let mut total = ImportReport::default();
        for ((file, name), report) in files.iter().zip(&names).zip(reports) {
            file.tell(name, report);
            add(&mut total, report);
        }
        if total.archived > 0 {
            self.cancel_removed().await?;
        }
        Ok(total)
    }

    /// Cancels what is pending for what was archived, so that whoever looks next sees it. A great many are left to the
    /// engine's ageing, which does the same.
    async fn cancel_removed(&self) -> Result<(), Failure> {
        let mut cancelled = 0;
        for _ in 0..SWEEPS {
            let swept = self.store.sweep(self.clock.now(), limits::SWEEP_ROWS).await;
            let swept = swept.context("what was pending for removed endpoints cannot be cancelled")?;
            cancelled += swept.rows;
            if !swept.more {
                break;
            }
        }
        if cancelled > 0 {
            tracing::warn!(
                cancelled,
                "cancelled what was pending for endpoints that were removed, or off for too long"
            );
        }
        Ok(())
    }
}

/// A file whose rows are imported.
enum File<'a> {
    /// `hookyard.toml`.
    Ours,
    /// Another system's.
    Foreign(&'a Foreign),
    /// Another system's that is not named any more, or not there.
    Gone(&'a Foreign),
}

impl File<'_> {
    /// Says what its import did.
    fn tell(&self, name: &str, report: ImportReport) {
        let ImportReport { created, updated, archived, unchanged } = report;
        match self {
            Self::Ours => {
                tracing::info!(file = name, created, updated, archived, unchanged, "imported the configuration file");
            }
            Self::Foreign(foreign) => {
                let system = foreign.system.name;
                tracing::info!(file = name, created, updated, archived, unchanged, "imported {system}'s file");
            }
            Self::Gone(foreign) if archived > 0 => {
                let (application, setting) = (foreign.system.uid, foreign.system.key.name);
                tracing::warn!(
                    application,
                    setting,
                    archived,
                    "archived the application: no file declares it any more"
                );
            }
            Self::Gone(_) => {}
        }
    }
}

/// Says at the start which applications there are not because nobody named their files.
pub(crate) fn tell_of_unnamed(config: &Config) {
    let unnamed = config.foreign.iter().filter(|foreign| foreign.file.is_none());
    let unnamed: Vec<String> =
        unnamed.map(|foreign| format!("`{}` (set `{}`)", foreign.system.uid, foreign.system.key.name)).collect();
    if !unnamed.is_empty() {
        tracing::info!("no file declares these applications, so there are none: {}", unnamed.join(", "));
    }
}

fn add(total: &mut ImportReport, report: ImportReport) {
    total.created += report.created;
    total.updated += report.updated;
    total.archived += report.archived;
    total.unchanged += report.unchanged;
}
