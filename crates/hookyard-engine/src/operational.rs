//! Announces what happened to deliveries and endpoints, as messages of the operational application.
//!
//! Called by the settling loop, so that an announcement is on disk together with what it announces. Its endpoints are
//! like any others: any dialect, any receiver. What happens to its own deliveries is not announced, or a dead receiver
//! of announcements would announce itself for ever.

use std::sync::Arc;

use bytes::Bytes;
use hookyard_core::fan_out::{Decision, fan_out};
use hookyard_core::operational;
use hookyard_core::order::order_key;
use hookyard_model::{EndpointChange, Message, OperationalEvent, Origin, Outcome, Payload, Timestamp, limits};
use hookyard_ports::store::{Accept, ApplicationRef, ApplicationView, FirstState, NewDelivery, Settlement};
use serde_json::json;

use crate::attempt::Made;
use crate::shared::Shared;

/// Adds to an attempt's settlement what is announced about it, if its organisation has an operational application.
pub(crate) async fn attach(shared: &Shared, made: &mut Made) {
    let Made { settlement, handed, .. } = made;
    let events = operational::announce(&handed.delivery, &settlement.next, settlement.endpoint.as_ref());
    if events.is_empty() {
        return;
    }
    let uid = ApplicationRef::Uid(OperationalEvent::APPLICATION_UID.parse().expect("the constant is a uid"));
    match shared.ask(|| shared.parts.store.application(handed.message.organisation, &uid)).await {
        Ok(Some(view)) if view.application.id != handed.delivery.application => {
            let now = shared.parts.clock.now();
            settlement.operational =
                events.iter().map(|event| announce(shared, &view, *event, settlement, now)).collect();
        }
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "an announcement could not be made"),
    }
}

fn announce(
    shared: &Shared,
    view: &ApplicationView,
    event: OperationalEvent,
    settlement: &Settlement,
    now: Timestamp,
) -> Accept {
    let attempt = &settlement.attempt;
    let mut data = json!({
        "appId": attempt.application.to_string(),
        "endpointId": attempt.endpoint.to_string(),
        "msgId": attempt.message.to_string(),
        "lastAttempt": {
            "id": attempt.id.to_string(),
            "outcome": attempt.outcome.as_str(),
            "responseStatusCode": attempt.response.as_ref().map_or(0, |response| response.status),
            "timestamp": attempt.started.to_string(),
        },
    });
    if let Some(EndpointChange::Disabled { since, .. }) = settlement.endpoint {
        data["disabledAt"] = json!(since.to_string());
    }
    if let Outcome::Blocked(by) = &attempt.outcome {
        data["why"] = json!(by.why);
    }
    let payload = json!({ "type": event.event_type(), "data": data }).to_string();
    let message = Message {
        id: shared.parts.ids.message(now),
        organisation: view.application.organisation,
        application: view.application.id,
        event_type: event.event_type().parse().expect("the constant is an event type"),
        event_id: None,
        event_time: None,
        accepted: now,
        channels: Vec::new(),
        tags: Vec::new(),
        content_type: "application/json".to_owned(),
        payload: Payload::Kept(Bytes::from(payload)),
        kept_headers: Vec::new(),
        origin: Origin::Operational,
        targets: None,
        revision: view.application.revision,
        deliver_at: None,
        expires: now.plus(limits::RETENTION),
    };
    let deliveries = fan_out(&message, &view.endpoints)
        .filter(|(_, decision)| matches!(decision, Decision::Owed))
        .map(|(endpoint, _)| NewDelivery {
            endpoint: endpoint.id,
            state: FirstState::Pending { due: now },
            order_key: message.payload.bytes().and_then(|bytes| order_key(&endpoint.settings.ordered, bytes)),
        })
        .collect();
    Accept { message: Arc::new(message), deliveries, dedupe: Vec::new() }
}
