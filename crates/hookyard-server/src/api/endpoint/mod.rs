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
use url::Url;

use crate::api::application::per_second;
use crate::reply::Text;

/// Svix's `EndpointOut`, with the names of both its versions, and our own fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointOut<'a> {
    id: Text<EndpointId>,
    url: String,
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
            url: without_credentials(&settings.url),
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

/// The URL as it may be shown: a Telegram bot's token is a part of the path (`/bot<number>:<token>/…`).
fn without_credentials(url: &Url) -> String {
    let is_token = |segment: &str| {
        segment.strip_prefix("bot").and_then(|rest| rest.split_once(':')).is_some_and(|(number, token)| {
            !number.is_empty() && !token.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    if !url.path().split('/').any(is_token) {
        return url.to_string();
    }
    let path: Vec<&str> = url.path().split('/').map(|part| if is_token(part) { "bot***" } else { part }).collect();
    let mut shown = url.clone();
    shown.set_path(&path.join("/"));
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_token_in_a_url_is_masked() {
        for (url, expected) in [
            ("https://api.telegram.org/bot123:AAbb-cc/sendMessage", "https://api.telegram.org/bot***/sendMessage"),
            ("http://localhost:8081/x/bot1:a/sendMessage?a=b", "http://localhost:8081/x/bot***/sendMessage?a=b"),
            ("https://example.com/bots/1", "https://example.com/bots/1"),
            ("https://example.com/bot:x", "https://example.com/bot:x"),
        ] {
            assert_eq!(without_credentials(&url.parse().expect("a URL")), expected);
        }
    }
}
