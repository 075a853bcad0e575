//! Accepts messages: all of them with what they owe, or none.

use hookyard_model::{ApplicationId, DeliveryKey, MessageId, OrderKey, RawId, Seq, Timestamp};
use hookyard_ports::StoreError;
use hookyard_ports::store::{Accept, Acceptance, Accepted, Dedupe, FirstState};
use hookyard_record::dedupe_code;
use rusqlite::{OptionalExtension as _, params};

use crate::books::{Books, Lease};
use crate::column::int;
use crate::fault::{Attempted, Fault};
use crate::writer::{Deed, Run};
use crate::{message, order};

/// Finds who has a dedupe key.
pub(crate) const TAKEN: &str = "SELECT d.message, d.fingerprint, d.expires, m.id FROM dedupe d \
    JOIN message m ON m.seq = d.message WHERE d.application = ?1 AND d.kind = ?2 AND d.key = ?3";

/// Accepts messages.
pub(crate) struct AcceptAll(pub(crate) Vec<Accept>);

impl Deed for AcceptAll {
    type Answer = Accepted;

    fn run(&self, books: &mut Books<'_>) -> Run<Accepted> {
        for accept in &self.0 {
            if let Some(stale) = stale(books, accept)? {
                return Ok(Ok(Accepted::Stale(stale)));
            }
        }
        let deliveries: usize = self.0.iter().map(|accept| accept.deliveries.len()).sum();
        if !self.0.is_empty()
            && let Err(full) = books.room_for(deliveries as u64)
        {
            return Ok(Err(full));
        }
        let answers = self.0.iter().map(|accept| write(books, accept)).collect::<Attempted<_>>()?;
        Ok(Ok(Accepted::Committed(answers)))
    }
}

/// The application, when its revision is not the one that the fan-out saw.
pub(super) fn stale(books: &mut Books<'_>, accept: &Accept) -> Attempted<Option<ApplicationId>> {
    let application = accept.message.application;
    let mark = books.application(application)?;
    let is_present = mark.is_some_and(|mark| !mark.is_archived && mark.revision == accept.message.revision);
    Ok((!is_present).then_some(application))
}

/// Writes a message with what it owes, unless one of its keys is taken.
pub(super) fn write(books: &mut Books<'_>, accept: &Accept) -> Attempted<Acceptance> {
    let message = &*accept.message;
    let application =
        books.application(message.application)?.ok_or_else(|| unknown("application", message.application))?;
    for dedupe in &accept.dedupe {
        if let Some(taken) = taken(books, application.row, dedupe, message.accepted)? {
            let same_request = taken.agrees_with(dedupe);
            return Ok(Acceptance::Duplicate { kind: dedupe.kind, message: taken.message, same_request });
        }
    }
    let seq = books.marks.next_seq;
    message::insert(&mut books.hot.insert_message, seq, application.row, message)?;
    books.marks.next_seq += 1;
    books.remember(message.id.raw());
    for dedupe in &accept.dedupe {
        take(books, application.row, dedupe, seq)?;
    }
    for new in &accept.deliveries {
        let endpoint = books.endpoint(new.endpoint)?.ok_or_else(|| unknown("endpoint", new.endpoint))?;
        let (due, holder) = match new.state {
            FirstState::Leased => (message.accepted, Some(int(books.shared.incarnation.0))),
            FirstState::Pending { due } => (due, None),
        };
        let order_key = new.order_key.map(|OrderKey(key)| key);
        let waits = order::open(books.connection, endpoint.row, order_key, seq)?;
        let row = params![seq, endpoint.row, due.as_micros(), holder, waits, order_key];
        books.hot.insert_delivery.execute(row).map_err(|error| Fault::or_conflict(error, "delivery"))?;
        if holder.is_some() {
            books.marks.leased += 1;
            let key = DeliveryKey { message: message.id, endpoint: new.endpoint };
            books.know_lease(key, Lease { message: seq, order_key, is_open: true });
        } else {
            books.marks.pending += 1;
        }
    }
    Ok(Acceptance::New { seq: Seq(seq.unsigned_abs()) })
}

/// The fan-out saw this revision, so it exists; if not, it is a defect of ours.
fn unknown(what: &str, id: impl std::fmt::Display) -> Fault {
    Fault::Store(StoreError::Other(format!("{what} `{id}` of an accepted message does not exist")))
}

/// Who has a dedupe key.
pub(super) struct Taken {
    message: MessageId,
    fingerprint: Option<[u8; 32]>,
}

impl Taken {
    /// Whether the fingerprints agree; true where there is none.
    pub(super) fn agrees_with(&self, dedupe: &Dedupe) -> bool {
        match (&self.fingerprint, &dedupe.fingerprint) {
            (Some(kept), Some(asked)) => kept == asked,
            (None, _) | (_, None) => true,
        }
    }
}

/// Who has a key at `now`, if anybody.
pub(super) fn taken(books: &Books<'_>, application: i64, dedupe: &Dedupe, now: Timestamp) -> Attempted<Option<Taken>> {
    let mut statement = books.connection.prepare_cached(TAKEN)?;
    let found = statement
        .query_row(params![application, dedupe_code(dedupe.kind), dedupe.key], |row| {
            Ok((row.get(1)?, row.get::<_, Option<i64>>(2)?, row.get(3)?))
        })
        .optional()?;
    let counts = found.filter(|(_, expires, _)| expires.is_none_or(|expires| now.as_micros() < expires));
    Ok(counts.map(|(fingerprint, _, id)| Taken { message: MessageId::from_raw(RawId::from_bytes(id)), fingerprint }))
}

/// Gives a key to a message, in the place of one that ran out.
pub(super) fn take(books: &Books<'_>, application: i64, dedupe: &Dedupe, message: i64) -> Attempted<()> {
    let mut statement = books.connection.prepare_cached(
        "INSERT OR REPLACE INTO dedupe (application, kind, key, message, fingerprint, expires) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let expires = dedupe.expires.map(Timestamp::as_micros);
    statement.execute(params![
        application,
        dedupe_code(dedupe.kind),
        dedupe.key,
        message,
        dedupe.fingerprint,
        expires
    ])?;
    Ok(())
}
