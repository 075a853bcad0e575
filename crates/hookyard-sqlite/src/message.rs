//! Messages as rows.

use hookyard_model::{Channel, EventId, EventTime, Message, Payload, RawId, Tag, Timestamp};
use hookyard_ports::store::StoredMessage;
use hookyard_record::{content_type, kept_headers, lines, origin_code, read_message, targets};
use rusqlite::{Connection, Row, Statement, params};

use crate::column::{Columns, RowCells, int};
use crate::fault::{Attempted, Fault};

/// Writes a message.
pub(crate) const INSERT: &str = "INSERT INTO message (seq, id, application, accepted, expires, revision, origin, \
    origin_name, deliver_at, event_type, event_id, event_time, channels, tags, content_type, kept_headers, targets, \
    payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";

/// A message's row number and the columns that [`read_message`] reads, of `message AS m` and `application AS a`; [`read`]
/// reads the payload after them.
macro_rules! columns {
    () => {
        "m.seq, m.id, m.seq, a.organisation, a.id, m.accepted, m.expires, m.revision, m.origin, m.origin_name, m.deliver_at, \
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
        message.event_id.as_ref().map(EventId::as_str),
        message.event_time.as_ref().map(EventTime::text),
        lines(message.channels.iter().map(Channel::as_str)),
        lines(message.tags.iter().map(Tag::as_str)),
        content_type(message),
        kept_headers(message),
        targets(message),
        message.payload.bytes().map(|bytes| &bytes[..]),
    ]);
    inserted.map(drop).map_err(|error| Fault::or_conflict(error, "message id"))
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

    pub(crate) fn accepted(&self) -> Attempted<Timestamp> {
        self.0.get(4, "accepted")
    }

    pub(crate) fn event_type(&self) -> Attempted<&'r str> {
        self.0.get(10, "event_type")
    }

    pub(crate) fn is_on(&self, channel: &str) -> Attempted<bool> {
        let lines: Option<&str> = self.0.get(13, "channels")?;
        Ok(lines.is_some_and(|lines| lines.split('\n').any(|line| line == channel)))
    }
}

/// Reads a payload by its message's place in the order.
pub(crate) const PAYLOAD: &str = "SELECT seq, payload FROM message WHERE seq = ?1";

/// Reads a row of [`BY_SEQ`] and its like.
pub(crate) fn read(row: &Row<'_>) -> Attempted<StoredMessage> {
    let columns = columns(row);
    read_message(&columns, hookyard_record::payload(columns.get(18, "payload")?))
}

/// Reads the payload of a row of [`DOWNWARDS`] and its like.
pub(crate) fn payload(connection: &Connection, row: &Row<'_>) -> Attempted<Payload> {
    let seq: i64 = row.get(0)?;
    let mut statement = connection.prepare_cached(PAYLOAD)?;
    statement.query_row([seq], |found| Ok(columns(found).get(0, "payload").map(hookyard_record::payload)))?
}

/// Reads a row of [`DOWNWARDS`] and its like; its payload is the one that is given.
pub(crate) fn read_with(row: &Row<'_>, payload: Payload) -> Attempted<StoredMessage> {
    read_message(&columns(row), payload)
}

fn columns<'r, 's>(row: &'r Row<'s>) -> Columns<'r, 's> {
    Columns::new("message", RowCells::behind_number(row))
}
