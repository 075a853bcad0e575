//! What happened to an endpoint in one minute, as rows that each incarnation adds to by itself.

use std::collections::{BTreeMap, BTreeSet};

use hookyard_model::{Attempt, EndpointId, Timestamp};
use hookyard_ports::store::RollupRow;
use hookyard_record::{Counts, OUTCOMES, first_minute};
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, int};
use crate::fault::Attempted;
use crate::node::Deed;
use crate::transaction::{Mode, Tx};

const BUCKETS: usize = RollupRow::BUCKETS.len() + 1;

/// Adds counts to those of the same endpoint, minute and incarnation. The lengths may differ: a later version may count
/// more outcomes.
pub(crate) const ADD: &str = "INSERT INTO @rollup AS r (endpoint, minute, incarnation, outcomes, latency) \
    SELECT endpoint, minute, $1, outcomes::int8[], latency::int8[] FROM unnest($2, $3, $4, $5) \
    AS n(endpoint, minute, outcomes, latency) ON CONFLICT (endpoint, minute, incarnation) DO UPDATE SET \
    outcomes = (SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY i) \
    FROM unnest(r.outcomes, excluded.outcomes) WITH ORDINALITY AS s(a, b, i)), \
    latency = (SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY i) \
    FROM unnest(r.latency, excluded.latency) WITH ORDINALITY AS s(a, b, i))";
/// An endpoint's minutes, in order.
pub(crate) const READ: &str = "SELECT endpoint, minute, outcomes, latency FROM @rollup \
    WHERE endpoint = $1 AND minute >= $2 AND minute < $3 ORDER BY minute";

/// Counts for many endpoints and minutes, not yet written.
#[derive(Debug, Default)]
pub(crate) struct Rollups(BTreeMap<(EndpointId, i64), Counts>);

/// An array as the database reads it from text: a list of lists has no other form as a parameter.
pub(crate) fn array(counts: &[u64]) -> String {
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    format!("{{{}}}", counts.join(","))
}

impl Rollups {
    /// Adds one attempt to the minute in which it started.
    pub(crate) fn add(&mut self, attempt: &Attempt) {
        let minute = attempt.started.as_seconds().div_euclid(60);
        self.0.entry((attempt.endpoint, minute)).or_default().add(&attempt.outcome, attempt.timings.total);
    }

    /// Writes them.
    pub(crate) async fn write(self, tx: &Tx) -> Attempted<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let incarnation = int(tx.node().incarnation.0);
        let (endpoints, minutes): (Vec<Id>, Vec<i64>) =
            self.0.keys().map(|(endpoint, minute)| (Id(endpoint.raw()), *minute)).unzip();
        let parts = self.0.values().map(Counts::parts);
        let (outcomes, latency): (Vec<String>, Vec<String>) =
            parts.map(|(outcomes, latency)| (array(outcomes), array(latency))).unzip();
        tx.execute(
            ADD,
            &[
                (&incarnation, Type::INT8),
                (&endpoints, Type::BYTEA_ARRAY),
                (&minutes, Type::INT8_ARRAY),
                (&outcomes, Type::TEXT_ARRAY),
                (&latency, Type::TEXT_ARRAY),
            ],
        )
        .await
        .map(drop)
    }
}

/// An endpoint's rollups whose minute begins in `since..until`.
pub(crate) struct Read {
    pub(crate) endpoint: EndpointId,
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

impl Deed for Read {
    type Answer = Vec<RollupRow>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Vec<RollupRow>> {
        let (endpoint, since, until) = (Id(self.endpoint.raw()), first_minute(self.since), first_minute(self.until));
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&endpoint, Type::BYTEA), (&since, Type::INT8), (&until, Type::INT8)];
        let mut minutes: BTreeMap<i64, (Vec<u64>, Vec<u64>)> = BTreeMap::new();
        for row in tx.query(READ, &parameters).await? {
            let columns = Columns::new("rollup", &row);
            let (outcomes, latency) = minutes.entry(columns.get(1, "minute")?).or_default();
            add(outcomes, &row.try_get::<_, Vec<i64>>(2).map_err(|_| columns.corrupt("outcomes"))?);
            add(latency, &row.try_get::<_, Vec<i64>>(3).map_err(|_| columns.corrupt("latency"))?);
        }
        let read = |(minute, (outcomes, mut latency)): (i64, (Vec<u64>, Vec<u64>))| {
            let named = OUTCOMES.iter().zip(outcomes).filter(|(_, count)| *count > 0);
            let named: BTreeSet<(String, u64)> = named.map(|(name, count)| ((*name).to_owned(), count)).collect();
            latency.resize(BUCKETS, 0);
            let minute = Timestamp::from_seconds(minute.saturating_mul(60));
            RollupRow { minute, outcomes: named.into_iter().collect(), latency }
        };
        Ok(minutes.into_iter().map(read).collect())
    }
}

/// Adds counts place by place.
fn add(sum: &mut Vec<u64>, counts: &[i64]) {
    if sum.len() < counts.len() {
        sum.resize(counts.len(), 0);
    }
    for (sum, count) in sum.iter_mut().zip(counts) {
        *sum = sum.saturating_add(count.unsigned_abs());
    }
}
