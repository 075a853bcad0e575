//! The management API under `/api/v1`: Svix's wire, and beyond it.
//!
//! One file per operation: what it takes, what it answers, what it refuses. Ids in paths may be ids or the caller's own
//! names; [`find`] turns both into the thing itself and keeps tokens of one application away from the others.

mod application;
mod archived;
mod attempt;
mod endpoint;
mod find;
mod idempotency;
mod message;
mod page;
pub(crate) mod reload;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub(crate) use self::message::Content;
use crate::doors::Doors;

pub(crate) fn routes() -> Router<Arc<Doors>> {
    // Spelled out rather than nested: nesting rewrites the URI of every request.
    let at = |path: &str| format!("/api/v1/app/{{application}}{path}");
    Router::new()
        .route("/api/v1/app", get(application::list::list))
        .route("/api/v1/hookyard/config/reload", post(reload::reload))
        .route(&at(""), get(application::get::get))
        .route(&at("/msg"), get(message::list::list).post(message::create::create))
        .route(&at("/msg/batch"), post(message::batch::batch))
        .route(&at("/msg/{message}"), get(message::get::get))
        .route(&at("/msg/{message}/raw"), get(message::raw::raw))
        .route(&at("/msg/{message}/explain"), get(message::explain::explain))
        .route(&at("/msg/{message}/delivery"), get(message::deliveries::deliveries))
        .route(&at("/msg/{message}/attempt"), get(attempt::list::of_message))
        .route(&at("/msg/{message}/attempt/{attempt}"), get(attempt::get::get))
        .route(&at("/msg/{message}/endpoint/{endpoint}/resend"), post(message::resend::resend))
        .route(&at("/attempt/msg/{message}"), get(attempt::list::of_message))
        .route(&at("/attempt/endpoint/{endpoint}"), get(attempt::list::of_endpoint))
        .route(&at("/endpoint"), get(endpoint::list::list))
        .route(&at("/endpoint/{endpoint}"), get(endpoint::get::get))
        .route(&at("/endpoint/{endpoint}/enable"), post(endpoint::status::enable))
        .route(&at("/endpoint/{endpoint}/disable"), post(endpoint::status::disable))
}
