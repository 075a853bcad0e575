//! Says why a message was owed to an endpoint or was not: what the message has and what the endpoint wanted.

use std::fmt;

use hookyard_model::{Endpoint, EndpointStatus, Message};

use crate::fan_out::{Decision, SkipReason};

/// Names shown in a sentence; an endpoint may have a thousand patterns, which nobody reads.
const SHOWN: usize = 5;

/// The sentence of a decision. `exists` is whether there is a delivery all the same, or none although it is owed.
pub(super) fn sentence(message: &Message, endpoint: &Endpoint, decision: Decision, exists: bool) -> String {
    match decision {
        Decision::Owed if exists => owed(message, endpoint),
        Decision::Owed => format!("{}; its delivery is not kept", owed(message, endpoint)),
        Decision::Skipped(reason) if exists => {
            format!("{}; sent there by hand later", skipped(message, endpoint, reason))
        }
        Decision::Skipped(reason) => skipped(message, endpoint, reason),
    }
}

fn owed(message: &Message, endpoint: &Endpoint) -> String {
    if message.targets.is_some() {
        return "owed: the message names this endpoint as a target, so its filters were not asked".to_owned();
    }
    let event_type = &message.event_type;
    let patterns = endpoint.settings.event_types.as_deref();
    let by_type = match patterns.map(|patterns| patterns.iter().find(|pattern| pattern.matches(event_type))) {
        None => "the endpoint wants all event types".to_owned(),
        Some(Some(pattern)) if pattern.is_glob() => format!("event type `{event_type}` matches its filter `{pattern}`"),
        Some(_) => format!("event type `{event_type}` is in its filter"),
    };
    let channels = &endpoint.settings.channels;
    match channels.iter().find(|channel| message.channels.contains(channel)) {
        Some(channel) => format!("owed: {by_type}, and it listens on channel `{channel}`"),
        None => format!("owed: {by_type}"),
    }
}

fn skipped(message: &Message, endpoint: &Endpoint, reason: SkipReason) -> String {
    let settings = &endpoint.settings;
    match reason {
        SkipReason::EventType => {
            let wanted = settings.event_types.as_deref().unwrap_or_default();
            let event_type = &message.event_type;
            if wanted.is_empty() {
                format!("skipped: the endpoint wants no event type at all, so not `{event_type}` either")
            } else {
                format!("skipped: event type `{event_type}` matches none that the endpoint wants: {}", Names(wanted))
            }
        }
        SkipReason::Channel if message.channels.is_empty() => format!(
            "skipped: the message is on no channel, and the endpoint listens only on {}",
            Names(&settings.channels)
        ),
        SkipReason::Channel => format!(
            "skipped: the message is on {}, and the endpoint listens only on {}",
            Names(&message.channels),
            Names(&settings.channels)
        ),
        SkipReason::NotTargeted => match message.targets.as_deref() {
            Some(targets @ [_, ..]) => format!("skipped: the message was only for {}", Names(targets)),
            Some([]) | None => "skipped: the message was for no endpoint at all".to_owned(),
        },
        SkipReason::Archived => match endpoint.status {
            EndpointStatus::Archived { since } => format!("skipped: {reason} at {since}"),
            EndpointStatus::Enabled | EndpointStatus::Disabled { .. } => format!("skipped: {reason}"),
        },
        SkipReason::Disabled { .. } => {
            format!("skipped: {reason}; once it is enabled, `recover` sends what it missed")
        }
        SkipReason::ServerEvent => format!("skipped: {reason}"),
    }
}

/// The first few names, each in backticks, and how many there are beyond.
struct Names<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Names<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}`{name}`")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
