//! How a page is put together: where it begins, which rows it takes, where it stops.
//!
//! The database counts the rows that it looks at, leaves out those that are not wanted, and gives the last two that it may
//! look at in any case: they say that the page ended early, and where to go on.

use hookyard_model::{RawId, Timestamp, limits};
use hookyard_ports::store::{Order, Page, PageRequest, PageStart};

use crate::column::bound;

/// Which way a list is walked, and between which ids, both excluded.
///
/// The open ends are not ids: the empty value sorts before every id, and 21 bytes of ones after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(crate) upwards: bool,
    pub(crate) above: Vec<u8>,
    pub(crate) below: Vec<u8>,
}

impl Walk {
    /// The walk for a page. The times bound it where they can: an id is minted when its thing begins, give or take what
    /// clocks jump; the exact times are for the query to compare.
    pub(crate) fn new<I: Copy>(
        request: &PageRequest<I>,
        raw: impl Fn(I) -> RawId,
        after: Option<Timestamp>,
        before: Option<Timestamp>,
    ) -> Self {
        let upwards = (request.order == Order::Ascending) != matches!(request.start, PageStart::Before(_));
        let mut above =
            after.map_or(Vec::new(), |time| RawId::first_of(time.minus(limits::CLOCK_SKEW)).as_bytes().to_vec());
        let mut below =
            before.map_or(vec![0xff; 21], |time| RawId::first_of(time.plus(limits::CLOCK_SKEW)).as_bytes().to_vec());
        match request.start {
            PageStart::First => {}
            PageStart::After(id) | PageStart::Before(id) => {
                let id = raw(id).as_bytes().to_vec();
                if upwards {
                    above = above.max(id);
                } else {
                    below = below.min(id);
                }
            }
        }
        Self { upwards, above, below }
    }

    /// The walk's query.
    pub(crate) const fn of(&self, upwards: &'static str, downwards: &'static str) -> &'static str {
        if self.upwards { upwards } else { downwards }
    }
}

/// How many rows a page's query looks at, at most: one more than is examined, which tells that there are more.
pub(crate) fn examined() -> i64 {
    bound(limits::PAGE_EXAMINED) + 1
}

/// How many rows a page's query gives, at most: the items, one more that tells that there are more, and the last two.
pub(crate) fn given(limit: usize) -> i64 {
    bound(limit).saturating_add(3)
}

/// What becomes of a row that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is on the page.
    Take,
    /// It is not.
    Skip,
    /// The page ends before it.
    Stop,
}

/// A page in the making.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    limit: usize,
    items: Vec<T>,
    bytes: usize,
    last: Option<RawId>,
    done: bool,
    ended_early: bool,
}

impl<T> Pages<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, items: Vec::new(), bytes: 0, last: None, done: true, ended_early: false }
    }

    /// What becomes of the next row, the `n`th that was looked at.
    pub(crate) fn step(&mut self, id: RawId, n: i64, is_wanted: bool) -> Step {
        if n >= examined() {
            self.done = false;
            self.ended_early = true;
            return Step::Stop;
        }
        self.last = Some(id);
        if !is_wanted {
            return Step::Skip;
        }
        if self.items.len() == self.limit {
            self.done = false;
            return Step::Stop;
        }
        Step::Take
    }

    /// Puts an item with this many bytes of payload on the page.
    pub(crate) fn take(&mut self, item: T, bytes: usize) {
        self.items.push(item);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= limits::PAGE_BYTES {
            self.limit = self.items.len();
        }
    }

    /// What is on the page so far.
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    /// The page, in the list's order.
    pub(crate) fn finish<I>(mut self, start: &PageStart<I>) -> Page<T> {
        if matches!(start, PageStart::Before(_)) {
            self.items.reverse();
        }
        let examined_to = self.last.filter(|_| self.ended_early && self.items.is_empty());
        Page { items: self.items, done: self.done, examined_to }
    }
}
