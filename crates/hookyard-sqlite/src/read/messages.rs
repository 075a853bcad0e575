//! Messages, one or a page.

use bytes::Bytes;
use hookyard_model::{ApplicationId, MessageId, Payload};
use hookyard_ports::store::{MessageQuery, MessageRef, Page, Payloads, StoredMessage};
use hookyard_record::{Pages, Step, Walk};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::fault::Attempted;
use crate::message::{self, Glance};

/// One message.
pub(crate) fn one(
    connection: &Connection,
    application: ApplicationId,
    reference: &MessageRef,
) -> Attempted<Option<StoredMessage>> {
    let application = application.raw();
    let read = |row: &Row<'_>| Ok(message::read(row));
    let found = match reference {
        MessageRef::Id(id) => connection
            .prepare_cached(message::BY_ID)?
            .query_row(params![application.as_bytes(), id.raw().as_bytes()], read)
            .optional()?,
        MessageRef::EventId(event_id) => connection
            .prepare_cached(message::BY_EVENT_ID)?
            .query_row(params![application.as_bytes(), event_id.as_str()], read)
            .optional()?,
    };
    found.transpose()
}

/// A page of an application's messages.
pub(crate) fn page(connection: &Connection, query: &MessageQuery) -> Attempted<Page<StoredMessage>> {
    let mut pages = Pages::new(query.page.limit);
    let Some(application) = crate::configuration::application_row(connection, query.application)? else {
        return Ok(pages.finish(&query.page.start));
    };
    let walk = Walk::new(&query.page, |id: MessageId| id.raw(), query.after, query.before);
    let mut statement = connection.prepare_cached(walk.of(message::UPWARDS, message::DOWNWARDS))?;
    let mut rows = statement.query(params![application, walk.above, walk.below])?;
    while let Some(row) = rows.next()? {
        let glance = Glance::new(row);
        match pages.step(glance.id()?, is_wanted(query, &glance)?) {
            Step::Take => {
                let payload = match query.payloads {
                    Payloads::Read => message::payload(connection, row)?,
                    Payloads::LeftOut => Payload::Kept(Bytes::new()),
                };
                let bytes = payload.len();
                pages.take(message::read_with(row, payload)?, bytes);
            }
            Step::Skip => {}
            Step::Stop => break,
        }
    }
    Ok(pages.finish(&query.page.start))
}

fn is_wanted(query: &MessageQuery, glance: &Glance<'_, '_>) -> Attempted<bool> {
    if let Some(before) = query.before
        && glance.accepted()? >= before
    {
        return Ok(false);
    }
    if let Some(after) = query.after
        && glance.accepted()? < after
    {
        return Ok(false);
    }
    if !query.event_types.is_empty() {
        let event_type = glance.event_type()?;
        if !query.event_types.iter().any(|wanted| wanted.as_str() == event_type) {
            return Ok(false);
        }
    }
    match &query.channel {
        None => Ok(true),
        Some(channel) => glance.is_on(channel.as_str()),
    }
}
