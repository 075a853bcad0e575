//! The one writer: takes all deeds that wait, commits them as one transaction with one fsync, then answers each.
//!
//! A deed that fails with the database takes its whole group back; then each runs again in a transaction of its own, so
//! that only the guilty one fails. What a deed refuses by its own rules (`Ok(Err(_))`) has written nothing and costs the
//! others nothing.
//!
//! A panic in a deed ends the writer: it is logged, and every caller, present and future, is told `Unavailable`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hookyard_model::limits;
use hookyard_ports::StoreError;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::books::{Books, Bounds};
use crate::checkpoint::Checkpoints;
use crate::fault::{Attempted, Fault};
use crate::marks::Marks;
use crate::queue::Queue;
use crate::shared::Shared;

/// Deeds that may wait for the writer; callers beyond it wait before they send.
const WAITING: usize = 4 * limits::GROUP_COMMIT;
/// A group of this size says that deeds come faster than commits end.
const BUSY_GROUP: usize = 8;
/// How long a busy writer waits for the next group to become as large as the last: fewer commits leave more of the
/// processor to everything else, and the wait is short against what a commit takes under that load.
const GATHER: Duration = Duration::from_micros(500);

/// What a deed comes to: an answer, a refusal that wrote nothing, or a fault that is rolled back.
pub(crate) type Run<A> = Attempted<Result<A, StoreError>>;

/// One transaction's worth of work. May run twice: what the first run wrote was rolled back then.
pub(crate) trait Deed: Send + 'static {
    /// What the caller gets.
    type Answer: Send + 'static;

    /// Does it.
    fn run(&self, books: &mut Books<'_>) -> Run<Self::Answer>;
}

/// A deed with the caller who waits for it, its types hidden.
trait Asked: Send {
    fn run(&mut self, books: &mut Books<'_>) -> Attempted<()>;
    fn answer(self: Box<Self>, error: Option<StoreError>);
}

struct Ask<D: Deed> {
    deed: D,
    outcome: Option<Result<D::Answer, StoreError>>,
    to: oneshot::Sender<Result<D::Answer, StoreError>>,
    /// Bounds how many wait; given back with the answer.
    permit: Option<OwnedSemaphorePermit>,
}

impl<D: Deed> Asked for Ask<D> {
    fn run(&mut self, books: &mut Books<'_>) -> Attempted<()> {
        self.outcome = Some(self.deed.run(books)?);
        Ok(())
    }

    fn answer(self: Box<Self>, error: Option<StoreError>) {
        let outcome = match error {
            Some(error) => Err(error),
            None => self.outcome.expect("a committed deed has run"),
        };
        // A caller who went away does not need the answer; the deed is done all the same.
        let _ = self.to.send(outcome);
        drop(self.permit);
    }
}

/// Where deeds go.
pub(crate) struct Writer {
    queue: Arc<Queue<Box<dyn Asked>>>,
    room: Arc<Semaphore>,
}

fn stopped() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

impl Writer {
    /// Starts the writer thread.
    pub(crate) fn start(
        connection: Connection,
        shared: Arc<Shared>,
        marks: Marks,
        bounds: Bounds,
        checkpoints: Arc<Checkpoints>,
        lock: Arc<std::fs::File>,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let queue = Arc::new(Queue::new());
        let room = Arc::new(Semaphore::new(WAITING));
        let writer = Self { queue: Arc::clone(&queue), room: Arc::clone(&room) };
        let thread = std::thread::Builder::new().name("hookyard-write".to_owned()).spawn(move || {
            let life = Life { queue: &queue, room: &room };
            let ended = catch_unwind(AssertUnwindSafe(|| {
                write_all(connection, &shared, marks, bounds, &checkpoints, &queue);
            }));
            if ended.is_err() {
                tracing::error!("the store's writer panicked; nothing can be written until the process is restarted");
            }
            drop(life);
            drop(lock);
        })?;
        Ok((writer, thread))
    }

    /// Has a deed done.
    pub(crate) async fn ask<D: Deed>(&self, deed: D) -> Result<D::Answer, StoreError> {
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(|_| stopped())?;
        let (to, answer) = oneshot::channel();
        self.queue.push(Box::new(Ask { deed, outcome: None, to, permit: Some(permit) })).map_err(|_| stopped())?;
        answer.await.map_err(|_| StoreError::Unavailable("its writer has stopped".to_owned()))?
    }

    /// Has the last deed done, after all that wait; none is taken in after it.
    pub(crate) async fn ask_last<D: Deed>(&self, deed: D) -> Result<D::Answer, StoreError> {
        let (to, answer) = oneshot::channel();
        self.queue.push_last(Box::new(Ask { deed, outcome: None, to, permit: None })).map_err(|_| stopped())?;
        self.room.close();
        answer.await.map_err(|_| StoreError::Unavailable("its writer has stopped".to_owned()))?
    }

    /// Takes no more deeds in; what waits is still done.
    pub(crate) fn close(&self) {
        self.room.close();
        self.queue.close();
    }
}

/// Turns callers away once the writer is gone, also when it panicked: what waits is dropped, and its callers with it.
struct Life<'q> {
    queue: &'q Queue<Box<dyn Asked>>,
    room: &'q Semaphore,
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        self.room.close();
        self.queue.close();
        while !self.queue.take(usize::MAX, None).is_empty() {}
    }
}

fn write_all(
    mut connection: Connection,
    shared: &Arc<Shared>,
    marks: Marks,
    bounds: Bounds,
    checkpoints: &Checkpoints,
    queue: &Queue<Box<dyn Asked>>,
) {
    let wal_pages = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&wal_pages);
    let hooked = connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
        counter.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }));
    let books = hooked.and_then(|()| Books::open(&connection, Arc::clone(shared), marks, bounds));
    let mut books = match books {
        Ok(books) => books,
        Err(error) => {
            tracing::error!(%error, "the store's writer cannot start");
            return;
        }
    };
    let mut last = 0;
    loop {
        let gather = (last >= BUSY_GROUP).then_some((last.min(limits::GROUP_COMMIT), GATHER));
        let group = queue.take(limits::GROUP_COMMIT, gather);
        if group.is_empty() {
            break;
        }
        last = group.len();
        write(&mut books, group);
        checkpoints.after_commit(&connection, wal_pages.load(Ordering::Relaxed));
    }
    if books.is_closing {
        checkpoints.all(&connection);
    }
}

/// Commits a group, or each of it alone.
fn write(books: &mut Books<'_>, mut group: Vec<Box<dyn Asked>>) {
    let began = books.shared.clock.monotonic();
    let Err(fault) = attempt(books, &mut group) else {
        books.is_failing = false;
        let metrics = &books.shared.metrics;
        metrics.commits.inc();
        metrics.commit_deeds.observe(f64::from(u32::try_from(group.len()).unwrap_or(u32::MAX)));
        metrics.commit_seconds.observe(books.shared.clock.monotonic().saturating_sub(began).as_secs_f64());
        for asked in group {
            asked.answer(None);
        }
        return;
    };
    books.roll_back();
    if group.len() > 1 {
        for asked in group {
            write(books, vec![asked]);
        }
        return;
    }
    let error = fault.into_error(|| crate::disk::is_full(&books.shared.database));
    if !books.is_failing && !matches!(error, StoreError::Conflict { .. }) {
        books.is_failing = true;
        tracing::warn!(%error, "a deed failed and was rolled back");
    }
    for asked in group {
        asked.answer(Some(error.clone()));
    }
}

fn attempt(books: &mut Books<'_>, group: &mut [Box<dyn Asked>]) -> Result<(), Fault> {
    books.begin()?;
    group.iter_mut().try_for_each(|asked| asked.run(books))?;
    books.commit()
}
