//! `POST /api/v1/app/{app}/msg/{message}/endpoint/{endpoint}/resend`: sends a message to an endpoint once more, by hand.
//!
//! 202 `{}` once the delivery is due; also for a repeat under the same `idempotency-key`, and when an attempt is in flight
//! already.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use hookyard_model::DeliveryKey;
use hookyard_ports::store::Resent;
use serde_json::json;

use crate::api::{find, idempotency};
use crate::auth::Caller;
use crate::body;
use crate::doors::Doors;
use crate::error::{ApiError, Code, Result};
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn resend(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, message, endpoint)): Segments<(String, String, String)>,
    request: Request,
) -> Result<Response> {
    let (head, body) = request.into_parts();
    let key = idempotency::key(&head.headers)?;
    let body = body::read(body).await?;
    let view = find::application(&doors, caller, &application).await?;
    let application = view.application.id;
    let message = find::message(&doors, application, &message).await?.message.id;
    let delivery = DeliveryKey { message, endpoint: find::endpoint(&view, &endpoint)?.id };
    // A token of the application and one of its organisation do not share keys.
    let holder = if caller.application.is_some() { "app" } else { "org" };
    let scope = format!("POST resend {message} {} {holder}", delivery.endpoint);
    let repeat = key.map(|key| idempotency::repeat(&scope, key, idempotency::fingerprint(&body)));
    match doors.publisher.resend(application, delivery, repeat).await? {
        Resent::Queued | Resent::ExtraAttempt | Resent::DueNow | Resent::InFlight | Resent::Repeated => {
            Ok(reply::json(StatusCode::ACCEPTED, &json!({})))
        }
        Resent::Conflicting => {
            Err(ApiError::new(Code::IdempotencyConflict, "the key was used by a request with another body"))
        }
        Resent::Expunged => Err(ApiError::new(Code::MissingPayload, "the payload of this message was expunged")),
        Resent::NotFound => Err(ApiError::not_found("the message or the endpoint was removed a moment ago")),
    }
}
