//! What people do to a delivery: resend it, cancel it.

use hookyard_model::{CancelReason, DeliveryKey, DeliveryState, EndpointId, ExtraAttempt, OrderKey, Timestamp};
use hookyard_ports::store::{Resend, Resent};
use hookyard_record::cancel_code;
use rusqlite::{OptionalExtension as _, params};

use super::accept;
use crate::books::Books;
use crate::delivery::DeliveryRow;
use crate::fault::Attempted;
use crate::order;
use crate::writer::{Deed, Run};

/// One delivery.
pub(crate) const ONE: &str = "SELECT message, NULL, state, reason, due, holder, order_key, charged, round, variant, manual \
    FROM delivery WHERE message = ?1 AND endpoint = ?2";
/// What is over begins a fresh schedule.
pub(crate) const REOPEN: &str = "UPDATE delivery SET state = 0, reason = NULL, due = ?3, waits = ?4, charged = 0, \
    variant = 0, round = min(round + 1, 65535), manual = 1 WHERE message = ?1 AND endpoint = ?2";
/// What waits, or is delivered, has an attempt due.
pub(crate) const HASTEN: &str = "UPDATE delivery SET due = ?3, manual = 1 WHERE message = ?1 AND endpoint = ?2";
/// A delivery that begins by hand.
pub(crate) const BEGIN: &str = "INSERT INTO delivery (message, endpoint, state, due, waits, charged, round, variant, \
    manual) VALUES (?1, ?2, 0, ?3, 0, 0, 0, 0, 1)";

fn read(books: &Books<'_>, message: i64, endpoint: i64) -> Attempted<Option<DeliveryRow>> {
    let mut statement = books.connection.prepare_cached(ONE)?;
    statement.query_row([message, endpoint], |row| Ok(DeliveryRow::read(row))).optional()?.transpose()
}

impl Deed for Resend {
    type Answer = Resent;

    fn run(&self, books: &mut Books<'_>) -> Run<Resent> {
        let Some(application) = books.application(self.application)? else { return Ok(Ok(Resent::NotFound)) };
        if let Some(dedupe) = &self.idempotency
            && let Some(taken) = accept::taken(books, application.row, dedupe, self.now)?
        {
            return Ok(Ok(if taken.agrees_with(dedupe) { Resent::Repeated } else { Resent::Conflicting }));
        }
        let Some(message) = books.seq(application.row, self.key.message)? else { return Ok(Ok(Resent::NotFound)) };
        let endpoint = books.endpoint(self.key.endpoint)?;
        let endpoint = endpoint.filter(|found| found.application == self.application && !found.is_archived());
        let Some(endpoint) = endpoint else { return Ok(Ok(Resent::NotFound)) };
        if is_expunged(books, message)? {
            return Ok(Ok(Resent::Expunged));
        }
        let resent = again(books, message, endpoint.row, self.now)?;
        if resent != Resent::InFlight
            && let Some(dedupe) = &self.idempotency
        {
            accept::take(books, application.row, dedupe, message)?;
        }
        Ok(Ok(resent))
    }
}

fn is_expunged(books: &Books<'_>, message: i64) -> Attempted<bool> {
    let mut statement = books.connection.prepare_cached("SELECT payload IS NULL FROM message WHERE seq = ?1")?;
    Ok(statement.query_row([message], |row| row.get(0))?)
}

fn again(books: &mut Books<'_>, message: i64, endpoint: i64, now: Timestamp) -> Attempted<Resent> {
    let now = now.as_micros();
    let Some(delivery) = read(books, message, endpoint)? else {
        books.connection.prepare_cached(BEGIN)?.execute([message, endpoint, now])?;
        books.marks.pending += 1;
        return Ok(Resent::Queued);
    };
    let resent = match delivery.state {
        DeliveryState::Leased { .. } | DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { .. }) } => {
            return Ok(Resent::InFlight);
        }
        DeliveryState::Failed(_) | DeliveryState::Cancelled(_) => {
            let order_key = delivery.order_key.map(|OrderKey(key)| key);
            let waits = order::open(books.connection, endpoint, order_key, message)?;
            books.connection.prepare_cached(REOPEN)?.execute(params![message, endpoint, now, waits])?;
            books.marks.pending += 1;
            return Ok(Resent::Queued);
        }
        DeliveryState::Pending { .. } => Resent::DueNow,
        DeliveryState::Delivered { extra: None | Some(ExtraAttempt::Waiting { .. }) } => Resent::ExtraAttempt,
    };
    books.connection.prepare_cached(HASTEN)?.execute([message, endpoint, now])?;
    Ok(resent)
}

/// Cancels what is pending.
pub(crate) struct Cancel(pub(crate) DeliveryKey);

impl Deed for Cancel {
    type Answer = bool;

    fn run(&self, books: &mut Books<'_>) -> Run<bool> {
        let Some((message, endpoint)) = locate(books, &self.0)? else { return Ok(Ok(false)) };
        let Some(delivery) = read(books, message, endpoint)? else { return Ok(Ok(false)) };
        if !matches!(delivery.state, DeliveryState::Pending { .. }) {
            return Ok(Ok(false));
        }
        let mut statement = books.connection.prepare_cached(
            "UPDATE delivery SET state = 3, reason = ?3, due = NULL, waits = 0 WHERE message = ?1 AND endpoint = ?2",
        )?;
        statement.execute(params![message, endpoint, cancel_code(CancelReason::ByHand)])?;
        books.marks.pending = books.marks.pending.saturating_sub(1);
        order::close(books.connection, endpoint, delivery.order_key.map(|OrderKey(key)| key))?;
        Ok(Ok(true))
    }
}

fn locate(books: &mut Books<'_>, key: &DeliveryKey) -> Attempted<Option<(i64, i64)>> {
    let endpoint: EndpointId = key.endpoint;
    let Some(endpoint) = books.endpoint(endpoint)? else { return Ok(None) };
    Ok(books.seq_of(&endpoint, key.message)?.map(|message| (message, endpoint.row)))
}
