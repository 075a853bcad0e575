//! Writes new forms of endpoints: what they are set to, and whether they are on.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookyard_model::{
    ApplicationId, Declaration, Endpoint, EndpointChange, EndpointId, EndpointSettings, EndpointStatus, Revision,
    Timestamp,
};
use hookyard_ports::store::StatusChange;
use hookyard_record::seal_settings;
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, int, text};
use crate::configuration::{self, ENDPOINTS_BY_ID, place, status_columns};
use crate::fault::{Attempted, Fault};
use crate::lock::{self, Use};
use crate::node::Deed;
use crate::transaction::Tx;

/// The next revision of an application.
pub(crate) const NEW_REVISION: &str =
    "UPDATE @application SET revision = revision + 1 WHERE id = $1 RETURNING id, revision";
/// Whose an endpoint is.
pub(crate) const OWNER: &str = "SELECT id, application FROM @endpoint WHERE id = $1";
/// Endpoints' present forms.
pub(crate) const UPDATE: &str = "UPDATE @endpoint e SET revision = n.revision, status = n.status, reason = n.reason, \
    since = n.since, failing_since = n.failing_since, declared_kind = n.declared_kind, declared_file = n.declared_file, \
    updated = n.updated FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) AS n(id, revision, status, reason, since, \
    failing_since, declared_kind, declared_file, updated) WHERE e.id = n.id";
/// Forms as a fan-out sees them. Two changes in one revision are one form: the last.
pub(crate) const INSERT_FORMS: &str = "INSERT INTO @endpoint_revision (endpoint, revision, status, reason, since, \
    declared_kind, declared_file, updated, settings) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) \
    ON CONFLICT (endpoint, revision) DO UPDATE SET status = excluded.status, reason = excluded.reason, \
    since = excluded.since, declared_kind = excluded.declared_kind, declared_file = excluded.declared_file, \
    updated = excluded.updated, settings = excluded.settings";
/// Endpoints with what is noted about their failing, to be changed.
pub(crate) const NOTED: &str =
    "SELECT id, status, failing_since FROM @endpoint WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";
/// Notes since when an endpoint fails.
pub(crate) const NOTE: &str = "UPDATE @endpoint SET failing_since = $2 WHERE id = $1";
/// Says that endpoints changed.
pub(crate) const CHANGED: &str = "INSERT INTO @change (endpoint, at) SELECT n, $2 FROM unnest($1) AS n";
/// Wakes the listeners when it is committed.
const NOTIFY: &str = "SELECT pg_notify($1, '')";

/// Enables or disables an endpoint.
pub(crate) struct ChangeStatus {
    pub(crate) endpoint: EndpointId,
    pub(crate) change: StatusChange,
    pub(crate) now: Timestamp,
}

impl Deed for ChangeStatus {
    type Answer = Option<Arc<Endpoint>>;

    async fn run(&self, tx: &Tx) -> Attempted<Option<Arc<Endpoint>>> {
        let Some(owner) = tx.find(OWNER, &[(&Id(self.endpoint.raw()), Type::BYTEA)]).await? else { return Ok(None) };
        let application = ApplicationId::from_raw(Columns::new("endpoint", &owner).id(1, "application")?);
        lock::applications(tx, [application], Use::Exclusive).await?;
        let present = one(tx, self.endpoint).await?;
        let Some(present) = present.filter(|found| !matches!(found.status, EndpointStatus::Archived { .. })) else {
            return Ok(None);
        };
        let (status, failing_since) = match self.change {
            StatusChange::Enable => (EndpointStatus::Enabled, None),
            StatusChange::Disable(reason) => {
                (EndpointStatus::Disabled { since: self.now, reason }, present.failing_since)
            }
        };
        change(tx, &present, &status, failing_since, self.now).await?;
        say_changed(tx, &[self.endpoint], self.now).await?;
        Ok(one(tx, self.endpoint).await?.map(Arc::new))
    }
}

async fn one(tx: &Tx, id: EndpointId) -> Attempted<Option<Endpoint>> {
    let ids = vec![Id(id.raw())];
    let found = configuration::endpoints_to_write(tx, ENDPOINTS_BY_ID, &[(&ids, Type::BYTEA_ARRAY)]).await?;
    Ok(found.into_iter().next())
}

/// Gives an endpoint another status, and its application a new revision. The caller holds the application's lock.
async fn change(
    tx: &Tx,
    endpoint: &Endpoint,
    status: &EndpointStatus,
    failing_since: Option<Timestamp>,
    now: Timestamp,
) -> Attempted<()> {
    let revised = tx.find(NEW_REVISION, &[(&Id(endpoint.application.raw()), Type::BYTEA)]).await?;
    let revised = revised.ok_or_else(|| Fault::corrupt("endpoint", "application", endpoint.id))?;
    let revision = Revision(Columns::new("application", &revised).get(1, "revision")?);
    let form = Form::new(tx, (endpoint.id, revision), &endpoint.settings, status, endpoint.declared.as_ref());
    write_forms(tx, &[form.noting(failing_since)], now).await
}

/// A form of an endpoint, as it is kept.
pub(super) struct Form {
    id: Id,
    revision: i64,
    status: (i16, Option<i16>, Option<i64>),
    failing_since: Option<i64>,
    kind: Option<&'static str>,
    file: Option<String>,
    settings: Vec<u8>,
}

impl Form {
    /// The form that an endpoint has from a revision on.
    pub(super) fn new(
        tx: &Tx,
        (id, revision): (EndpointId, Revision),
        settings: &EndpointSettings,
        status: &EndpointStatus,
        declared: Option<&Declaration>,
    ) -> Self {
        let (raw, node) = (id.raw(), tx.node());
        Self {
            id: Id(raw),
            revision: int(revision.0),
            status: status_columns(status),
            failing_since: None,
            kind: declared.map(|declared| declared.kind.as_str()),
            file: declared.map(|declared| text(&declared.file)),
            settings: seal_settings(settings, &node.keyring, &place(raw.as_bytes(), revision), &*node.rng),
        }
    }

    /// The form with what is noted about its failing.
    pub(super) fn noting(self, failing_since: Option<Timestamp>) -> Self {
        Self { failing_since: failing_since.map(Timestamp::as_micros), ..self }
    }
}

/// Makes these the present forms of endpoints that exist, at most one of each. Who calls it says afterwards that the
/// endpoints changed.
pub(super) async fn write_forms(tx: &Tx, forms: &[Form], now: Timestamp) -> Attempted<()> {
    /// One value of each form.
    macro_rules! each {
        (|$form:ident| $value:expr) => {
            forms.iter().map(|$form| $value).collect::<Vec<_>>()
        };
    }
    if forms.is_empty() {
        return Ok(());
    }
    let (ids, revisions) = (each!(|form| form.id), each!(|form| form.revision));
    let (statuses, reasons) = (each!(|form| form.status.0), each!(|form| form.status.1));
    let (since, failing_since) = (each!(|form| form.status.2), each!(|form| form.failing_since));
    let (kinds, files) = (each!(|form| form.kind), each!(|form| form.file.as_deref()));
    let (updated, settings) = (vec![now.as_micros(); forms.len()], each!(|form| form.settings.as_slice()));
    let update: [crate::column::Parameter<'_>; 9] = [
        (&ids, Type::BYTEA_ARRAY),
        (&revisions, Type::INT8_ARRAY),
        (&statuses, Type::INT2_ARRAY),
        (&reasons, Type::INT2_ARRAY),
        (&since, Type::INT8_ARRAY),
        (&failing_since, Type::INT8_ARRAY),
        (&kinds, Type::TEXT_ARRAY),
        (&files, Type::TEXT_ARRAY),
        (&updated, Type::INT8_ARRAY),
    ];
    let insert: [crate::column::Parameter<'_>; 9] = [
        (&ids, Type::BYTEA_ARRAY),
        (&revisions, Type::INT8_ARRAY),
        (&statuses, Type::INT2_ARRAY),
        (&reasons, Type::INT2_ARRAY),
        (&since, Type::INT8_ARRAY),
        (&kinds, Type::TEXT_ARRAY),
        (&files, Type::TEXT_ARRAY),
        (&updated, Type::INT8_ARRAY),
        (&settings, Type::BYTEA_ARRAY),
    ];
    tokio::try_join!(biased; tx.execute(UPDATE, &update), tx.execute(INSERT_FORMS, &insert))?;
    Ok(())
}

/// Writes that these changed, the last thing that a deed does: the lock that puts cursors in order is held until it is
/// committed.
pub(super) async fn say_changed(tx: &Tx, endpoints: &[EndpointId], now: Timestamp) -> Attempted<()> {
    if endpoints.is_empty() {
        return Ok(());
    }
    lock::changes(tx).await?;
    let ids: Vec<Id> = endpoints.iter().map(|id| Id(id.raw())).collect();
    tx.execute(CHANGED, &[(&ids, Type::BYTEA_ARRAY), (&now.as_micros(), Type::INT8)]).await?;
    tx.query(NOTIFY, &[(&tx.node().schema.channel(), Type::TEXT)]).await?;
    tx.say_changed();
    Ok(())
}

/// Does to endpoints what attempts did to them, in order. The caller holds the locks of the applications whose endpoints
/// are disabled.
pub(super) async fn after_attempts(tx: &Tx, changes: BTreeMap<EndpointId, Vec<EndpointChange>>) -> Attempted<()> {
    let ids: Vec<Id> = changes.keys().map(|id| Id(id.raw())).collect();
    let mut disabled_now = Vec::new();
    let mut last = Timestamp::EPOCH;
    for row in tx.query(NOTED, &[(&ids, Type::BYTEA_ARRAY)]).await? {
        let columns = Columns::new("endpoint", &row);
        let id = EndpointId::from_raw(columns.id(0, "id")?);
        let status = columns.get::<i16>(1, "status")?;
        if status == configuration::ARCHIVED {
            continue;
        }
        let noted = columns.get::<Option<Timestamp>>(2, "failing_since")?;
        let (mut failing_since, mut disabled) = (noted, None);
        for change in changes.get(&id).into_iter().flatten() {
            match *change {
                EndpointChange::Failing { since } => {
                    failing_since = Some(failing_since.map_or(since, |noted| noted.min(since)));
                }
                EndpointChange::Recovered => failing_since = None,
                EndpointChange::Disabled { since, reason } => {
                    if status == configuration::ENABLED && disabled.is_none() {
                        disabled = Some((since, reason));
                    }
                }
            }
        }
        if failing_since != noted {
            let micros = failing_since.map(Timestamp::as_micros);
            tx.execute(NOTE, &[(&Id(id.raw()), Type::BYTEA), (&micros, Type::INT8)]).await?;
        }
        if let Some((since, reason)) = disabled {
            let present = one(tx, id).await?.ok_or_else(|| Fault::corrupt("endpoint", "revision", id))?;
            change(tx, &present, &EndpointStatus::Disabled { since, reason }, failing_since, since).await?;
            disabled_now.push(id);
            last = last.max(since);
        }
    }
    say_changed(tx, &disabled_now, last).await
}
