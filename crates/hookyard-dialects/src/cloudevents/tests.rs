//! The standard's own examples, both modes, and what is refused.

mod inbound;
mod law;
mod outbound;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::examples::{NOW, endpoint, message, request};

/// An endpoint with these options.
fn choosing(options: &[(&str, &str)]) -> Endpoint {
    let mut endpoint = endpoint("cloudevents");
    let pairs = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Arc::make_mut(&mut endpoint.settings).options.extend(pairs);
    endpoint
}

fn sent(message: &Message, options: &[(&str, &str)]) -> Encoded {
    CloudEvents.encode(message, &choosing(options), 0).expect("it can be encoded")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).expect("a value");
    pairs.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
}

fn decoded(headers: &HeaderMap, body: impl Into<Bytes>) -> Result<Decoded, DecodeError> {
    CloudEvents.decode(&request(headers, &body.into()))
}
