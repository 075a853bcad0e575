//! Writes new forms of endpoints: what they are set to, and whether they are on.

use std::sync::Arc;

use hookyard_model::{
    ApplicationId, Declaration, Endpoint, EndpointId, EndpointSettings, EndpointStatus, Revision, Timestamp,
};
use hookyard_ports::store::StatusChange;
use hookyard_record::seal_settings;
use rusqlite::params;

use crate::books::Books;
use crate::column::int;
use crate::configuration::{self, place, status_columns};
use crate::fault::{Attempted, Fault};
use crate::writer::{Deed, Run};

/// Enables or disables an endpoint.
pub(crate) struct ChangeStatus {
    pub(crate) endpoint: EndpointId,
    pub(crate) change: StatusChange,
    pub(crate) now: Timestamp,
}

impl Deed for ChangeStatus {
    type Answer = Option<Arc<Endpoint>>;

    fn run(&self, books: &mut Books<'_>) -> Run<Option<Arc<Endpoint>>> {
        let found = books.endpoint(self.endpoint)?.filter(|endpoint| !endpoint.is_archived());
        let Some(present) = found else { return Ok(Ok(None)) };
        let (status, failing_since) = match self.change {
            StatusChange::Enable => (EndpointStatus::Enabled, None),
            StatusChange::Disable(reason) => {
                (EndpointStatus::Disabled { since: self.now, reason }, present.failing_since)
            }
        };
        change(books, self.endpoint, &status, failing_since, self.now)?;
        let changed = configuration::endpoint(books.connection, &books.shared, self.endpoint)?;
        Ok(Ok(changed.map(|(_, endpoint)| endpoint)))
    }
}

/// Gives an endpoint another status, and its application a new revision.
pub(super) fn change(
    books: &mut Books<'_>,
    id: EndpointId,
    status: &EndpointStatus,
    failing_since: Option<Timestamp>,
    now: Timestamp,
) -> Attempted<()> {
    let found = configuration::endpoint(books.connection, &books.shared, id)?;
    let (row, endpoint) = found.ok_or_else(|| Fault::corrupt("endpoint", "id", id))?;
    let revision = new_revision(books, endpoint.application)?;
    let form = Form { settings: &endpoint.settings, status, declared: endpoint.declared.as_ref() };
    write_form(books, row, id, revision, &form, failing_since, now)
}

/// The next revision of an application, written.
pub(super) fn new_revision(books: &mut Books<'_>, application: ApplicationId) -> Attempted<Revision> {
    let mut statement = books
        .connection
        .prepare_cached("UPDATE application SET revision = revision + 1 WHERE id = ?1 RETURNING revision")?;
    let revision: i64 = statement.query_row([application.raw().as_bytes()], |row| row.get(0))?;
    books.forget_application(application);
    Ok(Revision(revision.unsigned_abs()))
}

/// What makes a form of an endpoint.
pub(super) struct Form<'a> {
    pub(super) settings: &'a EndpointSettings,
    pub(super) status: &'a EndpointStatus,
    pub(super) declared: Option<&'a Declaration>,
}

/// Makes this the present form of an endpoint that exists.
pub(super) fn write_form(
    books: &mut Books<'_>,
    row: i64,
    id: EndpointId,
    revision: Revision,
    form: &Form<'_>,
    failing_since: Option<Timestamp>,
    now: Timestamp,
) -> Attempted<()> {
    let (status, reason, since) = status_columns(form.status);
    let kind = form.declared.map(|declared| declared.kind.as_str());
    let file = form.declared.map(|declared| &declared.file);
    let mut update = books.connection.prepare_cached(
        "UPDATE endpoint SET revision = ?2, status = ?3, reason = ?4, since = ?5, failing_since = ?6, \
         declared_kind = ?7, declared_file = ?8, updated = ?9 WHERE row = ?1",
    )?;
    update.execute(params![
        row,
        int(revision.0),
        status,
        reason,
        since,
        failing_since.map(Timestamp::as_micros),
        kind,
        file,
        now.as_micros()
    ])?;
    let raw = id.raw();
    let shared = &books.shared;
    let settings = seal_settings(form.settings, &shared.keyring, &place(raw.as_bytes(), revision), &*shared.rng);
    // Two changes in one revision are one form: the last.
    let mut insert = books.connection.prepare_cached(
        "INSERT OR REPLACE INTO endpoint_revision (endpoint, revision, status, reason, since, declared_kind, \
         declared_file, updated, settings) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    insert.execute(params![row, int(revision.0), status, reason, since, kind, file, now.as_micros(), settings])?;
    books.endpoint_changed(id);
    Ok(())
}
