//! Calls from a world whose time a test holds to a store that does real input and output.
//!
//! A test with paused time runs on a runtime that jumps to the next timer whenever nothing else is to be done, and a call
//! that waits for a disk or a socket looks like nothing to be done. So what such a store does is done on a runtime of its
//! own, where time is real, and the world's time stands still while a call is under way ([`Outside::call`]). What waits for
//! something that may never come ([`Outside::wait`]) stops nobody's time.
//!
//! Used by [`FaultyStore`](super::FaultyStore). It leaves to the test to open the store within the same [`Outside`].

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::runtime::Handle;

/// How calls of one world stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// One after the other: the whole world waits for each, so that a seed gives the same calls in the same order.
    OneByOne,
    /// At once, as those of living nodes: which of them the store does first is the store's affair.
    AtOnce,
}

/// Where calls are made: a runtime whose time is real.
#[derive(Debug, Clone)]
pub struct Outside {
    runtime: Handle,
    pace: Pace,
}

impl Outside {
    /// Calls are made on this runtime. It must drive itself: one with threads of its own.
    pub const fn new(runtime: Handle, pace: Pace) -> Self {
        Self { runtime, pace }
    }

    /// Makes a call that ends by itself. The caller's time, when it is paused, stands still meanwhile.
    pub async fn call<T>(&self, call: impl Future<Output = T> + Send) -> T {
        match self.pace {
            Pace::OneByOne => self.block_on(call),
            Pace::AtOnce => {
                let standstill = Standstill::begin();
                let answer = self.wait(call).await;
                drop(standstill);
                answer
            }
        }
    }

    /// Waits for something that may never come. The caller's time goes on.
    pub async fn wait<T>(&self, call: impl Future<Output = T> + Send) -> T {
        let mut call = pin!(tokio::task::unconstrained(call));
        std::future::poll_fn(|context| self.poll(call.as_mut(), context)).await
    }

    /// What the call begins, begins on the runtime outside.
    fn poll<T>(&self, call: Pin<&mut impl Future<Output = T>>, context: &mut Context<'_>) -> Poll<T> {
        let _runtime = self.runtime.enter();
        call.poll(context)
    }

    fn block_on<T>(&self, call: impl Future<Output = T>) -> T {
        // Without this, a task that has done much would be sent to the back of a queue that nobody works off.
        let mut call = pin!(tokio::task::unconstrained(call));
        let waker = Waker::from(Arc::new(Awake(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match self.poll(call.as_mut(), &mut context) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

/// Wakes a thread that stands still.
struct Awake(Thread);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// While it lives, paused time does not go on by itself: the runtime waits for its blocking tasks, and this is one.
struct Standstill(#[expect(dead_code, reason = "what waits for it hears when it is dropped")] mpsc::Sender<()>);

impl Standstill {
    fn begin() -> Self {
        let (end, ended) = mpsc::channel();
        drop(tokio::task::spawn_blocking(move || ended.recv()));
        Self(end)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;

    fn paused(test: impl AsyncFnOnce(Handle)) {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
        let threads = threads.expect("a runtime outside");
        let world = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        world.expect("a runtime for the test").block_on(test(threads.handle().clone()));
    }

    /// Real time passes, and something of the outside's runtime is waited for.
    async fn real_work() -> u32 {
        let (to, from) = oneshot::channel();
        drop(Handle::current().spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            to.send(7)
        }));
        from.await.expect("it is sent")
    }

    #[test]
    fn no_time_passes_while_a_call_is_under_way() {
        for pace in [Pace::OneByOne, Pace::AtOnce] {
            paused(async |threads| {
                let (outside, began) = (Outside::new(threads, pace), Instant::now());
                let watch = async {
                    tokio::time::sleep(Duration::from_hours(1)).await;
                    began.elapsed()
                };
                let call = async {
                    let answer = outside.call(real_work()).await;
                    (answer, began.elapsed())
                };
                let (watched, (answer, took)) = tokio::join!(watch, call);
                assert_eq!((answer, took), (7, Duration::ZERO), "{pace:?}");
                assert_eq!(watched, Duration::from_hours(1), "{pace:?}");
            });
        }
    }

    #[test]
    fn time_passes_while_something_is_waited_for() {
        paused(async |threads| {
            let (outside, (to, from)) = (Outside::new(threads, Pace::OneByOne), oneshot::channel());
            let later = async {
                tokio::time::sleep(Duration::from_hours(1)).await;
                to.send(7)
            };
            let (answer, sent) = tokio::join!(outside.wait(from), later);
            assert_eq!((answer, sent), (Ok(7), Ok(())));
        });
    }

    #[test]
    fn calls_at_once_are_under_way_together() {
        paused(async |threads| {
            let outside = Outside::new(threads, Pace::AtOnce);
            let (to, from) = oneshot::channel();
            let (answer, sent) = tokio::join!(outside.call(from), outside.call(async { to.send(7) }));
            assert_eq!((answer, sent), (Ok(7), Ok(())));
        });
    }

    #[test]
    fn a_call_that_asks_for_much_is_not_sent_to_the_back() {
        paused(async |threads| {
            let outside = Outside::new(threads, Pace::OneByOne);
            let much = async {
                for _ in 0..1_000 {
                    tokio::task::consume_budget().await;
                }
                7
            };
            assert_eq!(outside.call(much).await, 7);
        });
    }

    #[test]
    fn time_goes_on_after_a_call_that_nobody_waits_for() {
        paused(async |threads| {
            let (outside, began) = (Outside::new(threads, Pace::AtOnce), Instant::now());
            let (_to, from) = oneshot::channel::<()>();
            let broken_off = tokio::select! {
                biased;
                _ = outside.call(from) => false,
                () = tokio::task::yield_now() => true,
            };
            tokio::time::sleep(Duration::from_hours(1)).await;
            assert_eq!((broken_off, began.elapsed()), (true, Duration::from_hours(1)));
        });
    }
}
