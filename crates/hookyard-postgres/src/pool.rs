//! Connections: a bounded pool of them, made when they are wanted.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};

use crate::OpenError;
use crate::tls;
use crate::url::Place;

/// How long a deed waits for a connection that others have.
const WAIT: Duration = Duration::from_secs(10);
/// How long making a connection may take in all.
const MAKE: Duration = Duration::from_secs(10);

/// A pool for a place.
pub(crate) fn pool(place: &Place, connections: usize) -> Result<Pool, OpenError> {
    // A connection that is not closed is used as it is: nothing is ever left behind on one.
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(place.config.clone(), tls::connector(place)?, manager);
    // Batches for accepts and settlements, and one for everybody else.
    let pool = Pool::builder(manager)
        .max_size(connections.max(3))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(MAKE))
        .build();
    Ok(pool.expect("a pool with a runtime may have time limits"))
}
