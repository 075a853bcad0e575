//! The payload's bytes and their media type, and nothing else: for relays, and for systems that sign nothing.
//!
//! What comes in is accepted whoever sent it, under the rule [`UNVERIFIED`], so that every page that shows a message's rule
//! shows that nobody vouches for it. A source that needs proof has another dialect; one with a secret is let down by this
//! one, so there nothing is accepted.

use hookyard_model::{Endpoint, EndpointSettings, Message, Secret, Timestamp};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::{
    DecodeError, Decoded, Dialect, EncodeError, Encoded, Inbound, Outbound, RawRequest, Refused, SettingsError,
    Verified, header, payload,
};

/// The rule under which everything is accepted.
const UNVERIFIED: &str = "none";

/// The dialect.
pub(crate) struct Raw;

impl Dialect for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn summary(&self) -> &'static str {
        "Raw: the payload's bytes and media type, unsigned; what comes in is not verified."
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        Some(self)
    }
}

impl Outbound for Raw {
    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
        header::check(&endpoint.headers)?;
        if endpoint.keys.keys.is_empty() {
            return Ok(());
        }
        let why = "dialect `raw` does not sign; leave the secret out, or choose `standard`".to_owned();
        Err(SettingsError { field: "secret".to_owned(), why })
    }

    fn encode(&self, message: &Message, _: &Endpoint, _: u8) -> Result<Encoded, EncodeError> {
        payload::encode(message)
    }

    fn sign(&self, _: &Encoded, _: &Message, _: &Endpoint, _: Timestamp, _: &mut HeaderMap) -> Result<(), EncodeError> {
        Ok(())
    }
}

impl Inbound for Raw {
    fn verify(&self, _: &RawRequest<'_>, secrets: &[Secret<String>], _: Timestamp) -> Verified {
        if secrets.is_empty() {
            return Verified::Accepted { rule: UNVERIFIED, secret: 0 };
        }
        // Whoever gave the source a secret expects that strangers are kept out.
        let why = "dialect `raw` verifies nothing; take the secret away, or choose a dialect that verifies";
        Verified::Refused(Refused::NoSecret(why.to_owned()))
    }

    fn decode(&self, request: &RawRequest<'_>) -> Result<Decoded, DecodeError> {
        Ok(Decoded {
            event_type: "raw".parse().expect("it is a name"),
            event_time: None,
            deduplication_id: None,
            content_type: payload::content_type(request.headers.get(CONTENT_TYPE), "application/octet-stream")?,
            payload: request.body.clone(),
        })
    }

    fn kept_headers(&self) -> &'static [&'static str] {
        &["traceparent", "tracestate", "user-agent"]
    }
}

#[cfg(test)]
mod tests;
