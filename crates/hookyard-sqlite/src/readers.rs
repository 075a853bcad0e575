//! The readers: a few threads, each with a read-only connection, so that reads never hold the writer up.
//!
//! Each read sees the database as of one moment: the one at which it began.

use std::sync::Arc;

use hookyard_ports::StoreError;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use crate::fault::Attempted;
use crate::queue::Queue;
use crate::shared::Shared;

/// Threads that read. More would only take turns for the same two to four cores.
pub(crate) const READERS: usize = 3;
/// Reads that may wait.
const WAITING: usize = 1_024;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Where reads go.
pub(crate) struct Readers {
    shared: Arc<Shared>,
    queue: Arc<Queue<Read>>,
    room: Semaphore,
}

fn stopped() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

impl Readers {
    /// Starts a thread for each connection.
    pub(crate) fn start(
        connections: Vec<Connection>,
        shared: Arc<Shared>,
        lock: &Arc<std::fs::File>,
    ) -> std::io::Result<(Self, Vec<std::thread::JoinHandle<()>>)> {
        let queue = Arc::new(Queue::<Read>::new());
        let threads = connections.into_iter().map(|connection| {
            let (queue, lock) = (Arc::clone(&queue), Arc::clone(lock));
            std::thread::Builder::new().name("hookyard-read".to_owned()).spawn(move || {
                while let Some(read) = queue.pop() {
                    // A read that panics answers nobody, which its caller is told; the thread lives on for the others.
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(&connection))).is_err() {
                        tracing::error!("a read of the store panicked");
                    }
                }
                drop(connection);
                drop(lock);
            })
        });
        let threads = threads.collect::<std::io::Result<_>>()?;
        Ok((Self { shared, queue, room: Semaphore::new(WAITING) }, threads))
    }

    /// Reads, as of one moment.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &Shared) -> Attempted<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.room.acquire().await.map_err(|_| stopped())?;
        let (to, answer) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let read: Read = Box::new(move |connection| {
            let outcome = connection.unchecked_transaction().map_err(Into::into).and_then(|moment| {
                let outcome = read(connection, &shared);
                moment.commit()?;
                outcome
            });
            let _ = to.send(outcome.map_err(|fault| fault.into_error(|| false)));
        });
        self.queue.push(read).map_err(|_| stopped())?;
        let outcome = answer.await.map_err(|_| StoreError::Unavailable("a read was broken off".to_owned()))?;
        drop(permit);
        outcome
    }

    /// Takes no more reads in; what waits is still answered.
    pub(crate) fn close(&self) {
        self.room.close();
        self.queue.close();
    }
}
