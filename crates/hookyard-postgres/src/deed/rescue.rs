//! Frees what dead incarnations hold, and logs each as interrupted.

use std::collections::BTreeSet;

use hookyard_model::{Attempt, AttemptId, Timestamp, limits};
use hookyard_ports::StoreError;
use tokio_postgres::types::Type;

use super::mark::{self, Part};
use crate::attempt;
use crate::column::{Columns, Id, bound, int};
use crate::delivery::{DeliveryRow, owed};
use crate::fault::{Attempted, Fault};
use crate::node::Deed;
use crate::rollup::Rollups;
use crate::transaction::{Tx, Whom};

/// The incarnations that are dead to this one: former lives of this node, those whose heartbeat is too old, and those that
/// hold something and that nobody knows any more.
pub(crate) const DEAD: &str = "SELECT incarnation FROM @node WHERE incarnation <> $1 AND ((name = $2 AND incarnation < $1) \
    OR heartbeat < $3) UNION SELECT h.holder FROM (SELECT DISTINCT holder FROM @owed WHERE holder IS NOT NULL) h \
    WHERE h.holder <> $1 AND NOT EXISTS (SELECT 1 FROM @node n WHERE n.incarnation = h.holder)";
/// What dead incarnations hold, with the application of each endpoint. What another node is freeing is passed over.
pub(crate) const HELD_BY_DEAD: &str = concat!(
    "SELECT ",
    owed!(),
    ", e.application FROM (SELECT * FROM @owed WHERE holder = ANY($1) LIMIT $2 FOR UPDATE SKIP LOCKED) o \
     JOIN @endpoint e ON e.id = o.endpoint"
);
/// Deliveries lose their dead holder.
pub(crate) const FREE: &str = "UPDATE @owed o SET holder = NULL, due = $1 FROM unnest($2, $3) AS k(message, endpoint) \
    WHERE o.message = k.message AND o.endpoint = k.endpoint";

/// Rescues, an id for each attempt to log.
pub(crate) struct Rescue {
    pub(crate) now: Timestamp,
    pub(crate) attempt_ids: Vec<AttemptId>,
}

impl Deed for Rescue {
    type Answer = usize;

    async fn run(&self, tx: &Tx) -> Attempted<usize> {
        let attempts = self.interrupted(tx).await?;
        if attempts.is_empty() {
            return Ok(0);
        }
        let logged: Vec<&Attempt> = attempts.iter().collect();
        if attempt::insert(tx, &logged).await?.len() != attempts.len() {
            return Err(Fault::Store(StoreError::Conflict { constraint: "attempt id" }));
        }
        let mut rollups = Rollups::default();
        for attempt in &attempts {
            rollups.add(attempt);
        }
        rollups.write(tx).await?;
        if let Some(highest) = attempts.iter().map(|attempt| attempt.id).max() {
            mark::raise(tx, Part::Rescue, highest.raw()).await?;
        }
        let (messages, endpoints): (Vec<Id>, Vec<Id>) =
            attempts.iter().map(|attempt| (Id(attempt.message.raw()), Id(attempt.endpoint.raw()))).unzip();
        let due = self.now.as_micros();
        let parameters: [crate::column::Parameter<'_>; 3] =
            [(&due, Type::INT8), (&messages, Type::BYTEA_ARRAY), (&endpoints, Type::BYTEA_ARRAY)];
        tx.execute(FREE, &parameters).await?;
        for endpoint in attempts.iter().map(|attempt| attempt.endpoint).collect::<BTreeSet<_>>() {
            tx.say_due(endpoint, self.now, Whom::All);
        }
        Ok(attempts.len())
    }
}

impl Rescue {
    /// What dead incarnations hold, as interrupted attempts.
    async fn interrupted(&self, tx: &Tx) -> Attempted<Vec<Attempt>> {
        let node = tx.node();
        let (me, oldest) = (int(node.incarnation.0), self.now.minus(limits::HEARTBEAT_LIMIT).as_micros());
        let parameters: [crate::column::Parameter<'_>; 3] =
            [(&me, Type::INT8), (&node.name, Type::TEXT), (&oldest, Type::INT8)];
        let dead = tx.query(DEAD, &parameters).await?;
        let dead: Vec<i64> = dead.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        if dead.is_empty() || self.attempt_ids.is_empty() {
            return Ok(Vec::new());
        }
        let limit = bound(self.attempt_ids.len());
        let rows = tx.query(HELD_BY_DEAD, &[(&dead, Type::INT8_ARRAY), (&limit, Type::INT8)]).await?;
        let interrupted = |(row, id): (&tokio_postgres::Row, &AttemptId)| {
            let held = DeliveryRow::read(row)?;
            let application = Columns::new("endpoint", row).get(12, "application")?;
            Ok(Attempt::interrupted(*id, held.key, application, held.trigger, self.now))
        };
        rows.iter().zip(&self.attempt_ids).map(interrupted).collect()
    }
}
