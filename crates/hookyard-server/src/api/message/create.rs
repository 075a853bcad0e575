//! `POST /api/v1/app/{app}/msg`: publishes one message.
//!
//! 202 once it is on disk with every delivery it owes. A repeat under the same `idempotency-key` gets the first answer
//! again.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::incoming::{kept_headers, publish};
use super::refuse::refuse;
use super::{Content, MessageOut};
use crate::api::{find, idempotency};
use crate::auth::Caller;
use crate::body;
use crate::doors::Doors;
use crate::error::Result;
use crate::query::Query;
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn create(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments(application): Segments<String>,
    request: Request,
) -> Result<Response> {
    let caller = caller.organisation_only()?;
    let reference = find::application_ref(&application)?;
    let (head, body) = request.into_parts();
    let content = Content::from(Query::of(&head.uri).flag("with_content", true)?);
    let key = idempotency::key(&head.headers)?;
    let body = body::read(body).await?;
    let mut wanted = publish(&body, &body)?;
    wanted.kept_headers = kept_headers(&head.headers);
    wanted.repeat = key.map(|key| idempotency::repeat("POST msg", key, idempotency::fingerprint(&body)));
    let published = doors.publisher.publish(caller.organisation, &reference, wanted).await;
    match published {
        Ok(published) => Ok(reply::json(StatusCode::ACCEPTED, &MessageOut::new(published.message(), content))),
        Err(error) => Err(refuse(error, &doors, caller, &application).await),
    }
}
