//! What a template can name.
//!
//! The message, and what is free about its endpoint and application. No clock and no secret is among it: a body does not
//! depend on the attempt, and a template cannot leak what it cannot name.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hookyard_model::{Channel, Endpoint, Message, Tag, is_json};
use minijinja::value::{Enumerator, Object};
use minijinja::{Error, ErrorKind, Value};

use super::value;

/// The names, in the order in which an error lists them.
pub(super) const NAMES: [&str; 9] =
    ["payload", "payload_json", "id", "event_type", "time", "endpoint", "application", "channels", "tags"];

/// The variables of one message.
#[derive(Debug)]
struct Variables {
    others: BTreeMap<&'static str, Value>,
    raw: Bytes,
    json: bool,
    /// Read when a template names them, once.
    payload: OnceLock<Value>,
    text: OnceLock<Value>,
}

impl Variables {
    fn payload(&self) -> Value {
        let read = || {
            if self.json {
                return value::read(&self.raw)
                    .unwrap_or_else(|error| invalid(format!("the payload is not JSON: {error}")));
            }
            self.text("the payload is neither JSON nor text")
        };
        self.payload.get_or_init(read).clone()
    }

    fn text(&self, otherwise: &str) -> Value {
        let read = || {
            let text = std::str::from_utf8(&self.raw);
            text.map_or_else(|_| invalid(otherwise.to_owned()), Value::from)
        };
        self.text.get_or_init(read).clone()
    }
}

/// A value whose every use fails with this reason.
fn invalid(why: String) -> Value {
    Value::from(Error::new(ErrorKind::InvalidOperation, why))
}

impl Object for Variables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "payload" => Some(self.payload()),
            "payload_json" if self.json => Some(self.text("the payload is not UTF-8")),
            "payload_json" => Some(invalid("the payload is not JSON; `payload` is its text".to_owned())),
            _ => self.others.get(key).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&NAMES)
    }
}

/// The variables of a message to an endpoint; `payload` is the message's, which the caller has found to be kept.
pub(super) fn of(message: &Message, endpoint: &Endpoint, payload: &Bytes) -> Value {
    let texts = |names: Vec<&str>| Value::from(names.into_iter().map(Value::from).collect::<Vec<_>>());
    let pairs = |pairs: &BTreeMap<String, String>| {
        Value::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), Value::from(value.as_str()))))
    };
    let id = [("id", Value::from(endpoint.id.to_string()))];
    let uid = endpoint.uid.as_ref().map(|uid| ("uid", Value::from(uid.as_str())));
    let metadata = ("metadata", pairs(&endpoint.settings.metadata));
    let application =
        [("id", Value::from(endpoint.application.to_string())), ("metadata", pairs(&endpoint.application_metadata))];
    let others = BTreeMap::from([
        ("id", Value::from(message.id.to_string())),
        ("event_type", Value::from(message.event_type.as_str())),
        ("time", Value::from(message.time_text())),
        ("endpoint", Value::from_pairs(id.into_iter().chain(uid).chain([metadata]))),
        ("application", Value::from_pairs(application)),
        ("channels", texts(message.channels.iter().map(Channel::as_str).collect())),
        ("tags", texts(message.tags.iter().map(Tag::as_str).collect())),
    ]);
    let json = is_json(&message.content_type);
    Value::from_object(Variables {
        others,
        raw: payload.clone(),
        json,
        payload: OnceLock::new(),
        text: OnceLock::new(),
    })
}

/// Variables to try a template with when it is saved: a message with an empty payload.
pub(super) fn sample() -> Value {
    let empty = Value::from_pairs([("metadata", Value::from_pairs::<[(&str, Value); 0], _, _>([]))]);
    let others = BTreeMap::from([
        ("id", Value::from("msg_0000000000000000000000000000")),
        ("event_type", Value::from("sample.event")),
        ("time", Value::from("2026-01-01T00:00:00Z")),
        ("endpoint", empty.clone()),
        ("application", empty),
        ("channels", Value::from(Vec::<Value>::new())),
        ("tags", Value::from(Vec::<Value>::new())),
    ]);
    Value::from_object(Variables {
        others,
        raw: Bytes::from_static(b"{}"),
        json: true,
        payload: OnceLock::new(),
        text: OnceLock::new(),
    })
}
