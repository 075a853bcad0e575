//! `GET /api/v1/app/{app}/msg/{message}/raw`: a payload's exact bytes, with its own content type.
//!
//! The bytes are a stranger's: the answer keeps browsers from showing them as a page of this origin.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hookyard_model::{Payload, limits};

use super::Content;
use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::{ApiError, Result};
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn raw(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, message)): Segments<(String, String)>,
) -> Result<Response> {
    let view = find::application_ever(&doors, caller, &application).await?;
    let room = doors.room.take(Content::With, limits::API_BODY_BYTES).await?;
    let message = find::message(&doors, view.application.id, &message).await?.message;
    let Payload::Kept(payload) = &message.payload else {
        return Err(ApiError::not_found("the payload of this message was expunged"));
    };
    let content_type = HeaderValue::try_from(message.content_type.as_str())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let mut response = reply::bytes(StatusCode::OK, content_type, payload.clone());
    let name = format!("attachment; filename=\"{}\"", message.id);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, name.parse().expect("an id is ASCII"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    Ok(archived::mark(&view.application, room.hold(response)))
}
