//! `GET /api/v1/app/{app}`: one application.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::ApplicationOut;
use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::Result;
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn get(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments(application): Segments<String>,
) -> Result<Response> {
    let view = find::application_ever(&doors, caller, &application).await?;
    Ok(archived::mark(&view.application, reply::json(StatusCode::OK, &ApplicationOut::from(&view.application))))
}
