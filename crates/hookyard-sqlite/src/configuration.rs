//! Applications and endpoints as rows, read by readers and by the writer alike.

use std::sync::Arc;

use hookyard_model::{Application, ApplicationId, Endpoint, EndpointId, OrganisationId, RawId};
use hookyard_ports::store::{ApplicationRef, ApplicationView};
pub(crate) use hookyard_record::{endpoint_place as place, status_columns};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::column::{Columns, RowCells, bound};
use crate::fault::Attempted;
use crate::shared::Shared;

/// An application's row number and the columns that are read of it, of `application AS a`.
macro_rules! application {
    () => {
        "a.row, a.id, a.organisation, a.uid, a.name, a.metadata, a.rate_limit, a.require_https, a.declared_kind, \
         a.declared_file, a.revision, a.created, a.updated, a.archived FROM application a "
    };
}

/// An application by its id, archived ones included.
pub(crate) const APPLICATION_BY_ID: &str = concat!("SELECT ", application!(), "WHERE a.id = ?1");
/// An application that is not archived, by its uid.
pub(crate) const APPLICATION_BY_UID: &str = concat!(
    "SELECT ",
    application!(),
    "INDEXED BY application_uid WHERE a.organisation = ?1 AND a.uid = ?2 AND a.uid IS NOT NULL AND a.archived IS NULL"
);
/// The applications of an organisation that are not archived, after an id.
pub(crate) const APPLICATIONS: &str = concat!(
    "SELECT ",
    application!(),
    "INDEXED BY application_organisation WHERE a.organisation = ?1 AND a.id > ?2 AND a.archived IS NULL \
     ORDER BY a.id LIMIT ?3"
);

/// The application of an organisation that was archived last, of those with an id or of those with a uid.
pub(crate) const ARCHIVED_APPLICATION: &str = concat!(
    "SELECT ",
    application!(),
    "WHERE a.organisation = ?1 AND (a.id = ?2 OR a.uid = ?3) AND a.archived IS NOT NULL \
     ORDER BY a.archived DESC, a.id DESC LIMIT 1"
);
/// The applications of an organisation that are archived, after an id.
pub(crate) const ARCHIVED_APPLICATIONS: &str = concat!(
    "SELECT ",
    application!(),
    "WHERE a.organisation = ?1 AND a.id > ?2 AND a.archived IS NOT NULL ORDER BY a.id LIMIT ?3"
);

/// An endpoint in its present form, by its id.
pub(crate) const ENDPOINT_BY_ID: &str = "SELECT e.row, e.id, a.id, e.uid, e.revision, e.status, e.reason, e.since, \
    e.failing_since, e.declared_kind, e.declared_file, e.created, e.updated, r.settings, a.metadata FROM endpoint e \
    JOIN application a ON a.row = e.application \
    JOIN endpoint_revision r ON r.endpoint = e.row AND r.revision = e.revision WHERE e.id = ?1";
/// The endpoints of an application in their present form, archived ones not, by id.
pub(crate) const ENDPOINTS: &str = "SELECT e.row, e.id, a.id, e.uid, e.revision, e.status, e.reason, e.since, \
    e.failing_since, e.declared_kind, e.declared_file, e.created, e.updated, r.settings, a.metadata FROM application a \
    CROSS JOIN endpoint e INDEXED BY endpoint_application ON e.application = a.row \
    CROSS JOIN endpoint_revision r ON r.endpoint = e.row AND r.revision = e.revision \
    WHERE a.row = ?1 AND e.application = ?1 AND e.status <> 2 ORDER BY e.id";
/// The endpoints of an application as they were at a revision, archived ones not, by id.
pub(crate) const ENDPOINTS_AT: &str = "SELECT e.row, e.id, a.id, e.uid, r.revision, r.status, r.reason, r.since, \
    e.failing_since, r.declared_kind, r.declared_file, e.created, r.updated, r.settings, a.metadata FROM application a \
    CROSS JOIN endpoint e INDEXED BY endpoint_application ON e.application = a.row \
    CROSS JOIN endpoint_revision r ON r.endpoint = e.row AND r.revision = \
    (SELECT max(revision) FROM endpoint_revision WHERE endpoint = e.row AND revision <= ?2) \
    WHERE a.row = ?1 AND e.application = ?1 AND r.status <> 2 ORDER BY e.id";

/// Reads an application and its row number.
fn read_application(row: &Row<'_>) -> Attempted<(i64, Application)> {
    let columns = Columns::new("application", RowCells::behind_number(row));
    Ok((row.get(0)?, hookyard_record::read_application(&columns)?))
}

/// Reads an endpoint and its row number.
fn read_endpoint(shared: &Shared, row: &Row<'_>) -> Attempted<(i64, Endpoint)> {
    let columns = Columns::new("endpoint", RowCells::behind_number(row));
    let endpoint = hookyard_record::read_endpoint(&columns, |id, revision, sealed| {
        shared.settings.get(&shared.keyring, id, revision, sealed)
    });
    Ok((row.get(0)?, endpoint?))
}

/// Finds an application with a query that gives its columns.
pub(crate) fn application(
    connection: &Connection,
    query: &str,
    params: impl rusqlite::Params,
) -> Attempted<Option<(i64, Application)>> {
    let mut statement = connection.prepare_cached(query)?;
    statement.query_row(params, |row| Ok(read_application(row))).optional()?.transpose()
}

/// An endpoint in its present form.
pub(crate) fn endpoint(
    connection: &Connection,
    shared: &Shared,
    id: EndpointId,
) -> Attempted<Option<(i64, Arc<Endpoint>)>> {
    let mut statement = connection.prepare_cached(ENDPOINT_BY_ID)?;
    let found = statement.query_row([id.raw().as_bytes()], |row| Ok(read_endpoint(shared, row))).optional()?;
    found.transpose().map(|found| found.map(|(row, endpoint)| (row, Arc::new(endpoint))))
}

/// The endpoints that a query gives.
pub(crate) fn endpoints(
    connection: &Connection,
    shared: &Shared,
    query: &str,
    params: impl rusqlite::Params,
) -> Attempted<Vec<(i64, Arc<Endpoint>)>> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params)?;
    let mut endpoints = Vec::new();
    while let Some(row) = rows.next()? {
        let (row, endpoint) = read_endpoint(shared, row)?;
        endpoints.push((row, Arc::new(endpoint)));
    }
    Ok(endpoints)
}

/// The application that was archived last, of those with an id or of those with a uid.
pub(crate) fn archived_application(
    connection: &Connection,
    organisation: OrganisationId,
    reference: &ApplicationRef,
) -> Attempted<Option<Application>> {
    let (id, uid) = match reference {
        ApplicationRef::Id(id) => (Some(id.raw()), None),
        ApplicationRef::Uid(uid) => (None, Some(uid.as_str())),
    };
    let id = id.as_ref().map(RawId::as_bytes);
    let found = application(connection, ARCHIVED_APPLICATION, params![organisation.raw().as_bytes(), id, uid])?;
    Ok(found.map(|(_, application)| application))
}

/// The applications of an organisation that a query lists after an id: [`APPLICATIONS`] or [`ARCHIVED_APPLICATIONS`].
pub(crate) fn applications(
    connection: &Connection,
    query: &str,
    organisation: OrganisationId,
    after: Option<ApplicationId>,
    limit: usize,
) -> Attempted<Vec<(i64, Application)>> {
    let after = after.map_or(Vec::new(), |after| after.raw().as_bytes().to_vec());
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params![organisation.raw().as_bytes(), after, bound(limit)])?;
    let mut applications = Vec::new();
    while let Some(row) = rows.next()? {
        applications.push(read_application(row)?);
    }
    Ok(applications)
}

/// An application that is not archived with its endpoints that are not.
pub(crate) fn view(
    connection: &Connection,
    shared: &Shared,
    organisation: OrganisationId,
    reference: &ApplicationRef,
) -> Attempted<Option<Arc<ApplicationView>>> {
    let found = match reference {
        ApplicationRef::Id(id) => application(connection, APPLICATION_BY_ID, [id.raw().as_bytes()])?,
        ApplicationRef::Uid(uid) => {
            application(connection, APPLICATION_BY_UID, params![organisation.raw().as_bytes(), uid.as_str()])?
        }
    };
    let found = found.filter(|(_, found)| found.organisation == organisation && found.archived.is_none());
    let Some((row, application)) = found else { return Ok(None) };
    let endpoints = endpoints(connection, shared, ENDPOINTS, [row])?;
    let endpoints = endpoints.into_iter().map(|(_, endpoint)| endpoint).collect();
    Ok(Some(Arc::new(ApplicationView { application, endpoints })))
}

/// Every endpoint there is.
pub(crate) fn all_endpoints(connection: &Connection) -> Attempted<Vec<EndpointId>> {
    let mut statement = connection.prepare_cached("SELECT id FROM endpoint")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.map(|id| id.map(|id| EndpointId::from_raw(RawId::from_bytes(id)))).collect::<rusqlite::Result<_>>()?)
}

/// An application's row number, archived ones included.
pub(crate) fn application_row(connection: &Connection, id: ApplicationId) -> Attempted<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT row FROM application WHERE id = ?1")?;
    Ok(statement.query_row(params![id.raw().as_bytes()], |row| row.get(0)).optional()?)
}
