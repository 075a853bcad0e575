//! Values that the tests of this crate begin with; each test changes what it is about.

use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{
    ApplicationId, Delivery, DeliveryKey, DeliveryState, Endpoint, EndpointId, EndpointSettings, EndpointStatus,
    Incarnation, Message, MessageId, OrganisationId, Origin, Payload, RawId, Revision, Seq, Timestamp, Trigger,
};
use url::Url;

/// When tests begin: 2026-01-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

fn raw(n: u8) -> RawId {
    let mut bytes = [0; 20];
    bytes[19] = n;
    RawId::from_bytes(bytes)
}

/// The `n`th endpoint's id.
pub(crate) fn endpoint_id(n: u8) -> EndpointId {
    EndpointId::from_raw(raw(n))
}

/// The `n`th endpoint: enabled, without filters.
pub(crate) fn endpoint(n: u8) -> Endpoint {
    let url = Url::parse("https://example.com/hook").expect("a URL");
    Endpoint {
        id: endpoint_id(n),
        application: ApplicationId::from_raw(raw(1)),
        uid: Some(format!("receiver-{n}").parse().expect("a uid")),
        revision: Revision(1),
        settings: Arc::new(EndpointSettings::new(url, "standard".parse().expect("a dialect"))),
        status: EndpointStatus::Enabled,
        failing_since: None,
        declared: None,
        application_metadata: Arc::default(),
        created: NOW,
        updated: NOW,
    }
}

/// An endpoint with settings changed by `change`.
pub(crate) fn endpoint_with(n: u8, change: impl FnOnce(&mut EndpointSettings)) -> Endpoint {
    let mut endpoint = endpoint(n);
    change(Arc::make_mut(&mut endpoint.settings));
    endpoint
}

/// A message of type `task.created` without channels or targets.
pub(crate) fn message() -> Message {
    Message {
        id: MessageId::from_raw(raw(1)),
        organisation: OrganisationId::from_raw(raw(1)),
        application: ApplicationId::from_raw(raw(1)),
        event_type: "task.created".parse().expect("an event type"),
        event_id: None,
        event_time: None,
        accepted: NOW,
        channels: Vec::new(),
        tags: Vec::new(),
        content_type: "application/json".to_owned(),
        payload: Payload::Kept(Bytes::from_static(b"{}")),
        kept_headers: Vec::new(),
        origin: Origin::Api,
        targets: None,
        revision: Revision(1),
        deliver_at: None,
        expires: NOW,
    }
}

/// The message's delivery to the `n`th endpoint: leased, nothing charged.
pub(crate) fn delivery(n: u8) -> Delivery {
    Delivery {
        key: DeliveryKey { message: MessageId::from_raw(raw(1)), endpoint: endpoint_id(n) },
        application: ApplicationId::from_raw(raw(1)),
        seq: Seq(1),
        state: DeliveryState::Leased { holder: Incarnation(1), due: NOW },
        order_key: None,
        charged: 0,
        round: 0,
        variant: 0,
        trigger: Trigger::Scheduled,
    }
}

/// Parses each text.
pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().expect("a name")).collect()
}
