//! Reads the operator's files and makes their rows what they say, at start and again whenever somebody asks.
//!
//! Called by the wiring at start, by `serve` on SIGHUP and by the door for `config reload`. All files are read and checked
//! before any row changes: a fault in one of them changes nothing of any.

use std::sync::Arc;

use anyhow::Context as _;
use hookyard_model::{FileKind, OrganisationId, limits};
use hookyard_ports::store::{ApplicationRef, Import, ImportReport};
use hookyard_ports::{Clock, Ids, Store};
use hookyard_server::ReloadError;
use tokio::sync::Mutex;

use crate::cmd::Failure;
use crate::config::{Config, DeclaredApplication, Environment, Flags, Foreign, key};

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

    /// Imports the rows that a configuration declares.
    ///
    /// Without `hookyard.toml`, what an earlier one declared stays as it is: a start that forgot `--config` must not
    /// archive everything. The files of other systems are each named by one setting, which says that they are not wanted
    /// when it is gone; then, and when the file is gone, what they declared is archived. Of several nodes on one database
    /// each may be given other files, so there only a file that is named and gone says that.
    pub(crate) async fn import(&self, config: &Config) -> Result<ImportReport, Failure> {
        let mut total = ImportReport::default();
        for foreign in &config.foreign {
            if let Some(application) = &foreign.application {
                self.refuse_taken(foreign, application, config.file.is_some()).await?;
            }
        }
        // What is archived first frees its uid for the files that come after.
        let is_shared = config.settings.database.is_some();
        let gone = |foreign: &&Foreign| foreign.application.is_none() && (foreign.file.is_some() || !is_shared);
        for foreign in config.foreign.iter().filter(gone) {
            let report = self.import_foreign(foreign).await?;
            if report.archived > 0 {
                let (application, setting) = (foreign.system.uid, foreign.system.key.name);
                tracing::warn!(
                    application,
                    setting,
                    archived = report.archived,
                    "archived the application: no file declares it any more"
                );
            }
            add(&mut total, report);
        }
        if let Some(file) = &config.file {
            let file = file.display().to_string();
            let report = self.put(config.declared.import(&file, &self.ids, self.clock.now())).await?;
            tell("imported the configuration file", &file, report);
            add(&mut total, report);
        }
        for foreign in config.foreign.iter().filter(|foreign| foreign.application.is_some()) {
            let report = self.import_foreign(foreign).await?;
            let file = foreign.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            tell(&format!("imported {}'s file", foreign.system.name), &file, report);
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

    /// Before anything changes: whether somebody has the application who will not let go of it.
    async fn refuse_taken(
        &self,
        foreign: &Foreign,
        application: &DeclaredApplication,
        reads_hookyard: bool,
    ) -> Result<(), Failure> {
        let reference = ApplicationRef::Uid(application.uid.clone());
        let found = self.store.application(OrganisationId::default_organisation(), &reference).await;
        let found = found.context("the store does not tell who declares an application")?;
        let Some(owner) = found.map(|view| view.application.declared.clone()) else { return Ok(()) };
        let lets_go = owner.as_ref().is_some_and(|owner| {
            owner.kind == foreign.system.kind || owner.kind == FileKind::Hookyard && reads_hookyard
        });
        if lets_go {
            return Ok(());
        }
        let (setting, uid) = (foreign.system.key.name, &application.uid);
        let owner = owner.map_or_else(|| "the API".to_owned(), |owner| owner.file);
        Err(Failure::configuration(format_args!("`{setting}`: application `{uid}` is already declared by {owner}")))
    }

    async fn import_foreign(&self, foreign: &Foreign) -> Result<ImportReport, Failure> {
        self.put(foreign.import(&self.ids, self.clock.now())).await
    }

    async fn put(&self, import: Import) -> Result<ImportReport, Failure> {
        let file = import.file.clone();
        let imported = self.store.import(import).await.context("the file's rows cannot be imported")?;
        imported.map_err(|error| Failure::configuration(format_args!("{file}: {error}")))
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

fn tell(what: &str, file: &str, report: ImportReport) {
    let ImportReport { created, updated, archived, unchanged } = report;
    tracing::info!(file, created, updated, archived, unchanged, "{what}");
}

fn add(total: &mut ImportReport, report: ImportReport) {
    total.created += report.created;
    total.updated += report.updated;
    total.archived += report.archived;
    total.unchanged += report.unchanged;
}
