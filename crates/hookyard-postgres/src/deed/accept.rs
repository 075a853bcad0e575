//! Accepts messages: each deed all of them with what they owe, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{ApplicationId, Message, MessageId, Timestamp};
use hookyard_ports::StoreError;
use hookyard_ports::store::{Accept, Acceptance, Accepted, Dedupe, FirstState, NewDelivery};
use tokio_postgres::types::Type;

use super::keys::Keys;
use crate::batch::Group;
use crate::column::{Columns, Id, int};
use crate::fault::{Attempted, Fault};
use crate::lock::{self, Use};
use crate::node::{Deed, Node};
use crate::pool::Share;
use crate::transaction::{Tx, Whom};
use crate::{message, order};

/// The present revisions of applications that are not archived.
pub(crate) const REVISIONS: &str = "SELECT id, revision FROM @application WHERE id = ANY($1) AND archived IS NULL";
/// Places in the order.
pub(crate) const PLACES: &str = "SELECT nextval('@message_seq') FROM generate_series(1, $1)";
/// Deliveries begin.
pub(crate) const INSERT_OWED: &str = "INSERT INTO @owed (message, endpoint, seq, state, due, holder, waits, order_key, \
    charged, round, variant, manual, bytes) SELECT message, endpoint, seq, 0, due, holder, waits, order_key, 0, 0, 0, \
    false, bytes FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) \
    AS n(message, endpoint, seq, due, holder, waits, order_key, bytes)";

/// Accepts of many callers.
pub(crate) struct AcceptAll(Vec<Vec<Accept>>);

impl Group for AcceptAll {
    type Ask = Vec<Accept>;
    type One = Accepted;

    fn of(asks: Vec<Vec<Accept>>) -> Self {
        Self(asks)
    }

    fn into_asks(self) -> Vec<Vec<Accept>> {
        self.0
    }

    fn bytes(ask: &Vec<Accept>) -> usize {
        ask.iter().map(|accept| accept.message.payload.len() + 256 * (1 + accept.deliveries.len())).sum()
    }
}

impl Deed for AcceptAll {
    type Answer = Vec<Result<Accepted, StoreError>>;
    const SHARE: Share = Share::Kept;
    // Whoever publishes has a time limit of its own, and can go to another node or come again.
    const PATIENCE: Duration = Duration::from_secs(10);

    async fn prepare(&self, node: &Arc<Node>) -> Attempted<()> {
        node.have_days(self.0.iter().flatten().map(|accept| accept.message.id)).await
    }

    async fn run(&self, tx: &Tx) -> Attempted<Self::Answer> {
        let deeds: Vec<&[Accept]> = self.0.iter().map(Vec::as_slice).collect();
        lock::applications(tx, applications(&deeds), Use::Shared).await?;
        lock::orders(tx, ordered(&deeds)).await?;
        let room = crate::read::counts::room(tx).await?;
        let answers = accept(tx, &deeds, room).await?;
        let accepted = deeds.iter().zip(&answers).filter(|(_, answer)| matches!(answer, Ok(Accepted::Committed(_))));
        let owed: usize = accepted.flat_map(|(deed, _)| *deed).map(|accept| accept.deliveries.len()).sum();
        crate::read::counts::took(tx.node(), owed as u64);
        self.tell(tx, &answers);
        Ok(answers)
    }
}

impl AcceptAll {
    /// Says what is left to other nodes.
    fn tell(&self, tx: &Tx, answers: &[Result<Accepted, StoreError>]) {
        let mut due = BTreeMap::new();
        for (deed, answer) in self.0.iter().zip(answers) {
            let Ok(Accepted::Committed(each)) = answer else { continue };
            let new = deed.iter().zip(each).filter(|(_, one)| matches!(one, Acceptance::New { .. }));
            for (accept, _) in new {
                for new in &accept.deliveries {
                    if let Some(at) = tx.node().heard.of_accepted(new, accept.message.accepted) {
                        due.entry(new.endpoint)
                            .and_modify(|known: &mut Timestamp| *known = at.min(*known))
                            .or_insert(at);
                    }
                }
            }
        }
        for (endpoint, at) in due {
            tx.say_due(endpoint, at, Whom::Others);
        }
    }
}

/// The applications of messages.
pub(crate) fn applications(deeds: &[&[Accept]]) -> BTreeSet<ApplicationId> {
    deeds.iter().copied().flatten().map(|accept| accept.message.application).collect()
}

/// The endpoints that owe in an order.
pub(crate) fn ordered(deeds: &[&[Accept]]) -> BTreeSet<hookyard_model::EndpointId> {
    let deliveries = deeds.iter().copied().flatten().flat_map(|accept| &accept.deliveries);
    deliveries.filter(|new| new.order_key.is_some()).map(|new| new.endpoint).collect()
}

/// What a group of accepts comes to, before it is written.
struct Plan<'a> {
    keys: Keys,
    places: std::vec::IntoIter<i64>,
    ids: BTreeSet<MessageId>,
    messages: Vec<(&'a Message, i64)>,
    deliveries: Vec<(&'a NewDelivery, usize)>,
}

/// Accepts what each of these deeds asks for, as far as there is room for deliveries. The caller holds the locks of the
/// applications and of the ordered endpoints.
pub(crate) async fn accept(
    tx: &Tx,
    deeds: &[&[Accept]],
    mut room: u64,
) -> Attempted<Vec<Result<Accepted, StoreError>>> {
    let all = || deeds.iter().copied().flatten();
    let count = all().count();
    if count == 0 {
        return Ok(deeds.iter().map(|_| Ok(Accepted::Committed(Vec::new()))).collect());
    }
    let places = i64::try_from(count).unwrap_or(i64::MAX);
    let places: [crate::column::Parameter<'_>; 1] = [(&places, Type::INT8)];
    let asked: Vec<(ApplicationId, &Dedupe)> =
        all().flat_map(|accept| accept.dedupe.iter().map(|key| (accept.message.application, key))).collect();
    let wanted: Vec<Id> = applications(deeds).into_iter().map(|id| Id(id.raw())).collect();
    // Sent one after the other without waiting for the answers between them.
    let (revisions, places, keys) = tokio::try_join!(
        biased;
        revisions(tx, &wanted),
        tx.query(PLACES, &places),
        Keys::read(tx, &asked)
    )?;
    let mut places = places.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    places.sort_unstable();
    let mut plan =
        Plan { keys, places: places.into_iter(), ids: BTreeSet::new(), messages: Vec::new(), deliveries: Vec::new() };
    let mut answers = Vec::with_capacity(deeds.len());
    for deed in deeds {
        let is_stale =
            |accept: &&Accept| revisions.get(&accept.message.application) != Some(&int(accept.message.revision.0));
        if let Some(stale) = deed.iter().find(is_stale) {
            answers.push(Ok(Accepted::Stale(stale.message.application)));
            continue;
        }
        let owes = deed.iter().map(|accept| accept.deliveries.len() as u64).sum::<u64>();
        let Some(left) = room.checked_sub(owes) else {
            answers.push(Err(crate::read::counts::full(tx.node())));
            continue;
        };
        room = left;
        let accepted = deed.iter().map(|accept| plan.add(accept)).collect::<Attempted<_>>()?;
        answers.push(Ok(Accepted::Committed(accepted)));
    }
    plan.write(tx).await?;
    Ok(answers)
}

async fn revisions(tx: &Tx, applications: &[Id]) -> Attempted<BTreeMap<ApplicationId, i64>> {
    let rows = tx.query(REVISIONS, &[(&applications, Type::BYTEA_ARRAY)]).await?;
    let read = |row| {
        let columns = Columns::new("application", row);
        Ok((ApplicationId::from_raw(columns.id(0, "id")?), columns.get(1, "revision")?))
    };
    rows.iter().map(read).collect()
}

impl<'a> Plan<'a> {
    /// Decides about one message.
    fn add(&mut self, accept: &'a Accept) -> Attempted<Acceptance> {
        let message = &*accept.message;
        for dedupe in &accept.dedupe {
            if let Some(duplicate) = self.keys.taken(message.application, dedupe, message.accepted) {
                return Ok(duplicate);
            }
        }
        if !self.ids.insert(message.id) {
            return Err(Fault::Store(StoreError::Conflict { constraint: "message id" }));
        }
        for dedupe in &accept.dedupe {
            self.keys.take(message.application, dedupe, message.id);
        }
        let seq = self.places.next().expect("a place was drawn for each message");
        self.deliveries.extend(accept.deliveries.iter().map(|new| (new, self.messages.len())));
        self.messages.push((message, seq));
        Ok(Acceptance::New { seq: hookyard_model::Seq(seq.unsigned_abs()) })
    }

    async fn write(self, tx: &Tx) -> Attempted<()> {
        if self.messages.is_empty() {
            return Ok(());
        }
        tokio::try_join!(
            biased;
            message::insert(tx, &self.messages),
            owe(tx, &self.messages, &self.deliveries),
            self.keys.write(tx)
        )?;
        Ok(())
    }
}

/// Writes deliveries, each of the message at its index.
async fn owe(tx: &Tx, messages: &[(&Message, i64)], deliveries: &[(&NewDelivery, usize)]) -> Attempted<()> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let queues = deliveries.iter().filter_map(|(new, _)| Some((new.endpoint, new.order_key?))).collect();
    // What is new comes after all that is open, because its place was drawn under the lock.
    let mut busy = order::busy(tx, &queues).await?;
    let waits: Vec<bool> = deliveries
        .iter()
        .map(|(new, _)| new.order_key.is_some_and(|order_key| !busy.insert((new.endpoint, order_key))))
        .collect();
    let me = int(tx.node().incarnation.0);
    let (due, holders): (Vec<i64>, Vec<Option<i64>>) = deliveries
        .iter()
        .map(|(new, index)| match new.state {
            FirstState::Leased => (messages[*index].0.accepted.as_micros(), Some(me)),
            FirstState::Pending { due } => (due.as_micros(), None),
        })
        .unzip();
    let ids: Vec<Id> = deliveries.iter().map(|(_, index)| Id(messages[*index].0.id.raw())).collect();
    let endpoints: Vec<Id> = deliveries.iter().map(|(new, _)| Id(new.endpoint.raw())).collect();
    let seqs: Vec<i64> = deliveries.iter().map(|(_, index)| messages[*index].1).collect();
    let order_keys: Vec<Option<i64>> = deliveries.iter().map(|(new, _)| new.order_key.map(|key| key.0)).collect();
    let bytes: Vec<i32> = deliveries
        .iter()
        .map(|(_, index)| i32::try_from(messages[*index].0.payload.len()).unwrap_or(i32::MAX))
        .collect();
    let written = tx
        .execute(
            INSERT_OWED,
            &[
                (&ids, Type::BYTEA_ARRAY),
                (&endpoints, Type::BYTEA_ARRAY),
                (&seqs, Type::INT8_ARRAY),
                (&due, Type::INT8_ARRAY),
                (&holders, Type::INT8_ARRAY),
                (&waits, Type::BOOL_ARRAY),
                (&order_keys, Type::INT8_ARRAY),
                (&bytes, Type::INT4_ARRAY),
            ],
        )
        .await;
    written.map(drop).map_err(|fault| fault.or_conflict("delivery"))
}
