//! Values for this crate's tests: a message, an endpoint, a request.

use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{
    ApplicationId, Endpoint, EndpointId, EndpointSettings, EndpointStatus, HeaderPair, Message, MessageId,
    OrganisationId, Origin, Payload, RawId, Revision, Secret, SigningKeys, Timestamp,
};
use http::{HeaderMap, Method};
use url::Url;

use crate::RawRequest;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// A JSON message with these bytes.
pub(crate) fn message(payload: impl Into<Bytes>) -> Message {
    Message {
        id: MessageId::from_raw(RawId::first_of(NOW)),
        organisation: OrganisationId::default_organisation(),
        application: ApplicationId::from_raw(RawId::MIN),
        event_type: "task.created".parse().expect("a name"),
        event_id: None,
        event_time: None,
        accepted: NOW,
        channels: Vec::new(),
        tags: Vec::new(),
        content_type: "application/json".to_owned(),
        payload: Payload::Kept(payload.into()),
        kept_headers: Vec::new(),
        origin: Origin::Api,
        targets: None,
        revision: Revision(1),
        deliver_at: None,
        expires: Timestamp::MAX,
    }
}

/// Settings of an endpoint in this dialect.
pub(crate) fn settings(dialect: &str) -> EndpointSettings {
    let url = Url::parse("https://receiver.example/hook").expect("a URL");
    EndpointSettings::new(url, dialect.parse().expect("a dialect's name"))
}

/// An endpoint in this dialect.
pub(crate) fn endpoint(dialect: &str) -> Endpoint {
    Endpoint {
        id: EndpointId::from_raw(RawId::MIN),
        application: ApplicationId::from_raw(RawId::MIN),
        uid: None,
        revision: Revision(1),
        settings: Arc::new(settings(dialect)),
        status: EndpointStatus::Enabled,
        failing_since: None,
        declared: None,
        application_metadata: Arc::default(),
        created: NOW,
        updated: NOW,
    }
}

/// The same endpoint, signing with these keys.
pub(crate) fn signing(mut endpoint: Endpoint, keys: &SigningKeys) -> Endpoint {
    Arc::make_mut(&mut endpoint.settings).keys = keys.clone();
    endpoint
}

/// A header of an endpoint.
pub(crate) fn header(name: &str, value: &str) -> HeaderPair {
    HeaderPair { name: name.to_owned(), value: Secret::new(value.to_owned()) }
}

/// A request that came in.
pub(crate) fn request<'a>(headers: &'a HeaderMap, body: &'a Bytes) -> RawRequest<'a> {
    RawRequest { method: &Method::POST, target: "/in/example", headers, body }
}
