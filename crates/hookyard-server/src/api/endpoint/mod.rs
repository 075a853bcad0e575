//! Endpoints on the wire. Never their secrets, their headers' values, or a credential in their URL.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod status;

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};

use hookyard_model::{
    Channel, DisableReason, Endpoint, EndpointId, EndpointStatus, EventPattern, Method, Ordered, Timestamp, Uid,
    format_duration,
};
use serde::Serialize;

use crate::api::application::per_second;
use crate::reply::Text;

/// Svix's `EndpointOut`, with the names of both its versions, and our own fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointOut<'a> {
    id: Text<EndpointId>,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    description: &'a str,
    uid: Option<&'a str>,
    version: u16,
    disabled: bool,
    event_types: Option<Vec<&'a str>>,
    filter_types: Option<Vec<&'a str>>,
    channels: Option<Vec<&'a str>>,
    throttle_rate: Option<NonZeroU32>,
    rate_limit: Option<NonZeroU32>,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
    metadata: &'a BTreeMap<String, String>,
    dialect: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    include_server_events: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<NonZeroU16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_since: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    declared_in: Option<&'a str>,
}

impl<'a> From<&'a Endpoint> for EndpointOut<'a> {
    fn from(endpoint: &'a Endpoint) -> Self {
        let settings = &*endpoint.settings;
        let event_types: Option<Vec<&str>> =
            settings.event_types.as_ref().map(|patterns| patterns.iter().map(EventPattern::as_str).collect());
        let channels: Vec<&str> = settings.channels.iter().map(Channel::as_str).collect();
        let per_second = settings.rate_limit.and_then(per_second);
        let (disabled_since, disabled_reason) = match &endpoint.status {
            EndpointStatus::Enabled => (None, None),
            EndpointStatus::Disabled { since, reason } => (Some(Text(*since)), Some(reason_text(*reason))),
            EndpointStatus::Archived { since } => (Some(Text(*since)), Some("archived")),
        };
        Self {
            id: Text(endpoint.id),
            url: settings.shown_url(),
            name: settings.name.as_deref(),
            description: &settings.description,
            uid: endpoint.uid.as_ref().map(Uid::as_str),
            version: 1,
            disabled: disabled_since.is_some(),
            filter_types: event_types.clone(),
            event_types,
            channels: (!channels.is_empty()).then_some(channels),
            throttle_rate: per_second,
            rate_limit: per_second,
            created_at: Text(endpoint.created),
            updated_at: Text(endpoint.updated),
            metadata: &settings.metadata,
            dialect: settings.dialect.as_str(),
            options: &settings.options,
            method: settings.method.map(Method::as_str),
            include_server_events: settings.include_server_events,
            timeout: settings.timeout.map(format_duration),
            concurrency: settings.concurrency,
            rate: settings.rate_limit.map(|rate| rate.to_string()),
            ordered: match &settings.ordered {
                Ordered::No => None,
                Ordered::Endpoint => Some("endpoint"),
                Ordered::Pointer(pointer) => Some(pointer),
            },
            disabled_since,
            disabled_reason,
            failing_since: endpoint.failing_since.map(Text),
            declared_in: endpoint.declared.as_ref().map(|declared| declared.file.as_str()),
        }
    }
}

fn reason_text(reason: DisableReason) -> &'static str {
    match reason {
        DisableReason::Manual => "manual",
        DisableReason::Failing => "failing",
        DisableReason::Gone => "gone",
    }
}
