//! Whether the node lives, and whether it is ready.
//!
//! Open to everybody. `/health` has the exact body that Kai's clients compare.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use hookyard_model::{format_duration, limits};
use serde_json::json;

use crate::doors::Doors;
use crate::reply;

pub(crate) fn routes() -> Router<Arc<Doors>> {
    Router::new()
        .route("/health", get(alive))
        .route("/health/live", get(alive))
        .route("/health/ready", get(ready))
        .route("/api/v1/health", get(|| async { reply::empty(StatusCode::NO_CONTENT) }))
        .route("/api/v1/health/ping", get(|| async { reply::empty(StatusCode::NO_CONTENT) }))
}

async fn alive() -> Response {
    let json = HeaderValue::from_static("application/json");
    reply::bytes(StatusCode::OK, json, Bytes::from_static(br#"{"status": "ok"}"#))
}

/// Ready is: the store answers within [`limits::READY_WITHIN`].
async fn ready(State(doors): State<Arc<Doors>>) -> Response {
    let asked = tokio::time::timeout(limits::READY_WITHIN, doors.store.overview(doors.clock.now()));
    let reason = match asked.await {
        Ok(Ok(_)) => return reply::json(StatusCode::OK, &json!({ "status": "ok" })),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("store did not answer within {}", format_duration(limits::READY_WITHIN)),
    };
    reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "unavailable", "reasons": [reason] }))
}
