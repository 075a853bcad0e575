//! The reads; each sees one moment.

pub(crate) mod attempts;
pub(crate) mod counts;
pub(crate) mod deliveries;
pub(crate) mod messages;
pub(crate) mod page;
