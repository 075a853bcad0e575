//! Passes on to the lanes what other nodes say is due and leave to this one.
//!
//! Begun by [`crate::node`] once the engine runs, ended by it before the engine stops. What is heard are hints, as those of
//! this node's own publisher are.

use std::sync::Arc;

use hookyard_ports::Handoff;
use hookyard_postgres::Hints;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Hears until it is stopped.
pub(crate) struct Hearing {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Hearing {
    /// Begins to pass on what `hints` gives.
    pub(crate) fn begin(hints: Hints, handoff: Arc<dyn Handoff>) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                for due in hints.next().await {
                    handoff.hint(due.endpoint, due.first);
                }
            }
        }));
        Self { stop, tasks }
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
