//! Numbers for people: an endpoint's minutes, and what is open in all.

use hookyard_model::{EndpointId, StateKind, Timestamp};
use hookyard_ports::store::{Overview, RollupRow};
use hookyard_record::{Counts, first_minute};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::deliveries;
use crate::fault::{Attempted, Fault};
use crate::shared::Shared;

/// An endpoint's minutes, in order.
pub(crate) const ROLLUPS: &str =
    "SELECT minute, counts FROM rollup WHERE endpoint = ?1 AND minute >= ?2 AND minute < ?3 ORDER BY minute";

/// An endpoint's rollups whose minute begins in `since..until`.
pub(crate) fn rollups(
    connection: &Connection,
    endpoint: EndpointId,
    since: Timestamp,
    until: Timestamp,
) -> Attempted<Vec<RollupRow>> {
    let mut find = connection.prepare_cached("SELECT row FROM endpoint WHERE id = ?1")?;
    let row = find.query_row([endpoint.raw().as_bytes()], |row| row.get::<_, i64>(0)).optional()?;
    let Some(row) = row else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(ROLLUPS)?;
    let mut rows = statement.query(params![row, first_minute(since), first_minute(until)])?;
    let mut rollups = Vec::new();
    while let Some(row) = rows.next()? {
        let minute = Timestamp::from_seconds(row.get::<_, i64>(0)?.saturating_mul(60));
        let counts: Vec<u8> = row.get(1)?;
        let counts = Counts::from_bytes(&counts).ok_or_else(|| Fault::corrupt("rollup", "counts", endpoint))?;
        rollups.push(counts.to_row(minute));
    }
    Ok(rollups)
}

/// What is open in all.
pub(crate) fn overview(connection: &Connection, shared: &Shared) -> Attempted<Overview> {
    let due = deliveries::due(connection, None, usize::MAX)?;
    Ok(Overview {
        open: vec![(StateKind::Pending, shared.tally.pending()), (StateKind::Leased, shared.tally.leased())],
        oldest_due: due.into_iter().map(|due| due.first).min(),
        bytes: shared.bytes(),
    })
}
