//! Messages as rows.

use hookyard_model::{Channel, EventId, EventTime, Message, Tag, Timestamp};
use hookyard_ports::store::StoredMessage;
use hookyard_record::{content_type, kept_headers, lines, origin_code, payload, read_message, targets};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, int, text};
use crate::fault::Attempted;
use crate::transaction::Tx;

const TABLE: &str = "message";

/// Writes messages.
pub(crate) const INSERT: &str = "INSERT INTO @message (id, seq, organisation, application, accepted, expires, revision, \
    origin, origin_name, deliver_at, event_type, event_id, event_time, channels, tags, content_type, kept_headers, \
    targets, payload) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
    $18, $19)";

/// The columns that [`read_message`] reads, of `message AS m`; [`read`] reads the payload after them.
macro_rules! columns {
    () => {
        "m.id, m.seq, m.organisation, m.application, m.accepted, m.expires, m.revision, m.origin, m.origin_name, \
         m.deliver_at, m.event_type, m.event_id, m.event_time, m.channels, m.tags, m.content_type, m.kept_headers, \
         m.targets"
    };
}

/// Messages by their ids. The range says in which partitions they are before any is opened.
pub(crate) const BY_IDS: &str =
    concat!("SELECT ", columns!(), ", m.payload FROM @message m WHERE m.id = ANY($1) AND m.id >= $2 AND m.id <= $3");
/// A message by its id.
pub(crate) const BY_ID: &str =
    concat!("SELECT ", columns!(), ", m.payload FROM @message m WHERE m.id = $2 AND m.application = $1");
/// A message by the publisher's own id; the newest, should there be several.
pub(crate) const BY_EVENT_ID: &str = concat!(
    "SELECT ",
    columns!(),
    ", m.payload FROM @message m WHERE m.application = $1 AND m.event_id = $2 ORDER BY m.seq DESC LIMIT 1"
);

/// A page of an application's messages between two ids: of the first `$4` rows those that are wanted (the event types,
/// the channel, the times), counted, with the bytes of their payloads, and the last two that were looked at. Payloads are
/// not read.
macro_rules! page {
    ($order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", m.n, m.wanted, m.bytes FROM (SELECT ",
            columns!(),
            ", row_number() OVER () AS n, coalesce(octet_length(m.payload), 0)::int8 AS bytes, \
             ($5::text[] IS NULL OR m.event_type = ANY($5)) AND ($6::text IS NULL OR \
             coalesce($6 = ANY(string_to_array(m.channels, E'\\n')), false)) AND ($7::int8 IS NULL OR m.accepted < $7) AND \
             ($8::int8 IS NULL OR m.accepted >= $8) AS wanted FROM (SELECT * FROM @message WHERE application = $1 \
             AND id > $2 AND id < $3 ORDER BY id ",
            $order,
            " LIMIT $4) m) m WHERE m.wanted OR m.n >= $4 - 1 LIMIT $9"
        )
    };
}
/// The oldest first.
pub(crate) const UPWARDS: &str = page!("ASC");
/// The newest first.
pub(crate) const DOWNWARDS: &str = page!("DESC");
/// Payloads by their messages' ids.
pub(crate) const PAYLOADS: &str = "SELECT id, payload FROM @message WHERE id = ANY($1) AND id >= $2 AND id <= $3";

/// Writes messages, each with its place in the order.
pub(crate) async fn insert(tx: &Tx, messages: &[(&Message, i64)]) -> Attempted<()> {
    /// One value of each message.
    macro_rules! each {
        (|$message:ident| $value:expr) => {
            messages.iter().map(|($message, _)| $value).collect::<Vec<_>>()
        };
    }
    let seqs: Vec<i64> = messages.iter().map(|(_, seq)| *seq).collect();
    let origins: Vec<(u8, Option<String>)> = each!(|message| origin_code(&message.origin));
    let (origin, origin_name): (Vec<i16>, Vec<Option<String>>) =
        origins.into_iter().map(|(code, name)| (i16::from(code), name.as_deref().map(text))).unzip();
    let written = tx
        .execute(
            INSERT,
            &[
                (&each!(|message| Id(message.id.raw())), Type::BYTEA_ARRAY),
                (&seqs, Type::INT8_ARRAY),
                (&each!(|message| Id(message.organisation.raw())), Type::BYTEA_ARRAY),
                (&each!(|message| Id(message.application.raw())), Type::BYTEA_ARRAY),
                (&each!(|message| message.accepted.as_micros()), Type::INT8_ARRAY),
                (&each!(|message| message.expires.as_micros()), Type::INT8_ARRAY),
                (&each!(|message| int(message.revision.0)), Type::INT8_ARRAY),
                (&origin, Type::INT2_ARRAY),
                (&origin_name, Type::TEXT_ARRAY),
                (&each!(|message| message.deliver_at.map(Timestamp::as_micros)), Type::INT8_ARRAY),
                (&each!(|message| message.event_type.as_str()), Type::TEXT_ARRAY),
                (&each!(|message| message.event_id.as_ref().map(EventId::as_str)), Type::TEXT_ARRAY),
                (&each!(|message| message.event_time.as_ref().map(EventTime::text)), Type::TEXT_ARRAY),
                (&each!(|message| lines(message.channels.iter().map(Channel::as_str))), Type::TEXT_ARRAY),
                (&each!(|message| lines(message.tags.iter().map(Tag::as_str))), Type::TEXT_ARRAY),
                (&each!(|message| content_type(message).map(text)), Type::TEXT_ARRAY),
                (&each!(|message| kept_headers(message)), Type::TEXT_ARRAY),
                (&each!(|message| targets(message)), Type::BYTEA_ARRAY),
                (&each!(|message| message.payload.bytes().map(|bytes| &bytes[..])), Type::BYTEA_ARRAY),
            ],
        )
        .await;
    written.map(drop).map_err(|fault| fault.or_conflict("message id"))
}

/// Messages by their ids; those that are not stored are left out.
pub(crate) async fn by_ids(tx: &Tx, ids: &[Id]) -> Attempted<Vec<StoredMessage>> {
    let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else { return Ok(Vec::new()) };
    let rows = tx.query(BY_IDS, &[(&ids, Type::BYTEA_ARRAY), (first, Type::BYTEA), (last, Type::BYTEA)]).await?;
    rows.iter().map(read).collect()
}

/// Reads a row of [`BY_ID`] and its like.
pub(crate) fn read(row: &Row) -> Attempted<StoredMessage> {
    let columns = Columns::new(TABLE, row);
    read_message(&columns, payload(columns.get(18, "payload")?))
}
