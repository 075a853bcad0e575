//! Connections, made when they are wanted: few that are kept for what must not wait, and the others.
//!
//! Accepting, settling and the heartbeat have connections of their own. However many callers read long lists, what was
//! published is accepted, what was sent is settled, and the node's leases stay its own.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};

use crate::OpenError;
use crate::tls;
use crate::url::Place;

/// How long a deed waits for a connection that others have.
const WAIT: Duration = Duration::from_secs(10);
/// How long making a connection may take in all.
const MAKE: Duration = Duration::from_secs(10);

/// Connections that are kept for what must not wait: one for each worker, and one for the heartbeat.
const KEPT: usize = 3;

/// The pools of a store.
pub(crate) struct Pools {
    kept: Pool,
    others: Pool,
}

/// Which connections a deed may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Those that are kept for what must not wait.
    Kept,
    /// The others.
    Other,
}

impl Pools {
    /// Pools for a place, with so many connections in all.
    pub(crate) fn new(place: &Place, connections: usize) -> Result<Self, OpenError> {
        let others = connections.saturating_sub(KEPT).max(1);
        Ok(Self { kept: pool(place, KEPT)?, others: pool(place, others)? })
    }

    /// The pool of a share.
    pub(crate) const fn of(&self, share: Share) -> &Pool {
        match share {
            Share::Kept => &self.kept,
            Share::Other => &self.others,
        }
    }

    /// Closes all connections.
    pub(crate) fn close(&self) {
        self.kept.close();
        self.others.close();
    }
}

fn pool(place: &Place, connections: usize) -> Result<Pool, OpenError> {
    // A connection that is not closed is used as it is: nothing is ever left behind on one.
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(place.config.clone(), tls::connector(place)?, manager);
    let pool = Pool::builder(manager)
        .max_size(connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(MAKE))
        .build();
    Ok(pool.expect("a pool with a runtime may have time limits"))
}
