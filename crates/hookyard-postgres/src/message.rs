//! Messages as rows.

use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{
    ApplicationId, Channel, EndpointId, EventId, EventTime, Message, MessageId, OrganisationId, Payload, RawId,
    Revision, Seq, Tag, Timestamp,
};
use hookyard_ports::store::StoredMessage;
use hookyard_record::{decode_origin, origin_code};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, int, text};
use crate::fault::Attempted;
use crate::transaction::Tx;

const TABLE: &str = "message";
const JSON: &str = "application/json";

/// Writes messages.
pub(crate) const INSERT: &str = "INSERT INTO @message (id, seq, organisation, application, accepted, expires, revision, \
    origin, origin_name, deliver_at, event_type, event_id, event_time, channels, tags, content_type, kept_headers, \
    targets, payload) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
    $18, $19)";

/// The columns that [`read`] reads, of `message AS m`.
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

/// Lines, or nothing where there is none.
fn lines<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut text = names.next()?.to_owned();
    for name in names {
        text.push('\n');
        text.push_str(name);
    }
    Some(text)
}

fn ids(targets: &[EndpointId]) -> Vec<u8> {
    targets.iter().flat_map(|target| *target.raw().as_bytes()).collect()
}

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
    let kept_headers = each!(|message| (!message.kept_headers.is_empty())
        .then(|| serde_json::to_string(&message.kept_headers).expect("pairs of texts have a JSON form")));
    let content_types = each!(|message| (message.content_type != JSON).then(|| text(&message.content_type)));
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
                (&content_types, Type::TEXT_ARRAY),
                (&kept_headers, Type::TEXT_ARRAY),
                (&each!(|message| message.targets.as_deref().map(ids)), Type::BYTEA_ARRAY),
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
    let payload: Option<&[u8]> = Columns::new(TABLE, row).get(18, "payload")?;
    read_with(row, payload_of(payload))
}

/// A payload as it is kept.
pub(crate) fn payload_of(bytes: Option<&[u8]>) -> Payload {
    bytes.map_or(Payload::Expunged, |bytes| Payload::Kept(Bytes::copy_from_slice(bytes)))
}

/// Reads a row of [`DOWNWARDS`] and its like; its payload is the one that is given.
pub(crate) fn read_with(row: &Row, payload: Payload) -> Attempted<StoredMessage> {
    let columns = Columns::new(TABLE, row);
    let origin = decode_origin(columns.code(7, "origin")?, columns.get(8, "origin_name")?);
    let kept_headers = match columns.get::<Option<&str>>(16, "kept_headers")? {
        None => Vec::new(),
        Some(text) => serde_json::from_str(text).map_err(|_| columns.corrupt("kept_headers"))?,
    };
    let targets = match columns.get::<Option<&[u8]>>(17, "targets")? {
        None => None,
        Some(bytes) => {
            let (ids, rest) = bytes.as_chunks::<20>();
            if !rest.is_empty() {
                return Err(columns.corrupt("targets"));
            }
            Some(ids.iter().map(|id| EndpointId::from_raw(RawId::from_bytes(*id))).collect())
        }
    };
    let message = Message {
        id: MessageId::from_raw(columns.id(0, "id")?),
        organisation: OrganisationId::from_raw(columns.id(2, "organisation")?),
        application: ApplicationId::from_raw(columns.id(3, "application")?),
        event_type: columns.parse(10, "event_type")?,
        event_id: columns.parse_or_null(11, "event_id")?,
        event_time: columns.parse_or_null(12, "event_time")?,
        accepted: columns.time(4, "accepted")?,
        channels: columns.lines(13, "channels")?,
        tags: columns.lines(14, "tags")?,
        content_type: columns.get::<Option<&str>>(15, "content_type")?.unwrap_or(JSON).to_owned(),
        payload,
        kept_headers,
        origin: origin.ok_or_else(|| columns.corrupt("origin"))?,
        targets,
        revision: Revision(columns.number(6, "revision")?),
        deliver_at: columns.time_or_null(9, "deliver_at")?,
        expires: columns.time(5, "expires")?,
    };
    Ok(StoredMessage { seq: Seq(columns.number(1, "seq")?), message: Arc::new(message) })
}
