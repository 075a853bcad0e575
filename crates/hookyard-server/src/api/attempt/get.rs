//! `GET /api/v1/app/{app}/msg/{message}/attempt/{attempt}`: one attempt.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::AttemptOut;
use crate::api::message::Content;
use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::{ApiError, Result};
use crate::query::cut;
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn get(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, message, attempt)): Segments<(String, String, String)>,
) -> Result<Response> {
    let view = find::application_ever(&doors, caller, &application).await?;
    let message = find::message(&doors, view.application.id, &message).await?.message.id;
    let id = attempt.parse().map_err(find::unnameable)?;
    let found = doors.store.attempt(view.application.id, id).await?.filter(|found| found.message == message);
    let found =
        found.ok_or_else(|| ApiError::not_found(format!("message `{message}` has no attempt `{}`", cut(&attempt))))?;
    Ok(archived::mark(&view.application, reply::json(StatusCode::OK, &AttemptOut::new(&found, Content::With))))
}
