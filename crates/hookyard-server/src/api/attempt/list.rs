//! `GET …/attempt/msg/{message}`, `…/msg/{message}/attempt` and `…/attempt/endpoint/{endpoint}`: attempts, the newest first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use hookyard_model::{ApplicationId, Attempt, AttemptId, Channel, EventType, Message, limits};
use hookyard_ports::store::{AttemptQuery, MessageRef, Page};

use super::AttemptOut;
use crate::api::message::Content;
use crate::api::page::{List, Window};
use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::reply;
use crate::room::Taken;
use crate::segments::Segments;

/// What a list of attempts may be narrowed by.
struct Narrowed {
    window: Window<AttemptId>,
    content: Content,
    event_types: Vec<EventType>,
    channel: Option<Channel>,
    status_class: Option<u16>,
    status: Option<Status>,
}

/// Svix's `status` of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Success,
    Fail,
    /// Pending or sending: an attempt is written down when it has ended, so none has these.
    Unfinished,
}

pub(crate) async fn of_message(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, message)): Segments<(String, String)>,
    uri: Uri,
) -> Result<Response> {
    let query = Query::of(&uri);
    let narrowed = Narrowed::of(&query, &doors)?;
    let view = find::application_ever(&doors, caller, &application).await?;
    let message = find::message(&doors, view.application.id, &message).await?.message;
    let endpoint = match query.text("endpoint_id") {
        Some(text) => Some(find::endpoint_ever(&doors, &view, text).await?),
        None => None,
    };
    if narrowed.status == Some(Status::Unfinished) || !narrowed.covers(&message) {
        return Ok(archived::mark(
            &view.application,
            reply::json(StatusCode::OK, &List::<AttemptOut<'_>>::whole(Vec::new())),
        ));
    }
    let mut wanted = narrowed.query(view.application.id);
    (wanted.message, wanted.endpoint) = (Some(message.id), endpoint);
    let room = narrowed.room(&doors).await?;
    let found = doors.store.attempts(wanted).await?;
    Ok(archived::mark(&view.application, room.hold(narrowed.answer(&found, |_| true))))
}

pub(crate) async fn of_endpoint(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments((application, endpoint)): Segments<(String, String)>,
    uri: Uri,
) -> Result<Response> {
    let narrowed = Narrowed::of(&Query::of(&uri), &doors)?;
    let view = find::application_ever(&doors, caller, &application).await?;
    let endpoint = find::endpoint_ever(&doors, &view, &endpoint).await?;
    if narrowed.status == Some(Status::Unfinished) {
        return Ok(archived::mark(
            &view.application,
            reply::json(StatusCode::OK, &List::<AttemptOut<'_>>::whole(Vec::new())),
        ));
    }
    let mut wanted = narrowed.query(view.application.id);
    wanted.endpoint = Some(endpoint);
    let room = narrowed.room(&doors).await?;
    let found = doors.store.attempts(wanted).await?;
    let mut covered = HashMap::new();
    if !narrowed.event_types.is_empty() || narrowed.channel.is_some() {
        // An attempt does not carry what its message is about, so the page's messages are asked for; what they rule out
        // makes the page shorter and does not end the list.
        for attempt in &found.items {
            if covered.contains_key(&attempt.message) {
                continue;
            }
            let message = doors.store.message(view.application.id, &MessageRef::Id(attempt.message)).await?;
            covered.insert(attempt.message, message.is_some_and(|stored| narrowed.covers(&stored.message)));
        }
    }
    let shown = |attempt: &Attempt| covered.get(&attempt.message).copied().unwrap_or(true);
    Ok(archived::mark(&view.application, room.hold(narrowed.answer(&found, shown))))
}

impl Narrowed {
    fn of(query: &Query<'_>, doors: &Doors) -> Result<Self> {
        let status_class = match query.number("status_code_class")? {
            None => None,
            Some(class @ (0 | 100 | 200 | 300 | 400 | 500)) => Some(u16::try_from(class / 100).expect("at most 5")),
            Some(other) => {
                let problem = format!("`{other}` is not a class of status codes (write 0, 100, 200, 300, 400 or 500)");
                return Err(ApiError::value(["query", "status_code_class"], problem));
            }
        };
        let status = match query.number("status")? {
            None => None,
            Some(0) => Some(Status::Success),
            Some(2) => Some(Status::Fail),
            Some(1 | 3 | 4) => Some(Status::Unfinished),
            Some(other) => {
                let problem = format!("`{other}` is not a status (write 0 for success or 2 for failure)");
                return Err(ApiError::value(["query", "status"], problem));
            }
        };
        Ok(Self {
            window: Window::of(query, doors.clock.now())?,
            content: Content::from(query.flag("with_content", true)?),
            event_types: query.list("event_types")?,
            channel: query.parsed("channel")?,
            status_class,
            status,
        })
    }

    async fn room(&self, doors: &Doors) -> Result<Taken> {
        doors.room.take(self.content, limits::PAGE * limits::RESPONSE_BYTES_KEPT).await
    }

    fn query(&self, application: ApplicationId) -> AttemptQuery {
        AttemptQuery {
            application,
            message: None,
            endpoint: None,
            succeeded: self.status.map(|status| status == Status::Success),
            status_class: self.status_class,
            before: self.window.before,
            after: self.window.after,
            page: self.window.page,
        }
    }

    fn covers(&self, message: &Message) -> bool {
        (self.event_types.is_empty() || self.event_types.contains(&message.event_type))
            && self.channel.as_ref().is_none_or(|channel| message.channels.contains(channel))
    }

    fn answer(&self, found: &Page<Attempt>, shown: impl Fn(&Attempt) -> bool) -> Response {
        let kept = found.items.iter().filter(|attempt| shown(attempt));
        let kept = kept.map(|attempt| AttemptOut::new(attempt, self.content)).collect();
        reply::json(StatusCode::OK, &self.window.list(found, |attempt| attempt.id, kept))
    }
}
