//! Where deeds wait for the writer and reads for a reader.
//!
//! Callers push, plain threads take. A push wakes a thread only when one waits for it: under load the threads find the
//! next work by themselves, and callers pay no system call.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A queue of work for threads. Its length is bounded by whoever lets callers in.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// How many items a waiting thread wants before it is woken, for each such thread.
    wanted: usize,
    sleepers: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let state = State { waiting: VecDeque::new(), wanted: 1, sleepers: 0, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    /// Adds an item; gives it back when the queue is closed.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(item);
        }
        state.waiting.push_back(item);
        let wake = state.sleepers > 0 && state.waiting.len() >= state.wanted;
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Adds the last item and takes nothing more in; gives it back when the queue is closed already.
    pub(crate) fn push_last(&self, item: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(item);
        }
        state.waiting.push_back(item);
        state.closed = true;
        drop(state);
        self.filled.notify_all();
        Ok(())
    }

    /// Takes nothing more in; what waits is still taken out.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    /// Takes one item, waiting for it; `None` once the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(item) = state.waiting.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state.sleepers += 1;
            self.filled.wait(&mut state);
            state.sleepers -= 1;
        }
    }

    /// Takes up to `most` items in order, waiting for the first; nothing once the queue is closed and empty. When
    /// `gather` says so, waits for at most its time until its number of items is there.
    ///
    /// For a queue with one taking thread.
    pub(crate) fn take(&self, most: usize, gather: Option<(usize, Duration)>) -> Vec<T> {
        let mut state = self.state.lock();
        if let Some((wanted, patience)) = gather
            && !state.closed
            && state.waiting.len() < wanted
        {
            state.wanted = wanted;
            state.sleepers += 1;
            self.filled.wait_for(&mut state, patience);
            state.sleepers -= 1;
            state.wanted = 1;
        }
        while state.waiting.is_empty() && !state.closed {
            state.sleepers += 1;
            self.filled.wait(&mut state);
            state.sleepers -= 1;
        }
        let count = state.waiting.len().min(most);
        state.waiting.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn items_come_out_in_order_and_in_bounded_handfuls() {
        let queue = Queue::new();
        for item in 0..5 {
            queue.push(item).expect("open");
        }
        assert_eq!(queue.take(3, None), [0, 1, 2]);
        assert_eq!(queue.take(3, None), [3, 4]);
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_has_and_takes_nothing_in() {
        let queue = Queue::new();
        queue.push(1).expect("open");
        queue.close();
        assert_eq!(queue.push(2), Err(2));
        assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
        assert!(queue.take(9, Some((9, Duration::from_hours(1)))).is_empty());
    }

    #[test]
    fn a_thread_that_gathers_is_woken_when_enough_is_there() {
        let queue = Arc::new(Queue::new());
        let taker = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || queue.take(9, Some((3, Duration::from_hours(1)))))
        };
        for item in 0..3 {
            queue.push(item).expect("open");
        }
        assert_eq!(taker.join().expect("no panic"), [0, 1, 2]);
    }
}
