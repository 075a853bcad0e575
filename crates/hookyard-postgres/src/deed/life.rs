//! A node's life: its heartbeats and its end.

use std::time::Duration;

use hookyard_model::{Timestamp, limits};
use hookyard_ports::StoreError;
use tokio_postgres::types::Type;

use crate::column::{Columns, int};
use crate::fault::{Attempted, Fault};
use crate::node::Deed;
use crate::pool::Share;
use crate::transaction::Tx;

/// Confirms that an incarnation lives, and tells whether a later one has its name, and whether any
/// other lives.
pub(crate) const BEAT: &str = "UPDATE @node n SET heartbeat = greatest(n.heartbeat, $2) WHERE n.incarnation = $1 \
    RETURNING EXISTS (SELECT 1 FROM @node o WHERE o.name = n.name AND o.incarnation > n.incarnation AND o.stopped IS NULL), \
    EXISTS (SELECT 1 FROM @node o WHERE o.incarnation <> n.incarnation AND o.stopped IS NULL AND o.heartbeat >= $3)";
/// An incarnation has ended in peace.
pub(crate) const STOP: &str = "UPDATE @node SET stopped = $2 WHERE incarnation = $1";

/// A heartbeat.
pub(crate) struct Heartbeat(pub(crate) Timestamp);

impl Deed for Heartbeat {
    type Answer = ();
    const SHARE: Share = Share::Kept;
    // One connection that hangs must not cost the node its leases: there is time for another try.
    const PATIENCE: Duration = Duration::from_secs(3);

    async fn run(&self, tx: &Tx) -> Attempted<()> {
        let node = tx.node();
        let (me, now) = (int(node.incarnation.0), self.0.as_micros());
        let alive = self.0.minus(limits::HEARTBEAT_LIMIT).as_micros();
        let beaten = tx.find(BEAT, &[(&me, Type::INT8), (&now, Type::INT8), (&alive, Type::INT8)]).await?;
        let Some(beaten) = beaten else {
            let lost = "this node was taken for dead long ago and is forgotten, it must be started again";
            return Err(Fault::Store(StoreError::Other(lost.to_owned())));
        };
        let columns = Columns::new("node", &beaten);
        node.heard.others(columns.get(1, "incarnation")?);
        if columns.get(0, "incarnation")? {
            let twice = format!("another process runs as node `{}`, give each a `node` name of its own", node.name);
            return Err(Fault::Store(StoreError::Other(twice)));
        }
        Ok(())
    }
}

/// The last deed of a clean stop.
pub(crate) struct Stop(pub(crate) Timestamp);

impl Deed for Stop {
    type Answer = ();

    async fn run(&self, tx: &Tx) -> Attempted<()> {
        let (me, now) = (int(tx.node().incarnation.0), self.0.as_micros());
        tx.execute(STOP, &[(&me, Type::INT8), (&now, Type::INT8)]).await.map(drop)
    }
}
