//! The payload's bytes and their media type, and nothing else: for relays, and for systems that sign nothing.
//!
//! What comes in is accepted whoever sent it, under the rule `none`, so that every page that shows a message's rule shows
//! that nobody vouches for it. A source that needs proof has another dialect; one with a secret is let down by this
//! one, so there nothing is accepted.

use hookyard_model::{Endpoint, EndpointSettings, Message, Secret, Timestamp};
use http::header::CONTENT_TYPE;

use crate::{
    DecodeError, Decoded, Dialect, EncodeError, Encoded, Inbound, Outbound, RawRequest, Refused, SettingsError,
    Verified, header, payload,
};

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "raw",
    summary: "Raw: the payload's bytes and media type, unsigned; what comes in is not verified.",
    outbound: Some(&Raw),
    inbound: Some(&Raw),
    catalogue: &[],
};

/// What it does.
pub(crate) struct Raw;

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
}

impl Inbound for Raw {
    fn verify(&self, _: &RawRequest<'_>, secrets: &[Secret<String>], _: Timestamp) -> Verified {
        if secrets.is_empty() {
            return Verified::UNPROVEN;
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
}

#[cfg(test)]
mod tests;
