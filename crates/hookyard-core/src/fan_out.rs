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
