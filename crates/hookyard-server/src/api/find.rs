//! From what a path says to the thing that it names.
//!
//! Used by every operation of an application. An id and the caller's own name are told apart by the id's prefix, which no
//! name may begin with.

use std::fmt::Display;
use std::sync::Arc;

use hookyard_model::{ApplicationId, Endpoint, EndpointId, EndpointStatus, MessageId, OrganisationId};
use hookyard_ports::store::{ApplicationRef, ApplicationView, MessageRef, StoredMessage};

use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::{ApiError, Result};
use crate::query::cut;

/// How the path names an application.
pub(crate) fn application_ref(text: &str) -> Result<ApplicationRef> {
    if text.starts_with(ApplicationId::PREFIX) {
        text.parse().map(ApplicationRef::Id).map_err(unnameable)
    } else {
        text.parse().map(ApplicationRef::Uid).map_err(unnameable)
    }
}

/// The application, as the store has it at this moment; for a token of one application, no other one exists.
pub(crate) async fn application(doors: &Doors, caller: Caller, text: &str) -> Result<Arc<ApplicationView>> {
    let found = doors.store.application(caller.organisation, &application_ref(text)?).await?;
    found
        .filter(|view| caller.application.is_none_or(|own| own == view.application.id))
        .ok_or_else(|| no_application(doors, caller, text))
}

/// The refusal for an application that is not there.
pub(crate) fn no_application(doors: &Doors, caller: Caller, text: &str) -> ApiError {
    let organisation = caller.organisation;
    // Files declare their rows for the default organisation.
    let hint = doors.hints.get(text).filter(|_| organisation == OrganisationId::default_organisation());
    ApiError::not_found(match (caller.application, hint) {
        (Some(own), _) => format!("this token speaks for the application `{own}` alone"),
        (None, Some(hint)) => hint.clone(),
        (None, None) => format!("organisation `{organisation}` has no application with the id or uid `{}`", cut(text)),
    })
}

/// The message with that id or event id.
pub(crate) async fn message(doors: &Doors, application: ApplicationId, text: &str) -> Result<StoredMessage> {
    let reference = if text.starts_with(MessageId::PREFIX) {
        MessageRef::Id(text.parse().map_err(unnameable)?)
    } else {
        MessageRef::EventId(text.parse().map_err(unnameable)?)
    };
    let found = doors.store.message(application, &reference).await?;
    found.ok_or_else(|| {
        ApiError::not_found(format!(
            "the application has no message with the id or event id `{}`; messages are removed when their retention is over",
            cut(text)
        ))
    })
}

/// The endpoint with that id or uid, among those that are not archived.
pub(crate) fn endpoint<'a>(view: &'a ApplicationView, text: &str) -> Result<&'a Arc<Endpoint>> {
    let found = if text.starts_with(EndpointId::PREFIX) {
        let id: EndpointId = text.parse().map_err(unnameable)?;
        view.endpoints.iter().find(|endpoint| endpoint.id == id)
    } else {
        view.endpoints.iter().find(|endpoint| endpoint.uid.as_ref().is_some_and(|uid| uid.as_str() == text))
    };
    found
        .filter(|endpoint| !matches!(endpoint.status, EndpointStatus::Archived { .. }))
        .ok_or_else(|| no_endpoint(text))
}

/// The endpoint's id, archived ones included when the path gives their id: their history is kept.
pub(crate) async fn endpoint_ever(doors: &Doors, view: &ApplicationView, text: &str) -> Result<EndpointId> {
    if let Ok(id) = text.parse() {
        let found = doors.store.endpoint(id).await?;
        let own = found.filter(|endpoint| endpoint.application == view.application.id);
        return own.map(|endpoint| endpoint.id).ok_or_else(|| no_endpoint(text));
    }
    endpoint(view, text).map(|endpoint| endpoint.id)
}

fn no_endpoint(text: &str) -> ApiError {
    ApiError::not_found(format!("the application has no endpoint with the id or uid `{}`", cut(text)))
}

/// What is neither an id nor a name that anything could have.
pub(crate) fn unnameable(error: impl Display) -> ApiError {
    ApiError::not_found(error.to_string())
}
