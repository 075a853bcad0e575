//! Lists in pages: `{data, iterator, prevIterator, done}`.
//!
//! `iterator` is the id of the last item, `prevIterator` a minus sign and the id of the first; passing either goes on from
//! there. `done` says that nothing more is in the direction that was walked.

use std::fmt::Display;

use hookyard_model::{AttemptId, MessageId, RawId, Timestamp, limits};
use hookyard_ports::store::{Order, Page, PageRequest, PageStart};
use serde::Serialize;

use crate::error::Result;
use crate::query::Query;

/// A page on the wire.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List<T> {
    data: Vec<T>,
    iterator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_iterator: Option<String>,
    done: bool,
}

impl<T> List<T> {
    /// A list that has one page.
    pub(crate) fn whole(data: Vec<T>) -> Self {
        Self { data, iterator: None, prev_iterator: None, done: true }
    }

    /// A page that goes from `ends.0` to `ends.1`.
    pub(crate) fn page(data: Vec<T>, ends: Option<(impl Display, impl Display)>, done: bool) -> Self {
        let (first, last) = ends.map(|(first, last)| (format!("-{first}"), last.to_string())).unzip();
        Self { data, iterator: last, prev_iterator: first, done }
    }
}

/// Ids that tell their time, for lists that reach back a bounded time.
pub(crate) trait Timed: Copy + Display + std::str::FromStr<Err: Display> {
    fn from_raw(raw: RawId) -> Self;
    fn at(self) -> Timestamp;
}

impl Timed for MessageId {
    fn from_raw(raw: RawId) -> Self {
        Self::from_raw(raw)
    }

    fn at(self) -> Timestamp {
        self.timestamp()
    }
}

impl Timed for AttemptId {
    fn from_raw(raw: RawId) -> Self {
        Self::from_raw(raw)
    }

    fn at(self) -> Timestamp {
        self.timestamp()
    }
}

/// The part of a list that a request asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Window<I> {
    pub(crate) before: Option<Timestamp>,
    pub(crate) after: Option<Timestamp>,
    pub(crate) page: PageRequest<I>,
}

impl<I: Timed> Window<I> {
    /// Reads `limit`, `iterator`, `before` and `after`. The list is the newest first and reaches back
    /// [`limits::LIST_WINDOW`] from where it begins; with `after` alone it is walked from there towards the present.
    pub(crate) fn of(query: &Query<'_>, now: Timestamp) -> Result<Self> {
        let newest = now.plus(limits::CLOCK_SKEW);
        // Without `before` there is no upper end: ids never fall, so after the clock was set back the newest messages have
        // ids from the future.
        let before = query.time("before")?.map(|before| before.min(newest));
        let end = before.unwrap_or(newest);
        let asked_after = query.time("after")?.map(|after| RawId::first_of(after).timestamp());
        let start = query.start()?;
        let back_from = |end: Timestamp| {
            let reach = end.minus(limits::LIST_WINDOW);
            Some(asked_after.map_or(reach, |after| after.max(reach)))
        };
        let (start, after) = match (start, asked_after) {
            (PageStart::First, Some(after)) if before.is_none() => {
                (PageStart::Before(I::from_raw(just_below(RawId::first_of(after)))), asked_after)
            }
            (PageStart::First, _) => (start, back_from(end)),
            (PageStart::After(id), _) => (start, back_from(end.min(id.at()))),
            (PageStart::Before(_), _) => (start, asked_after),
        };
        let page = PageRequest { limit: query.limit()?, start, order: Order::Descending };
        Ok(Self { before, after, page })
    }

    /// The list that answers it. `kept` are the items that are shown of what the page holds; `id` tells an item's id.
    pub(crate) fn list<T, O>(&self, page: &Page<T>, id: impl Fn(&T) -> I, kept: Vec<O>) -> List<O> {
        let ends = page.items.first().zip(page.items.last()).map(|(first, last)| (id(first), id(last)));
        let examined = page.examined_to.map(I::from_raw);
        let backward = matches!(self.page.start, PageStart::Before(_));
        let ends = match (ends, examined) {
            (Some((_, last)), Some(examined)) if backward => Some((examined, last)),
            (Some((first, _)), Some(examined)) => Some((first, examined)),
            (None, Some(examined)) => Some((examined, examined)),
            (ends, None) => ends,
        };
        List::page(kept, ends, page.done)
    }
}

/// The id right before this one.
fn just_below(raw: RawId) -> RawId {
    let mut bytes = *raw.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let (lower, borrowed) = byte.overflowing_sub(1);
        *byte = lower;
        if !borrowed {
            return RawId::from_bytes(bytes);
        }
    }
    RawId::MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn window(query: &str) -> Window<MessageId> {
        let uri: axum::http::Uri = format!("/x?{query}").parse().expect("a URI");
        Window::of(&Query::of(&uri), NOW).expect("a window")
    }

    fn id_at(at: Timestamp) -> MessageId {
        MessageId::from_raw(RawId::first_of(at))
    }

    #[test]
    fn a_list_reaches_back_ninety_days_from_its_end() {
        let newest = NOW.plus(limits::CLOCK_SKEW);
        let plain = window("");
        assert_eq!(plain.before, None);
        assert_eq!(plain.after, Some(newest.minus(limits::LIST_WINDOW)));
        let before = NOW.minus(limits::LIST_WINDOW);
        assert_eq!(window(&format!("before={before}")).after, Some(before.minus(limits::LIST_WINDOW)));
        assert_eq!(window(&format!("before={}", NOW.plus(limits::LIST_WINDOW))).before, Some(newest));
        let iterator = id_at(before);
        assert_eq!(window(&format!("iterator={iterator}")).after, Some(before.minus(limits::LIST_WINDOW)));
    }

    #[test]
    fn with_after_alone_the_list_is_walked_towards_the_present() {
        let after = NOW.minus(limits::LIST_WINDOW * 2);
        let window = window(&format!("after={after}"));
        let PageStart::Before(start) = window.page.start else { panic!("{:?}", window.page.start) };
        assert!(start < id_at(after), "the first id of the tick is in the list");
        assert!(start > id_at(after.minus(std::time::Duration::from_millis(4))));
        assert_eq!((window.after, window.page.order), (Some(after), Order::Descending));
    }

    #[test]
    fn nothing_is_below_the_lowest_id() {
        assert_eq!(just_below(RawId::MIN), RawId::MIN);
        let mut bytes = [0; 20];
        bytes[0] = 1;
        let mut expected = [0xff; 20];
        expected[0] = 0;
        assert_eq!(just_below(RawId::from_bytes(bytes)), RawId::from_bytes(expected));
    }
}
