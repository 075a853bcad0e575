//! What the workflow action of later versions of Immich sends: `{type, trigger, data}`, unsigned.
//!
//! `trigger` is the event type and `data` the payload; `type` names the form of `data` and is the endpoint's to say. The
//! body carries neither id nor time, so a request that comes in has no event time, and a repeat of it cannot be told from
//! a second event. Who sends is told by the one header that the action lets its user set. Immich hands its action no event
//! that carries a secret; what others publish is masked as under `immich`.
//!
//! Described at <https://github.com/immich-app/immich/pull/29404>.

use hookyard_model::{Endpoint, EndpointSettings, Message, Secret, Timestamp, limits};

use crate::immich::secrets;
use crate::json::{self, MemberOrder, Style};
use crate::{
    CatalogueEntry, Choices, DecodeError, Decoded, Dialect, EncodeError, Encoded, Inbound, OptionSpec, Outbound,
    RawRequest, SettingsError, Verified, envelope, header, option, shared_secret,
};

/// What Immich writes for assets, the only things whose events it hands to the action.
const ASSET: &str = "AssetV1";

static TYPE: OptionSpec = OptionSpec {
    name: "type",
    choices: Choices::Text,
    default: ASSET,
    meaning: "What the body's `type` says: the form of its `data`.",
};
static OPTIONS: [OptionSpec; 2] = [TYPE, secrets::REDACT];

static EVENTS: [CatalogueEntry; 1] = [CatalogueEntry {
    name: "AssetCreate",
    description: "A photo or video was added.",
    danger: None,
    schema: include_str!("../immich/catalogue/asset.schema.json"),
    sample: include_str!("../immich/catalogue/asset.sample.json"),
}];

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "immich-workflow",
    summary: "Immich's workflow action: type, trigger and data, unsigned; receivers check a header of the endpoint.",
    outbound: Some(&ImmichWorkflow),
    inbound: Some(&ImmichWorkflow),
    catalogue: &EVENTS,
};

/// What it does.
pub(crate) struct ImmichWorkflow;

impl Outbound for ImmichWorkflow {
    fn options(&self) -> &'static [OptionSpec] {
        &OPTIONS
    }

    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
        header::check(&endpoint.headers)?;
        shared_secret::refuse_keys(DIALECT.name, endpoint)?;
        match option::given(endpoint, &TYPE) {
            Some(text) if text.is_empty() || text.len() > limits::NAME_BYTES => {
                let why = format!("must have 1 to {} bytes, such as `{ASSET}`", limits::NAME_BYTES);
                Err(SettingsError { field: "options.type".to_owned(), why })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn encode(&self, message: &Message, endpoint: &Endpoint, _: u8) -> Result<Encoded, EncodeError> {
        let payload = envelope::payload(message)?;
        let payload = secrets::masked(&message.event_type, payload, secrets::are_masked(&endpoint.settings));
        let payload = payload.map_err(envelope::not_json)?;
        let mut body = Vec::with_capacity(payload.len() + 128);
        body.extend_from_slice(b"{\"type\":");
        json::write_text(option::given(&endpoint.settings, &TYPE).unwrap_or(ASSET), Style::JavaScript, &mut body);
        body.extend_from_slice(b",\"trigger\":");
        json::write_text(message.event_type.as_str(), Style::JavaScript, &mut body);
        body.extend_from_slice(b",\"data\":");
        json::write(&payload, Style::JavaScript, MemberOrder::AsWritten, &mut body).map_err(envelope::not_json)?;
        body.push(b'}');
        Ok(envelope::encoded(body))
    }
}

impl Inbound for ImmichWorkflow {
    fn verify(&self, request: &RawRequest<'_>, secrets: &[Secret<String>], _: Timestamp) -> Verified {
        shared_secret::verify(request.headers, secrets)
    }

    fn decode(&self, request: &RawRequest<'_>) -> Result<Decoded, DecodeError> {
        let event_type = envelope::event_type(request.body, "trigger")?;
        let data = json::member(request.body, "data");
        let data = data.ok_or_else(|| DecodeError("member `data` is missing".to_owned()))?;
        Ok(Decoded {
            event_type,
            event_time: None,
            deduplication_id: None,
            content_type: "application/json".to_owned(),
            payload: request.body.slice_ref(data),
        })
    }
}

#[cfg(test)]
mod tests;
