//! Connections, made when they are wanted: few that are kept for what must not wait, and the others.
//!
//! Accepting, settling and the heartbeat have connections of their own. However many callers read long lists, what was
//! published is accepted, what was sent is settled, and the node's leases stay its own.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};

use crate::OpenError;
use crate::tls;
use crate::url::Place;

/// How long a deed waits for a connection that others have.
const WAIT: Duration = Duration::from_secs(10);
/// How long making a connection may take in all.
pub(crate) const MAKE: Duration = Duration::from_secs(10);

/// Connections that are kept for what must not wait: one for each worker, and one for the heartbeat.
const KEPT: usize = 3;

/// The pools of a store.
pub(crate) struct Pools {
    kept: Pool,
    others: Pool,
}

/// Whose the sessions behind the connections are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// A pooler may give each transaction another one: nothing is left in it.
    Anybodys,
    /// Ours, each for as long as its connection lasts: it is set up once, and prepared statements stay.
    Ours,
}

/// Sets a session of ours up: what a transaction is told otherwise when it begins.
const SET_UP: &str = "SET synchronous_commit = on; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '10s'; SET enable_seqscan = off; SET enable_hashjoin = off; \
    SET enable_mergejoin = off; SET jit = off";
/// The same where `synchronous_commit` promises as much already, or more.
const SET_UP_AS_SET: &str = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'; \
    SET enable_seqscan = off; SET enable_hashjoin = off; \
    SET enable_mergejoin = off; SET jit = off";

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
        Self::with(place, connections, None)
    }

    /// The same with sessions of our own, where a commit is durable without our asking, or is not. Each bears the mark.
    pub(crate) fn of_sessions(
        place: &Place,
        connections: usize,
        is_commit_durable: bool,
        mark: &str,
    ) -> Result<Self, OpenError> {
        let settings = if is_commit_durable { SET_UP_AS_SET } else { SET_UP };
        Self::with(place, connections, Some(&Arc::from(format!("{settings}; SET {mark} = on"))))
    }

    fn with(place: &Place, connections: usize, set_up: Option<&Arc<str>>) -> Result<Self, OpenError> {
        let others = connections.saturating_sub(KEPT).max(1);
        Ok(Self { kept: pool(place, KEPT, set_up)?, others: pool(place, others, set_up)? })
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

fn pool(place: &Place, connections: usize, set_up: Option<&Arc<str>>) -> Result<Pool, OpenError> {
    // A connection that is not closed is used as it is: nothing is ever left behind on one.
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(place.config.clone(), tls::connector(place)?, manager);
    let mut pool = Pool::builder(manager);
    if let Some(words) = set_up.cloned() {
        pool = pool.post_create(Hook::async_fn(move |client, _| {
            let words = Arc::clone(&words);
            Box::pin(async move { client.batch_execute(&words).await.map_err(HookError::Backend) })
        }));
    }
    let pool =
        pool.max_size(connections).runtime(Runtime::Tokio1).wait_timeout(Some(WAIT)).create_timeout(Some(MAKE)).build();
    Ok(pool.expect("a pool with a runtime may have time limits"))
}
