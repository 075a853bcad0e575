//! Vikunja's webhooks: `{event_name, time, data}`, signed over the body in `X-Vikunja-Signature`.
//!
//! What leaves has the bytes that Vikunja's own encoder makes of it: `data` is the payload with its members in the order
//! of their names at every depth, `<`, `>`, `&`, U+2028 and U+2029 escaped; numbers keep their text, where Vikunja would
//! round what a float cannot hold. The option `member_order` leaves them as they were published: Vikunja's document, and
//! whatever follows it, has them in the order of its structures. `time` is the text of the event time, with its offset and up to nine digits.
//!
//! A webhook's secret is optional in Vikunja. An endpoint without one is sent to unsigned, and a source without one wants
//! unsigned requests: they are accepted under the rule `none`, which every page shows. With a secret, nothing unsigned is.
//!
//! Vikunja gives an event no id, but a retry of it has the same bytes, and its time has nanoseconds: the digest of the body
//! is what a repeat has in common with the first, and hardly anything else.
//!
//! Described at <https://vikunja.io/docs/webhooks/>. A payload at the deepest level allowed leaves one level deeper, which
//! Hookyard itself would not read back.

mod catalogue;

use hookyard_model::{Endpoint, EndpointSettings, Message, Secret, Timestamp};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::body_signature::{self, Form};
use crate::json::{self, MemberOrder, Style};
use crate::{
    Choices, DecodeError, Decoded, Defaults, Dialect, EncodeError, Encoded, Inbound, OptionSpec, Outbound, RawRequest,
    SecretForm, SettingsError, Verified, envelope, option,
};

const SIGNATURE: &str = "x-vikunja-signature";
/// The digits alone, without GitHub's prefix.
const FORM: Form = Form::Hex;
const SIGNED: &str = "HMAC-SHA256";

const WRITTEN: &str = "written";
const MEMBER_ORDER: OptionSpec = OptionSpec {
    name: "member_order",
    choices: Choices::OneOf(&["name", WRITTEN]),
    default: "name",
    meaning: "The order of members inside `data`: by name at every depth, as Vikunja sends, or as they were published.",
};

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "vikunja",
    summary: "Vikunja: event name, time and data, signed in `X-Vikunja-Signature` where there is a secret.",
    outbound: Some(&Vikunja),
    inbound: Some(&Vikunja),
    catalogue: &catalogue::EVENTS,
};

/// What it does.
pub(crate) struct Vikunja;

impl Outbound for Vikunja {
    fn defaults(&self) -> Defaults {
        Defaults { secret_form: SecretForm::Text, ..Defaults::default() }
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[MEMBER_ORDER]
    }

    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
        envelope::check(endpoint, SIGNATURE)
    }

    fn encode(&self, message: &Message, endpoint: &Endpoint, _: u8) -> Result<Encoded, EncodeError> {
        let payload = envelope::payload(message)?;
        let order = match option::given(&endpoint.settings, &MEMBER_ORDER) {
            Some(WRITTEN) => MemberOrder::AsWritten,
            _ => MemberOrder::ByName,
        };
        let mut body = Vec::with_capacity(payload.len() + 128);
        body.extend_from_slice(b"{\"event_name\":");
        json::write_text(message.event_type.as_str(), Style::Go, &mut body);
        body.extend_from_slice(b",\"time\":");
        json::write_text(&message.time_text(), Style::Go, &mut body);
        body.extend_from_slice(b",\"data\":");
        json::write(payload, Style::Go, order, &mut body).map_err(envelope::not_json)?;
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
        body_signature::sign((SIGNATURE, FORM), encoded, endpoint, now, headers)
    }
}

impl Inbound for Vikunja {
    fn verify(&self, request: &RawRequest<'_>, secrets: &[Secret<String>], _: Timestamp) -> Verified {
        body_signature::verify_where_keyed((SIGNATURE, FORM, SIGNED), request, secrets)
    }

    fn decode(&self, request: &RawRequest<'_>) -> Result<Decoded, DecodeError> {
        let event_type = envelope::event_type(request.body, "event_name")?;
        let data = json::member(request.body, "data");
        let data = data.ok_or_else(|| DecodeError("member `data` is missing".to_owned()))?;
        Ok(Decoded {
            event_type,
            event_time: envelope::event_time(request.body, "time"),
            deduplication_id: Some(hex::encode(Sha256::digest(request.body))),
            content_type: "application/json".to_owned(),
            payload: request.body.slice_ref(data),
        })
    }
}

#[cfg(test)]
mod tests;
