//! Moves the write-ahead log into the database, beside the writer.
//!
//! A thread with a connection of its own does the bulk. What the writer appended meanwhile is a small rest that would keep
//! the log from starting over; the writer moves it itself, between two groups. Should the log grow past its hard bound all
//! the same, the writer stops and moves all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::shared::Shared;

/// Of the log that was moved, the rest that is small enough for the writer: one part in this many.
const REST_SHARE: u32 = 4;

/// When checkpoints are made, and the signal between the writer and the thread.
pub(crate) struct Checkpoints {
    shared: Arc<Shared>,
    /// Pages of log at which the thread begins.
    soft_pages: u32,
    /// Pages of log at which the writer does it all.
    hard_pages: u32,
    state: Mutex<State>,
    woken: Condvar,
    /// The bulk is moved, the writer is to move the rest.
    rest: AtomicBool,
}

#[derive(Default)]
struct State {
    wanted: bool,
    closed: bool,
}

/// How much a checkpoint moved.
struct Moved {
    log: u32,
    done: u32,
}

impl Checkpoints {
    pub(crate) fn new(shared: Arc<Shared>, soft_bytes: u64, hard_bytes: u64, page_bytes: u64) -> Self {
        let pages = |bytes: u64| u32::try_from(bytes / page_bytes.max(1)).unwrap_or(u32::MAX).max(1);
        Self {
            shared,
            soft_pages: pages(soft_bytes),
            hard_pages: pages(hard_bytes),
            state: Mutex::new(State::default()),
            woken: Condvar::new(),
            rest: AtomicBool::new(false),
        }
    }

    /// Called by the writer after every group, with the pages that its log has.
    pub(crate) fn after_commit(&self, connection: &Connection, pages: u32) {
        if pages < self.soft_pages {
            // The log started over by itself, so there is no rest any more.
            self.rest.store(false, Ordering::Release);
            return;
        }
        if pages >= self.hard_pages {
            self.run(connection, "RESTART");
        } else if self.rest.swap(false, Ordering::AcqRel) {
            self.run(connection, "PASSIVE");
        } else {
            let mut state = self.state.lock();
            if !state.wanted {
                state.wanted = true;
                self.woken.notify_one();
            }
        }
    }

    /// Moves everything, so that the next start has nothing to recover.
    pub(crate) fn all(&self, connection: &Connection) {
        self.run(connection, "TRUNCATE");
    }

    /// What the thread does until it is told to stop.
    pub(crate) fn work(&self, connection: &Connection) {
        loop {
            {
                let mut state = self.state.lock();
                while !state.wanted && !state.closed {
                    self.woken.wait(&mut state);
                }
                if state.closed {
                    return;
                }
            }
            let moved = self.run(connection, "PASSIVE");
            self.shared.metrics.store_bytes.set(i64::try_from(self.shared.bytes()).unwrap_or(i64::MAX));
            if moved.is_some_and(|moved| moved.log.saturating_sub(moved.done) <= self.soft_pages / REST_SHARE) {
                self.rest.store(true, Ordering::Release);
            }
            self.state.lock().wanted = false;
        }
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.woken.notify_one();
    }

    fn run(&self, connection: &Connection, mode: &str) -> Option<Moved> {
        let began = self.shared.clock.monotonic();
        let moved = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok(Moved {
                log: row.get::<_, i64>(1)?.try_into().unwrap_or(0),
                done: row.get::<_, i64>(2)?.try_into().unwrap_or(0),
            })
        });
        let took = self.shared.clock.monotonic().saturating_sub(began);
        self.shared.metrics.checkpoint_seconds.observe(took.as_secs_f64());
        match moved {
            Ok(moved) => Some(moved),
            Err(error) => {
                // The log stays as it is and nothing is lost; the next checkpoint moves it.
                tracing::warn!(%error, "the write-ahead log could not be moved into the database");
                None
            }
        }
    }
}
