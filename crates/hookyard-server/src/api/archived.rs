//! Applications that were archived: what they were sent can still be read, and nothing new comes in.
//!
//! Used by every operation that reads. An answer about an archived application says so in a header, because the bodies are
//! Svix's, whose clients know no such state.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use hookyard_model::{Application, Declaration};

/// Since when an application is archived, and why; only in answers about one that is.
const HEADER: HeaderName = HeaderName::from_static("hookyard-archived");

/// Marks an answer about an application, if that is archived.
pub(crate) fn mark(application: &Application, mut response: Response) -> Response {
    let said = why(application).map(|why| why.replace(char::is_control, "?"));
    if let Some(value) = said.and_then(|why| HeaderValue::from_bytes(why.as_bytes()).ok()) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// Since when an application is archived, and what it left, for people; `None` when it is not.
pub(crate) fn why(application: &Application) -> Option<String> {
    let at = application.archived?;
    Some(match &application.declared {
        Some(Declaration { file, .. }) if !file.is_empty() => format!("at {at}: it left {file}"),
        Some(_) | None => format!("at {at}"),
    })
}
