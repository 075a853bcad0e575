//! `GET /api/v1/app/{app}/msg/{message}/explain`: why each endpoint got a message or did not, and how that stands.
//!
//! The decision is made again on the configuration that the message's fan-out saw, so it is the one that was made then.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use hookyard_core::explain::{Explained, Standing, explain as decide};
use hookyard_core::fan_out::Decision;
use hookyard_model::{EndpointId, MessageId, Timestamp, Uid};
use serde::Serialize;

use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::Result;
use crate::reply::{self, Text};
use crate::segments::Segments;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainOut<'a> {
    msg_id: Text<MessageId>,
    event_type: &'a str,
    /// The revision of the configuration that the decision was made on.
    revision: u64,
    summary: String,
    endpoints: Vec<ExplainedOut<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainedOut<'a> {
    endpoint_id: Text<EndpointId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_uid: Option<&'a str>,
    /// What people knew it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_name: Option<&'a str>,
    /// `owed`, `skipped`, or `null` for what only a hand can have sent there.
    decision: Option<&'static str>,
    why: &'a str,
    delivery: Option<StandingOut<'a>>,
}

#[derive(Debug, Serialize)]
struct StandingOut<'a> {
    state: &'static str,
    why: &'a str,
    due: Option<Text<Timestamp>>,
}

pub(crate) async fn explain(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, message)): Segments<(String, String)>,
) -> Result<Response> {
    let view = find::application_ever(&doors, caller, &application).await?;
    let application = view.application.id;
    let message = find::message(&doors, application, &message).await?.message;
    let endpoints = doors.store.endpoints_at(application, message.revision).await?;
    let deliveries = doors.store.deliveries(application, message.id).await?;
    let explained = decide(&message, &endpoints, &deliveries, doors.clock.now());
    let answer = ExplainOut {
        msg_id: Text(message.id),
        event_type: message.event_type.as_str(),
        revision: message.revision.0,
        summary: summary(&explained),
        endpoints: explained.iter().map(explained_out).collect(),
    };
    Ok(archived::mark(&view.application, reply::json(StatusCode::OK, &answer)))
}

fn summary(explained: &[Explained]) -> String {
    let owed = explained.iter().filter(|one| one.decision == Some(Decision::Owed)).count();
    match explained.len() {
        0 => "the application had no endpoints when the message was accepted".to_owned(),
        all => format!("owed to {owed} of {all} endpoints"),
    }
}

fn explained_out(explained: &Explained) -> ExplainedOut<'_> {
    ExplainedOut {
        endpoint_id: Text(explained.endpoint),
        endpoint_uid: explained.uid.as_ref().map(Uid::as_str),
        endpoint_name: explained.name.as_deref(),
        decision: explained.decision.map(|decision| match decision {
            Decision::Owed => "owed",
            Decision::Skipped(_) => "skipped",
        }),
        why: &explained.why,
        delivery: explained.standing.as_ref().map(|Standing { state, why, due }| StandingOut {
            state: state.as_str(),
            why,
            due: due.map(Text),
        }),
    }
}
