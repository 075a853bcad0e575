//! What a request must satisfy before it gets an id.
//!
//! Called by the publisher for every message, whichever door it came through, so that no door can forget a rule.

use hookyard_core::json;
use hookyard_model::{Timestamp, is_json, limits};

use crate::{Publish, PublishError};

/// Checks what no single type of [`Publish`] holds by itself.
pub(crate) fn check(publish: &Publish, now: Timestamp) -> Result<(), PublishError> {
    if publish.payload.len() > limits::API_BODY_BYTES {
        return Err(PublishError::TooLarge(publish.payload.len()));
    }
    if publish.channels.len() > limits::MESSAGE_CHANNELS {
        return Err(PublishError::TooManyChannels(publish.channels.len()));
    }
    if publish.tags.len() > limits::MESSAGE_TAGS {
        return Err(PublishError::TooManyTags(publish.tags.len()));
    }
    let content_type = publish.content_type.as_bytes();
    if !(1..=limits::NAME_BYTES).contains(&content_type.len())
        || !content_type.iter().all(|byte| matches!(byte, b' '..=b'~'))
    {
        return Err(PublishError::ContentType);
    }
    if let Some(at) = publish.deliver_at
        && at > now.plus(limits::DELIVER_AT)
    {
        return Err(PublishError::DeliverAtTooFar(at));
    }
    if is_json(&publish.content_type) {
        json::check_depth(&publish.payload, limits::JSON_DEPTH).map_err(PublishError::NotJson)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn publish(payload: &'static str) -> Publish {
        Publish::json("task.created".parse().expect("an event type"), Bytes::from_static(payload.as_bytes()))
    }

    const NOW: Timestamp = Timestamp::EPOCH;

    #[test]
    fn a_json_type_promises_one_json_value() {
        for payload in ["{}", "null", " [1, 2.50, \"x\"] ", "7"] {
            assert!(check(&publish(payload), NOW).is_ok(), "{payload}");
        }
        for payload in ["", "{", "{} {}", "nope", "\u{feff}{}"] {
            assert!(matches!(check(&publish(payload), NOW), Err(PublishError::NotJson(_))), "{payload}");
        }
        let invalid = Publish { payload: Bytes::from_static(b"\"\xff\""), ..publish("") };
        assert!(matches!(check(&invalid, NOW), Err(PublishError::NotJson(_))));
    }

    #[test]
    fn json_may_be_as_deep_as_the_limit_and_no_deeper() {
        let nested = |depth: usize| Publish {
            payload: Bytes::from(format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
            ..publish("")
        };
        assert!(check(&nested(limits::JSON_DEPTH), NOW).is_ok());
        assert!(check(&nested(limits::JSON_DEPTH + 1), NOW).is_err());
        assert!(check(&nested(100_000), NOW).is_err());
    }

    #[test]
    fn other_types_are_kept_as_they_are() {
        let text = Publish { content_type: "text/plain".to_owned(), ..publish("nope") };
        assert!(check(&text, NOW).is_ok());
        for content_type in ["", "text/plain\r\nx: y", "text/é"] {
            let bad = Publish { content_type: content_type.to_owned(), ..publish("x") };
            assert!(matches!(check(&bad, NOW), Err(PublishError::ContentType)), "{content_type}");
        }
    }

    #[test]
    fn every_json_type_promises_json() {
        for content_type in ["application/cloudevents+json", "text/json; charset=utf-8"] {
            let broken = Publish { content_type: content_type.to_owned(), ..publish("nope") };
            assert!(matches!(check(&broken, NOW), Err(PublishError::NotJson(_))), "{content_type}");
        }
    }

    #[test]
    fn every_limit_holds_at_its_edge() {
        let channels = |count| Publish { channels: vec!["c".parse().expect("a channel"); count], ..publish("1") };
        assert!(check(&channels(limits::MESSAGE_CHANNELS), NOW).is_ok());
        assert!(check(&channels(limits::MESSAGE_CHANNELS + 1), NOW).is_err());
        let tags = |count| Publish { tags: vec!["t".parse().expect("a tag"); count], ..publish("1") };
        assert!(check(&tags(limits::MESSAGE_TAGS), NOW).is_ok());
        assert!(check(&tags(limits::MESSAGE_TAGS + 1), NOW).is_err());
        let at = |deliver_at| Publish { deliver_at: Some(deliver_at), ..publish("1") };
        assert!(check(&at(NOW.plus(limits::DELIVER_AT)), NOW).is_ok());
        assert!(check(&at(NOW.plus(limits::DELIVER_AT).plus(std::time::Duration::from_micros(1))), NOW).is_err());
        let bytes = |count| Publish {
            payload: Bytes::from(vec![b'x'; count]),
            content_type: "text/plain".to_owned(),
            ..publish("")
        };
        assert!(check(&bytes(limits::API_BODY_BYTES), NOW).is_ok());
        assert!(matches!(check(&bytes(limits::API_BODY_BYTES + 1), NOW), Err(PublishError::TooLarge(_))));
    }
}
