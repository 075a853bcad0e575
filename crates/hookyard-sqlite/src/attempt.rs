//! Attempts as rows.

use std::time::Duration;

use bytes::Bytes;
use hookyard_model::{
    ApplicationId, Attempt, AttemptId, EndpointId, MessageId, Outcome, Peer, RawId, ResponseKept, Timestamp, Timings,
};
use hookyard_record::{decode_outcome, decode_trigger, outcome_code, trigger_code};
use rusqlite::{Row, Statement, params};

use crate::column::Columns;
use crate::fault::Attempted;

const TABLE: &str = "attempt";
const PROXY: &str = "proxy ";

/// Writes an attempt, unless it is in the log already.
pub(crate) const INSERT: &str = "INSERT OR IGNORE INTO attempt (id, message, endpoint, \"trigger\", outcome, started, dns, \
    connect, tls, first_byte, total, status, detail, rule, hint, peer, url, request_headers, response_headers, truncated, \
    body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

/// The columns that [`read`] reads, of `attempt AS t`, `message AS m`, `endpoint AS e` and `application AS a`.
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

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Writes an attempt with [`INSERT`]. `false`: it is in the log already, nothing changed.
pub(crate) fn insert(statement: &mut Statement<'_>, message: i64, endpoint: i64, attempt: &Attempt) -> Attempted<bool> {
    let Timings { dns, connect, tls, first_byte, total } = attempt.timings;
    let blocked = match &attempt.outcome {
        Outcome::Blocked(by) => Some(by),
        Outcome::Delivered
        | Outcome::Refused
        | Outcome::TimedOut
        | Outcome::DnsFailed(_)
        | Outcome::ConnectFailed(_)
        | Outcome::TlsFailed(_)
        | Outcome::BrokenOff(_)
        | Outcome::StaleConnection
        | Outcome::Interrupted
        | Outcome::CannotBeEncoded(_) => None,
    };
    let peer = attempt.peer.as_ref().map(|peer| match peer {
        Peer::Direct(address) => address.to_string(),
        Peer::Proxy(name) => format!("{PROXY}{name}"),
    });
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
        peer,
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
    pub(crate) const fn new(row: &'r Row<'s>) -> Self {
        Self(Columns::new(TABLE, row))
    }

    pub(crate) fn id(&self) -> Attempted<RawId> {
        self.0.id(1, "id")
    }

    pub(crate) fn succeeded(&self) -> Attempted<bool> {
        Ok(self.0.get::<i64>(6, "outcome")? == i64::from(outcome_code(&Outcome::Delivered)))
    }

    pub(crate) fn started(&self) -> Attempted<Timestamp> {
        self.0.time(7, "started")
    }

    pub(crate) fn status_class(&self) -> Attempted<u16> {
        Ok(self.0.get::<Option<u16>>(13, "status")?.map_or(0, |status| status / 100))
    }

    /// The endpoint's row.
    pub(crate) fn endpoint(&self) -> Attempted<i64> {
        self.0.get(23, "endpoint")
    }
}

/// Reads a row of [`BY_ID`] and its like.
pub(crate) fn read(row: &Row<'_>) -> Attempted<Attempt> {
    let columns = Columns::new(TABLE, row);
    let span =
        |index, column| -> Attempted<Option<Duration>> { Ok(columns.get::<Option<i64>>(index, column)?.map(since)) };
    let outcome = decode_outcome(
        columns.get(6, "outcome")?,
        columns.get(14, "detail")?,
        columns.get(15, "rule")?,
        columns.get(16, "hint")?,
    );
    let peer = match columns.text_or_null(17, "peer")? {
        None => None,
        Some(text) => Some(match text.strip_prefix(PROXY) {
            Some(name) => Peer::Proxy(name.to_owned()),
            None => Peer::Direct(text.parse().map_err(|_| columns.corrupt("peer"))?),
        }),
    };
    let response = match columns.get::<Option<u16>>(13, "status")? {
        None => None,
        Some(status) => Some(ResponseKept {
            status,
            headers: columns.get(20, "response_headers")?,
            body: Bytes::from(columns.get::<Vec<u8>>(22, "body")?),
            truncated: columns.get(21, "truncated")?,
        }),
    };
    Ok(Attempt {
        id: AttemptId::from_raw(columns.id(1, "id")?),
        message: MessageId::from_raw(columns.id(2, "message")?),
        endpoint: EndpointId::from_raw(columns.id(3, "endpoint")?),
        application: ApplicationId::from_raw(columns.id(4, "application")?),
        trigger: decode_trigger(columns.get(5, "trigger")?).ok_or_else(|| columns.corrupt("trigger"))?,
        outcome: outcome.ok_or_else(|| columns.corrupt("outcome"))?,
        started: columns.time(7, "started")?,
        timings: Timings {
            dns: span(8, "dns")?,
            connect: span(9, "connect")?,
            tls: span(10, "tls")?,
            first_byte: span(11, "first_byte")?,
            total: since(columns.get(12, "total")?),
        },
        peer,
        url: columns.get(18, "url")?,
        request_headers: columns.get(19, "request_headers")?,
        response,
    })
}

fn since(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
