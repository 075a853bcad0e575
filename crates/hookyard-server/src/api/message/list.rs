//! `GET /api/v1/app/{app}/msg`: the messages of an application, the newest first.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use hookyard_model::{MessageId, limits};
use hookyard_ports::store::{MessageQuery, Payloads};

use super::{Content, MessageOut};
use crate::api::page::Window;
use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::Result;
use crate::query::Query;
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn list(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments(application): Segments<String>,
    uri: Uri,
) -> Result<Response> {
    let query = Query::of(&uri);
    let content = Content::from(query.flag("with_content", true)?);
    let window = Window::<MessageId>::of(&query, doors.clock.now())?;
    let (event_types, channel) = (query.list("event_types")?, query.parsed("channel")?);
    let view = find::application_ever(&doors, caller, &application).await?;
    let application = view.application.id;
    let Window { before, after, page } = window;
    let payloads = match content {
        Content::With => Payloads::Read,
        Content::Without => Payloads::LeftOut,
    };
    let wanted = MessageQuery { application, event_types, channel, before, after, payloads, page };
    let room = doors.room.take(content, limits::PAGE_BYTES + limits::API_BODY_BYTES).await?;
    let found = doors.store.messages(wanted).await?;
    let shown = found.items.iter().map(|stored| MessageOut::new(&stored.message, content)).collect();
    let answer = reply::json(StatusCode::OK, &window.list(&found, |stored| stored.message.id, shown));
    Ok(archived::mark(&view.application, room.hold(answer)))
}
