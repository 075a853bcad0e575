//! The fuzz targets, as functions over bytes.
//!
//! Called by the binaries in `fuzz/fuzz_targets`, which libFuzzer drives, and by the replay test beside this file, which
//! runs every input in `fuzz/corpus` on the ordinary toolchain. Each function gives a stranger's bytes to the code that
//! meets them in the product and asserts what must hold whatever they are. It promises to end, and to panic only when
//! something does not hold.

mod bodies;
mod configs;
mod node;
mod templates;

use std::str::FromStr;

pub use bodies::bodies;
use bytes::Bytes;
pub use configs::{configs, foreign_files};
use hookyard_core::{json, order};
use hookyard_dialects::{RawRequest, Verified, retry_after};
use hookyard_egress::check_url;
use hookyard_model::{
    ApplicationId, AttemptId, Channel, DialectName, EndpointId, EventId, EventPattern, EventTime, EventType, JobId,
    MessageId, Ordered, OrganisationId, Rate, Secret, SourceId, Tag, TaskId, Timestamp, Uid, format_duration, limits,
    parse_duration,
};
pub use templates::templates;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target by the name of its folder in `fuzz/corpus` and of its file in `fuzz/fuzz_targets`.
pub const TARGETS: [(&str, Target); 13] = [
    ("bodies", bodies),
    ("configs", configs),
    ("foreign_files", foreign_files),
    ("ids", ids),
    ("names", names),
    ("payloads", payloads),
    ("pointers", pointers),
    ("retry_after", retry_after_headers),
    ("signatures", signatures),
    ("spans", spans),
    ("templates", templates),
    ("times", times),
    ("urls", urls),
];

/// The time and the secret of the example that Standard Webhooks publishes, so that a corpus can hold a valid signature.
const PUBLISHED: Timestamp = Timestamp::from_seconds(1_614_265_330);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A request, given as header lines, an empty line and the body; lines that no header can be are left out.
fn request(data: &[u8]) -> (http::HeaderMap, &[u8]) {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, [].as_slice()),
    };
    let mut headers = http::HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = http::HeaderName::from_bytes(&line[..colon]);
        let value = http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, body)
}

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

/// `Retry-After` headers of answers: digits never speed anything up, and every time is one that can be kept.
pub fn retry_after_headers(data: &[u8]) {
    let Some(at) = retry_after::parse(data, PUBLISHED) else { return };
    assert!((Timestamp::MIN..=Timestamp::MAX).contains(&at));
    if data.iter().all(u8::is_ascii_digit) {
        assert!(at >= PUBLISHED);
    }
}

/// Inbound requests, given as header lines, an empty line and the body: what is accepted is accepted for this body only, or
/// because it shows the secret.
pub fn signatures(data: &[u8]) {
    let (headers, body) = request(data);
    let method = http::Method::POST;
    let secrets = [Secret::new(SECRET.to_owned())];
    let (body, longer) = (Bytes::copy_from_slice(body), Bytes::from([body, b"x"].concat()));
    for inbound in hookyard_dialects::all().iter().filter_map(|dialect| dialect.inbound()) {
        let request = RawRequest { method: &method, target: "/in/x?y", headers: &headers, body: &body };
        let verified = inbound.verify(&request, &secrets, PUBLISHED);
        if matches!(verified, Verified::Accepted { rule: "shared secret", .. }) {
            // Such a sender signs nothing: the secret itself is what it shows.
            let shown = |value: &http::HeaderValue| value.as_bytes().ends_with(SECRET.as_bytes());
            assert!(headers.values().any(shown), "accepted without the secret");
        } else if matches!(verified, Verified::Accepted { .. }) {
            let other = inbound.verify(&RawRequest { body: &longer, ..request }, &secrets, PUBLISHED);
            assert!(matches!(other, Verified::Refused(_)), "the signature covers another body as well");
        }
        // Bytes and names that are decoded have passed their own rules; that it ends is what is asked here.
        let _ = inbound.decode(&request);
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

/// URLs of endpoints: what is kept has no credentials and no fragment, and is read back as itself.
pub fn urls(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(endpoint) = check_url(text) else { return };
    assert!(
        endpoint.url.username().is_empty() && endpoint.url.password().is_none() && endpoint.url.fragment().is_none()
    );
    assert!(endpoint.url.host().is_some() && matches!(endpoint.url.scheme(), "http" | "https"));
    if let Ok(again) = check_url(endpoint.url.as_str()) {
        assert_eq!(again.url, endpoint.url);
    } else {
        // Percent-encoding may make it longer than the limit, and nothing else may be wrong with it.
        assert!(endpoint.url.as_str().len() > limits::URL_BYTES, "`{}` does not read back", endpoint.url);
    }
}
