//! Reads what a request says about itself from its body, which the signature covers.
//!
//! Called after the request was verified. A body that is no JSON object, or that has no such member, is no error: the
//! scheme asks for neither.

use hookyard_model::{EventTime, EventType, limits};

use crate::json;

/// The member `type`, made into a name that every door takes; `unknown` where there is none.
pub(crate) fn event_type(body: &[u8]) -> EventType {
    let written = json::member(body, "type").and_then(json::text);
    let name: String =
        written.iter().flat_map(|text| text.chars()).take(limits::NAME_BYTES).map(name_character).collect();
    let unknown = || "unknown".parse().expect("it is a name");
    name.parse().unwrap_or_else(|_| unknown())
}

fn name_character(character: char) -> char {
    match character {
        'a'..='z' | '0'..='9' | '.' | '_' | '-' => character,
        'A'..='Z' => character.to_ascii_lowercase(),
        _ => '_',
    }
}

/// The member `timestamp`, where it is an RFC 3339 time.
pub(crate) fn event_time(body: &[u8]) -> Option<EventTime> {
    json::text(json::member(body, "timestamp")?)?.parse().ok()
}
