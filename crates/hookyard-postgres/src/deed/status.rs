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
/// An endpoint's present form.
pub(crate) const UPDATE: &str = "UPDATE @endpoint SET revision = $2, status = $3, reason = $4, since = $5, \
    failing_since = $6, declared_kind = $7, declared_file = $8, updated = $9 WHERE id = $1";
/// A form as a fan-out sees it. Two changes in one revision are one form: the last.
pub(crate) const INSERT_FORM: &str = "INSERT INTO @endpoint_revision (endpoint, revision, status, reason, since, \
    declared_kind, declared_file, updated, settings) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
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
    let revision = Revision(Columns::new("application", &revised).number(1, "revision")?);
    let form = Form { settings: &endpoint.settings, status, declared: endpoint.declared.as_ref() };
    write_form(tx, endpoint.id, revision, &form, failing_since, now).await
}

/// What makes a form of an endpoint.
pub(super) struct Form<'a> {
    pub(super) settings: &'a EndpointSettings,
    pub(super) status: &'a EndpointStatus,
    pub(super) declared: Option<&'a Declaration>,
}

/// Makes this the present form of an endpoint that exists. Who calls it says afterwards that the endpoint changed.
pub(super) async fn write_form(
    tx: &Tx,
    id: EndpointId,
    revision: Revision,
    form: &Form<'_>,
    failing_since: Option<Timestamp>,
    now: Timestamp,
) -> Attempted<()> {
    let (status, reason, since) = status_columns(form.status);
    let kind = form.declared.map(|declared| declared.kind.as_str());
    let file = form.declared.map(|declared| text(&declared.file));
    let failing_since = failing_since.map(Timestamp::as_micros);
    let raw = id.raw();
    let node = tx.node();
    let settings = seal_settings(form.settings, &node.keyring, &place(raw.as_bytes(), revision), &*node.rng);
    let (endpoint, revision, now) = (Id(raw), int(revision.0), now.as_micros());
    let update: [crate::column::Parameter<'_>; 9] = [
        (&endpoint, Type::BYTEA),
        (&revision, Type::INT8),
        (&status, Type::INT2),
        (&reason, Type::INT2),
        (&since, Type::INT8),
        (&failing_since, Type::INT8),
        (&kind, Type::TEXT),
        (&file, Type::TEXT),
        (&now, Type::INT8),
    ];
    let insert: [crate::column::Parameter<'_>; 9] = [
        (&endpoint, Type::BYTEA),
        (&revision, Type::INT8),
        (&status, Type::INT2),
        (&reason, Type::INT2),
        (&since, Type::INT8),
        (&kind, Type::TEXT),
        (&file, Type::TEXT),
        (&now, Type::INT8),
        (&settings, Type::BYTEA),
    ];
    tokio::try_join!(biased; tx.execute(UPDATE, &update), tx.execute(INSERT_FORM, &insert))?;
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
        let status = columns.code(1, "status")?;
        if status == configuration::ARCHIVED {
            continue;
        }
        let noted = columns.time_or_null(2, "failing_since")?;
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
