//! `POST /api/v1/app/{app}/endpoint/{endpoint}/enable` and `…/disable`: an endpoint on or off, by hand.
//!
//! Both answer with the endpoint as it is afterwards; asking for what already is changes nothing that matters. They are
//! open to endpoints that a file declares: whether one is on is runtime state.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use hookyard_model::DisableReason;
use hookyard_ports::store::StatusChange;

use super::EndpointOut;
use crate::api::find;
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::{ApiError, Result};
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn enable(
    doors: State<Arc<Doors>>,
    caller: Caller,
    path: Segments<(String, String)>,
) -> Result<Response> {
    change(doors, caller, path, StatusChange::Enable).await
}

pub(crate) async fn disable(
    doors: State<Arc<Doors>>,
    caller: Caller,
    path: Segments<(String, String)>,
) -> Result<Response> {
    change(doors, caller, path, StatusChange::Disable(DisableReason::Manual)).await
}

async fn change(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, endpoint)): Segments<(String, String)>,
    change: StatusChange,
) -> Result<Response> {
    let view = find::application(&doors, caller, &application).await?;
    let endpoint = find::endpoint(&view, &endpoint)?.id;
    let changed = doors.store.change_status(endpoint, change, doors.clock.now()).await?;
    let changed = changed.ok_or_else(|| ApiError::not_found("the endpoint was removed a moment ago"))?;
    Ok(reply::json(StatusCode::OK, &EndpointOut::from(&*changed)))
}
