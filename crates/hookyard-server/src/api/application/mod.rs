//! Applications on the wire.

pub(crate) mod get;
pub(crate) mod list;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use hookyard_model::{Application, ApplicationId, Rate, Timestamp, Uid};
use serde::Serialize;

use crate::reply::Text;

/// Svix's `ApplicationOut`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplicationOut<'a> {
    id: Text<ApplicationId>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    throttle_rate: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<NonZeroU32>,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    declared_in: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_at: Option<Text<Timestamp>>,
}

impl<'a> From<&'a Application> for ApplicationOut<'a> {
    fn from(application: &'a Application) -> Self {
        let per_second = application.rate_limit.and_then(per_second);
        Self {
            id: Text(application.id),
            name: &application.name,
            uid: application.uid.as_ref().map(Uid::as_str),
            throttle_rate: per_second,
            rate_limit: per_second,
            created_at: Text(application.created),
            updated_at: Text(application.updated),
            metadata: &application.metadata,
            declared_in: application.declared.as_ref().map(|declared| declared.file.as_str()),
            archived_at: application.archived.map(Text),
        }
    }
}

/// The one form of a rate that Svix's wire has: a number per second.
pub(crate) fn per_second(rate: Rate) -> Option<NonZeroU32> {
    (rate.per == Duration::from_secs(1)).then_some(rate.count)
}
