//! How a page is put together: where it begins, which rows it takes, where it stops.

use hookyard_model::{RawId, Timestamp, limits};
use hookyard_ports::store::{Order, Page, PageRequest, PageStart};

/// Which way a list is walked, and between which ids, both excluded.
///
/// The open ends are not ids: no bytes sort before every id, and 21 bytes of ones after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// From the smallest id to the largest.
    pub upwards: bool,
    /// The ids are above this.
    pub above: Vec<u8>,
    /// The ids are below this.
    pub below: Vec<u8>,
}

impl Walk {
    /// The walk for a page. The times bound it where they can: an id is minted when its thing begins, give or take what
    /// clocks jump; the exact times are for whoever looks at the rows to compare.
    pub fn new<I: Copy>(
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

    /// Of two queries, the one that walks this way.
    pub const fn of(&self, upwards: &'static str, downwards: &'static str) -> &'static str {
        if self.upwards { upwards } else { downwards }
    }
}

/// What becomes of a row that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is on the page.
    Take,
    /// It is not.
    Skip,
    /// The page ends before it.
    Stop,
}

/// A page in the making.
#[derive(Debug)]
pub struct Pages<T> {
    limit: usize,
    items: Vec<T>,
    bytes: usize,
    examined: usize,
    last: Option<RawId>,
    done: bool,
    ended_early: bool,
}

impl<T> Pages<T> {
    /// A page of at most `limit` items.
    pub const fn new(limit: usize) -> Self {
        Self { limit, items: Vec::new(), bytes: 0, examined: 0, last: None, done: true, ended_early: false }
    }

    /// What becomes of the next row, when every row is looked at here.
    pub fn step(&mut self, id: RawId, is_wanted: bool) -> Step {
        self.step_to(self.examined + 1, id, is_wanted)
    }

    /// What becomes of the next row, when the database looked at the rows and this is the `n`th of them, counted from 1.
    pub fn step_to(&mut self, n: usize, id: RawId, is_wanted: bool) -> Step {
        if n > limits::PAGE_EXAMINED {
            self.done = false;
            self.ended_early = true;
            return Step::Stop;
        }
        self.examined = n;
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
    pub fn take(&mut self, item: T, bytes: usize) {
        self.items.push(item);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= limits::PAGE_BYTES {
            self.limit = self.items.len();
        }
    }

    /// What is on the page so far.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The page, in the list's order.
    pub fn finish<I>(mut self, start: &PageStart<I>) -> Page<T> {
        if matches!(start, PageStart::Before(_)) {
            self.items.reverse();
        }
        let examined_to = self.last.filter(|_| self.ended_early && self.items.is_empty());
        Page { items: self.items, done: self.done, examined_to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RawId = RawId::MIN;

    #[test]
    fn a_page_that_found_nothing_within_its_bound_says_how_far_it_looked() {
        let mut pages = Pages::<()>::new(2);
        for _ in 0..limits::PAGE_EXAMINED {
            assert_eq!(pages.step(ID, false), Step::Skip);
        }
        assert_eq!(pages.step(RawId::MAX, true), Step::Stop);
        let page = pages.finish::<()>(&PageStart::First);
        assert_eq!((page.done, page.examined_to), (false, Some(ID)));
    }

    #[test]
    fn rows_that_the_database_looked_at_count_as_those_that_are_looked_at_here() {
        let mut pages = Pages::<()>::new(2);
        assert_eq!(pages.step_to(limits::PAGE_EXAMINED, ID, false), Step::Skip);
        assert_eq!(pages.step_to(limits::PAGE_EXAMINED + 1, RawId::MAX, false), Step::Stop);
        assert_eq!(pages.finish::<()>(&PageStart::First).examined_to, Some(ID));
    }

    #[test]
    fn an_item_that_fills_the_page_is_its_last() {
        let mut pages = Pages::new(10);
        assert_eq!(pages.step(ID, true), Step::Take);
        pages.take(1, limits::PAGE_BYTES);
        assert_eq!(pages.step(ID, true), Step::Stop);
        let page = pages.finish::<()>(&PageStart::First);
        assert_eq!((page.items, page.done, page.examined_to), (vec![1], false, None));
    }
}
