//! Threads for what would hold a worker of the runtime for too long: encoding large payloads.
//!
//! Called by an attempt whose payload is larger than [`limits::ENCODE_INLINE_BYTES`]. The runtime has few workers, which
//! every other delivery and the doors need; a template may keep one busy for a second. What runs here goes on until it is
//! done, also when nobody waits for it any more, and the component's tracker knows of it.

use std::sync::Arc;

use hookyard_model::limits;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Runs at most [`limits::ENCODE_THREADS`] pieces of work at once, in the order in which they came.
pub(crate) struct Threads {
    tracker: TaskTracker,
    room: Arc<Semaphore>,
}

impl Threads {
    pub(crate) fn new(tracker: TaskTracker) -> Self {
        Self { tracker, room: Arc::new(Semaphore::new(limits::ENCODE_THREADS)) }
    }

    /// What `work` makes, on a thread of its own; a panic in it goes on in the caller.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let room = Arc::clone(&self.room).acquire_owned().await.expect("nobody closes it");
        let working = self.tracker.spawn_blocking(move || {
            // Given back when the work ends, and not when its caller does.
            let _room = room;
            work()
        });
        match working.await {
            Ok(made) => made,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that is going down refuses work, and it drops this task too.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::mpsc;
    use std::thread;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn the_only_worker_goes_on_while_something_is_encoded() {
        let threads = Threads::new(TaskTracker::new());
        let (tell, told) = mpsc::channel();
        let work = threads.run(move || (told.recv().expect("it is told"), thread::current().id()));
        // Ends only because this worker can tell the thread to.
        let ((said, on), ()) = tokio::join!(work, async { tell.send("enough").expect("it listens") });
        assert_eq!(said, "enough");
        assert_ne!(on, thread::current().id());
    }

    #[tokio::test]
    async fn no_more_run_at_once_than_there_is_room_for() {
        let threads = Threads::new(TaskTracker::new());
        let (running, most) = (Arc::new(Semaphore::new(limits::ENCODE_THREADS)), limits::ENCODE_THREADS * 8);
        let work = (0..most).map(|number| {
            let running = Arc::clone(&running);
            threads.run(move || {
                let _present = running.try_acquire().expect("there is room for this one");
                thread::yield_now();
                number
            })
        });
        assert_eq!(join_all(work).await, (0..most).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_panic_goes_on_in_the_caller_and_gives_its_room_back() {
        let threads = Threads::new(TaskTracker::new());
        for _ in 0..=limits::ENCODE_THREADS {
            let panicked = AssertUnwindSafe(threads.run(|| panic!("a defect"))).catch_unwind().await;
            let panic = panicked.map(|(): ()| ()).expect_err("it panics");
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"a defect"));
        }
        assert_eq!(threads.run(|| 7).await, 7);
    }

    #[tokio::test]
    async fn work_whose_caller_is_gone_ends_before_its_tracker_does() {
        let tracker = TaskTracker::new();
        let threads = Threads::new(tracker.clone());
        let (tell, told) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        let mut work = Box::pin(threads.run(move || {
            told.recv().expect("it is told");
            done.send(()).expect("the test listens");
        }));
        assert!((&mut work).now_or_never().is_none(), "it has begun and waits");
        drop(work);
        tracker.close();
        assert!(tracker.wait().now_or_never().is_none(), "a thread still runs");
        tell.send(()).expect("it listens");
        tracker.wait().await;
        is_done.try_recv().expect("it has ended");
    }
}
