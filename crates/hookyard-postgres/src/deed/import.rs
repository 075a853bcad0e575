//! Makes the rows of several file kinds what their files say.

use std::collections::{BTreeMap, BTreeSet};

use hookyard_model::{
    Application, ApplicationId, Declaration, Endpoint, EndpointId, EndpointStatus, Revision, Timestamp, Uid,
};
use hookyard_ports::store::{Import, ImportApplication, ImportEndpoint, ImportError, ImportReport, refuse_taken};
use tokio_postgres::types::Type;

use super::status::{Form, say_changed, write_forms};
use crate::column::{Columns, Id, int, text};
use crate::configuration::{
    APPLICATIONS, APPLICATIONS_BY_UID, ENDPOINTS, applications, applications_of, endpoints_to_write, status_columns,
};
use crate::fault::Attempted;
use crate::lock::{self, Use};
use crate::node::Deed;
use crate::transaction::Tx;

/// A new application.
pub(crate) const INSERT_APPLICATION: &str = "INSERT INTO @application (id, organisation, uid, name, metadata, rate_limit, \
    require_https, declared_kind, declared_file, revision, created, updated) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
/// An application's own fields.
pub(crate) const UPDATE_APPLICATION: &str = "UPDATE @application SET name = $2, metadata = $3, rate_limit = $4, \
    require_https = $5, declared_kind = $6, declared_file = $7, updated = $8, archived = $9 WHERE id = $1";
/// An application's revision.
pub(crate) const SET_REVISION: &str = "UPDATE @application SET revision = $2 WHERE id = $1";
/// New endpoints, whose forms are written next.
pub(crate) const INSERT_ENDPOINTS: &str = "INSERT INTO @endpoint (id, application, uid, revision, status, reason, since, \
    created, updated, declared_disabled) SELECT id, $2, uid, $4, status, reason, since, $8, $8, disabled \
    FROM unnest($1, $3, $5, $6, $7, $9) AS n(id, uid, status, reason, since, disabled)";
/// What the file last said about an application's endpoints: whether they are switched off.
pub(crate) const LAST_DECLARED: &str =
    "SELECT id, declared_disabled FROM @endpoint WHERE application = $1 AND status <> 2";
/// What the file says about endpoints.
pub(crate) const REMEMBER_DECLARED: &str = "UPDATE @endpoint e SET declared_disabled = n.disabled \
    FROM unnest($1, $2) AS n(id, disabled) WHERE e.id = n.id";

impl Deed for Vec<Import> {
    type Answer = Result<Vec<ImportReport>, ImportError>;

    async fn run(&self, tx: &Tx) -> Attempted<Self::Answer> {
        lock::imports(tx).await?;
        let (mut concerned, mut present) = (BTreeSet::new(), BTreeMap::new());
        for import in self {
            concerned.extend(import.declared_before(tx).await?.iter().map(|application| application.id));
            for (uid, application) in import.present(tx).await? {
                concerned.insert(application.id);
                present.insert((import.organisation, uid), application);
            }
        }
        // Who has them cannot change under the lock of imports; how they stand can, until theirs is held.
        if let Err(taken) = refuse_taken(self, |organisation, uid| present.get(&(organisation, uid.clone()))) {
            return Ok(Err(taken));
        }
        lock::applications(tx, concerned, Use::Exclusive).await?;
        let (mut reports, mut changed) = (Vec::with_capacity(self.len()), Vec::new());
        for import in self {
            let (report, endpoints) = import.run_one(tx).await?;
            reports.push(report);
            changed.extend(endpoints);
        }
        if let Some(last) = self.last() {
            say_changed(tx, &changed, last.now).await?;
        }
        Ok(Ok(reports))
    }
}

/// A text as it is kept: what is compared must be what is stored.
fn kept(given: &str) -> String {
    text(given)
}

trait Declares {
    fn is_ours(&self, application: &Application) -> bool;
    fn declared_before(&self, tx: &Tx) -> impl Future<Output = Attempted<Vec<Application>>> + Send;
    fn present(&self, tx: &Tx) -> impl Future<Output = Attempted<BTreeMap<Uid, Application>>> + Send;
    fn run_one(&self, tx: &Tx) -> impl Future<Output = Attempted<(ImportReport, Vec<EndpointId>)>> + Send;
}

impl Declares for Import {
    fn is_ours(&self, application: &Application) -> bool {
        application.declared.as_ref().is_some_and(|owner| owner.kind == self.kind)
    }

    /// The applications that are not archived and that this kind declared.
    async fn declared_before(&self, tx: &Tx) -> Attempted<Vec<Application>> {
        let mut applications = applications_of(tx, APPLICATIONS, self.organisation, None, usize::MAX).await?;
        applications.retain(|application| self.is_ours(application));
        Ok(applications)
    }

    /// The applications that have the uids of this file, whoever declared them.
    async fn present(&self, tx: &Tx) -> Attempted<BTreeMap<Uid, Application>> {
        let organisation = Id(self.organisation.raw());
        let uids: Vec<&str> = self.applications.iter().map(|declared| declared.uid.as_str()).collect();
        let parameters: [crate::column::Parameter<'_>; 2] = [(&organisation, Type::BYTEA), (&uids, Type::TEXT_ARRAY)];
        let found = applications(tx, APPLICATIONS_BY_UID, &parameters).await?;
        Ok(found.into_iter().filter_map(|application| Some((application.uid.clone()?, application))).collect())
    }

    /// Makes the rows of one file kind what the file says, whose applications are free for it and held; tells which
    /// endpoints changed.
    async fn run_one(&self, tx: &Tx) -> Attempted<(ImportReport, Vec<EndpointId>)> {
        let before = self.declared_before(tx).await?;
        let present = self.present(tx).await?;
        let mut work = Work {
            import: self,
            tx,
            declaration: Declaration { kind: self.kind, file: self.file.clone() },
            report: ImportReport::default(),
            changed: Vec::new(),
            writes: Writes::default(),
        };
        let mut kept = BTreeSet::new();
        for declared in &self.applications {
            kept.insert(work.application(declared, present.get(&declared.uid)).await?);
        }
        for application in before {
            if !kept.contains(&application.id) {
                work.archive(application).await?;
            }
        }
        Ok((work.report, work.changed))
    }
}

struct Work<'i> {
    import: &'i Import,
    tx: &'i Tx,
    declaration: Declaration,
    report: ImportReport,
    changed: Vec<EndpointId>,
    writes: Writes,
}

/// What is written of one application's endpoints, all at once: a file may declare thousands.
#[derive(Default)]
struct Writes {
    new: Vec<New>,
    forms: Vec<Form>,
    said: Vec<(Id, bool)>,
}

/// A new endpoint.
struct New {
    id: Id,
    uid: String,
    status: (i16, Option<i16>, Option<i64>),
    disabled: bool,
}

impl Work<'_> {
    fn count(&mut self, existed: bool, differs: bool) {
        match (existed, differs) {
            (false, _) => self.report.created += 1,
            (true, true) => self.report.updated += 1,
            (true, false) => self.report.unchanged += 1,
        }
    }

    async fn endpoints_of(&self, application: ApplicationId) -> Attempted<Vec<Endpoint>> {
        endpoints_to_write(self.tx, ENDPOINTS, &[(&Id(application.raw()), Type::BYTEA)]).await
    }

    async fn last_declared(&self, application: ApplicationId) -> Attempted<BTreeMap<EndpointId, bool>> {
        let mut said = BTreeMap::new();
        for row in self.tx.query(LAST_DECLARED, &[(&Id(application.raw()), Type::BYTEA)]).await? {
            let columns = Columns::new("endpoint", &row);
            if let Some(disabled) = columns.get(1, "declared_disabled")? {
                said.insert(EndpointId::from_raw(columns.id(0, "id")?), disabled);
            }
        }
        Ok(said)
    }

    /// Writes what is gathered of an application's endpoints.
    async fn flush(&mut self, application: ApplicationId, revision: Revision) -> Attempted<()> {
        let Writes { new, forms, said } = std::mem::take(&mut self.writes);
        if !new.is_empty() {
            let ids: Vec<Id> = new.iter().map(|new| new.id).collect();
            let uids: Vec<&str> = new.iter().map(|new| new.uid.as_str()).collect();
            let statuses: Vec<i16> = new.iter().map(|new| new.status.0).collect();
            let reasons: Vec<Option<i16>> = new.iter().map(|new| new.status.1).collect();
            let since: Vec<Option<i64>> = new.iter().map(|new| new.status.2).collect();
            let disabled: Vec<bool> = new.iter().map(|new| new.disabled).collect();
            let (application, revision) = (Id(application.raw()), int(revision.0));
            let parameters: [crate::column::Parameter<'_>; 9] = [
                (&ids, Type::BYTEA_ARRAY),
                (&application, Type::BYTEA),
                (&uids, Type::TEXT_ARRAY),
                (&revision, Type::INT8),
                (&statuses, Type::INT2_ARRAY),
                (&reasons, Type::INT2_ARRAY),
                (&since, Type::INT8_ARRAY),
                (&self.import.now.as_micros(), Type::INT8),
                (&disabled, Type::BOOL_ARRAY),
            ];
            let inserted = self.tx.execute(INSERT_ENDPOINTS, &parameters).await;
            inserted.map_err(|fault| fault.or_conflict("endpoint id"))?;
        }
        if !said.is_empty() {
            let (ids, disabled): (Vec<Id>, Vec<bool>) = said.into_iter().unzip();
            let parameters: [crate::column::Parameter<'_>; 2] =
                [(&ids, Type::BYTEA_ARRAY), (&disabled, Type::BOOL_ARRAY)];
            self.tx.execute(REMEMBER_DECLARED, &parameters).await?;
        }
        write_forms(self.tx, &forms, self.import.now).await
    }

    /// Makes an application what the file says, and gives its id.
    async fn application(
        &mut self,
        declared: &ImportApplication,
        present: Option<&Application>,
    ) -> Attempted<ApplicationId> {
        let now = self.import.now;
        let revision = Revision(present.map_or(1, |old| old.revision.0 + 1));
        let mut form = Application {
            id: declared.id,
            organisation: self.import.organisation,
            uid: Some(declared.uid.clone()),
            name: kept(&declared.name),
            metadata: declared.metadata.clone(),
            rate_limit: declared.rate_limit,
            require_https: declared.require_https,
            declared: Some(Declaration { file: kept(&self.declaration.file), ..self.declaration.clone() }),
            revision,
            created: now,
            updated: now,
            archived: None,
        };
        let row_differs = match present {
            None => {
                self.insert_application(&form).await?;
                true
            }
            Some(old) => {
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
                    self.update_application(&form).await?;
                }
                differs
            }
        };
        self.count(present.is_some(), row_differs);
        let differs = self.endpoints(declared, form.id, revision).await? || row_differs;
        self.flush(form.id, revision).await?;
        if differs && present.is_some() {
            self.set_revision(form.id, revision).await?;
        }
        if row_differs && present.is_some() {
            // What is sent may depend on the application's own fields, so its endpoints count as changed too.
            self.changed.extend(self.endpoints_of(form.id).await?.iter().map(|endpoint| endpoint.id));
        }
        Ok(form.id)
    }

    /// Makes an application's endpoints what the file says. Whether any of them differs.
    async fn endpoints(
        &mut self,
        declared: &ImportApplication,
        application: ApplicationId,
        revision: Revision,
    ) -> Attempted<bool> {
        let present = self.endpoints_of(application).await?;
        let said = self.last_declared(application).await?;
        let by_uid: BTreeMap<&Uid, &Endpoint> =
            present.iter().filter_map(|old| Some((old.uid.as_ref()?, old))).collect();
        let mut differs = false;
        for endpoint in &declared.endpoints {
            let old = by_uid.get(&endpoint.uid).copied();
            let last = old.and_then(|old| said.get(&old.id).copied());
            if let Some(old) = old
                && last != Some(endpoint.disabled)
            {
                self.writes.said.push((Id(old.id.raw()), endpoint.disabled));
            }
            let changed = self.endpoint(endpoint, application, (old, last), revision);
            self.count(old.is_some(), changed);
            differs |= changed;
        }
        let declared: BTreeSet<&Uid> = declared.endpoints.iter().map(|endpoint| &endpoint.uid).collect();
        for old in &present {
            let stays = old.uid.as_ref().is_some_and(|uid| declared.contains(uid));
            if !stays && old.declared.as_ref().is_some_and(|owner| owner.kind == self.import.kind) {
                self.archive_endpoint(old, revision);
                differs = true;
            }
        }
        Ok(differs)
    }

    /// Makes an endpoint what the file says. Whether it differs.
    fn endpoint(
        &mut self,
        declared: &ImportEndpoint,
        application: ApplicationId,
        (old, last): (Option<&Endpoint>, Option<bool>),
        revision: Revision,
    ) -> bool {
        let now = self.import.now;
        let (status, failing_since) = declared.status_after(old, last, now);
        let declaration = Declaration { file: kept(&self.declaration.file), ..self.declaration.clone() };
        let id = match old {
            None => {
                self.writes.new.push(New {
                    id: Id(declared.id.raw()),
                    uid: declared.uid.as_str().to_owned(),
                    status: status_columns(&status),
                    disabled: declared.disabled,
                });
                declared.id
            }
            Some(old) => {
                let form = Endpoint {
                    application,
                    settings: std::sync::Arc::clone(&declared.settings),
                    status: status.clone(),
                    failing_since,
                    declared: Some(declaration.clone()),
                    ..Endpoint::clone(old)
                };
                if form == *old {
                    return false;
                }
                old.id
            }
        };
        let form = Form::new(self.tx, (id, revision), &declared.settings, &status, Some(&declaration));
        self.writes.forms.push(form.noting(failing_since));
        self.changed.push(id);
        true
    }

    /// Archives an application that left the file, with all its endpoints.
    async fn archive(&mut self, application: Application) -> Attempted<()> {
        let revision = Revision(application.revision.0 + 1);
        let archived = Application { archived: Some(self.import.now), updated: self.import.now, ..application };
        self.update_application(&archived).await?;
        self.set_revision(archived.id, revision).await?;
        self.report.archived += 1;
        for endpoint in self.endpoints_of(archived.id).await? {
            self.archive_endpoint(&endpoint, revision);
        }
        self.flush(archived.id, revision).await
    }

    fn archive_endpoint(&mut self, endpoint: &Endpoint, revision: Revision) {
        let status = EndpointStatus::Archived { since: self.import.now };
        let declared = endpoint.declared.as_ref();
        let form = Form::new(self.tx, (endpoint.id, revision), &endpoint.settings, &status, declared);
        self.writes.forms.push(form.noting(endpoint.failing_since));
        self.report.archived += 1;
        self.changed.push(endpoint.id);
    }

    async fn insert_application(&self, form: &Application) -> Attempted<()> {
        let declared = form.declared.as_ref();
        let inserted = self
            .tx
            .execute(
                INSERT_APPLICATION,
                &[
                    (&Id(form.id.raw()), Type::BYTEA),
                    (&Id(form.organisation.raw()), Type::BYTEA),
                    (&form.uid.as_ref().map(Uid::as_str), Type::TEXT),
                    (&form.name, Type::TEXT),
                    (&metadata(form), Type::TEXT),
                    (&form.rate_limit.map(|rate| rate.to_string()), Type::TEXT),
                    (&form.require_https, Type::BOOL),
                    (&declared.map(|declared| declared.kind.as_str()), Type::TEXT),
                    (&declared.map(|declared| declared.file.as_str()), Type::TEXT),
                    (&int(form.revision.0), Type::INT8),
                    (&form.created.as_micros(), Type::INT8),
                    (&form.updated.as_micros(), Type::INT8),
                ],
            )
            .await;
        inserted.map(drop).map_err(|fault| fault.or_conflict("application id"))
    }

    async fn update_application(&self, form: &Application) -> Attempted<()> {
        let declared = form.declared.as_ref();
        self.tx
            .execute(
                UPDATE_APPLICATION,
                &[
                    (&Id(form.id.raw()), Type::BYTEA),
                    (&form.name, Type::TEXT),
                    (&metadata(form), Type::TEXT),
                    (&form.rate_limit.map(|rate| rate.to_string()), Type::TEXT),
                    (&form.require_https, Type::BOOL),
                    (&declared.map(|declared| declared.kind.as_str()), Type::TEXT),
                    (&declared.map(|declared| declared.file.as_str()), Type::TEXT),
                    (&form.updated.as_micros(), Type::INT8),
                    (&form.archived.map(Timestamp::as_micros), Type::INT8),
                ],
            )
            .await
            .map(drop)
    }

    async fn set_revision(&self, id: ApplicationId, revision: Revision) -> Attempted<()> {
        let (id, revision) = (Id(id.raw()), int(revision.0));
        self.tx.execute(SET_REVISION, &[(&id, Type::BYTEA), (&revision, Type::INT8)]).await.map(drop)
    }
}

fn metadata(application: &Application) -> Option<String> {
    (!application.metadata.is_empty())
        .then(|| serde_json::to_string(&application.metadata).expect("pairs of texts have a JSON form"))
}
