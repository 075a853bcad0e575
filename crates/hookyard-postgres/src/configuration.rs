//! Applications and endpoints as rows, and the reads of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookyard_model::{
    Application, ApplicationId, Declaration, Endpoint, EndpointId, EndpointSettings, EndpointStatus, OrganisationId,
    Revision,
};
use hookyard_ports::store::{ApplicationRef, ApplicationView};
use hookyard_record::{Place, decode_disable, decode_file_kind, disable_code, open_settings};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, Parameter, bound, int};
use crate::fault::{Attempted, Fault};
use crate::node::{Deed, Node};
use crate::transaction::{Mode, Tx};

/// Enabled.
pub(crate) const ENABLED: i64 = 0;
/// Disabled.
pub(crate) const DISABLED: i64 = 1;
/// Archived.
pub(crate) const ARCHIVED: i64 = 2;

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

/// Where the settings of a form of an endpoint are sealed for.
pub(crate) const fn place(endpoint: &[u8; 20], revision: Revision) -> Place<'_> {
    Place { table: "endpoint_revision", id: endpoint, revision: revision.0 }
}

fn declaration(columns: &Columns<'_>, index: usize) -> Attempted<Option<Declaration>> {
    let Some(kind) = columns.get::<Option<&str>>(index, "declared_kind")? else { return Ok(None) };
    let kind = decode_file_kind(kind).ok_or_else(|| columns.corrupt("declared_kind"))?;
    Ok(Some(Declaration { kind, file: columns.get(index + 1, "declared_file")? }))
}

fn metadata(columns: &Columns<'_>, index: usize) -> Attempted<BTreeMap<String, String>> {
    let Some(text) = columns.get::<Option<&str>>(index, "metadata")? else { return Ok(BTreeMap::new()) };
    serde_json::from_str(text).map_err(|_| columns.corrupt("metadata"))
}

/// Reads an application.
fn read_application(row: &Row) -> Attempted<Application> {
    let columns = Columns::new("application", row);
    Ok(Application {
        id: ApplicationId::from_raw(columns.id(0, "id")?),
        organisation: OrganisationId::from_raw(columns.id(1, "organisation")?),
        uid: columns.parse_or_null(2, "uid")?,
        name: columns.get(3, "name")?,
        metadata: metadata(&columns, 4)?,
        rate_limit: columns.parse_or_null(5, "rate_limit")?,
        require_https: columns.get(6, "require_https")?,
        declared: declaration(&columns, 7)?,
        revision: Revision(columns.number(9, "revision")?),
        created: columns.time(10, "created")?,
        updated: columns.time(11, "updated")?,
        archived: columns.time_or_null(12, "archived")?,
    })
}

/// Reads an endpoint, with settings that `settings` gives for its sealed ones.
fn read_endpoint(
    row: &Row,
    settings: impl FnOnce(EndpointId, Revision, &[u8]) -> Attempted<Arc<EndpointSettings>>,
) -> Attempted<Endpoint> {
    let columns = Columns::new("endpoint", row);
    let id = EndpointId::from_raw(columns.id(0, "id")?);
    let revision = Revision(columns.number(3, "revision")?);
    let since = columns.time_or_null(6, "since")?;
    let status = match (columns.code(4, "status")?, columns.code_or_null(5, "reason")?, since) {
        (ENABLED, None, None) => EndpointStatus::Enabled,
        (DISABLED, Some(reason), Some(since)) => {
            let reason = decode_disable(reason).ok_or_else(|| columns.corrupt("reason"))?;
            EndpointStatus::Disabled { since, reason }
        }
        (ARCHIVED, None, Some(since)) => EndpointStatus::Archived { since },
        _ => return Err(columns.corrupt("status")),
    };
    Ok(Endpoint {
        id,
        application: ApplicationId::from_raw(columns.id(1, "application")?),
        uid: columns.parse_or_null(2, "uid")?,
        revision,
        settings: settings(id, revision, columns.get(12, "settings")?)?,
        status,
        failing_since: columns.time_or_null(7, "failing_since")?,
        declared: declaration(&columns, 8)?,
        application_metadata: Arc::new(metadata(&columns, 13)?),
        created: columns.time(10, "created")?,
        updated: columns.time(11, "updated")?,
    })
}

fn open(node: &Node, id: EndpointId, revision: Revision, sealed: &[u8]) -> Attempted<EndpointSettings> {
    let raw = id.raw();
    open_settings(sealed, &node.keyring, &place(raw.as_bytes(), revision))
        .map_err(|_| Fault::corrupt("endpoint_revision", "settings", id))
}

/// The applications that a query gives.
pub(crate) async fn applications(tx: &Tx, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Vec<Application>> {
    tx.query(query, parameters).await?.iter().map(read_application).collect()
}

/// The endpoints that a query gives, seen by a transaction that only reads.
async fn endpoints(tx: &Tx, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Vec<Arc<Endpoint>>> {
    let node = tx.node();
    let rows = tx.query(query, parameters).await?;
    let read = |row| {
        let endpoint =
            read_endpoint(row, |id, revision, sealed| node.settings(id, revision, || open(node, id, revision, sealed)));
        endpoint.map(Arc::new)
    };
    rows.iter().map(read).collect()
}

/// The endpoints that a query gives, seen by a transaction that writes.
pub(crate) async fn endpoints_to_write(tx: &Tx, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Vec<Endpoint>> {
    let node = tx.node();
    let rows = tx.query(query, parameters).await?;
    let read = |row| read_endpoint(row, |id, revision, sealed| Ok(Arc::new(open(node, id, revision, sealed)?)));
    rows.iter().map(read).collect()
}

/// The applications of an organisation that are not archived, after an id.
pub(crate) async fn applications_of(
    tx: &Tx,
    organisation: OrganisationId,
    after: Option<ApplicationId>,
    limit: usize,
) -> Attempted<Vec<Application>> {
    let after = after.map_or(Vec::new(), |after| after.raw().as_bytes().to_vec());
    let (organisation, limit) = (Id(organisation.raw()), bound(limit));
    applications(tx, APPLICATIONS, &[(&organisation, Type::BYTEA), (&after, Type::BYTEA), (&limit, Type::INT8)]).await
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

/// The applications of an organisation that are not archived.
pub(crate) struct List {
    pub(crate) organisation: OrganisationId,
    pub(crate) after: Option<ApplicationId>,
    pub(crate) limit: usize,
}

impl Deed for List {
    type Answer = Vec<Application>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Self::Answer> {
        applications_of(tx, self.organisation, self.after, self.limit).await
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

/// A status as its three columns: status, reason, since.
pub(crate) fn status_columns(status: &EndpointStatus) -> (i16, Option<i16>, Option<i64>) {
    match status {
        EndpointStatus::Enabled => (0, None, None),
        EndpointStatus::Disabled { since, reason } => (1, Some(disable_code(*reason).into()), Some(since.as_micros())),
        EndpointStatus::Archived { since } => (2, None, Some(since.as_micros())),
    }
}
