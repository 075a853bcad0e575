//! `GET /api/v1/app/{app}/endpoint/{endpoint}`: one endpoint.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::EndpointOut;
use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::Result;
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn get(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, endpoint)): Segments<(String, String)>,
) -> Result<Response> {
    let view = find::application_ever(&doors, caller, &application).await?;
    let endpoint = find::endpoint(&view, &endpoint)?;
    Ok(archived::mark(&view.application, reply::json(StatusCode::OK, &EndpointOut::from(&**endpoint))))
}
