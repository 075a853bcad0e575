//! Decides which endpoints a message is owed to.
//!
//! Called by the publisher for every message, with the application's endpoints as of one revision, and again by
//! [`crate::explain`] with the endpoints of that revision: the decision is recomputed, never stored, so it must depend on
//! nothing else.
//!
//! The rules, in the order in which they are asked, so that the first that says no is the reason: targets restrict; an
//! archived or disabled endpoint gets nothing; what a server announces about itself needs `include_server_events`; a
//! target is exempt from its own filters; else the event type must match a pattern, and an endpoint with channels needs
//! one in common with the message.

use std::fmt;
use std::sync::Arc;

use hookyard_model::{DisableReason, Endpoint, EndpointStatus, Message, Origin, Timestamp};

/// Whether a message is owed to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is.
    Owed,
    /// It is not.
    Skipped(SkipReason),
}

/// Why a message is not owed to an endpoint. Its `Display` is a clause for people; [`crate::explain`] says what each side
/// wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The endpoint was gone.
    Archived,
    /// The endpoint was disabled.
    Disabled {
        /// Since when.
        since: Timestamp,
        /// Who or what did it.
        reason: DisableReason,
    },
    /// The message was for other endpoints only.
    NotTargeted,
    /// The endpoint does not want this event type.
    EventType,
    /// The endpoint listens on other channels.
    Channel,
    /// A server's announcement about itself, which the endpoint does not include.
    ServerEvent,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archived => f.write_str("the endpoint was archived"),
            Self::Disabled { since, reason } => {
                let why = match reason {
                    DisableReason::Manual => "by hand or by its file",
                    DisableReason::Failing => "because nothing but failure had come back for too long",
                    DisableReason::Gone => "because the receiver had answered that it is gone",
                };
                write!(f, "the endpoint was disabled at {since} {why}")
            }
            Self::NotTargeted => f.write_str("the message was for other endpoints only"),
            Self::EventType => f.write_str("the endpoint does not want this event type"),
            Self::Channel => f.write_str("the endpoint listens on other channels"),
            Self::ServerEvent => f.write_str(
                "the server announced it about itself, and the endpoint does not have `include_server_events` on",
            ),
        }
    }
}

/// Decides for each endpoint, in their order, whether the message is owed to it.
pub fn fan_out<'a>(
    message: &'a Message,
    endpoints: &'a [Arc<Endpoint>],
) -> impl Iterator<Item = (&'a Arc<Endpoint>, Decision)> {
    endpoints.iter().map(|endpoint| (endpoint, decide(message, endpoint)))
}

/// Decides whether the message is owed to this endpoint.
pub fn decide(message: &Message, endpoint: &Endpoint) -> Decision {
    refusal(message, endpoint).map_or(Decision::Owed, Decision::Skipped)
}

fn refusal(message: &Message, endpoint: &Endpoint) -> Option<SkipReason> {
    let settings = &endpoint.settings;
    if message.targets.as_ref().is_some_and(|targets| !targets.contains(&endpoint.id)) {
        return Some(SkipReason::NotTargeted);
    }
    match endpoint.status {
        EndpointStatus::Enabled => {}
        EndpointStatus::Disabled { since, reason } => return Some(SkipReason::Disabled { since, reason }),
        EndpointStatus::Archived { .. } => return Some(SkipReason::Archived),
    }
    if message.origin == Origin::Server && !settings.include_server_events {
        return Some(SkipReason::ServerEvent);
    }
    if message.targets.is_some() {
        return None;
    }
    if let Some(patterns) = &settings.event_types
        && !patterns.iter().any(|pattern| pattern.matches(&message.event_type))
    {
        return Some(SkipReason::EventType);
    }
    if !settings.channels.is_empty() && !settings.channels.iter().any(|channel| message.channels.contains(channel)) {
        return Some(SkipReason::Channel);
    }
    None
}

#[cfg(test)]
mod tests {
    use hookyard_model::EndpointSettings;

    use super::*;
    use crate::examples::{NOW, endpoint, endpoint_id, endpoint_with, message, parsed};

    fn skipped(reason: SkipReason) -> Decision {
        Decision::Skipped(reason)
    }

    #[test]
    fn an_endpoint_without_filters_gets_everything() {
        assert_eq!(decide(&message(), &endpoint(1)), Decision::Owed);
        let on_channels = Message { channels: parsed(&["eu", "us"]), ..message() };
        assert_eq!(decide(&on_channels, &endpoint(1)), Decision::Owed);
    }

    #[test]
    fn event_types_are_wanted_by_name_or_glob() {
        let check = |patterns: Option<&[&str]>, expected| {
            let endpoint = endpoint_with(1, |settings| settings.event_types = patterns.map(parsed));
            assert_eq!(decide(&message(), &endpoint), expected, "{patterns:?}");
        };
        check(None, Decision::Owed);
        check(Some(&["task.created"]), Decision::Owed);
        check(Some(&["x", "task.*"]), Decision::Owed);
        check(Some(&["*"]), Decision::Owed);
        check(Some(&["task.updated", "project.*"]), skipped(SkipReason::EventType));
        check(Some(&["task"]), skipped(SkipReason::EventType));
        check(Some(&[]), skipped(SkipReason::EventType));
    }

    #[test]
    fn an_endpoint_with_channels_needs_one_in_common() {
        let check = |message_channels: &[&str], endpoint_channels: &[&str], expected| {
            let endpoint = endpoint_with(1, |settings| settings.channels = parsed(endpoint_channels));
            let message = Message { channels: parsed(message_channels), ..message() };
            assert_eq!(decide(&message, &endpoint), expected, "{message_channels:?} to {endpoint_channels:?}");
        };
        check(&[], &[], Decision::Owed);
        check(&["a"], &[], Decision::Owed);
        check(&["a", "b"], &["b", "c"], Decision::Owed);
        check(&["a"], &["b"], skipped(SkipReason::Channel));
        check(&["a"], &["A"], skipped(SkipReason::Channel));
        check(&[], &["b"], skipped(SkipReason::Channel));
    }

    #[test]
    fn a_servers_announcements_must_be_asked_for() {
        let check = |origin: Origin, included, expected| {
            let endpoint = endpoint_with(1, |settings| settings.include_server_events = included);
            let message = Message { origin, ..message() };
            assert_eq!(decide(&message, &endpoint), expected, "{:?}", message.origin);
        };
        check(Origin::Server, true, Decision::Owed);
        check(Origin::Server, false, skipped(SkipReason::ServerEvent));
        let message_id = message().id;
        for origin in [
            Origin::Api,
            Origin::Source("github".to_owned()),
            Origin::Job,
            Origin::Test,
            Origin::Operational,
            Origin::EditOf(message_id),
        ] {
            check(origin, false, Decision::Owed);
        }
    }

    fn disabled(reason: DisableReason) -> EndpointStatus {
        EndpointStatus::Disabled { since: NOW, reason }
    }

    #[test]
    fn a_disabled_or_archived_endpoint_gets_nothing() {
        for reason in [DisableReason::Manual, DisableReason::Failing, DisableReason::Gone] {
            let endpoint = Endpoint { status: disabled(reason), ..endpoint(1) };
            assert_eq!(decide(&message(), &endpoint), skipped(SkipReason::Disabled { since: NOW, reason }));
        }
        let archived = Endpoint { status: EndpointStatus::Archived { since: NOW }, ..endpoint(1) };
        assert_eq!(decide(&message(), &archived), skipped(SkipReason::Archived));
    }

    #[test]
    fn targets_restrict_and_override_filters_but_not_status() {
        let picky = |settings: &mut EndpointSettings| {
            settings.event_types = Some(parsed(&["other"]));
            settings.channels = parsed(&["other"]);
        };
        let check = |targets: &[u8], endpoint: &Endpoint, expected| {
            let message = Message { targets: Some(targets.iter().copied().map(endpoint_id).collect()), ..message() };
            assert_eq!(decide(&message, endpoint), expected, "{targets:?} {endpoint:?}");
        };
        check(&[1], &endpoint(1), Decision::Owed);
        check(&[2, 1], &endpoint_with(1, picky), Decision::Owed);
        check(&[2], &endpoint(1), skipped(SkipReason::NotTargeted));
        check(&[], &endpoint(1), skipped(SkipReason::NotTargeted));
        let reason = DisableReason::Manual;
        let off = Endpoint { status: disabled(reason), ..endpoint(1) };
        check(&[1], &off, skipped(SkipReason::Disabled { since: NOW, reason }));
        check(&[2], &off, skipped(SkipReason::NotTargeted));
        check(
            &[1],
            &Endpoint { status: EndpointStatus::Archived { since: NOW }, ..endpoint(1) },
            skipped(SkipReason::Archived),
        );
    }

    #[test]
    fn a_target_still_says_whether_it_wants_what_servers_announce() {
        let message = Message { origin: Origin::Server, targets: Some(vec![endpoint_id(1)]), ..message() };
        assert_eq!(decide(&message, &endpoint(1)), skipped(SkipReason::ServerEvent));
        let included = endpoint_with(1, |settings| settings.include_server_events = true);
        assert_eq!(decide(&message, &included), Decision::Owed);
    }

    #[test]
    fn every_endpoint_is_decided_in_its_order() {
        let endpoints: Vec<_> = [
            endpoint(3),
            endpoint_with(1, |settings| settings.channels = parsed(&["eu"])),
            Endpoint { status: EndpointStatus::Archived { since: NOW }, ..endpoint(2) },
        ]
        .into_iter()
        .map(Arc::new)
        .collect();
        let message = message();
        let decided: Vec<_> =
            fan_out(&message, &endpoints).map(|(endpoint, decision)| (endpoint.id, decision)).collect();
        assert_eq!(
            decided,
            [
                (endpoint_id(3), Decision::Owed),
                (endpoint_id(1), skipped(SkipReason::Channel)),
                (endpoint_id(2), skipped(SkipReason::Archived)),
            ]
        );
        assert_eq!(fan_out(&message, &[]).count(), 0);
    }
}
