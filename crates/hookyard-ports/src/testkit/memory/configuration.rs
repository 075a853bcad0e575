//! Applications and endpoints: every form an endpoint ever had, and what changed when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hookyard_model::{
    Application, ApplicationId, Declaration, Endpoint, EndpointChange, EndpointId, EndpointStatus, OrganisationId,
    Revision, Timestamp, Uid,
};

use crate::store::{Import, ImportApplication, ImportReport, Result, StatusChange, StoreError};

/// What fan-out sees, of all applications.
#[derive(Debug, Clone, Default)]
pub(super) struct Configuration {
    applications: BTreeMap<ApplicationId, Application>,
    /// The forms of each endpoint, the present one last.
    endpoints: BTreeMap<EndpointId, Vec<Arc<Endpoint>>>,
    /// What its file last said about each declared endpoint: whether it is switched off.
    declared_disabled: BTreeMap<EndpointId, bool>,
    /// At which cursor each endpoint changed last.
    changed: BTreeMap<EndpointId, u64>,
    cursor: u64,
}

impl Configuration {
    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(super) fn changed_after(&self, cursor: u64) -> Vec<EndpointId> {
        self.changed.iter().filter(|(_, at)| **at > cursor).map(|(id, _)| *id).collect()
    }

    /// An application that is not archived.
    pub(super) fn live(&self, id: ApplicationId) -> Option<&Application> {
        self.applications.get(&id).filter(|application| application.archived.is_none())
    }

    pub(super) fn live_by_uid(&self, organisation: OrganisationId, uid: &Uid) -> Option<&Application> {
        self.live_of(organisation).find(|application| application.uid.as_ref() == Some(uid))
    }

    /// An organisation's applications that are not archived, by id.
    pub(super) fn live_of(&self, organisation: OrganisationId) -> impl Iterator<Item = &Application> {
        self.applications.values().filter(move |row| row.organisation == organisation && row.archived.is_none())
    }

    /// An organisation's applications that are archived, by id.
    pub(super) fn archived_of(&self, organisation: OrganisationId) -> impl Iterator<Item = &Application> {
        self.applications.values().filter(move |row| row.organisation == organisation && row.archived.is_some())
    }

    /// An endpoint in its present form.
    pub(super) fn endpoint(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(&id)?.last()
    }

    /// An endpoint in its present form, unless it is archived.
    pub(super) fn live_endpoint(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.endpoint(id).filter(|endpoint| !matches!(endpoint.status, EndpointStatus::Archived { .. }))
    }

    /// An endpoint in its present form, if it is sent to.
    pub(super) fn enabled_endpoint(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.endpoint(id).filter(|endpoint| endpoint.status == EndpointStatus::Enabled)
    }

    /// The endpoints of an application as they were at `revision`, archived ones not.
    pub(super) fn endpoints_at(&self, application: ApplicationId, revision: Revision) -> Vec<Arc<Endpoint>> {
        let form_of_then = |forms: &Vec<Arc<Endpoint>>| {
            forms.iter().rfind(|form| form.application == application && form.revision <= revision).cloned()
        };
        let forms = self.endpoints.values().filter_map(form_of_then);
        forms.filter(|form| !matches!(form.status, EndpointStatus::Archived { .. })).collect()
    }

    fn bump(&mut self, application: ApplicationId) -> Revision {
        let row = self.applications.get_mut(&application).expect("every endpoint's application is stored");
        row.revision = Revision(row.revision.0 + 1);
        row.revision
    }

    /// Adds a form of an endpoint.
    fn put(&mut self, endpoint: Endpoint) {
        self.cursor += 1;
        self.changed.insert(endpoint.id, self.cursor);
        self.endpoints.entry(endpoint.id).or_default().push(Arc::new(endpoint));
    }

    /// Gives every form of an application's endpoints its pairs. What is sent may depend on the application's own fields,
    /// so its endpoints count as changed too.
    fn set_metadata(&mut self, application: ApplicationId, metadata: &Arc<BTreeMap<String, String>>) {
        for (id, forms) in &mut self.endpoints {
            if forms.last().is_none_or(|form| form.application != application) {
                continue;
            }
            for form in forms {
                Arc::make_mut(form).application_metadata = Arc::clone(metadata);
            }
            self.cursor += 1;
            self.changed.insert(*id, self.cursor);
        }
    }

    pub(super) fn change_status(
        &mut self,
        id: EndpointId,
        change: StatusChange,
        now: Timestamp,
    ) -> Option<Arc<Endpoint>> {
        let mut form = Endpoint::clone(self.live_endpoint(id)?);
        match change {
            StatusChange::Enable => {
                form.status = EndpointStatus::Enabled;
                form.failing_since = None;
            }
            StatusChange::Disable(reason) => form.status = EndpointStatus::Disabled { since: now, reason },
        }
        form.revision = self.bump(form.application);
        form.updated = now;
        self.put(form);
        self.endpoint(id).cloned()
    }

    /// Does what an attempt did to its endpoint.
    pub(super) fn change(&mut self, id: EndpointId, change: EndpointChange) {
        if self.live_endpoint(id).is_none() {
            return;
        }
        match change {
            EndpointChange::Failing { since } => {
                let noted = self.noted_failure(id);
                *noted = Some(noted.map_or(since, |earlier| earlier.min(since)));
            }
            EndpointChange::Recovered => *self.noted_failure(id) = None,
            EndpointChange::Disabled { since, reason } => {
                if self.enabled_endpoint(id).is_some() {
                    self.change_status(id, StatusChange::Disable(reason), since);
                }
            }
        }
    }

    fn noted_failure(&mut self, id: EndpointId) -> &mut Option<Timestamp> {
        let form =
            self.endpoints.get_mut(&id).and_then(|forms| forms.last_mut()).expect("the caller found the endpoint");
        &mut Arc::make_mut(form).failing_since
    }

    /// Makes the rows of one file kind what the file says, whose applications are free for it; on an error, `self` is to be
    /// thrown away.
    pub(super) fn import(&mut self, import: &Import) -> Result<ImportReport> {
        let mut report = ImportReport::default();
        let mut kept = BTreeSet::new();
        for declared in &import.applications {
            let existing = self.live_by_uid(import.organisation, &declared.uid).cloned();
            kept.insert(self.import_application(import, declared, existing.as_ref(), &mut report)?);
        }
        let mine = |row: &&Application| row.declared.as_ref().is_some_and(|owner| owner.kind == import.kind);
        let left: Vec<ApplicationId> = self.live_of(import.organisation).filter(mine).map(|row| row.id).collect();
        for id in left.into_iter().filter(|id| !kept.contains(id)) {
            self.archive(id, import.now, &mut report);
        }
        Ok(report)
    }

    fn archive(&mut self, id: ApplicationId, now: Timestamp, report: &mut ImportReport) {
        let revision = self.bump(id);
        let row = self.applications.get_mut(&id).expect("it was just found");
        row.archived = Some(now);
        row.updated = now;
        report.archived += 1;
        for endpoint in self.endpoints_at(id, revision) {
            self.archive_endpoint(&endpoint, revision, now, report);
        }
    }

    fn archive_endpoint(&mut self, endpoint: &Endpoint, revision: Revision, now: Timestamp, report: &mut ImportReport) {
        let status = EndpointStatus::Archived { since: now };
        self.put(Endpoint { status, revision, updated: now, ..endpoint.clone() });
        report.archived += 1;
    }

    fn import_application(
        &mut self,
        import: &Import,
        declared: &ImportApplication,
        existing: Option<&Application>,
        report: &mut ImportReport,
    ) -> Result<ApplicationId> {
        let id = existing.map_or(declared.id, |row| row.id);
        if existing.is_none() && self.applications.contains_key(&id) {
            return Err(StoreError::Conflict { constraint: "application id" });
        }
        let application_metadata = Arc::new(declared.metadata.clone());
        let revision = Revision(existing.map_or(1, |row| row.revision.0 + 1));
        let declaration = Declaration { kind: import.kind, file: import.file.clone() };
        let row = Application {
            id,
            organisation: import.organisation,
            uid: Some(declared.uid.clone()),
            name: declared.name.clone(),
            metadata: declared.metadata.clone(),
            rate_limit: declared.rate_limit,
            require_https: declared.require_https,
            declared: Some(declaration.clone()),
            revision: existing.map_or(revision, |row| row.revision),
            created: existing.map_or(import.now, |row| row.created),
            updated: existing.map_or(import.now, |row| row.updated),
            archived: None,
        };
        let row_differs = existing != Some(&row);
        count(report, existing.is_some(), row_differs);
        let mut differs = row_differs;
        self.applications
            .insert(id, Application { updated: if row_differs { import.now } else { row.updated }, ..row });

        if row_differs {
            self.set_metadata(id, &application_metadata);
        }
        let present = self.endpoints_at(id, Revision(u64::MAX));
        let named = |uid: &Uid| present.iter().find(|endpoint| endpoint.uid.as_ref() == Some(uid));
        for endpoint in &declared.endpoints {
            let old = named(&endpoint.uid).map(|old| Endpoint::clone(old));
            if old.is_none() && self.endpoints.contains_key(&endpoint.id) {
                return Err(StoreError::Conflict { constraint: "endpoint id" });
            }
            let endpoint_id = old.as_ref().map_or(endpoint.id, |old| old.id);
            let last = self.declared_disabled.insert(endpoint_id, endpoint.disabled);
            let (status, failing_since) = endpoint.status_after(old.as_ref(), last, import.now);
            let form = Endpoint {
                id: endpoint_id,
                application: id,
                uid: Some(endpoint.uid.clone()),
                revision: old.as_ref().map_or(revision, |old| old.revision),
                settings: Arc::clone(&endpoint.settings),
                status,
                failing_since,
                declared: Some(declaration.clone()),
                application_metadata: Arc::clone(&application_metadata),
                created: old.as_ref().map_or(import.now, |old| old.created),
                updated: old.as_ref().map_or(import.now, |old| old.updated),
            };
            let form_differs = old.as_ref() != Some(&form);
            count(report, old.is_some(), form_differs);
            if form_differs {
                self.put(Endpoint { revision, updated: import.now, ..form });
                differs = true;
            }
        }
        for old in &present {
            let stays = declared.endpoints.iter().any(|endpoint| old.uid.as_ref() == Some(&endpoint.uid));
            if !stays && old.declared.as_ref().is_some_and(|owner| owner.kind == import.kind) {
                self.archive_endpoint(old, revision, import.now, report);
                differs = true;
            }
        }
        if differs {
            self.applications.get_mut(&id).expect("it was just written").revision = revision;
        }
        Ok(id)
    }
}

fn count(report: &mut ImportReport, existed: bool, differs: bool) {
    match (existed, differs) {
        (false, _) => report.created += 1,
        (true, true) => report.updated += 1,
        (true, false) => report.unchanged += 1,
    }
}
