//! Attempts as rows.

use hookyard_model::{Attempt, Outcome, RawId, Timestamp, Timings};
use hookyard_record::{micros, outcome_code, peer_text, read_attempt, trigger_code};
use rusqlite::{Row, Statement, params};

use crate::column::{Columns, RowCells};
use crate::fault::Attempted;

/// Writes an attempt, unless it is in the log already.
pub(crate) const INSERT: &str = "INSERT OR IGNORE INTO attempt (id, message, endpoint, \"trigger\", outcome, started, dns, \
    connect, tls, first_byte, total, status, detail, rule, hint, peer, url, request_headers, response_headers, truncated, \
    body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

/// An attempt's row number, the columns that [`read_attempt`] reads, and its endpoint's row, of `attempt AS t`, `message AS m`, `endpoint AS e` and `application AS a`.
macro_rules! select {
    () => {
        "SELECT t.row, t.id, m.id, e.id, a.id, t.\"trigger\", t.outcome, t.started, t.dns, t.connect, t.tls, t.first_byte, \
         t.total, t.status, t.detail, t.rule, t.hint, t.peer, t.url, t.request_headers, t.response_headers, t.truncated, \
         t.body, t.endpoint FROM "
    };
}
macro_rules! joins {
    () => {
        " CROSS JOIN message m ON m.seq = t.message CROSS JOIN endpoint e ON e.row = t.endpoint \
         CROSS JOIN application a ON a.row = e.application"
    };
}

/// One attempt, by endpoint row and id.
pub(crate) const BY_ID: &str =
    concat!(select!(), "attempt t INDEXED BY attempt_endpoint", joins!(), " WHERE t.endpoint = ?1 AND t.id = ?2");

/// A message's attempts between two ids, the oldest first.
pub(crate) const OF_MESSAGE_UPWARDS: &str = concat!(
    select!(),
    "attempt t INDEXED BY attempt_message",
    joins!(),
    " WHERE t.message = ?1 AND t.id > ?2 AND t.id < ?3 ORDER BY t.id"
);
/// A message's attempts between two ids, the newest first.
pub(crate) const OF_MESSAGE_DOWNWARDS: &str = concat!(
    select!(),
    "attempt t INDEXED BY attempt_message",
    joins!(),
    " WHERE t.message = ?1 AND t.id > ?2 AND t.id < ?3 ORDER BY t.id DESC"
);
/// An endpoint's attempts between two ids, the oldest first.
pub(crate) const OF_ENDPOINT_UPWARDS: &str = concat!(
    select!(),
    "attempt t INDEXED BY attempt_endpoint",
    joins!(),
    " WHERE t.endpoint = ?1 AND t.id > ?2 AND t.id < ?3 ORDER BY t.id"
);
/// An endpoint's attempts between two ids, the newest first.
pub(crate) const OF_ENDPOINT_DOWNWARDS: &str = concat!(
    select!(),
    "attempt t INDEXED BY attempt_endpoint",
    joins!(),
    " WHERE t.endpoint = ?1 AND t.id > ?2 AND t.id < ?3 ORDER BY t.id DESC"
);
/// An endpoint's next attempt after an id.
pub(crate) const NEXT_UPWARDS: &str = "SELECT id FROM attempt INDEXED BY attempt_endpoint WHERE endpoint = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT 1";
/// An endpoint's last attempt before an id.
pub(crate) const NEXT_DOWNWARDS: &str = "SELECT id FROM attempt INDEXED BY attempt_endpoint \
    WHERE endpoint = ?1 AND id > ?2 AND id < ?3 ORDER BY id DESC LIMIT 1";

/// Writes an attempt with [`INSERT`]. `false`: it is in the log already, nothing changed.
pub(crate) fn insert(statement: &mut Statement<'_>, message: i64, endpoint: i64, attempt: &Attempt) -> Attempted<bool> {
    let Timings { dns, connect, tls, first_byte, total } = attempt.timings;
    let blocked = attempt.outcome.blocked();
    let response = attempt.response.as_ref();
    let written = statement.execute(params![
        attempt.id.raw().as_bytes(),
        message,
        endpoint,
        trigger_code(attempt.trigger),
        outcome_code(&attempt.outcome),
        attempt.started.as_micros(),
        dns.map(micros),
        connect.map(micros),
        tls.map(micros),
        first_byte.map(micros),
        micros(total),
        response.map(|kept| kept.status),
        attempt.outcome.detail(),
        blocked.map(|by| &by.rule),
        blocked.and_then(|by| by.hint.as_ref()),
        attempt.peer.as_ref().map(peer_text),
        attempt.url,
        attempt.request_headers,
        response.map(|kept| &kept.headers),
        response.map(|kept| kept.truncated),
        response.map(|kept| &kept.body[..]),
    ])?;
    Ok(written == 1)
}

/// What a search looks at before it reads the whole row.
pub(crate) struct Glance<'r, 's>(Columns<'r, 's>);

impl<'r, 's> Glance<'r, 's> {
    pub(crate) fn new(row: &'r Row<'s>) -> Self {
        Self(columns(row))
    }

    pub(crate) fn id(&self) -> Attempted<RawId> {
        self.0.id(0, "id")
    }

    pub(crate) fn succeeded(&self) -> Attempted<bool> {
        Ok(self.0.get::<u8>(5, "outcome")? == outcome_code(&Outcome::Delivered))
    }

    pub(crate) fn started(&self) -> Attempted<Timestamp> {
        self.0.get(6, "started")
    }

    pub(crate) fn status_class(&self) -> Attempted<u16> {
        Ok(self.0.get::<Option<u16>>(12, "status")?.map_or(0, |status| status / 100))
    }

    /// The endpoint's row.
    pub(crate) fn endpoint(&self) -> Attempted<i64> {
        self.0.get(22, "endpoint")
    }
}

/// Reads a row of [`BY_ID`] and its like.
pub(crate) fn read(row: &Row<'_>) -> Attempted<Attempt> {
    read_attempt(&columns(row))
}

fn columns<'r, 's>(row: &'r Row<'s>) -> Columns<'r, 's> {
    Columns::new("attempt", RowCells::behind_number(row))
}
