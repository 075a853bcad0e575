//! Work that is finished even when nobody waits for it any longer.
//!
//! A caller may go away between the store's commit and the handoff: an HTTP server drops the handler when its client
//! disconnects. What was leased to this node by then would be held by nobody until the node restarts. So the publisher
//! wraps the two in a [`Finish`]: awaited, it costs no more than the future itself; dropped half way, the rest runs as a
//! task that shutdown waits for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::task::TaskTracker;

/// A future that is driven to its end by somebody.
pub(crate) struct Finish<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    future: Option<Pin<Box<F>>>,
    tasks: TaskTracker,
}

impl<F> Finish<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    /// Wraps the future; it is not started before it is polled or dropped.
    pub(crate) fn new(future: F, tasks: TaskTracker) -> Self {
        Self { future: Some(Box::pin(future)), tasks }
    }
}

impl<F> Future for Finish<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.future.as_mut().expect("a future is not polled after its end");
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl<F> Drop for Finish<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn drop(&mut self) {
        if let Some(future) = self.future.take()
            // Without a runtime the process is ending, and rescue finds at the next start what was leased.
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(self.tasks.spawn_on(future, &runtime));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_awaited_gives_its_output() {
        assert_eq!(Finish::new(async { 7 }, TaskTracker::new()).await, 7);
    }

    #[tokio::test]
    async fn what_is_dropped_half_way_runs_to_its_end() {
        let tasks = TaskTracker::new();
        let (commit, committed) = oneshot::channel::<()>();
        let (hand_over, handed_over) = oneshot::channel::<()>();
        let mut work = Box::pin(Finish::new(
            async move {
                committed.await.expect("the store answers");
                hand_over.send(()).expect("somebody takes it");
            },
            tasks.clone(),
        ));
        assert!(futures_util::poll!(&mut work).is_pending());
        drop(work);
        commit.send(()).expect("the rest is running");
        tasks.close();
        tasks.wait().await;
        handed_over.await.expect("the rest ran to its end");
    }
}
