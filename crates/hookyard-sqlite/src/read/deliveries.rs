//! A message's deliveries, and what is due.

use hookyard_model::{ApplicationId, Delivery, DeliveryKey, EndpointId, Incarnation, MessageId, RawId};
use hookyard_ports::store::Due;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::column::{bound, int};
use crate::delivery::{self, DeliveryRow, earlier, endpoint_of};
use crate::fault::Attempted;
use crate::hot;

/// The enabled endpoints after an id.
pub(crate) const ENABLED: &str = "SELECT row, id FROM endpoint WHERE id > ?1 AND status = 0 ORDER BY id";

/// What an incarnation holds, in the order of message and endpoint id. Sorts what is in flight, which is little.
pub(crate) const HELD_BY: &str = "SELECT m.id, e.id FROM delivery d INDEXED BY delivery_holder \
    CROSS JOIN message m ON m.seq = d.message CROSS JOIN endpoint e ON e.row = d.endpoint \
    WHERE d.holder IS NOT NULL AND d.holder = ?1 AND (m.id, e.id) > (?2, ?3) ORDER BY m.id, e.id LIMIT ?4";

/// The deliveries that an incarnation holds, after a key.
pub(crate) fn held(
    connection: &Connection,
    holder: Incarnation,
    after: Option<DeliveryKey>,
    limit: usize,
) -> Attempted<Vec<DeliveryKey>> {
    let blob = |id: RawId| id.as_bytes().to_vec();
    let (message, endpoint) =
        after.map_or((Vec::new(), Vec::new()), |after| (blob(after.message.raw()), blob(after.endpoint.raw())));
    let mut statement = connection.prepare_cached(HELD_BY)?;
    let keys = statement.query_map(params![int(holder.0), message, endpoint, bound(limit)], |row| {
        let message = MessageId::from_raw(RawId::from_bytes(row.get(0)?));
        Ok(DeliveryKey { message, endpoint: EndpointId::from_raw(RawId::from_bytes(row.get(1)?)) })
    })?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// A message's deliveries, by endpoint id.
pub(crate) fn of_message(
    connection: &Connection,
    application: ApplicationId,
    message: MessageId,
) -> Attempted<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    let Some(row) = crate::configuration::application_row(connection, application)? else { return Ok(deliveries) };
    let mut seq = connection.prepare_cached(hot::SEQ)?;
    let seq = seq.query_row(params![row, message.raw().as_bytes()], |row| row.get::<_, i64>(0)).optional()?;
    let Some(seq) = seq else { return Ok(deliveries) };
    let mut statement = connection.prepare_cached(delivery::OF_MESSAGE)?;
    let mut rows = statement.query([seq])?;
    while let Some(row) = rows.next()? {
        let endpoint = endpoint_of(row)?;
        deliveries.push(DeliveryRow::read(row)?.with_ids(message, endpoint, application));
    }
    Ok(deliveries)
}

/// The enabled endpoints with something that waits, after an id, each with its earliest due time.
///
/// One or two index lookups for each enabled endpoint, however much waits.
pub(crate) fn due(connection: &Connection, after: Option<EndpointId>, limit: usize) -> Attempted<Vec<Due>> {
    let mut enabled = connection.prepare_cached(ENABLED)?;
    let mut first = connection.prepare_cached(delivery::FIRST_DUE)?;
    let after = after.map_or(Vec::new(), |after| after.raw().as_bytes().to_vec());
    let mut rows = enabled.query([after])?;
    let mut due = Vec::new();
    while due.len() < limit
        && let Some(row) = rows.next()?
    {
        let (endpoint, id) = (row.get(0)?, row.get(1)?);
        let (free, behind) = (first_due(&mut first, endpoint, false)?, first_due(&mut first, endpoint, true)?);
        if let Some(first) = earlier(free, behind) {
            due.push(Due { endpoint: EndpointId::from_raw(RawId::from_bytes(id)), first });
        }
    }
    Ok(due)
}

fn first_due(statement: &mut CachedStatement<'_>, endpoint: i64, waits: bool) -> rusqlite::Result<Option<i64>> {
    statement.query_row(params![endpoint, waits], |row| row.get(0)).optional()
}
