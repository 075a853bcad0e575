//! What Hookyard says about itself, as event types of the operational application.

/// An event that the engine announces; published to the application whose uid is [`OperationalEvent::APPLICATION_UID`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationalEvent {
    /// An endpoint was disabled after sustained failure or `410 Gone`.
    EndpointDisabled,
    /// A delivery failed for the fourth time.
    AttemptFailing,
    /// A delivery was given up.
    AttemptExhausted,
    /// A delivery succeeded after [`OperationalEvent::AttemptFailing`] was announced for it.
    AttemptRecovered,
}

impl OperationalEvent {
    /// The uid of the application whose endpoints get operational messages.
    pub const APPLICATION_UID: &'static str = "operational";
    /// The charged attempt of a delivery at which [`OperationalEvent::AttemptFailing`] is announced.
    pub const FAILING_AT: u16 = 4;

    /// The event type's name, as Svix spells it.
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::EndpointDisabled => "endpoint.disabled",
            Self::AttemptFailing => "message.attempt.failing",
            Self::AttemptExhausted => "message.attempt.exhausted",
            Self::AttemptRecovered => "message.attempt.recovered",
        }
    }
}
