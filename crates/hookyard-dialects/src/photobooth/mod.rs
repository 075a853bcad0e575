//! The photobooth service's webhooks: `{type, event_id, …}` with the event's own objects, signed in `X-Signature`.
//!
//! What leaves has the type first, the event's id second and the payload's other members in their order. The id is the
//! payload's own `event_id`, else the one in the application's metadata: an application stands for one event.
//!
//! The document says that the signature is an HMAC-SHA256 and not how it is written, so an endpoint chooses, and a request
//! that comes in may have any of the three forms. The service signs everything it sends: a source without a secret accepts
//! nothing. An endpoint without one is sent to unsigned, for receivers that verify nothing. The service gives an event
//! neither an id nor a time, so none is read.
//!
//! Retries are the document's: three, ten seconds apart.

mod catalogue;

use std::time::Duration;

use hookyard_model::{Endpoint, EndpointSettings, Message, RetryPolicy, Secret, Timestamp};
use http::HeaderMap;

use crate::body_signature::{self, Form};
use crate::json::{self, MemberOrder, Style};
use crate::{
    Choices, DecodeError, Decoded, Defaults, Dialect, EncodeError, Encoded, Inbound, OptionSpec, Outbound, RawRequest,
    SecretForm, SettingsError, Verified, envelope, option,
};

const SIGNATURE: &str = "x-signature";
const SIGNED: &str = "HMAC-SHA256";
const FORMS: [Form; 3] = [Form::Hex, Form::PrefixedHex, Form::Base64];
/// The member of payloads, and of an application's metadata, that says which event it is.
const EVENT_ID: &str = "event_id";

const SIGNATURE_ENCODING: OptionSpec = OptionSpec {
    name: "signature_encoding",
    choices: Choices::OneOf(&["hex", "sha256=hex", "base64"]),
    default: "hex",
    meaning: "How the signature is written: hexadecimal digits, the same behind `sha256=`, or base64.",
};

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "photobooth",
    summary: "Photobooth: type and event id with the event's own objects, signed in `X-Signature`.",
    outbound: Some(&Photobooth),
    inbound: Some(&Photobooth),
    catalogue: &catalogue::EVENTS,
};

/// What it does.
pub(crate) struct Photobooth;

impl Outbound for Photobooth {
    fn defaults(&self) -> Defaults {
        Defaults {
            retry: Some(RetryPolicy::Fixed { delay: Duration::from_secs(10), retries: 3 }),
            secret_form: SecretForm::Text,
            require_https: true,
            ..Defaults::default()
        }
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[SIGNATURE_ENCODING]
    }

    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
        envelope::check(endpoint, SIGNATURE)
    }

    fn encode(&self, message: &Message, endpoint: &Endpoint, _: u8) -> Result<Encoded, EncodeError> {
        let payload = envelope::payload(message)?;
        let members = envelope::members(payload)?;
        let mut body = Vec::with_capacity(payload.len() + 64);
        body.extend_from_slice(b"{\"type\":");
        json::write_text(message.event_type.as_str(), Style::JavaScript, &mut body);
        body.extend_from_slice(b",\"event_id\":");
        let own = members.iter().rfind(|member| member.is(EVENT_ID) && member.value != b"null");
        match (own, endpoint.application_metadata.get(EVENT_ID)) {
            (Some(own), _) => json::write(own.value, Style::JavaScript, MemberOrder::AsWritten, &mut body)
                .map_err(envelope::not_json)?,
            (None, Some(text)) if is_integer(text) => body.extend_from_slice(text.as_bytes()),
            (None, Some(text)) => json::write_text(text, Style::JavaScript, &mut body),
            (None, None) => {
                let why = "it has no `event_id`; put it into the payload, or once into the application's metadata";
                return Err(EncodeError(why.to_owned()));
            }
        }
        for member in members.iter().filter(|member| !member.is("type") && !member.is(EVENT_ID)) {
            envelope::write_member(member.key, member.value, Style::JavaScript, &mut body)?;
        }
        body.push(b'}');
        Ok(envelope::encoded(body))
    }

    fn sign(
        &self,
        encoded: &Encoded,
        _: &Message,
        endpoint: &Endpoint,
        now: Timestamp,
        headers: &mut HeaderMap,
    ) -> Result<(), EncodeError> {
        let form = match option::given(&endpoint.settings, &SIGNATURE_ENCODING) {
            Some("sha256=hex") => Form::PrefixedHex,
            Some("base64") => Form::Base64,
            // Settings were checked when they were saved, so what remains is the default's name.
            Some(_) | None => Form::Hex,
        };
        body_signature::sign((SIGNATURE, form), encoded, endpoint, now, headers)
    }
}

/// Whether a text is a JSON number without fraction and exponent.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    !digits.is_empty() && !leading_zero && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl Inbound for Photobooth {
    fn verify(&self, request: &RawRequest<'_>, secrets: &[Secret<String>], _: Timestamp) -> Verified {
        body_signature::verify((SIGNATURE, &FORMS, SIGNED), request.headers, request.body, secrets)
    }

    fn decode(&self, request: &RawRequest<'_>) -> Result<Decoded, DecodeError> {
        Ok(Decoded {
            event_type: envelope::event_type(request.body, "type")?,
            event_time: None,
            deduplication_id: None,
            content_type: "application/json".to_owned(),
            payload: envelope::without(request.body, &["type"])?,
        })
    }
}

#[cfg(test)]
mod tests;
