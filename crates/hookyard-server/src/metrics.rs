//! What is counted, for Prometheus.
//!
//! Open to everybody who reaches the address; names no payload, URL or secret.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;

use crate::doors::Doors;
use crate::reply;

pub(crate) fn routes() -> Router<Arc<Doors>> {
    Router::new().route("/metrics", get(show))
}

async fn show(State(doors): State<Arc<Doors>>) -> Response {
    let open_metrics = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    reply::bytes(StatusCode::OK, open_metrics, doors.metrics.render().into())
}
