//! The deeds, one file each: what the store does for a caller, in a transaction that others may share.

pub(crate) mod accept;
pub(crate) mod by_hand;
pub(crate) mod claim;
pub(crate) mod expunge;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod life;
pub(crate) mod mark;
pub(crate) mod prune;
pub(crate) mod release;
pub(crate) mod rescue;
pub(crate) mod settle;
pub(crate) mod status;
pub(crate) mod sweep;
