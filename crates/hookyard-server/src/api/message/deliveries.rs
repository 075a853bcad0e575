//! `GET /api/v1/app/{app}/msg/{message}/delivery`: what a message is owed to, and how each stands.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use hookyard_model::{Delivery, DeliveryState, Endpoint, EndpointId, EndpointStatus, ExtraAttempt, Timestamp, Uid};
use serde::Serialize;

use crate::api::page::List;
use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::Result;
use crate::reply::{self, Text};
use crate::segments::Segments;

/// A delivery on the wire.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryOut<'a> {
    endpoint_id: Text<EndpointId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_uid: Option<&'a str>,
    /// What people know it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_name: Option<String>,
    state: &'static str,
    reason: Option<&'static str>,
    due: Option<Text<Timestamp>>,
    /// Attempts of this round that took from the schedule. Those that took nothing (a stale connection, an interruption, one
    /// more by hand) are in the list of attempts and not in this number.
    charged: u16,
    /// How often a fresh schedule was begun by hand.
    round: u16,
}

pub(crate) async fn deliveries(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, message)): Segments<(String, String)>,
) -> Result<Response> {
    let view = find::application_ever(&doors, caller, &application).await?;
    let message = find::message(&doors, view.application.id, &message).await?.message.id;
    let owed = doors.store.deliveries(view.application.id, message).await?;
    let mut endpoints = HashMap::with_capacity(owed.len());
    for id in owed.iter().map(|delivery| delivery.key.endpoint) {
        let present = view.endpoints.iter().find(|endpoint| endpoint.id == id).cloned();
        // One that was archived is not among those of the application.
        let endpoint = if present.is_some() { present } else { doors.store.endpoint(id).await? };
        endpoints.extend(endpoint.map(|endpoint| (id, endpoint)));
    }
    let endpoint = |id| endpoints.get(&id).map(|endpoint| &**endpoint);
    let data = owed.iter().map(|delivery| out(delivery, endpoint(delivery.key.endpoint))).collect();
    Ok(archived::mark(&view.application, reply::json(StatusCode::OK, &List::whole(data))))
}

fn out<'a>(delivery: &Delivery, endpoint: Option<&'a Endpoint>) -> DeliveryOut<'a> {
    let held = endpoint.is_some_and(|endpoint| matches!(endpoint.status, EndpointStatus::Disabled { .. }));
    let (reason, due) = match &delivery.state {
        DeliveryState::Pending { due } => (held.then_some("held while the endpoint is disabled"), Some(*due)),
        DeliveryState::Leased { due, .. } => (None, Some(*due)),
        DeliveryState::Delivered { extra: None } => (None, None),
        DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { due } | ExtraAttempt::Leased { due, .. }) } => {
            (Some("one more attempt by hand is on its way"), Some(*due))
        }
        DeliveryState::Failed(reason) => (Some(reason.as_str()), None),
        DeliveryState::Cancelled(reason) => (Some(reason.as_str()), None),
    };
    DeliveryOut {
        endpoint_id: Text(delivery.key.endpoint),
        endpoint_uid: endpoint.and_then(|endpoint| endpoint.uid.as_ref()).map(Uid::as_str),
        endpoint_name: endpoint.map(Endpoint::shown_name),
        state: delivery.state.kind().as_str(),
        reason,
        due: due.map(Text),
        charged: delivery.charged,
        round: delivery.round,
    }
}
