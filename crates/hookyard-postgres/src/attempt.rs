//! Attempts as rows.

use hookyard_model::{Attempt, AttemptId};
use hookyard_record::{micros, outcome_code, peer_text, read_attempt, trigger_code};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, text};
use crate::fault::Attempted;
use crate::transaction::Tx;

const TABLE: &str = "attempt";

/// Writes attempts, save those that are in the log already, and gives the ids of what it wrote.
pub(crate) const INSERT: &str = "INSERT INTO @attempt (id, message, endpoint, application, trigger, outcome, started, dns, \
    connect, tls, first_byte, total, status, detail, rule, hint, peer, url, request_headers, response_headers, truncated, \
    body) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
    $21, $22) ON CONFLICT DO NOTHING RETURNING id";

/// The columns that [`read_attempt`] reads, of `attempt AS t`.
macro_rules! columns {
    () => {
        "t.id, t.message, t.endpoint, t.application, t.trigger, t.outcome, t.started, t.dns, t.connect, t.tls, \
         t.first_byte, t.total, t.status, t.detail, t.rule, t.hint, t.peer, t.url, t.request_headers, t.response_headers, \
         t.truncated, t.body"
    };
}

/// One attempt of an application.
pub(crate) const BY_ID: &str =
    concat!("SELECT ", columns!(), " FROM @attempt t WHERE t.application = $1 AND t.id = $2");

/// A page of attempts between two ids: of the first `$4` rows those that are wanted (the endpoint, the outcome, the class
/// of the status, the times), counted, and the last two that were looked at.
macro_rules! page {
    ($of:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", t.n, t.wanted FROM (SELECT ",
            columns!(),
            ", row_number() OVER () AS n, ($5::bytea IS NULL OR t.endpoint = $5) AND ($6::boolean IS NULL OR \
             (t.outcome = 0) = $6) AND ($7::int4 IS NULL OR coalesce(t.status / 100, 0) = $7) AND ($8::int8 IS NULL OR \
             t.started < $8) AND ($9::int8 IS NULL OR t.started >= $9) AND t.application = $10 AS wanted \
             FROM (SELECT * FROM @attempt WHERE ",
            $of,
            " = $1 AND id > $2 AND id < $3 ORDER BY id ",
            $order,
            " LIMIT $4) t) t WHERE t.wanted OR t.n >= $4 - 1 LIMIT $11"
        )
    };
}

/// Of a message, the oldest first.
pub(crate) const OF_MESSAGE_UPWARDS: &str = page!("message", "ASC");
/// Of a message, the newest first.
pub(crate) const OF_MESSAGE_DOWNWARDS: &str = page!("message", "DESC");
/// Of an endpoint, the oldest first.
pub(crate) const OF_ENDPOINT_UPWARDS: &str = page!("endpoint", "ASC");
/// Of an endpoint, the newest first.
pub(crate) const OF_ENDPOINT_DOWNWARDS: &str = page!("endpoint", "DESC");
/// Of an application, the oldest first.
pub(crate) const OF_APPLICATION_UPWARDS: &str = page!("application", "ASC");
/// Of an application, the newest first.
pub(crate) const OF_APPLICATION_DOWNWARDS: &str = page!("application", "DESC");

/// Writes attempts of messages that are stored, and gives the ids of those that were not in the log.
pub(crate) async fn insert(tx: &Tx, attempts: &[&Attempt]) -> Attempted<Vec<AttemptId>> {
    /// One value of each attempt.
    macro_rules! each {
        (|$attempt:ident| $value:expr) => {
            attempts.iter().map(|$attempt| $value).collect::<Vec<_>>()
        };
    }
    if attempts.is_empty() {
        return Ok(Vec::new());
    }
    let code = i16::from;
    let responses = each!(|attempt| attempt.response.as_ref());
    let statuses: Vec<Option<i32>> = responses.iter().map(|kept| kept.map(|kept| i32::from(kept.status))).collect();
    let headers: Vec<Option<String>> = responses.iter().map(|kept| kept.map(|kept| text(&kept.headers))).collect();
    let truncated: Vec<Option<bool>> = responses.iter().map(|kept| kept.map(|kept| kept.truncated)).collect();
    let bodies: Vec<Option<&[u8]>> = responses.iter().map(|kept| kept.map(|kept| &kept.body[..])).collect();
    let rows = tx
        .query(
            INSERT,
            &[
                (&each!(|attempt| Id(attempt.id.raw())), Type::BYTEA_ARRAY),
                (&each!(|attempt| Id(attempt.message.raw())), Type::BYTEA_ARRAY),
                (&each!(|attempt| Id(attempt.endpoint.raw())), Type::BYTEA_ARRAY),
                (&each!(|attempt| Id(attempt.application.raw())), Type::BYTEA_ARRAY),
                (&each!(|attempt| code(trigger_code(attempt.trigger))), Type::INT2_ARRAY),
                (&each!(|attempt| code(outcome_code(&attempt.outcome))), Type::INT2_ARRAY),
                (&each!(|attempt| attempt.started.as_micros()), Type::INT8_ARRAY),
                (&each!(|attempt| attempt.timings.dns.map(micros)), Type::INT8_ARRAY),
                (&each!(|attempt| attempt.timings.connect.map(micros)), Type::INT8_ARRAY),
                (&each!(|attempt| attempt.timings.tls.map(micros)), Type::INT8_ARRAY),
                (&each!(|attempt| attempt.timings.first_byte.map(micros)), Type::INT8_ARRAY),
                (&each!(|attempt| micros(attempt.timings.total)), Type::INT8_ARRAY),
                (&statuses, Type::INT4_ARRAY),
                (&each!(|attempt| attempt.outcome.detail().map(text)), Type::TEXT_ARRAY),
                (&each!(|attempt| attempt.outcome.blocked().map(|by| text(&by.rule))), Type::TEXT_ARRAY),
                (
                    &each!(|attempt| attempt.outcome.blocked().and_then(|by| by.hint.as_deref().map(text))),
                    Type::TEXT_ARRAY,
                ),
                (&each!(|attempt| attempt.peer.as_ref().map(|peer| text(&peer_text(peer)))), Type::TEXT_ARRAY),
                (&each!(|attempt| text(&attempt.url)), Type::TEXT_ARRAY),
                (&each!(|attempt| text(&attempt.request_headers)), Type::TEXT_ARRAY),
                (&headers, Type::TEXT_ARRAY),
                (&truncated, Type::BOOL_ARRAY),
                (&bodies, Type::BYTEA_ARRAY),
            ],
        )
        .await?;
    rows.iter().map(|row| Columns::new(TABLE, row).get(0, "id")).collect()
}

/// Reads a row of [`BY_ID`] and its like.
pub(crate) fn read(row: &Row) -> Attempted<Attempt> {
    read_attempt(&Columns::new(TABLE, row))
}
