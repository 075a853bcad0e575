//! An event's attributes, as both modes write them.

use std::borrow::Cow;

use hookyard_model::{Endpoint, Message};

use super::{VERSION, settings};
use crate::option;

/// What the event says about its data, `datacontenttype` aside.
pub(super) struct Attributes<'a> {
    id: String,
    source: Cow<'a, str>,
    kind: Cow<'a, str>,
    time: String,
    subject: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(message: &'a Message, endpoint: &'a Endpoint) -> Self {
        let given = |spec| option::given(&endpoint.settings, spec);
        let event_type = message.event_type.as_str();
        Self {
            id: message.id.to_string(),
            source: given(&settings::SOURCE)
                .map_or_else(|| format!("urn:hookyard:{}", endpoint.application).into(), Cow::Borrowed),
            kind: given(&settings::TYPE_PREFIX)
                .map_or(Cow::Borrowed(event_type), |prefix| format!("{prefix}{event_type}").into()),
            time: message.time_text(),
            subject: given(&settings::SUBJECT),
        }
    }

    /// Name and value of each, the required ones first.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let required = [("specversion", VERSION), ("id", &self.id), ("source", &self.source), ("type", &self.kind)];
        let subject = self.subject.map(|subject| ("subject", subject));
        required.into_iter().chain(subject).chain([("time", self.time.as_str())])
    }
}
