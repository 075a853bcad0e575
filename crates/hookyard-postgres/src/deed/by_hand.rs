//! What people do to a delivery: resend it, cancel it.
//!
//! Both hold the message's row, so that of two at once the second sees what the first did.

use hookyard_model::{ApplicationId, CancelReason, DeliveryKey, DeliveryState, ExtraAttempt, MessageId, Timestamp};
use hookyard_ports::store::{Acceptance, Resend, Resent};
use tokio_postgres::types::Type;

use super::claim;
use super::keys::Keys;
use crate::column::{Columns, Id};
use crate::delivery::{self, DeliveryRow};
use crate::fault::{Attempted, Fault};
use crate::lock::{self, Use};
use crate::node::Deed;
use crate::order;
use crate::transaction::{Tx, Whom};

/// A message, held until the transaction ends.
pub(crate) const HOLD: &str = "SELECT id, application, seq, payload IS NULL, coalesce(octet_length(payload), 0) \
    FROM @message WHERE id = $1 FOR NO KEY UPDATE";
/// Whose an endpoint is, and how it stands.
pub(crate) const ENDPOINT: &str = "SELECT id, application, status FROM @endpoint WHERE id = $1";
/// What is over begins a fresh schedule; what is delivered owes an extra attempt.
pub(crate) const REOPEN: &str = "WITH back AS (DELETE FROM @ended WHERE message = $1 AND endpoint = $2 RETURNING *) \
    INSERT INTO @owed (message, endpoint, seq, state, due, holder, waits, order_key, charged, round, variant, manual, bytes) \
    SELECT message, endpoint, seq, CASE state WHEN 1 THEN 1 ELSE 0 END, $3, NULL, $4, order_key, \
    CASE state WHEN 1 THEN charged ELSE 0 END, CASE state WHEN 1 THEN round ELSE least(round + 1, 65535) END, \
    CASE state WHEN 1 THEN variant ELSE 0 END, true, $5 FROM back";
/// What waits is due now.
pub(crate) const HASTEN: &str =
    "UPDATE @owed SET due = $3, manual = true WHERE message = $1 AND endpoint = $2 AND holder IS NULL";
/// A delivery that begins by hand.
pub(crate) const BEGIN: &str = "INSERT INTO @owed (message, endpoint, seq, state, due, waits, charged, round, variant, \
    manual, bytes) VALUES ($1, $2, $3, 0, $4, false, 0, 0, 0, true, $5)";

/// A message that is held.
struct Message {
    application: ApplicationId,
    seq: i64,
    is_expunged: bool,
    bytes: i32,
}

async fn hold(tx: &Tx, message: MessageId) -> Attempted<Option<Message>> {
    let Some(row) = tx.find(HOLD, &[(&Id(message.raw()), Type::BYTEA)]).await? else { return Ok(None) };
    let columns = Columns::new("message", &row);
    Ok(Some(Message {
        application: ApplicationId::from_raw(columns.id(1, "application")?),
        seq: columns.get(2, "seq")?,
        is_expunged: columns.get(3, "payload")?,
        bytes: columns.get(4, "payload")?,
    }))
}

async fn one(tx: &Tx, key: &DeliveryKey) -> Attempted<Option<DeliveryRow>> {
    let (message, endpoint) = (Id(key.message.raw()), Id(key.endpoint.raw()));
    let found = tx.find(delivery::ONE, &[(&message, Type::BYTEA), (&endpoint, Type::BYTEA)]).await?;
    found.as_ref().map(DeliveryRow::read).transpose()
}

impl Deed for Resend {
    type Answer = Resent;

    async fn run(&self, tx: &Tx) -> Attempted<Resent> {
        // An endpoint must not be archived between the look at it and the commit.
        lock::applications(tx, [self.application], Use::Shared).await?;
        let asked: Vec<_> = self.idempotency.iter().map(|dedupe| (self.application, dedupe)).collect();
        let mut keys = Keys::read(tx, &asked).await?;
        if let Some(dedupe) = &self.idempotency
            && let Some(Acceptance::Duplicate { same_request, .. }) = keys.taken(self.application, dedupe, self.now)
        {
            return Ok(if same_request { Resent::Repeated } else { Resent::Conflicting });
        }
        let message = hold(tx, self.key.message).await?.filter(|message| message.application == self.application);
        let Some(message) = message else { return Ok(Resent::NotFound) };
        let Some(endpoint) = tx.find(ENDPOINT, &[(&Id(self.key.endpoint.raw()), Type::BYTEA)]).await? else {
            return Ok(Resent::NotFound);
        };
        let columns = Columns::new("endpoint", &endpoint);
        let is_ours = columns.id(1, "application")? == self.application.raw();
        if !is_ours || columns.get::<i16>(2, "status")? == crate::configuration::ARCHIVED {
            return Ok(Resent::NotFound);
        }
        if message.is_expunged {
            return Ok(Resent::Expunged);
        }
        let resent = again(tx, &self.key, &message, self.now).await?;
        if resent != Resent::InFlight
            && let Some(dedupe) = &self.idempotency
        {
            keys.take(self.application, dedupe, self.key.message);
            keys.write(tx).await?;
        }
        let is_due = matches!(resent, Resent::Queued | Resent::ExtraAttempt | Resent::DueNow);
        // One that delivers has told its own lane.
        if is_due && !tx.node().heard.delivers() {
            tx.say_due(self.key.endpoint, self.now, Whom::Others);
        }
        Ok(resent)
    }
}

async fn again(tx: &Tx, key: &DeliveryKey, message: &Message, now: Timestamp) -> Attempted<Resent> {
    let (id, endpoint, now) = (Id(key.message.raw()), Id(key.endpoint.raw()), now.as_micros());
    let Some(delivery) = one(tx, key).await? else {
        let begin: [crate::column::Parameter<'_>; 5] = [
            (&id, Type::BYTEA),
            (&endpoint, Type::BYTEA),
            (&message.seq, Type::INT8),
            (&now, Type::INT8),
            (&message.bytes, Type::INT4),
        ];
        tx.execute(BEGIN, &begin).await?;
        return Ok(Resent::Queued);
    };
    let hasten: [crate::column::Parameter<'_>; 3] = [(&id, Type::BYTEA), (&endpoint, Type::BYTEA), (&now, Type::INT8)];
    let (resent, touched) = match &delivery.state {
        DeliveryState::Leased { .. } | DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { .. }) } => {
            return Ok(Resent::InFlight);
        }
        DeliveryState::Failed(_) | DeliveryState::Cancelled(_) => {
            let waits = match delivery.order_key {
                None => false,
                Some(order_key) => {
                    lock::orders(tx, [key.endpoint]).await?;
                    order::reopen(tx, key, order_key, delivery.seq).await?
                }
            };
            (Resent::Queued, reopen(tx, key, now, waits, message.bytes).await?)
        }
        DeliveryState::Delivered { extra: None } => {
            (Resent::ExtraAttempt, reopen(tx, key, now, false, message.bytes).await?)
        }
        DeliveryState::Pending { .. } => (Resent::DueNow, tx.execute(HASTEN, &hasten).await?),
        DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { .. }) } => {
            (Resent::ExtraAttempt, tx.execute(HASTEN, &hasten).await?)
        }
    };
    // It was claimed or settled since it was looked at.
    if touched == 1 { Ok(resent) } else { Err(Fault::Overtaken) }
}

async fn reopen(tx: &Tx, key: &DeliveryKey, now: i64, waits: bool, bytes: i32) -> Attempted<u64> {
    let (message, endpoint) = (Id(key.message.raw()), Id(key.endpoint.raw()));
    let parameters: [crate::column::Parameter<'_>; 5] = [
        (&message, Type::BYTEA),
        (&endpoint, Type::BYTEA),
        (&now, Type::INT8),
        (&waits, Type::BOOL),
        (&bytes, Type::INT4),
    ];
    tx.execute(REOPEN, &parameters).await
}

/// Cancels what is pending.
pub(crate) struct Cancel(pub(crate) DeliveryKey);

impl Deed for Cancel {
    type Answer = bool;

    async fn run(&self, tx: &Tx) -> Attempted<bool> {
        if hold(tx, self.0.message).await?.is_none() {
            return Ok(false);
        }
        let Some(delivery) = one(tx, &self.0).await? else { return Ok(false) };
        if !matches!(delivery.state, DeliveryState::Pending { .. }) {
            return Ok(false);
        }
        match claim::call_off(tx, &[delivery], CancelReason::ByHand).await? {
            1 => {
                // What waited behind it is due.
                tx.say_due(self.0.endpoint, tx.node().clock.now(), Whom::All);
                Ok(true)
            }
            _ => Err(Fault::Overtaken),
        }
    }
}
