//! Records finished attempts and moves their deliveries on.
//!
//! A group is read, replayed in order in memory, and written in a few statements. What is held by this incarnation is
//! changed by nobody but its settlements, releases and rescue, so what was read is still so when it is written; where it
//! is not, the group begins again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hookyard_model::{
    ApplicationId, AttemptId, DeliveryKey, DeliveryState, EndpointChange, EndpointId, ExtraAttempt, Next, Trigger,
};
use hookyard_ports::StoreError;
use hookyard_ports::store::{Accept, Settled, Settlement};
use hookyard_record::{cancel_code, fail_code};
use tokio_postgres::types::Type;

use super::mark::{self, Part};
use super::{accept, status};
use crate::attempt;
use crate::batch::Group;
use crate::column::{Columns, Id, int};
use crate::delivery::{self, DeliveryRow, owed};
use crate::fault::{Attempted, Fault};
use crate::lock::{self, Use};
use crate::node::{Deed, Node};
use crate::order::{self, Queue};
use crate::pool::Share;
use crate::rollup::Rollups;
use crate::transaction::Tx;

/// Those of these deliveries that an incarnation holds. Here and below the holder is asked for in a way that its index
/// does not answer: between two vacuums that has every delivery that was ever held.
pub(crate) const HELD: &str = concat!(
    "SELECT ",
    owed!(),
    " FROM unnest($1, $2) AS k(message, endpoint) JOIN @owed o ON o.message = k.message AND o.endpoint = k.endpoint \
     WHERE coalesce(o.holder, 0) = $3"
);
/// Those of these messages that are stored. The range says in which partitions they are before any is opened.
pub(crate) const STORED: &str = "SELECT id FROM @message WHERE id = ANY($1) AND id >= $2 AND id <= $3";
/// Held deliveries are over.
pub(crate) const END: &str = "WITH gone AS (DELETE FROM @owed o USING unnest($2, $3, $4, $5, $6, $7) \
    AS n(message, endpoint, state, reason, charged, variant) WHERE o.message = n.message AND o.endpoint = n.endpoint \
    AND coalesce(o.holder, 0) = $1 RETURNING o.message, o.endpoint, o.seq, n.state, n.reason, o.order_key, n.charged, o.round, n.variant) \
    INSERT INTO @ended (message, endpoint, seq, state, reason, order_key, charged, round, variant) SELECT * FROM gone";
/// Held deliveries are tried again, later (no holder) or at once.
pub(crate) const GO_ON: &str = "UPDATE @owed o SET due = n.due, holder = n.holder, charged = n.charged, \
    variant = n.variant, manual = n.manual FROM unnest($2, $3, $4, $5, $6, $7, $8) \
    AS n(message, endpoint, due, holder, charged, variant, manual) \
    WHERE o.message = n.message AND o.endpoint = n.endpoint AND coalesce(o.holder, 0) = $1";

/// Settlements of many callers.
pub(crate) struct SettleAll(Vec<Vec<Settlement>>);

impl Group for SettleAll {
    type Ask = Vec<Settlement>;
    type One = Vec<Settled>;

    fn of(asks: Vec<Vec<Settlement>>) -> Self {
        Self(asks)
    }

    fn into_asks(self) -> Vec<Vec<Settlement>> {
        self.0
    }

    fn bytes(ask: &Vec<Settlement>) -> usize {
        let kept = |settlement: &Settlement| {
            let attempt = &settlement.attempt;
            let response = attempt.response.as_ref().map_or(0, |kept| kept.headers.len() + kept.body.len());
            let operational: usize = settlement.operational.iter().map(|accept| accept.message.payload.len()).sum();
            256 + attempt.url.len() + attempt.request_headers.len() + response + operational
        };
        ask.iter().map(kept).sum()
    }
}

impl Deed for SettleAll {
    type Answer = Vec<Result<Vec<Settled>, StoreError>>;
    const SHARE: Share = Share::Kept;

    async fn prepare(&self, node: &Arc<Node>) -> Attempted<()> {
        let announced = self.0.iter().flatten().flat_map(|settlement| &settlement.operational);
        node.have_days(announced.map(|accept| accept.message.id)).await
    }

    async fn run(&self, tx: &Tx) -> Attempted<Self::Answer> {
        let all: Vec<&Settlement> = self.0.iter().flatten().collect();
        if all.is_empty() {
            return Ok(self.0.iter().map(|_| Ok(Vec::new())).collect());
        }
        let mut work = Work::read(tx, &all).await?;
        work.lock(tx, &all).await?;
        let fresh = work.log(tx, &all).await?;
        let answers: Vec<Settled> =
            all.iter().enumerate().map(|(index, settlement)| work.replay(index, settlement, &fresh)).collect();
        work.write(tx).await?;
        announce(tx, &all, &work.announcing).await?;
        change_endpoints(tx, &all, &work.changing).await?;
        let mut answers = answers.into_iter();
        Ok(self.0.iter().map(|deed| Ok(answers.by_ref().take(deed.len()).collect())).collect())
    }
}

/// A delivery that was held when the group began, and how it stands.
struct Held {
    before: DeliveryRow,
    now: DeliveryRow,
}

impl Held {
    fn is_held(&self) -> bool {
        matches!(
            self.now.state,
            DeliveryState::Leased { .. } | DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { .. }) }
        )
    }
}

struct Work {
    held: BTreeMap<DeliveryKey, Held>,
    /// Which settlements moved their delivery: those whose announcements and endpoint changes count.
    announcing: Vec<usize>,
    changing: Vec<usize>,
}

impl Work {
    async fn read(tx: &Tx, all: &[&Settlement]) -> Attempted<Self> {
        let keys: BTreeSet<DeliveryKey> = all.iter().map(|settlement| settlement.key).collect();
        let (messages, endpoints): (Vec<Id>, Vec<Id>) =
            keys.iter().map(|key| (Id(key.message.raw()), Id(key.endpoint.raw()))).unzip();
        let me = int(tx.node().incarnation.0);
        let parameters: [crate::column::Parameter<'_>; 3] =
            [(&messages, Type::BYTEA_ARRAY), (&endpoints, Type::BYTEA_ARRAY), (&me, Type::INT8)];
        let rows = tx.query(HELD, &parameters).await?;
        let rows = rows.iter().map(DeliveryRow::read).collect::<Attempted<Vec<_>>>()?;
        let held = rows.into_iter().map(|row| (row.key, Held { before: row.clone(), now: row })).collect();
        Ok(Self { held, announcing: Vec::new(), changing: Vec::new() })
    }

    /// Takes the locks that the group needs, all before the first row is written.
    async fn lock(&self, tx: &Tx, all: &[&Settlement]) -> Attempted<()> {
        let announced: BTreeSet<ApplicationId> = all
            .iter()
            .flat_map(|settlement| &settlement.operational)
            .map(|accept| accept.message.application)
            .collect();
        let disabled: BTreeSet<ApplicationId> = all
            .iter()
            .filter(|settlement| matches!(settlement.endpoint, Some(EndpointChange::Disabled { .. })))
            .map(|settlement| settlement.attempt.application)
            .collect();
        // Two that share a lock and both want it to themselves would wait for each other.
        let used = if disabled.is_empty() { Use::Shared } else { Use::Exclusive };
        lock::applications(tx, announced.into_iter().chain(disabled), used).await?;
        let ordered = self.held.values().filter(|held| held.before.order_key.is_some());
        let announced: Vec<&[Accept]> = all.iter().map(|settlement| settlement.operational.as_slice()).collect();
        let endpoints = ordered.map(|held| held.before.key.endpoint).chain(accept::ordered(&announced));
        lock::orders(tx, endpoints.collect::<BTreeSet<EndpointId>>()).await
    }

    /// Writes the attempts into the log, and gives those that were not in it.
    async fn log(&self, tx: &Tx, all: &[&Settlement]) -> Attempted<BTreeSet<AttemptId>> {
        // What is held has its message. The others' may have been pruned, with their log; the rollup alone grows then.
        let lost: BTreeSet<Id> = all
            .iter()
            .filter(|settlement| !self.held.contains_key(&settlement.key))
            .map(|settlement| Id(settlement.key.message.raw()))
            .collect();
        let stored = stored(tx, &lost).await?;
        let mut seen = BTreeSet::new();
        let logged: Vec<&hookyard_model::Attempt> = all
            .iter()
            .filter(|settlement| {
                let message = Id(settlement.key.message.raw());
                (!lost.contains(&message) || stored.contains(&message)) && seen.insert(settlement.attempt.id)
            })
            .map(|settlement| &settlement.attempt)
            .collect();
        let mut fresh: BTreeSet<AttemptId> = attempt::insert(tx, &logged).await?.into_iter().collect();
        let pruned = all.iter().filter(|settlement| {
            let message = Id(settlement.key.message.raw());
            lost.contains(&message) && !stored.contains(&message)
        });
        fresh.extend(pruned.map(|settlement| settlement.attempt.id));
        let mut rollups = Rollups::default();
        let mut counted = BTreeSet::new();
        for settlement in all {
            let id = settlement.attempt.id;
            if fresh.contains(&id) && counted.insert(id) {
                rollups.add(&settlement.attempt);
            }
        }
        let mark = async {
            match fresh.iter().max() {
                None => Ok(()),
                Some(highest) => mark::raise(tx, Part::Settle, highest.raw()).await,
            }
        };
        // Sent one after the other without waiting for the answer between them.
        tokio::try_join!(biased; rollups.write(tx), mark)?;
        Ok(fresh)
    }

    /// What one settlement comes to.
    fn replay(&mut self, index: usize, settlement: &Settlement, fresh: &BTreeSet<AttemptId>) -> Settled {
        let held = self.held.get_mut(&settlement.key).filter(|held| held.is_held());
        let goes_on = matches!(settlement.next, Next::Again { .. });
        if !fresh.contains(&settlement.attempt.id) {
            return if goes_on && held.is_none() { Settled::LeaseLost } else { Settled::Moved };
        }
        let Some(held) = held else { return Settled::LeaseLost };
        move_on(&mut held.now, settlement.next);
        if !settlement.operational.is_empty() {
            self.announcing.push(index);
        }
        if settlement.endpoint.is_some() {
            self.changing.push(index);
        }
        Settled::Moved
    }

    /// Writes how the deliveries stand.
    async fn write(&self, tx: &Tx) -> Attempted<()> {
        let moved = self.held.values().filter(|held| held.now.state != held.before.state || is_again(held));
        let (going_on, over): (Vec<&Held>, Vec<&Held>) = moved.partition(|held| due_of(&held.now.state).is_some());
        end(tx, &over).await?;
        go_on(tx, &going_on).await?;
        let closed: BTreeSet<Queue> = over
            .iter()
            .filter(|held| held.before.is_open())
            .filter_map(|held| Some((held.before.key.endpoint, held.before.order_key?)))
            .collect();
        order::advance(tx, &closed).await
    }
}

fn is_again(held: &Held) -> bool {
    (held.now.charged, held.now.variant) != (held.before.charged, held.before.variant)
}

/// When what is owed is due; nothing where nothing is.
fn due_of(state: &DeliveryState) -> Option<i64> {
    match state {
        DeliveryState::Pending { due }
        | DeliveryState::Leased { due, .. }
        | DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { due } | ExtraAttempt::Leased { due, .. }) } => {
            Some(due.as_micros())
        }
        DeliveryState::Delivered { extra: None } | DeliveryState::Failed(_) | DeliveryState::Cancelled(_) => None,
    }
}

/// What a held delivery becomes.
fn move_on(delivery: &mut DeliveryRow, next: Next) {
    let is_open = delivery.is_open();
    if let Next::Again { charged, variant } = next {
        // The schedule of a delivered one is over; only the variant matters to its extra attempt.
        if is_open {
            delivery.charged = charged;
        }
        delivery.variant = variant;
        return;
    }
    delivery.trigger = Trigger::Scheduled;
    match next {
        Next::Retry { due, charged, variant } if is_open => {
            delivery.state = DeliveryState::Pending { due };
            (delivery.charged, delivery.variant) = (charged, variant);
        }
        Next::Failed { reason, charged } if is_open => {
            delivery.state = DeliveryState::Failed(reason);
            delivery.charged = charged;
        }
        Next::Cancelled { reason, charged } if is_open => {
            delivery.state = DeliveryState::Cancelled(reason);
            delivery.charged = charged;
        }
        Next::Again { .. }
        | Next::Delivered
        | Next::StaysDelivered
        | Next::Retry { .. }
        | Next::Failed { .. }
        | Next::Cancelled { .. } => delivery.state = DeliveryState::Delivered { extra: None },
    }
}

async fn stored(tx: &Tx, messages: &BTreeSet<Id>) -> Attempted<BTreeSet<Id>> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(BTreeSet::new()) };
    let ids: Vec<Id> = messages.iter().copied().collect();
    let parameters: [crate::column::Parameter<'_>; 3] =
        [(&ids, Type::BYTEA_ARRAY), (first, Type::BYTEA), (last, Type::BYTEA)];
    let rows = tx.query(STORED, &parameters).await?;
    rows.iter().map(|row| Columns::new("message", row).get(0, "id")).collect()
}

/// The codes of an end: state and reason.
pub(super) fn end_columns(state: &DeliveryState) -> (i16, Option<i16>) {
    match state {
        DeliveryState::Failed(reason) => (delivery::FAILED, Some(fail_code(*reason).into())),
        DeliveryState::Cancelled(reason) => (delivery::CANCELLED, Some(cancel_code(*reason).into())),
        DeliveryState::Pending { .. } | DeliveryState::Leased { .. } | DeliveryState::Delivered { .. } => {
            (delivery::DELIVERED, None)
        }
    }
}

async fn end(tx: &Tx, over: &[&Held]) -> Attempted<()> {
    if over.is_empty() {
        return Ok(());
    }
    let me = int(tx.node().incarnation.0);
    let messages: Vec<Id> = over.iter().map(|held| Id(held.now.key.message.raw())).collect();
    let endpoints: Vec<Id> = over.iter().map(|held| Id(held.now.key.endpoint.raw())).collect();
    let (states, reasons): (Vec<i16>, Vec<Option<i16>>) = over.iter().map(|held| end_columns(&held.now.state)).unzip();
    let charged: Vec<i32> = over.iter().map(|held| held.now.charged.into()).collect();
    let variants: Vec<i16> = over.iter().map(|held| held.now.variant.into()).collect();
    let written = tx
        .execute(
            END,
            &[
                (&me, Type::INT8),
                (&messages, Type::BYTEA_ARRAY),
                (&endpoints, Type::BYTEA_ARRAY),
                (&states, Type::INT2_ARRAY),
                (&reasons, Type::INT2_ARRAY),
                (&charged, Type::INT4_ARRAY),
                (&variants, Type::INT2_ARRAY),
            ],
        )
        .await?;
    if written == over.len() as u64 { Ok(()) } else { Err(Fault::Overtaken) }
}

async fn go_on(tx: &Tx, going_on: &[&Held]) -> Attempted<()> {
    if going_on.is_empty() {
        return Ok(());
    }
    let me = int(tx.node().incarnation.0);
    let messages: Vec<Id> = going_on.iter().map(|held| Id(held.now.key.message.raw())).collect();
    let endpoints: Vec<Id> = going_on.iter().map(|held| Id(held.now.key.endpoint.raw())).collect();
    let due: Vec<i64> = going_on.iter().filter_map(|held| due_of(&held.now.state)).collect();
    let holders: Vec<Option<i64>> = going_on.iter().map(|held| held.is_held().then_some(me)).collect();
    let charged: Vec<i32> = going_on.iter().map(|held| held.now.charged.into()).collect();
    let variants: Vec<i16> = going_on.iter().map(|held| held.now.variant.into()).collect();
    let manual: Vec<bool> = going_on.iter().map(|held| held.now.trigger == Trigger::Manual).collect();
    let written = tx
        .execute(
            GO_ON,
            &[
                (&me, Type::INT8),
                (&messages, Type::BYTEA_ARRAY),
                (&endpoints, Type::BYTEA_ARRAY),
                (&due, Type::INT8_ARRAY),
                (&holders, Type::INT8_ARRAY),
                (&charged, Type::INT4_ARRAY),
                (&variants, Type::INT2_ARRAY),
                (&manual, Type::BOOL_ARRAY),
            ],
        )
        .await?;
    if written == going_on.len() as u64 { Ok(()) } else { Err(Fault::Overtaken) }
}

/// Accepts what is announced about what moved, each by itself: one that is stale or has a taken key is dropped.
async fn announce(tx: &Tx, all: &[&Settlement], moved: &[usize]) -> Attempted<()> {
    let announced = moved.iter().flat_map(|index| &all[*index].operational);
    let deeds: Vec<&[Accept]> = announced.map(std::slice::from_ref).collect();
    if deeds.is_empty() {
        return Ok(());
    }
    accept::accept(tx, &deeds, u64::MAX).await.map(drop)
}

async fn change_endpoints(tx: &Tx, all: &[&Settlement], moved: &[usize]) -> Attempted<()> {
    let mut changes: BTreeMap<EndpointId, Vec<EndpointChange>> = BTreeMap::new();
    for settlement in moved.iter().map(|index| all[*index]) {
        changes.entry(settlement.key.endpoint).or_default().extend(settlement.endpoint);
    }
    if changes.is_empty() { Ok(()) } else { status::after_attempts(tx, changes).await }
}
