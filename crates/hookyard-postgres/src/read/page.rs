//! What a page's query is asked for.
//!
//! The database counts the rows that it looks at, leaves out those that are not wanted, and gives the last two that it may
//! look at in any case: they say that the page ended early, and where to go on.

use hookyard_model::limits;

use crate::column::bound;

/// How many rows a page's query looks at, at most: one more than is examined, which tells that there are more.
pub(crate) fn examined() -> i64 {
    bound(limits::PAGE_EXAMINED) + 1
}

/// How many rows a page's query gives, at most: the items, one more that tells that there are more, and the last two.
pub(crate) fn given(limit: usize) -> i64 {
    bound(limit).saturating_add(3)
}
