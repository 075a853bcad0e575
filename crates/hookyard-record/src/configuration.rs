//! Applications and endpoints as columns.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hookyard_model::{Application, Declaration, Endpoint, EndpointId, EndpointSettings, EndpointStatus, Revision};
use hookyard_ports::StoreError;
use parking_lot::Mutex;

use crate::column::{Cells, Columns};
use crate::{Keyring, Place, decode_disable, decode_file_kind, disable_code, open_settings};

/// Enabled.
pub const ENABLED: i16 = 0;
/// Disabled.
pub const DISABLED: i16 = 1;
/// Archived.
pub const ARCHIVED: i16 = 2;

/// Endpoints whose opened settings are remembered: enough for every lane that has work at once.
const SETTINGS_KEPT: usize = 4_096;

/// Reads an application from these columns: id, organisation, uid, name, metadata, `rate_limit`, `require_https`,
/// `declared_kind`, `declared_file`, revision, created, updated, archived.
pub fn read_application<'r, R: Cells<'r>>(columns: &Columns<R>) -> Result<Application, R::Fault> {
    Ok(Application {
        id: columns.get(0, "id")?,
        organisation: columns.get(1, "organisation")?,
        uid: columns.parse_or_null(2, "uid")?,
        name: columns.get(3, "name")?,
        metadata: read_metadata(columns, 4)?,
        rate_limit: columns.parse_or_null(5, "rate_limit")?,
        require_https: columns.get(6, "require_https")?,
        declared: read_declaration(columns, 7)?,
        revision: Revision(columns.get(9, "revision")?),
        created: columns.get(10, "created")?,
        updated: columns.get(11, "updated")?,
        archived: columns.get(12, "archived")?,
    })
}

/// Reads an endpoint, with settings that `settings` gives for its sealed ones, from these columns: id, application, uid,
/// revision, status, reason, since, `failing_since`, `declared_kind`, `declared_file`, created, updated, settings, and the
/// application's metadata.
pub fn read_endpoint<'r, R: Cells<'r>>(
    columns: &Columns<R>,
    settings: impl FnOnce(EndpointId, Revision, &[u8]) -> Result<Arc<EndpointSettings>, StoreError>,
) -> Result<Endpoint, R::Fault> {
    let id = columns.get(0, "id")?;
    let revision = Revision(columns.get(3, "revision")?);
    Ok(Endpoint {
        id,
        application: columns.get(1, "application")?,
        uid: columns.parse_or_null(2, "uid")?,
        revision,
        settings: settings(id, revision, columns.get(12, "settings")?)?,
        status: read_status(columns, 4)?,
        failing_since: columns.get(7, "failing_since")?,
        declared: read_declaration(columns, 8)?,
        application_metadata: Arc::new(read_metadata(columns, 13)?),
        created: columns.get(10, "created")?,
        updated: columns.get(11, "updated")?,
    })
}

fn read_declaration<'r, R: Cells<'r>>(columns: &Columns<R>, first: usize) -> Result<Option<Declaration>, R::Fault> {
    let Some(kind) = columns.decode(first, "declared_kind", decode_file_kind)? else { return Ok(None) };
    Ok(Some(Declaration { kind, file: columns.get(first + 1, "declared_file")? }))
}

fn read_metadata<'r, R: Cells<'r>>(columns: &Columns<R>, at: usize) -> Result<BTreeMap<String, String>, R::Fault> {
    let pairs = columns.decode(at, "metadata", |text| serde_json::from_str(text).ok())?;
    Ok(pairs.unwrap_or_default())
}

fn read_status<'r, R: Cells<'r>>(columns: &Columns<R>, first: usize) -> Result<EndpointStatus, R::Fault> {
    let reason: Option<i64> = columns.get(first + 1, "reason")?;
    Ok(match (columns.get(first, "status")?, reason, columns.get(first + 2, "since")?) {
        (ENABLED, None, None) => EndpointStatus::Enabled,
        (DISABLED, Some(reason), Some(since)) => {
            let reason = decode_disable(reason).ok_or_else(|| columns.corrupt("reason"))?;
            EndpointStatus::Disabled { since, reason }
        }
        (ARCHIVED, None, Some(since)) => EndpointStatus::Archived { since },
        _ => return Err(columns.corrupt("status")),
    })
}

/// A status as its three columns: status, reason, since.
pub fn status_columns(status: &EndpointStatus) -> (i16, Option<i16>, Option<i64>) {
    match status {
        EndpointStatus::Enabled => (ENABLED, None, None),
        EndpointStatus::Disabled { since, reason } => {
            (DISABLED, Some(disable_code(*reason).into()), Some(since.as_micros()))
        }
        EndpointStatus::Archived { since } => (ARCHIVED, None, Some(since.as_micros())),
    }
}

/// Where the settings of a form of an endpoint are sealed for.
pub const fn endpoint_place(endpoint: &[u8; 20], revision: Revision) -> Place<'_> {
    Place { table: "endpoint_revision", id: endpoint, revision: revision.0 }
}

/// Opens the sealed settings of a form of an endpoint.
pub fn open_endpoint_settings(
    keyring: &Keyring,
    id: EndpointId,
    revision: Revision,
    sealed: &[u8],
) -> Result<Arc<EndpointSettings>, StoreError> {
    match open_settings(sealed, keyring, &endpoint_place(id.raw().as_bytes(), revision)) {
        Ok(settings) => Ok(Arc::new(settings)),
        Err(_) => Err(StoreError::Corrupt { table: "endpoint_revision", column: "settings", id: id.to_string() }),
    }
}

/// Settings that were opened lately.
///
/// A committed form never changes, so what is remembered is right for as long as it is remembered. A transaction that
/// writes may see a form of its own that will never be: it asks past this, or forgets everything when it is rolled back.
#[derive(Default)]
pub struct OpenedSettings(Mutex<HashMap<(EndpointId, Revision), Arc<EndpointSettings>>>);

impl OpenedSettings {
    /// The settings of a form of an endpoint, opened if they were not lately.
    pub fn get(
        &self,
        keyring: &Keyring,
        id: EndpointId,
        revision: Revision,
        sealed: &[u8],
    ) -> Result<Arc<EndpointSettings>, StoreError> {
        if let Some(settings) = self.0.lock().get(&(id, revision)) {
            return Ok(Arc::clone(settings));
        }
        let opened = open_endpoint_settings(keyring, id, revision, sealed)?;
        let mut kept = self.0.lock();
        if kept.len() >= SETTINGS_KEPT {
            kept.clear();
        }
        Ok(Arc::clone(kept.entry((id, revision)).or_insert(opened)))
    }

    /// Forgets them all.
    pub fn forget(&self) {
        self.0.lock().clear();
    }
}
