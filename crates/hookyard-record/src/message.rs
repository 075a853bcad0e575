//! Messages as columns.

use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{EndpointId, Message, Payload, RawId, Revision, Seq};
use hookyard_ports::store::StoredMessage;

use crate::column::{Cells, Columns};
use crate::decode_origin;

/// The content type that is kept as no text: nearly every message has it.
const JSON: &str = "application/json";

/// Reads a message, with the payload that is given, from these columns: id, seq, organisation, application, accepted,
/// expires, revision, origin, `origin_name`, `deliver_at`, `event_type`, `event_id`, `event_time`, channels, tags,
/// `content_type`, `kept_headers`, targets.
pub fn read_message<'r, R: Cells<'r>>(columns: &Columns<R>, payload: Payload) -> Result<StoredMessage, R::Fault> {
    let origin = decode_origin(columns.get(7, "origin")?, columns.get(8, "origin_name")?);
    let kept_headers = columns.decode(16, "kept_headers", |text| serde_json::from_str(text).ok())?;
    let message = Message {
        id: columns.get(0, "id")?,
        organisation: columns.get(2, "organisation")?,
        application: columns.get(3, "application")?,
        event_type: columns.parse(10, "event_type")?,
        event_id: columns.parse_or_null(11, "event_id")?,
        event_time: columns.parse_or_null(12, "event_time")?,
        accepted: columns.get(4, "accepted")?,
        channels: columns.lines(13, "channels")?,
        tags: columns.lines(14, "tags")?,
        content_type: columns.get::<Option<&str>>(15, "content_type")?.unwrap_or(JSON).to_owned(),
        payload,
        kept_headers: kept_headers.unwrap_or_default(),
        origin: origin.ok_or_else(|| columns.corrupt("origin"))?,
        targets: columns.decode(17, "targets", decode_targets)?,
        revision: Revision(columns.get(6, "revision")?),
        deliver_at: columns.get(9, "deliver_at")?,
        expires: columns.get(5, "expires")?,
    };
    Ok(StoredMessage { seq: Seq(columns.get(1, "seq")?), message: Arc::new(message) })
}

/// Channels or tags as a column keeps them: lines, or nothing where there is none.
pub fn lines<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut text = names.next()?.to_owned();
    for name in names {
        text.push('\n');
        text.push_str(name);
    }
    Some(text)
}

/// A message's content type as a column keeps it.
pub fn content_type(message: &Message) -> Option<&str> {
    (message.content_type != JSON).then_some(message.content_type.as_str())
}

/// A message's kept headers as a column keeps them.
pub fn kept_headers(message: &Message) -> Option<String> {
    (!message.kept_headers.is_empty())
        .then(|| serde_json::to_string(&message.kept_headers).expect("pairs of texts have a JSON form"))
}

/// A message's targets as a column keeps them.
pub fn targets(message: &Message) -> Option<Vec<u8>> {
    let targets = message.targets.as_ref()?;
    Some(targets.iter().flat_map(|target| *target.raw().as_bytes()).collect())
}

fn decode_targets(bytes: &[u8]) -> Option<Vec<EndpointId>> {
    let (ids, rest) = bytes.as_chunks::<20>();
    rest.is_empty().then(|| ids.iter().map(|id| EndpointId::from_raw(RawId::from_bytes(*id))).collect())
}

/// A payload of the bytes that a column keeps; none: it is expunged.
pub fn payload(bytes: Option<&[u8]>) -> Payload {
    bytes.map_or(Payload::Expunged, |bytes| Payload::Kept(Bytes::copy_from_slice(bytes)))
}
