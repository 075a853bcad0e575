//! The scheme that `standard` and `svix` share: id, timestamp and signature as headers, the payload's own bytes as body.
//!
//! The two differ in the names of the headers and in what they do with `410 Gone`; all else is here. Requests that come in
//! may use either set of names under either dialect, as with the official verifiers, because one sender's name for its
//! secret says nothing about its headers.
//!
//! Specified at <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

mod decode;
mod settings;
mod sign;
mod verify;

use hookyard_model::{Endpoint, EndpointSettings, Message, OnGone, Secret, Timestamp};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    DecodeError, Decoded, Defaults, EncodeError, Encoded, Inbound, Outbound, RawRequest, SecretForm, SettingsError,
    Verified, payload,
};

/// What the three headers are called.
#[derive(Debug)]
pub(crate) struct Names {
    id: HeaderName,
    timestamp: HeaderName,
    signature: HeaderName,
}

pub(crate) static WEBHOOK: Names = Names {
    id: HeaderName::from_static("webhook-id"),
    timestamp: HeaderName::from_static("webhook-timestamp"),
    signature: HeaderName::from_static("webhook-signature"),
};

pub(crate) static SVIX: Names = Names {
    id: HeaderName::from_static("svix-id"),
    timestamp: HeaderName::from_static("svix-timestamp"),
    signature: HeaderName::from_static("svix-signature"),
};

impl Names {
    fn all(&'static self) -> [&'static HeaderName; 3] {
        [&self.id, &self.timestamp, &self.signature]
    }
}

/// A dialect of the scheme.
pub(crate) struct StandardWebhooks {
    /// Under which names it sends, and which it looks for first in what comes in.
    pub(crate) names: &'static Names,
    /// Which names it takes as well.
    pub(crate) other: &'static Names,
    pub(crate) on_gone: OnGone,
}

impl Outbound for StandardWebhooks {
    fn defaults(&self) -> Defaults {
        Defaults { on_gone: self.on_gone, secret_form: SecretForm::StandardWebhooks, ..Defaults::default() }
    }

    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
        settings::check(endpoint, self.names)
    }

    fn encode(&self, message: &Message, _: &Endpoint, _: u8) -> Result<Encoded, EncodeError> {
        let mut encoded = payload::encode(message)?;
        let id = HeaderValue::try_from(message.id.to_string()).expect("an id is letters, digits and `_`");
        encoded.headers.insert(&self.names.id, id);
        Ok(encoded)
    }

    fn sign(
        &self,
        encoded: &Encoded,
        _: &Message,
        endpoint: &Endpoint,
        now: Timestamp,
        headers: &mut HeaderMap,
    ) -> Result<(), EncodeError> {
        // The id is taken from the header, so that what is signed is what is sent.
        let id = encoded.headers.get(&self.names.id).ok_or_else(|| EncodeError("it has no id to sign".to_owned()))?;
        let timestamp = HeaderValue::from(now.as_seconds());
        let keys = &endpoint.settings.keys;
        if !keys.keys.is_empty() {
            let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &encoded.body[..]];
            let signatures = sign::signatures(keys.active(now), &content)?;
            headers.insert(&self.names.signature, signatures);
        }
        headers.insert(&self.names.timestamp, timestamp);
        Ok(())
    }
}

impl Inbound for StandardWebhooks {
    fn verify(&self, request: &RawRequest<'_>, secrets: &[Secret<String>], now: Timestamp) -> Verified {
        match verify::verify(request, self.names, self.other, secrets, now) {
            Ok((rule, secret)) => Verified::Accepted { rule, secret },
            Err(refused) => Verified::Refused(refused),
        }
    }

    fn decode(&self, request: &RawRequest<'_>) -> Result<Decoded, DecodeError> {
        let signed = verify::signed(request.headers, self.names, self.other);
        let deduplication_id = signed.map_err(|refused| DecodeError(refused.to_string()))?.id.to_owned();
        Ok(Decoded {
            event_type: decode::event_type(request.body),
            event_time: decode::event_time(request.body),
            deduplication_id: Some(deduplication_id),
            content_type: payload::content_type(request.headers.get(CONTENT_TYPE), "application/json")?,
            payload: request.body.clone(),
        })
    }

    fn kept_headers(&self) -> &'static [&'static str] {
        &["svix-id", "svix-timestamp", "traceparent", "tracestate", "user-agent", "webhook-id", "webhook-timestamp"]
    }
}

#[cfg(test)]
mod tests;
