//! The fuzz targets, as functions over bytes.
//!
//! Called by the binaries in `fuzz/fuzz_targets`, which libFuzzer drives, and by the replay test beside this file, which
//! runs every input in `fuzz/corpus` on the ordinary toolchain. Each function gives a stranger's bytes to the code that
//! meets them in the product and asserts what must hold whatever they are. It promises to end, and to panic only when
//! something does not hold.

use std::str::FromStr;

use hookyard_core::{json, order};
use hookyard_model::{
    ApplicationId, AttemptId, Channel, DialectName, EndpointId, EventId, EventPattern, EventTime, EventType, JobId,
    MessageId, Ordered, OrganisationId, Rate, SourceId, Tag, TaskId, Timestamp, Uid, format_duration, parse_duration,
};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target by the name of its folder in `fuzz/corpus` and of its file in `fuzz/fuzz_targets`.
pub const TARGETS: [(&str, Target); 6] = [
    ("ids", ids),
    ("names", names),
    ("payloads", payloads),
    ("pointers", pointers),
    ("spans", spans),
    ("times", times),
];

fn reads_back<T: FromStr + ToString>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

/// Ids from paths and bodies: what is parsed is shown as it was written.
pub fn ids(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    reads_back::<ApplicationId>(text);
    reads_back::<AttemptId>(text);
    reads_back::<EndpointId>(text);
    reads_back::<JobId>(text);
    reads_back::<MessageId>(text);
    reads_back::<OrganisationId>(text);
    reads_back::<SourceId>(text);
    reads_back::<TaskId>(text);
}

/// Names that callers choose, and a pattern against an event type, given as two lines.
pub fn names(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    reads_back::<Channel>(text);
    reads_back::<DialectName>(text);
    reads_back::<EventId>(text);
    reads_back::<Tag>(text);
    reads_back::<Uid>(text);

    let (pattern, name) = text.split_once('\n').unwrap_or((text, text));
    let Ok(event_type) = name.parse::<EventType>() else { return };
    let own: EventPattern = name.parse().expect("an event type is a pattern without a star");
    assert!(own.matches(&event_type), "`{name}` does not cover itself");
    if let Ok(pattern) = pattern.parse::<EventPattern>() {
        let covers = pattern.matches(&event_type);
        assert!(pattern.is_glob() || covers == (pattern.as_str() == name), "`{pattern}` on `{name}`");
    }
}

/// Payloads that say they are JSON: what is let through is JSON to other readers as well, at the same depth.
pub fn payloads(data: &[u8]) {
    // A little below serde_json's own limit, at which the two count differently.
    if json::check_depth(data, 100).is_ok() {
        let read = serde_json::from_slice::<serde::de::IgnoredAny>(data);
        assert!(read.is_ok(), "let through, but {read:?}");
        assert!(json::check_depth(data, 101).is_ok());
    } else if let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) {
        // What serde_json reads as a tree is JSON; only its depth can have been refused.
        assert!(json::check_depth(data, 128).is_ok(), "refused: {value}");
    }
}

/// An endpoint's order pointer, and a payload to find its key in, given as a line and the rest.
pub fn pointers(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, payload) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let Ok(pointer) = str::from_utf8(line) else { return };
    if order::check_pointer(pointer).is_err() {
        return;
    }
    let ordered = Ordered::Pointer(pointer.to_owned());
    let key = order::order_key(&ordered, payload);
    let spaced = [b" ".as_slice(), payload, b"\n"].concat();
    assert_eq!(order::order_key(&ordered, &spaced), key, "white space around the payload moves `{pointer}`");
    if key.is_some() {
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok(), "a key in what is not JSON");
    }
}

/// Durations and rates from files, flags and bodies.
pub fn spans(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(span) = parse_duration(text) {
        assert_eq!(parse_duration(&format_duration(span)), Ok(span));
    }
    if let Ok(rate) = text.parse::<Rate>() {
        assert_eq!(rate.to_string().parse(), Ok(rate));
        assert!(rate.interval() <= rate.per);
    }
}

/// Times from bodies and queries: an event time keeps its text, a timestamp keeps its point in time.
pub fn times(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(at) = text.parse::<Timestamp>() {
        assert_eq!(at.to_string().parse(), Ok(at));
    }
    if let Ok(time) = text.parse::<EventTime>() {
        assert_eq!(time.text(), text);
        assert!(time.at() >= Timestamp::MIN && time.at() <= Timestamp::MAX);
    }
}
