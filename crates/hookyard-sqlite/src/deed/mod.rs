//! The deeds, one file each: what the writer does for a caller, inside a transaction that others may share.

pub(crate) mod accept;
pub(crate) mod by_hand;
pub(crate) mod claim;
pub(crate) mod expunge;
pub(crate) mod import;
pub(crate) mod prune;
pub(crate) mod release;
pub(crate) mod rescue;
pub(crate) mod settle;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod sweep;
