//! Version 1.0 of the `CloudEvents` standard over HTTP: one event a request, in the JSON format (`structured`) or as
//! `ce-*` headers (`binary`).
//!
//! The payload leaves byte for byte in both modes. `id` is the message's id, `type` the event type, `time` the text of the
//! event time; the endpoint's options say the rest. The standard has no signature: who sends is told by a header that the
//! endpoint sets, and in the other direction that is what is verified.
//!
//! A request that comes in may be of either mode, whatever its sender was told, or a batch of one event; an event's id
//! counts within its `source`, so a repeat is known by a digest of both. An event without data is a message whose payload
//! is `null`. Extension attributes are not kept: the trace headers that HTTP has for them are.
//!
//! Specified at <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md> and
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.

mod attributes;
mod binary;
mod decode;
mod settings;
mod structured;

use hookyard_model::{Endpoint, EndpointSettings, Message, Secret, Timestamp};

use crate::{
    DecodeError, Decoded, Dialect, EncodeError, Encoded, Inbound, OptionSpec, Outbound, RawRequest, SettingsError,
    Verified, option, shared_secret,
};
use attributes::Attributes;

/// The one version of the standard that is spoken; its minor corrections are not written on the wire.
const VERSION: &str = "1.0";
const JSON: &str = "application/json";

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "cloudevents",
    summary: "CloudEvents 1.0: one event as JSON or as `ce-*` headers, unsigned; receivers check a header of the endpoint.",
    outbound: Some(&CloudEvents),
    inbound: Some(&CloudEvents),
    catalogue: &[],
};

/// What it does.
pub(crate) struct CloudEvents;

impl Outbound for CloudEvents {
    fn options(&self) -> &'static [OptionSpec] {
        &settings::OPTIONS
    }

    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
        shared_secret::refuse_keys(DIALECT.name, endpoint)?;
        settings::check(endpoint)
    }

    fn encode(&self, message: &Message, endpoint: &Endpoint, _: u8) -> Result<Encoded, EncodeError> {
        let attributes = Attributes::of(message, endpoint);
        match option::given(&endpoint.settings, &settings::MODE) {
            Some("binary") => binary::encode(message, &attributes),
            Some(_) | None => structured::encode(message, &attributes),
        }
    }
}

impl Inbound for CloudEvents {
    fn verify(&self, request: &RawRequest<'_>, secrets: &[Secret<String>], _: Timestamp) -> Verified {
        shared_secret::verify(request.headers, secrets)
    }

    fn decode(&self, request: &RawRequest<'_>) -> Result<Decoded, DecodeError> {
        decode::decode(request)
    }

    fn kept_headers(&self) -> &'static [&'static str] {
        &["ce-id", "ce-source", "ce-subject", "ce-time", "ce-type", "traceparent", "tracestate", "user-agent"]
    }
}

#[cfg(test)]
mod tests;
