//! Makes the rows of several file kinds what their files say.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hookyard_model::{
    Application, ApplicationId, Declaration, Endpoint, EndpointStatus, FileKind, Revision, Timestamp, Uid,
};
use hookyard_ports::store::{Import, ImportApplication, ImportEndpoint, ImportError, ImportReport, refuse_taken};
use rusqlite::params;

use super::status::{Form, write_form};
use crate::books::Books;
use crate::column::int;
use crate::configuration::{self, status_columns};
use crate::fault::{Attempted, Fault};
use crate::writer::{Deed, Run};

impl Deed for Vec<Import> {
    type Answer = Result<Vec<ImportReport>, ImportError>;

    fn run(&self, books: &mut Books<'_>) -> Run<Self::Answer> {
        let mut present = HashMap::new();
        for import in self {
            for declared in &import.applications {
                if let Some((_, found)) = by_uid(books, import, &declared.uid)? {
                    present.insert((import.organisation, declared.uid.clone()), found);
                }
            }
        }
        let free = refuse_taken(self, |organisation, uid| present.get(&(organisation, uid.clone())));
        if let Err(taken) = free {
            return Ok(Ok(Err(taken)));
        }
        let reports = self.iter().map(|import| run(import, books)).collect::<Attempted<_>>()?;
        Ok(Ok(Ok(reports)))
    }
}

/// Makes the rows of one file kind what the file says, whose applications are free for it.
fn run(import: &Import, books: &mut Books<'_>) -> Attempted<ImportReport> {
    let declaration = Declaration { kind: import.kind, file: import.file.clone() };
    let mut work = Work { import, declaration, report: ImportReport::default() };
    let mut kept = BTreeSet::new();
    for declared in &import.applications {
        let present = by_uid(books, import, &declared.uid)?;
        kept.insert(work.application(books, declared, present.as_ref())?);
    }
    for (row, application) in declared_before(books, import)? {
        if !kept.contains(&application.id) {
            work.archive(books, row, application)?;
        }
    }
    Ok(work.report)
}

/// The application that has a uid and is not archived, whoever declared it.
fn by_uid(books: &Books<'_>, import: &Import, uid: &Uid) -> Attempted<Option<(i64, Application)>> {
    let organisation = import.organisation.raw();
    let by_uid = params![organisation.as_bytes(), uid.as_str()];
    configuration::application(books.connection, configuration::APPLICATION_BY_UID, by_uid)
}

fn is_of(application: &Application, kind: FileKind) -> bool {
    application.declared.as_ref().is_some_and(|owner| owner.kind == kind)
}

/// The applications that are not archived and that this kind declared.
fn declared_before(books: &Books<'_>, import: &Import) -> Attempted<Vec<(i64, Application)>> {
    let mut applications = configuration::applications(
        books.connection,
        configuration::APPLICATIONS,
        import.organisation,
        None,
        usize::MAX,
    )?;
    applications.retain(|(_, application)| is_of(application, import.kind));
    Ok(applications)
}

struct Work<'i> {
    import: &'i Import,
    declaration: Declaration,
    report: ImportReport,
}

impl Work<'_> {
    fn count(&mut self, existed: bool, differs: bool) {
        match (existed, differs) {
            (false, _) => self.report.created += 1,
            (true, true) => self.report.updated += 1,
            (true, false) => self.report.unchanged += 1,
        }
    }

    /// Makes an application what the file says, and gives its id.
    fn application(
        &mut self,
        books: &mut Books<'_>,
        declared: &ImportApplication,
        present: Option<&(i64, Application)>,
    ) -> Attempted<ApplicationId> {
        let now = self.import.now;
        let revision = Revision(present.map_or(1, |(_, old)| old.revision.0 + 1));
        let mut form = Application {
            id: declared.id,
            organisation: self.import.organisation,
            uid: Some(declared.uid.clone()),
            name: declared.name.clone(),
            metadata: declared.metadata.clone(),
            rate_limit: declared.rate_limit,
            require_https: declared.require_https,
            declared: Some(self.declaration.clone()),
            revision,
            created: now,
            updated: now,
            archived: None,
        };
        let (row, row_differs) = match present {
            None => (insert_application(books, &form)?, true),
            Some((row, old)) => {
                form = Application {
                    id: old.id,
                    revision: old.revision,
                    created: old.created,
                    updated: old.updated,
                    ..form
                };
                let differs = form != *old;
                if differs {
                    form.updated = now;
                    update_application(books, *row, &form)?;
                }
                (*row, differs)
            }
        };
        self.count(present.is_some(), row_differs);
        books.remember(form.id.raw());
        let differs = self.endpoints(books, declared, row, form.id, revision)? || row_differs;
        if differs {
            set_revision(books, row, form.id, revision)?;
        }
        if row_differs && present.is_some() {
            // What is sent may depend on the application's own fields, so its endpoints count as changed too.
            let endpoints = configuration::endpoints(books.connection, &books.shared, configuration::ENDPOINTS, [row])?;
            books.changed.extend(endpoints.iter().map(|(_, endpoint)| endpoint.id));
        }
        Ok(form.id)
    }

    /// Makes an application's endpoints what the file says. Whether any of them differs.
    fn endpoints(
        &mut self,
        books: &mut Books<'_>,
        declared: &ImportApplication,
        row: i64,
        application: ApplicationId,
        revision: Revision,
    ) -> Attempted<bool> {
        let present = configuration::endpoints(books.connection, &books.shared, configuration::ENDPOINTS, [row])?;
        let by_uid: HashMap<&Uid, _> =
            present.iter().filter_map(|found| found.1.uid.as_ref().map(|uid| (uid, found))).collect();
        let named: HashSet<&Uid> = declared.endpoints.iter().map(|endpoint| &endpoint.uid).collect();
        let mut differs = false;
        for endpoint in &declared.endpoints {
            let old = by_uid.get(&endpoint.uid).copied();
            let changed = self.endpoint(books, endpoint, (row, application), old, revision)?;
            self.count(old.is_some(), changed);
            differs |= changed;
        }
        for (row, old) in &present {
            let stays = old.uid.as_ref().is_some_and(|uid| named.contains(uid));
            if !stays && old.declared.as_ref().is_some_and(|owner| owner.kind == self.import.kind) {
                self.archive_endpoint(books, *row, old, revision)?;
                differs = true;
            }
        }
        Ok(differs)
    }

    fn endpoint(
        &self,
        books: &mut Books<'_>,
        declared: &ImportEndpoint,
        (application_row, application): (i64, ApplicationId),
        old: Option<&(i64, Arc<Endpoint>)>,
        revision: Revision,
    ) -> Attempted<bool> {
        let now = self.import.now;
        let last = match old {
            Some((row, _)) => last_declared(books, *row)?,
            None => None,
        };
        let (status, failing_since) = declared.status_after(old.map(|(_, old)| &**old), last, now);
        books.remember(declared.id.raw());
        let row = match old {
            None => insert_endpoint(books, declared, application_row, revision, &status, now)?,
            Some((row, old)) => {
                let form = Endpoint {
                    application,
                    settings: Arc::clone(&declared.settings),
                    status: status.clone(),
                    failing_since,
                    declared: Some(self.declaration.clone()),
                    ..Endpoint::clone(old)
                };
                if last != Some(declared.disabled) {
                    remember_declared(books, *row, declared.disabled)?;
                }
                if form == **old {
                    return Ok(false);
                }
                *row
            }
        };
        let id = old.map_or(declared.id, |(_, old)| old.id);
        let form = Form { settings: &declared.settings, status: &status, declared: Some(&self.declaration) };
        write_form(books, row, id, revision, &form, failing_since, now)?;
        Ok(true)
    }

    /// Archives an application that left the file, with all its endpoints.
    fn archive(&mut self, books: &mut Books<'_>, row: i64, application: Application) -> Attempted<()> {
        let revision = Revision(application.revision.0 + 1);
        let archived = Application { archived: Some(self.import.now), updated: self.import.now, ..application };
        update_application(books, row, &archived)?;
        set_revision(books, row, archived.id, revision)?;
        self.report.archived += 1;
        let endpoints = configuration::endpoints(books.connection, &books.shared, configuration::ENDPOINTS, [row])?;
        endpoints.iter().try_for_each(|(row, endpoint)| self.archive_endpoint(books, *row, endpoint, revision))
    }

    fn archive_endpoint(
        &mut self,
        books: &mut Books<'_>,
        row: i64,
        endpoint: &Endpoint,
        revision: Revision,
    ) -> Attempted<()> {
        let now = self.import.now;
        let status = EndpointStatus::Archived { since: now };
        let form = Form { settings: &endpoint.settings, status: &status, declared: endpoint.declared.as_ref() };
        self.report.archived += 1;
        write_form(books, row, endpoint.id, revision, &form, endpoint.failing_since, now)
    }
}

fn metadata(application: &Application) -> Option<String> {
    (!application.metadata.is_empty())
        .then(|| serde_json::to_string(&application.metadata).expect("pairs of texts have a JSON form"))
}

fn insert_application(books: &Books<'_>, form: &Application) -> Attempted<i64> {
    let mut statement = books.connection.prepare_cached(
        "INSERT INTO application (id, organisation, uid, name, metadata, rate_limit, require_https, declared_kind, \
         declared_file, revision, created, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let inserted = statement.insert(params![
        form.id.raw().as_bytes(),
        form.organisation.raw().as_bytes(),
        form.uid.as_ref().map(hookyard_model::Uid::as_str),
        form.name,
        metadata(form),
        form.rate_limit.map(|rate| rate.to_string()),
        form.require_https,
        form.declared.as_ref().map(|declared| declared.kind.as_str()),
        form.declared.as_ref().map(|declared| &declared.file),
        int(form.revision.0),
        form.created.as_micros(),
        form.updated.as_micros(),
    ]);
    inserted.map_err(|error| Fault::or_conflict(error, "application id"))
}

fn update_application(books: &Books<'_>, row: i64, form: &Application) -> Attempted<()> {
    let mut statement = books.connection.prepare_cached(
        "UPDATE application SET name = ?2, metadata = ?3, rate_limit = ?4, require_https = ?5, declared_kind = ?6, \
         declared_file = ?7, updated = ?8, archived = ?9 WHERE row = ?1",
    )?;
    statement.execute(params![
        row,
        form.name,
        metadata(form),
        form.rate_limit.map(|rate| rate.to_string()),
        form.require_https,
        form.declared.as_ref().map(|declared| declared.kind.as_str()),
        form.declared.as_ref().map(|declared| &declared.file),
        form.updated.as_micros(),
        form.archived.map(Timestamp::as_micros),
    ])?;
    Ok(())
}

fn set_revision(books: &mut Books<'_>, row: i64, id: ApplicationId, revision: Revision) -> Attempted<()> {
    let mut statement = books.connection.prepare_cached("UPDATE application SET revision = ?2 WHERE row = ?1")?;
    statement.execute([row, int(revision.0)])?;
    books.forget_application(id);
    Ok(())
}

fn insert_endpoint(
    books: &Books<'_>,
    declared: &ImportEndpoint,
    application: i64,
    revision: Revision,
    status: &EndpointStatus,
    now: Timestamp,
) -> Attempted<i64> {
    let (status, reason, since) = status_columns(status);
    let mut statement = books.connection.prepare_cached(
        "INSERT INTO endpoint (id, application, uid, revision, status, reason, since, created, updated, \
         declared_disabled) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)",
    )?;
    let inserted = statement.insert(params![
        declared.id.raw().as_bytes(),
        application,
        declared.uid.as_str(),
        int(revision.0),
        status,
        reason,
        since,
        now.as_micros(),
        declared.disabled,
    ]);
    inserted.map_err(|error| Fault::or_conflict(error, "endpoint id"))
}

/// What the file last said about an endpoint: whether it is switched off.
fn last_declared(books: &Books<'_>, row: i64) -> Attempted<Option<bool>> {
    let mut statement = books.connection.prepare_cached("SELECT declared_disabled FROM endpoint WHERE row = ?1")?;
    Ok(statement.query_row([row], |row| row.get(0))?)
}

fn remember_declared(books: &Books<'_>, row: i64, disabled: bool) -> Attempted<()> {
    let mut statement = books.connection.prepare_cached("UPDATE endpoint SET declared_disabled = ?2 WHERE row = ?1")?;
    statement.execute(params![row, disabled])?;
    Ok(())
}
