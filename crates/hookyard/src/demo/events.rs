//! What the demo's application announces: events as the systems around Hookyard have them.
//!
//! Called by the trickle. Each payload is a whole JSON object with type, time and data, as Standard Webhooks recommends,
//! so that a receiver can be written against it.

use hookyard_model::{EventType, Timestamp};
use serde_json::{Value, json};

/// An event to publish.
pub(super) struct Event {
    pub(super) event_type: EventType,
    pub(super) payload: Vec<u8>,
}

/// The `number`th event of a start, which happens at `now`.
pub(super) fn event(number: u64, now: Timestamp) -> Event {
    let id = 1_000 + now.as_seconds().rem_euclid(100_000);
    let samples: [(&str, Value); 6] = [
        (
            "order.paid",
            json!({
                "order": id,
                "customer": "Mira Okafor",
                "lines": [{ "article": "print 30x45 matt", "count": 2, "price": "9.20" }],
                "total": "18.40",
                "currency": "EUR",
            }),
        ),
        (
            "photo.added",
            json!({
                "photo": format!("p{id}"),
                "album": "Sommerfest",
                "file": format!("DSC0{id}.jpg"),
                "width": 6_000,
                "height": 4_000,
                "takenAt": now.to_string(),
                "place": { "latitude": 47.3769, "longitude": 8.5417 },
            }),
        ),
        (
            "task.created",
            json!({
                "task": id,
                "project": "Workshop",
                "title": "Sharpen the plane irons",
                "due": now.plus(std::time::Duration::from_hours(72)).to_string(),
                "labels": ["tools"],
            }),
        ),
        (
            "code.pushed",
            json!({
                "repository": "mira/darkroom",
                "branch": "main",
                "commits": [{
                    "id": format!("{:08x}", id * 2_654_435_761 % (1 << 32)),
                    "message": "Straighten what the scanner bends",
                }],
            }),
        ),
        (
            "order.shipped",
            json!({
                "order": id - 7,
                "parcel": format!("CH{id}0041"),
                "carrier": "post",
                "expected": now.plus(std::time::Duration::from_hours(48)).to_string(),
            }),
        ),
        (
            "photo.shared",
            json!({
                "photo": format!("p{}", id - 3),
                "with": "everybody who has the link",
                "expires": null,
            }),
        ),
    ];
    let place = usize::try_from(number % samples.len() as u64).expect("less than the number of samples");
    let (event_type, data) = &samples[place];
    let payload = json!({ "type": event_type, "timestamp": now.to_string(), "data": data });
    Event {
        event_type: event_type.parse().expect("the samples have names that are event types"),
        payload: payload.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use hookyard_model::EventPattern;

    use super::*;
    use crate::demo::SHAKY_TYPES;

    #[test]
    fn every_event_says_what_and_when() {
        let mut types = std::collections::BTreeSet::new();
        for number in [0, 1, 2, 3, 4, 5, u64::MAX] {
            for now in [Timestamp::EPOCH, Timestamp::MIN, Timestamp::MAX] {
                let Event { event_type, payload } = event(number, now);
                let payload: Value = serde_json::from_slice(&payload).expect("JSON");
                assert_eq!(payload["type"], event_type.as_str());
                assert_eq!(payload["timestamp"], now.to_string());
                assert!(payload["data"].is_object(), "{payload}");
                types.insert(event_type);
            }
        }
        assert_eq!(types.len(), 6);
    }

    #[test]
    fn the_shaky_endpoint_gets_the_first_event_and_not_every_one() {
        let patterns = SHAKY_TYPES.map(|pattern| pattern.parse::<EventPattern>().expect("a pattern"));
        let gets = |number| {
            let event_type = event(number, Timestamp::EPOCH).event_type;
            patterns.iter().any(|pattern| pattern.matches(&event_type))
        };
        assert_eq!([0, 1, 2, 3, 4, 5].map(gets), [true, false, true, false, true, false]);
    }
}
