//! The reads, as functions over a connection that sees one moment.

pub(crate) mod attempts;
pub(crate) mod counts;
pub(crate) mod deliveries;
pub(crate) mod messages;
