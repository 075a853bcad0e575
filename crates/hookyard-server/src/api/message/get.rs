//! `GET /api/v1/app/{app}/msg/{message}`: one message.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use hookyard_model::limits;

use super::{Content, MessageOut};
use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::Result;
use crate::query::Query;
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn get(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, message)): Segments<(String, String)>,
    uri: Uri,
) -> Result<Response> {
    let content = Content::from(Query::of(&uri).flag("with_content", true)?);
    let view = find::application_ever(&doors, caller, &application).await?;
    let room = doors.room.take(content, limits::API_BODY_BYTES).await?;
    let stored = find::message(&doors, view.application.id, &message).await?;
    Ok(archived::mark(
        &view.application,
        room.hold(reply::json(StatusCode::OK, &MessageOut::new(&stored.message, content))),
    ))
}
