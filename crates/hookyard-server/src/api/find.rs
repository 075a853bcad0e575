//! From what a path says to the thing that it names.
//!
//! Used by every operation of an application. An id and the caller's own name are told apart by the id's prefix, which no
//! name may begin with.

use std::fmt::Display;
use std::sync::Arc;

use hookyard_model::{Application, ApplicationId, Endpoint, EndpointId, EndpointStatus, MessageId, OrganisationId};
use hookyard_ports::store::{ApplicationRef, ApplicationView, MessageRef, StoredMessage};

use super::archived::why;
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::{ApiError, Result};
use crate::query::cut;

/// How many applications the refusal of an unknown one names.
const NAMED: usize = 5;

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
    match present(doors, caller, text).await? {
        Some(view) => Ok(view),
        None => Err(no_application(doors, caller, text).await),
    }
}

/// The same for those who only read: if it is not there, the one that was archived last under that name, without endpoints.
pub(crate) async fn application_ever(doors: &Doors, caller: Caller, text: &str) -> Result<Arc<ApplicationView>> {
    if let Some(view) = present(doors, caller, text).await? {
        return Ok(view);
    }
    match archived(doors, caller, text).await? {
        Some(application) => Ok(Arc::new(ApplicationView { application, endpoints: Vec::new() })),
        None => Err(missing(doors, caller, text).await),
    }
}

async fn present(doors: &Doors, caller: Caller, text: &str) -> Result<Option<Arc<ApplicationView>>> {
    let found = doors.store.application(caller.organisation, &application_ref(text)?).await?;
    Ok(found.filter(|view| caller.application.is_none_or(|own| own == view.application.id)))
}

async fn archived(doors: &Doors, caller: Caller, text: &str) -> Result<Option<Application>> {
    let found = doors.store.archived_application(caller.organisation, &application_ref(text)?).await?;
    Ok(found.filter(|application| caller.application.is_none_or(|own| own == application.id)))
}

/// The refusal for an application that is not there; one that was archived is named with the time and the file it left.
pub(crate) async fn no_application(doors: &Doors, caller: Caller, text: &str) -> ApiError {
    let gone = match archived(doors, caller, text).await {
        Ok(gone) => gone,
        Err(error) => return error,
    };
    let Some(why) = gone.as_ref().and_then(why) else { return missing(doors, caller, text).await };
    let said = format!("`{}` was archived {why}; what it was sent can be read", cut(text));
    ApiError::not_found(match hint(doors, caller, text) {
        Some(hint) => format!("{said}; {hint}"),
        None => format!("{said}, and it takes nothing until it is declared again"),
    })
}

/// The refusal for an application that never was. Most of them are misspelt, so it names some that there are.
async fn missing(doors: &Doors, caller: Caller, text: &str) -> ApiError {
    let organisation = caller.organisation;
    ApiError::not_found(match (caller.application, hint(doors, caller, text)) {
        (Some(own), _) => format!("this token speaks for the application `{own}` alone"),
        (None, Some(hint)) => hint.clone(),
        (None, None) => {
            let present = match doors.store.applications(organisation, None, NAMED + 1).await {
                Ok(present) => present,
                Err(error) => return error.into(),
            };
            let mut names: Vec<String> = present.iter().take(NAMED).map(name).collect();
            if present.len() > NAMED {
                names.push("others".to_owned());
            }
            let has =
                if names.is_empty() { "it has none at all".to_owned() } else { format!("it has {}", names.join(", ")) };
            format!("organisation `{organisation}` has no application with the id or uid `{}`; {has}", cut(text))
        }
    })
}

/// What people call an application by.
fn name(application: &Application) -> String {
    application.uid.as_ref().map_or_else(|| format!("`{}`", application.id), |uid| format!("`{uid}`"))
}

/// What there is to do about an application that a file would have to declare; files do so for the default organisation.
fn hint<'a>(doors: &'a Doors, caller: Caller, text: &str) -> Option<&'a String> {
    doors.hints.get(text).filter(|_| caller.organisation == OrganisationId::default_organisation())
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
