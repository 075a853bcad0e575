//! Messages as rows.

use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{
    ApplicationId, EndpointId, Message, MessageId, OrganisationId, Payload, RawId, Revision, Seq, Timestamp,
};
use hookyard_ports::store::StoredMessage;
use hookyard_record::{decode_origin, origin_code};
use rusqlite::{Connection, Row, Statement, params};

use crate::column::{Columns, int};
use crate::fault::{Attempted, Fault};

const TABLE: &str = "message";
const JSON: &str = "application/json";

/// Writes a message.
pub(crate) const INSERT: &str = "INSERT INTO message (seq, id, application, accepted, expires, revision, origin, \
    origin_name, deliver_at, event_type, event_id, event_time, channels, tags, content_type, kept_headers, targets, \
    payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";

/// The columns that [`read_with`] reads, of `message AS m` and `application AS a`; [`read`] reads the payload after them.
macro_rules! columns {
    () => {
        "m.seq, m.id, a.id, a.organisation, m.accepted, m.expires, m.revision, m.origin, m.origin_name, m.deliver_at, \
         m.event_type, m.event_id, m.event_time, m.channels, m.tags, m.content_type, m.kept_headers, m.targets"
    };
}

/// Reads a message by its place in the order.
pub(crate) const BY_SEQ: &str = concat!(
    "SELECT ",
    columns!(),
    ", m.payload FROM message m JOIN application a ON a.row = m.application WHERE m.seq = ?1"
);
/// Reads a message by its id.
pub(crate) const BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    ", m.payload FROM application a JOIN message m INDEXED BY message_id ON m.application = a.row WHERE a.id = ?1 AND m.id = ?2"
);
/// Reads a message by the publisher's own id; the newest, should there be several.
pub(crate) const BY_EVENT_ID: &str = concat!(
    "SELECT ",
    columns!(),
    ", m.payload FROM application a JOIN message m INDEXED BY message_event_id ON m.application = a.row \
     WHERE a.id = ?1 AND m.event_id = ?2 ORDER BY m.seq DESC LIMIT 1"
);
/// Reads an application's messages between two ids, the oldest first. Without payloads: `SQLite` would read each into
/// memory, also of the rows that a search skips.
pub(crate) const UPWARDS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM application a CROSS JOIN message m INDEXED BY message_id ON m.application = a.row \
     WHERE a.row = ?1 AND m.application = ?1 AND m.id > ?2 AND m.id < ?3 ORDER BY m.id"
);
/// Reads an application's messages between two ids, the newest first.
pub(crate) const DOWNWARDS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM application a CROSS JOIN message m INDEXED BY message_id ON m.application = a.row \
     WHERE a.row = ?1 AND m.application = ?1 AND m.id > ?2 AND m.id < ?3 ORDER BY m.id DESC"
);

/// Writes a message with [`INSERT`].
pub(crate) fn insert(statement: &mut Statement<'_>, seq: i64, application: i64, message: &Message) -> Attempted<()> {
    let (origin, origin_name) = origin_code(&message.origin);
    let lines = |names: &mut dyn Iterator<Item = &str>| {
        let mut text = names.next()?.to_owned();
        for name in names {
            text.push('\n');
            text.push_str(name);
        }
        Some(text)
    };
    let kept_headers = (!message.kept_headers.is_empty())
        .then(|| serde_json::to_string(&message.kept_headers).expect("pairs of texts have a JSON form"));
    let targets = message.targets.as_ref().map(|targets| {
        let mut bytes = Vec::with_capacity(targets.len() * 20);
        for target in targets {
            bytes.extend_from_slice(target.raw().as_bytes());
        }
        bytes
    });
    let inserted = statement.execute(params![
        seq,
        message.id.raw().as_bytes(),
        application,
        message.accepted.as_micros(),
        message.expires.as_micros(),
        int(message.revision.0),
        origin,
        origin_name,
        message.deliver_at.map(Timestamp::as_micros),
        message.event_type.as_str(),
        message.event_id.as_ref().map(hookyard_model::EventId::as_str),
        message.event_time.as_ref().map(hookyard_model::EventTime::text),
        lines(&mut message.channels.iter().map(hookyard_model::Channel::as_str)),
        lines(&mut message.tags.iter().map(hookyard_model::Tag::as_str)),
        (message.content_type != JSON).then_some(&message.content_type),
        kept_headers,
        targets,
        message.payload.bytes().map(|bytes| &bytes[..]),
    ]);
    inserted.map(drop).map_err(|error| Fault::or_conflict(error, "message id"))
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

    pub(crate) fn accepted(&self) -> Attempted<Timestamp> {
        self.0.time(4, "accepted")
    }

    pub(crate) fn event_type(&self) -> Attempted<&str> {
        self.0.text(10, "event_type")
    }

    pub(crate) fn is_on(&self, channel: &str) -> Attempted<bool> {
        Ok(self.0.text_or_null(13, "channels")?.is_some_and(|lines| lines.split('\n').any(|line| line == channel)))
    }
}

/// Reads a payload by its message's place in the order.
pub(crate) const PAYLOAD: &str = "SELECT payload FROM message WHERE seq = ?1";

/// Reads a row of [`BY_SEQ`] and its like.
pub(crate) fn read(row: &Row<'_>) -> Attempted<StoredMessage> {
    let payload = Columns::new(TABLE, row).get(18, "payload")?;
    read_with(row, payload_of(payload))
}

/// Reads the payload of a row of [`DOWNWARDS`] and its like.
pub(crate) fn payload(connection: &Connection, row: &Row<'_>) -> Attempted<Payload> {
    let seq: i64 = row.get(0)?;
    let mut statement = connection.prepare_cached(PAYLOAD)?;
    let payload = statement.query_row([seq], |found| Ok(Columns::new(TABLE, found).get(0, "payload")))?;
    Ok(payload_of(payload?))
}

fn payload_of(bytes: Option<Vec<u8>>) -> Payload {
    bytes.map_or(Payload::Expunged, |bytes| Payload::Kept(Bytes::from(bytes)))
}

/// Reads a row of [`DOWNWARDS`] and its like; its payload is the one that is given.
pub(crate) fn read_with(row: &Row<'_>, payload: Payload) -> Attempted<StoredMessage> {
    let columns = Columns::new(TABLE, row);
    let seq: u64 = columns.number(0, "seq")?;
    let origin = decode_origin(columns.get(7, "origin")?, columns.get(8, "origin_name")?);
    let kept_headers = match columns.text_or_null(16, "kept_headers")? {
        None => Vec::new(),
        Some(text) => serde_json::from_str(text).map_err(|_| columns.corrupt("kept_headers"))?,
    };
    let targets = match columns.get::<Option<Vec<u8>>>(17, "targets")? {
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
        id: MessageId::from_raw(columns.id(1, "id")?),
        organisation: OrganisationId::from_raw(columns.id(3, "organisation")?),
        application: ApplicationId::from_raw(columns.id(2, "application")?),
        event_type: columns.parse(10, "event_type")?,
        event_id: columns.parse_or_null(11, "event_id")?,
        event_time: columns.parse_or_null(12, "event_time")?,
        accepted: columns.time(4, "accepted")?,
        channels: columns.lines(13, "channels")?,
        tags: columns.lines(14, "tags")?,
        content_type: columns.text_or_null(15, "content_type")?.unwrap_or(JSON).to_owned(),
        payload,
        kept_headers,
        origin: origin.ok_or_else(|| columns.corrupt("origin"))?,
        targets,
        revision: Revision(columns.number(6, "revision")?),
        deliver_at: columns.time_or_null(9, "deliver_at")?,
        expires: columns.time(5, "expires")?,
    };
    Ok(StoredMessage { seq: Seq(seq), message: Arc::new(message) })
}
