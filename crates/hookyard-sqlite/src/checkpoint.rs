//! Moves the write-ahead log into the database, beside the writer.
//!
//! A thread with a connection of its own does the bulk. What the writer appended meanwhile is a small rest that would keep
//! the log from starting over; the writer moves it itself, between two groups. Should the log grow past its hard bound all
//! the same, the writer stops and moves all of it.
//!
//! Whoever reads for long, such as a backup, keeps the log from being moved and from starting over. Nothing but waiting would
//! help then, and the writer does not wait: the log grows until the reader is done, and is tried again now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::open::PATIENCE;
use crate::shared::Shared;

/// Of the log that was moved, the rest that is small enough for the writer: one part in this many.
const REST_SHARE: u32 = 4;
/// How long the writer waits for readers when it moves all of the log: longer than reads of a page of rows take.
const BRIEF: Duration = Duration::from_millis(50);

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
    /// Pages of log before which trying again is not worth it, because somebody reads what is in it; 0 when nobody does.
    held_until: AtomicU32,
}

#[derive(Default)]
struct State {
    wanted: bool,
    closed: bool,
}

/// How much a checkpoint moved.
struct Moved {
    /// Somebody reads it, so that it could not start over.
    is_held: bool,
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
            held_until: AtomicU32::new(0),
        }
    }

    /// Called by the writer after every group, with the pages that its log has.
    pub(crate) fn after_commit(&self, connection: &Connection, pages: u32) {
        if pages < self.soft_pages {
            // The log started over by itself, so there is no rest any more.
            self.rest.store(false, Ordering::Release);
            self.held_until.store(0, Ordering::Release);
            return;
        }
        let held_until = self.held_until.load(Ordering::Acquire);
        if pages < held_until {
            return;
        }
        if pages >= self.hard_pages && held_until == 0 {
            self.restart(connection);
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
            if moved.is_some_and(|moved| self.look_at(&moved)) {
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

    /// What the writer does when the log is too large: it moves all of it, unless somebody reads for longer than a moment.
    fn restart(&self, connection: &Connection) {
        let moved = connection.busy_timeout(BRIEF).ok().and_then(|()| self.run(connection, "RESTART"));
        if let Err(error) = connection.busy_timeout(PATIENCE) {
            tracing::warn!(%error, "the writer keeps waiting only briefly for others");
        }
        if moved.is_some_and(|moved| !self.look_at(&moved)) {
            let bytes = self.shared.bytes();
            tracing::warn!(bytes, "somebody reads the database for long; the write-ahead log grows until that is done");
        }
    }

    /// Whether a checkpoint moved what it could be expected to. Otherwise somebody reads what is in the log.
    fn look_at(&self, moved: &Moved) -> bool {
        let is_moved = !moved.is_held && moved.log.saturating_sub(moved.done) <= self.soft_pages / REST_SHARE;
        let held_until = if is_moved { 0 } else { moved.log.saturating_add(self.soft_pages) };
        self.held_until.store(held_until, Ordering::Release);
        is_moved
    }

    fn run(&self, connection: &Connection, mode: &str) -> Option<Moved> {
        let began = self.shared.clock.monotonic();
        let moved = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok(Moved {
                is_held: row.get(0)?,
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
