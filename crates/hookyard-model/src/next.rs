//! What follows from a finished attempt: what the answer means, what the delivery becomes, what the endpoint becomes.
//!
//! A dialect judges, `hookyard-core` decides, the engine tells the store, the store writes. These are the values that
//! pass between them.

use crate::{CancelReason, DisableReason, FailReason, Timestamp};

/// What an answer means; given by a dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The receiver took it.
    Delivered,
    /// Not taken; try again by the schedule, not before `not_before` when it is given.
    Retry {
        /// What the receiver asked for, unbounded; the decision caps it.
        not_before: Option<Timestamp>,
    },
    /// The receiver says that it is gone; what that does is the endpoint's `on_gone`.
    Gone,
    /// It will never be taken.
    Permanent {
        /// Why, for people.
        why: String,
    },
    /// Try again at once in another variant, uncharged.
    Again {
        /// Which.
        variant: u8,
    },
}

/// What a delivery becomes when an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Delivered.
    Delivered,
    /// Pending until `due`.
    Retry {
        /// Not before this.
        due: Timestamp,
        /// Attempts that took from the schedule, this one included if it did.
        charged: u16,
        /// The variant of the next attempt.
        variant: u8,
    },
    /// Still leased: the same holder tries again at once.
    Again {
        /// Attempts that took from the schedule.
        charged: u16,
        /// The variant of the next attempt.
        variant: u8,
    },
    /// Given up.
    Failed {
        /// Why.
        reason: FailReason,
        /// Attempts that took from the schedule.
        charged: u16,
    },
    /// Called off.
    Cancelled {
        /// Why.
        reason: CancelReason,
        /// Attempts that took from the schedule.
        charged: u16,
    },
    /// It was delivered before; the extra attempt is over and it stays delivered.
    StaysDelivered,
}

/// What an endpoint becomes when an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointChange {
    /// It has failed since then; an earlier time that is already noted stays.
    Failing {
        /// Since when.
        since: Timestamp,
    },
    /// It succeeded; nothing but failure is over.
    Recovered,
    /// It is disabled, if it is enabled. The application has a new revision.
    Disabled {
        /// When.
        since: Timestamp,
        /// Why.
        reason: DisableReason,
    },
}
