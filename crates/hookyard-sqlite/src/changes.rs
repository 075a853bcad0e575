//! Which endpoints changed, for those who keep what they read of them.
//!
//! A counter that callers wait on, and a bounded list of what changed lately. A cursor that is older than the list, or
//! from another life of the process, gets every endpoint: naming too many is allowed, naming too few is not.

use std::collections::VecDeque;

use hookyard_model::EndpointId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Changes that are remembered; more than an import of the largest application makes.
const KEPT: usize = 16_384;

/// What changed lately.
pub(crate) struct Changed {
    cursor: watch::Sender<u64>,
    lately: Mutex<VecDeque<(u64, EndpointId)>>,
}

/// What changed after a cursor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// These.
    Some(Vec<EndpointId>),
    /// It is not known any more: any of them.
    Any,
}

impl Changed {
    pub(crate) fn new() -> Self {
        Self { cursor: watch::Sender::new(0), lately: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn cursor(&self) -> u64 {
        *self.cursor.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.cursor.subscribe()
    }

    /// Says that these changed, after they did.
    pub(crate) fn say(&self, endpoints: impl IntoIterator<Item = EndpointId>) {
        let mut lately = self.lately.lock();
        let mut cursor = self.cursor();
        for endpoint in endpoints {
            cursor += 1;
            lately.push_back((cursor, endpoint));
        }
        while lately.len() > KEPT {
            lately.pop_front();
        }
        drop(lately);
        self.cursor.send_if_modified(|present| std::mem::replace(present, cursor) != cursor);
    }

    /// The present cursor, and what changed after `cursor`.
    pub(crate) fn since(&self, cursor: u64) -> (u64, Since) {
        let lately = self.lately.lock();
        let present = self.cursor();
        let oldest = lately.front().map_or(present + 1, |(at, _)| *at);
        if cursor > present || cursor + 1 < oldest {
            return (present, Since::Any);
        }
        let mut endpoints: Vec<EndpointId> =
            lately.iter().filter(|(at, _)| *at > cursor).map(|(_, endpoint)| *endpoint).collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        (present, Since::Some(endpoints))
    }
}

#[cfg(test)]
mod tests {
    use hookyard_model::RawId;

    use super::*;

    fn endpoint(n: u8) -> EndpointId {
        EndpointId::from_raw(RawId::from_bytes([n; 20]))
    }

    #[test]
    fn each_change_is_told_once() {
        let changed = Changed::new();
        changed.say([endpoint(2), endpoint(1), endpoint(2)]);
        assert_eq!(changed.since(0), (3, Since::Some(vec![endpoint(1), endpoint(2)])));
        assert_eq!(changed.since(3), (3, Since::Some(vec![])));
        changed.say([endpoint(3)]);
        assert_eq!(changed.since(3), (4, Since::Some(vec![endpoint(3)])));
    }

    #[test]
    fn a_cursor_that_is_too_old_or_unknown_may_have_missed_any() {
        let changed = Changed::new();
        changed.say((0..=KEPT).map(|_| endpoint(1)));
        assert_eq!(changed.since(0).1, Since::Any);
        assert_eq!(changed.since(1).1, Since::Some(vec![endpoint(1)]));
        assert_eq!(changed.since(u64::MAX).1, Since::Any);
    }
}
