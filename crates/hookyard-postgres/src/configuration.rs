//! Applications and endpoints as rows, and the reads of them.

use std::sync::Arc;

use hookyard_model::{Application, ApplicationId, Endpoint, EndpointId, OrganisationId, Revision};
use hookyard_ports::store::{ApplicationRef, ApplicationView};
pub(crate) use hookyard_record::{ARCHIVED, ENABLED, endpoint_place as place, status_columns};
use hookyard_record::{open_endpoint_settings, read_application, read_endpoint};
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, Parameter, bound, int};
use crate::fault::Attempted;
use crate::node::Deed;
use crate::transaction::{Mode, Tx};

/// The columns that [`read_application`] reads, of `application AS a`.
macro_rules! application {
    () => {
        "a.id, a.organisation, a.uid, a.name, a.metadata, a.rate_limit, a.require_https, a.declared_kind, \
         a.declared_file, a.revision, a.created, a.updated, a.archived FROM @application a "
    };
}

/// Applications by their ids, archived ones included.
pub(crate) const APPLICATIONS_BY_ID: &str = concat!("SELECT ", application!(), "WHERE a.id = ANY($1)");
/// Applications that are not archived, by their uids.
pub(crate) const APPLICATIONS_BY_UID: &str =
    concat!("SELECT ", application!(), "WHERE a.organisation = $1 AND a.uid = ANY($2) AND a.archived IS NULL");
/// The applications of an organisation that are not archived, after an id.
pub(crate) const APPLICATIONS: &str = concat!(
    "SELECT ",
    application!(),
    "WHERE a.organisation = $1 AND a.id > $2 AND a.archived IS NULL ORDER BY a.id LIMIT $3"
);

/// The application of an organisation that was archived last, of those with an id or of those with a uid.
pub(crate) const ARCHIVED_APPLICATION: &str = concat!(
    "SELECT ",
    application!(),
    "WHERE a.organisation = $1 AND (a.id = $2 OR a.uid = $3) AND a.archived IS NOT NULL \
     ORDER BY a.archived DESC, a.id DESC LIMIT 1"
);
/// The applications of an organisation that are archived, after an id.
pub(crate) const ARCHIVED_APPLICATIONS: &str = concat!(
    "SELECT ",
    application!(),
    "WHERE a.organisation = $1 AND a.id > $2 AND a.archived IS NOT NULL ORDER BY a.id LIMIT $3"
);

/// Endpoints in their present form, by their ids.
pub(crate) const ENDPOINTS_BY_ID: &str = "SELECT e.id, e.application, e.uid, e.revision, e.status, e.reason, e.since, \
    e.failing_since, e.declared_kind, e.declared_file, e.created, e.updated, r.settings, a.metadata FROM @endpoint e \
    JOIN @application a ON a.id = e.application \
    JOIN @endpoint_revision r ON r.endpoint = e.id AND r.revision = e.revision WHERE e.id = ANY($1)";
/// The endpoints of an application in their present form, archived ones not, by id.
pub(crate) const ENDPOINTS: &str = "SELECT e.id, e.application, e.uid, e.revision, e.status, e.reason, e.since, \
    e.failing_since, e.declared_kind, e.declared_file, e.created, e.updated, r.settings, a.metadata FROM @application a \
    JOIN @endpoint e ON e.application = a.id \
    JOIN @endpoint_revision r ON r.endpoint = e.id AND r.revision = e.revision \
    WHERE a.id = $1 AND e.status <> 2 ORDER BY e.id";
/// The endpoints of an application as they were at a revision, archived ones not, by id.
pub(crate) const ENDPOINTS_AT: &str = "SELECT e.id, e.application, e.uid, r.revision, r.status, r.reason, r.since, \
    e.failing_since, r.declared_kind, r.declared_file, e.created, r.updated, r.settings, a.metadata FROM @application a \
    JOIN @endpoint e ON e.application = a.id CROSS JOIN LATERAL (SELECT * FROM @endpoint_revision f \
    WHERE f.endpoint = e.id AND f.revision <= $2 ORDER BY f.revision DESC LIMIT 1) r \
    WHERE a.id = $1 AND r.status <> 2 ORDER BY e.id";

/// The applications that a query gives.
pub(crate) async fn applications(tx: &Tx, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Vec<Application>> {
    let rows = tx.query(query, parameters).await?;
    rows.iter().map(|row| read_application(&Columns::new("application", row))).collect()
}

/// The endpoints that a query gives, seen by a transaction that only reads.
async fn endpoints(tx: &Tx, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Vec<Arc<Endpoint>>> {
    let node = tx.node();
    let rows = tx.query(query, parameters).await?;
    let read = |row| {
        let columns = Columns::new("endpoint", row);
        let endpoint =
            read_endpoint(&columns, |id, revision, sealed| node.settings.get(&node.keyring, id, revision, sealed));
        endpoint.map(Arc::new)
    };
    rows.iter().map(read).collect()
}

/// The endpoints that a query gives, seen by a transaction that writes.
pub(crate) async fn endpoints_to_write(tx: &Tx, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Vec<Endpoint>> {
    let node = tx.node();
    let rows = tx.query(query, parameters).await?;
    let read = |row| {
        let columns = Columns::new("endpoint", row);
        read_endpoint(&columns, |id, revision, sealed| open_endpoint_settings(&node.keyring, id, revision, sealed))
    };
    rows.iter().map(read).collect()
}

/// The applications of an organisation that a query lists after an id: [`APPLICATIONS`] or [`ARCHIVED_APPLICATIONS`].
pub(crate) async fn applications_of(
    tx: &Tx,
    query: &str,
    organisation: OrganisationId,
    after: Option<ApplicationId>,
    limit: usize,
) -> Attempted<Vec<Application>> {
    let after = after.map_or(Vec::new(), |after| after.raw().as_bytes().to_vec());
    let (organisation, limit) = (Id(organisation.raw()), bound(limit));
    applications(tx, query, &[(&organisation, Type::BYTEA), (&after, Type::BYTEA), (&limit, Type::INT8)]).await
}

/// An application that is not archived with its endpoints that are not.
pub(crate) struct View {
    pub(crate) organisation: OrganisationId,
    pub(crate) reference: ApplicationRef,
}

impl Deed for View {
    type Answer = Option<Arc<ApplicationView>>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Self::Answer> {
        let found = match &self.reference {
            ApplicationRef::Id(id) => {
                applications(tx, APPLICATIONS_BY_ID, &[(&[Id(id.raw())].as_slice(), Type::BYTEA_ARRAY)]).await?
            }
            ApplicationRef::Uid(uid) => {
                let (organisation, uids) = (Id(self.organisation.raw()), [uid.as_str()]);
                let by = [(&organisation as &_, Type::BYTEA), (&uids.as_slice() as &_, Type::TEXT_ARRAY)];
                applications(tx, APPLICATIONS_BY_UID, &by).await?
            }
        };
        let mut found = found.into_iter();
        let found = found.find(|found| found.organisation == self.organisation && found.archived.is_none());
        let Some(application) = found else { return Ok(None) };
        let endpoints = endpoints(tx, ENDPOINTS, &[(&Id(application.id.raw()), Type::BYTEA)]).await?;
        Ok(Some(Arc::new(ApplicationView { application, endpoints })))
    }
}

/// The application that was archived last, of those with an id or of those with a uid.
pub(crate) struct Archived {
    pub(crate) organisation: OrganisationId,
    pub(crate) reference: ApplicationRef,
}

impl Deed for Archived {
    type Answer = Option<Application>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Self::Answer> {
        let (id, uid) = match &self.reference {
            ApplicationRef::Id(id) => (Some(Id(id.raw())), None),
            ApplicationRef::Uid(uid) => (None, Some(uid.as_str())),
        };
        let organisation = Id(self.organisation.raw());
        let by = [(&organisation as &_, Type::BYTEA), (&id as &_, Type::BYTEA), (&uid as &_, Type::TEXT)];
        Ok(applications(tx, ARCHIVED_APPLICATION, &by).await?.into_iter().next())
    }
}

/// The applications of an organisation that a query lists.
pub(crate) struct List {
    pub(crate) query: &'static str,
    pub(crate) organisation: OrganisationId,
    pub(crate) after: Option<ApplicationId>,
    pub(crate) limit: usize,
}

impl Deed for List {
    type Answer = Vec<Application>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Self::Answer> {
        applications_of(tx, self.query, self.organisation, self.after, self.limit).await
    }
}

/// An endpoint in its present form.
pub(crate) struct One(pub(crate) EndpointId);

impl Deed for One {
    type Answer = Option<Arc<Endpoint>>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Self::Answer> {
        let ids = [Id(self.0.raw())];
        Ok(endpoints(tx, ENDPOINTS_BY_ID, &[(&ids.as_slice(), Type::BYTEA_ARRAY)]).await?.into_iter().next())
    }
}

/// The endpoints that a fan-out at a revision saw.
pub(crate) struct At {
    pub(crate) application: ApplicationId,
    pub(crate) revision: Revision,
}

impl Deed for At {
    type Answer = Vec<Arc<Endpoint>>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Self::Answer> {
        let (application, revision) = (Id(self.application.raw()), int(self.revision.0));
        endpoints(tx, ENDPOINTS_AT, &[(&application, Type::BYTEA), (&revision, Type::INT8)]).await
    }
}
