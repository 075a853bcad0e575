//! Immich Kiosk's webhooks: event, time, device and the assets shown, signed in `X-Kiosk-Signature-256`.
//!
//! What leaves has the members and the order of Kiosk's document: `event` and `timestamp` are the message's, the others the
//! payload's, empty where it has none; `assetCount` is counted, whatever the payload says. Members that the document does
//! not know follow behind in their order, so that nothing that was published gets lost. `timestamp` is in whole seconds.
//!
//! Kiosk itself puts its whole configuration into `config`, the secrets of every webhook with it. Here they are masked
//! unless the endpoint's option `redact` is `false`.
//!
//! `cache.flushed`, as the document says, and `cache.flush`, as Kiosk sends, are one event type: an endpoint that names one
//! gets both, under the name that it wrote.
//!
//! A webhook's secret is optional in Kiosk. An endpoint without one is sent to unsigned, and a source without one wants
//! unsigned requests: they are accepted under the rule `none`, which every page shows. With a secret, nothing unsigned is.
//! Kiosk sends each event once and gives it no id, so nothing tells a repeat.

mod body;
mod catalogue;
mod secrets;
mod spelling;

use hookyard_model::{Endpoint, EndpointSettings, Message, Secret, Timestamp};
use http::HeaderMap;

use crate::body_signature::{self, Form};
use crate::{
    Choices, DecodeError, Decoded, Defaults, Dialect, EncodeError, Encoded, Inbound, OptionSpec, Outbound, RawRequest,
    SecretForm, SettingsError, Verified, envelope, option,
};

const SIGNATURE: &str = "x-kiosk-signature-256";
const FORM: Form = Form::PrefixedHex;
const SIGNED: &str = "HMAC-SHA256";

const REDACT: OptionSpec = OptionSpec {
    name: "redact",
    choices: Choices::OneOf(&["true", "false"]),
    default: "true",
    meaning: "Whether secrets inside `config` are masked: the URLs and secrets of webhooks, keys of services, passwords.",
};

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "kiosk",
    summary: "Immich Kiosk: event, device and assets, signed in `X-Kiosk-Signature-256` where there is a secret.",
    outbound: Some(&Kiosk),
    inbound: Some(&Kiosk),
    catalogue: &catalogue::EVENTS,
};

/// What it does.
pub(crate) struct Kiosk;

impl Outbound for Kiosk {
    fn defaults(&self) -> Defaults {
        Defaults { secret_form: SecretForm::Text, ..Defaults::default() }
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[REDACT]
    }

    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
        envelope::check(endpoint, SIGNATURE)
    }

    fn complete(&self, endpoint: &mut EndpointSettings) {
        spelling::complete(endpoint);
    }

    fn encode(&self, message: &Message, endpoint: &Endpoint, _: u8) -> Result<Encoded, EncodeError> {
        let settings = &endpoint.settings;
        let masked = option::given(settings, &REDACT) != Some("false");
        body::encode(message, spelling::of(&message.event_type, settings), masked).map(envelope::encoded)
    }

    fn sign(
        &self,
        encoded: &Encoded,
        _: &Message,
        endpoint: &Endpoint,
        now: Timestamp,
        headers: &mut HeaderMap,
    ) -> Result<(), EncodeError> {
        body_signature::sign((SIGNATURE, FORM), encoded, endpoint, now, headers)
    }
}

impl Inbound for Kiosk {
    fn verify(&self, request: &RawRequest<'_>, secrets: &[Secret<String>], _: Timestamp) -> Verified {
        body_signature::verify_where_keyed((SIGNATURE, FORM, SIGNED), request, secrets)
    }

    fn decode(&self, request: &RawRequest<'_>) -> Result<Decoded, DecodeError> {
        Ok(Decoded {
            event_type: envelope::event_type(request.body, body::EVENT)?,
            event_time: envelope::event_time(request.body, body::TIMESTAMP),
            deduplication_id: None,
            content_type: "application/json".to_owned(),
            payload: envelope::without(request.body, &[body::EVENT, body::TIMESTAMP])?,
        })
    }
}

#[cfg(test)]
mod tests;
