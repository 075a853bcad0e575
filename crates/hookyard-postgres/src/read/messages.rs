//! Messages, one or a page.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{ApplicationId, Channel, EventType, Message, MessageId, Payload, Timestamp};
use hookyard_ports::store::{MessageQuery, MessageRef, Page, Payloads, StoredMessage};
use hookyard_record::{Pages, Step, Walk, payload, read_message};
use tokio_postgres::types::Type;

use super::page::{examined, given};
use crate::column::{Columns, Id};
use crate::fault::Attempted;
use crate::message;
use crate::node::Deed;
use crate::transaction::{Mode, Tx};

/// One message.
pub(crate) struct One {
    pub(crate) application: ApplicationId,
    pub(crate) reference: MessageRef,
}

impl Deed for One {
    type Answer = Option<StoredMessage>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Option<StoredMessage>> {
        let application = Id(self.application.raw());
        let found = match &self.reference {
            MessageRef::Id(id) => {
                let id = Id(id.raw());
                tx.find(message::BY_ID, &[(&application, Type::BYTEA), (&id, Type::BYTEA)]).await?
            }
            MessageRef::EventId(event_id) => {
                let by: [crate::column::Parameter<'_>; 2] =
                    [(&application, Type::BYTEA), (&event_id.as_str(), Type::TEXT)];
                tx.find(message::BY_EVENT_ID, &by).await?
            }
        };
        found.as_ref().map(message::read).transpose()
    }
}

/// A page of an application's messages.
pub(crate) struct List(pub(crate) MessageQuery);

impl Deed for List {
    type Answer = Page<StoredMessage>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Page<StoredMessage>> {
        let query = &self.0;
        let mut pages = Pages::new(query.page.limit);
        let walk = Walk::new(&query.page, |id: MessageId| id.raw(), query.after, query.before);
        let types: Option<Vec<&str>> =
            (!query.event_types.is_empty()).then(|| query.event_types.iter().map(EventType::as_str).collect());
        let before = query.before.map(Timestamp::as_micros);
        let after = query.after.map(Timestamp::as_micros);
        let parameters: [crate::column::Parameter<'_>; 9] = [
            (&Id(query.application.raw()), Type::BYTEA),
            (&walk.above, Type::BYTEA),
            (&walk.below, Type::BYTEA),
            (&examined(), Type::INT8),
            (&types, Type::TEXT_ARRAY),
            (&query.channel.as_ref().map(Channel::as_str), Type::TEXT),
            (&before, Type::INT8),
            (&after, Type::INT8),
            (&given(query.page.limit), Type::INT8),
        ];
        for row in &tx.query(walk.of(message::UPWARDS, message::DOWNWARDS), &parameters).await? {
            let columns = Columns::new("message", row);
            match pages.step_to(columns.get(18, "n")?, columns.id(0, "id")?, columns.get(19, "wanted")?) {
                Step::Take => {
                    let bytes = match query.payloads {
                        Payloads::Read => columns.get(20, "payload")?,
                        Payloads::LeftOut => 0,
                    };
                    pages.take(read_message(&columns, Payload::Kept(Bytes::new()))?, bytes);
                }
                Step::Skip => {}
                Step::Stop => break,
            }
        }
        let mut payloads = match query.payloads {
            Payloads::Read => payloads(tx, pages.items()).await?,
            Payloads::LeftOut => return Ok(pages.finish(&query.page.start)),
        };
        let mut page = pages.finish(&query.page.start);
        for stored in &mut page.items {
            if let Some(payload) = payloads.remove(&stored.message.id) {
                stored.message = Arc::new(Message { payload, ..Message::clone(&stored.message) });
            }
        }
        Ok(page)
    }
}

async fn payloads(tx: &Tx, items: &[StoredMessage]) -> Attempted<HashMap<MessageId, Payload>> {
    let ids: Vec<Id> = items.iter().map(|stored| Id(stored.message.id.raw())).collect();
    let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else { return Ok(HashMap::new()) };
    let parameters: [crate::column::Parameter<'_>; 3] =
        [(&ids, Type::BYTEA_ARRAY), (first, Type::BYTEA), (last, Type::BYTEA)];
    let read = |row| {
        let columns = Columns::new("message", row);
        Ok((columns.get(0, "id")?, payload(columns.get(1, "payload")?)))
    };
    tx.query(message::PAYLOADS, &parameters).await?.iter().map(read).collect()
}
