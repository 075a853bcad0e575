//! The states of deliveries as columns.

use hookyard_model::{DeliveryState, ExtraAttempt, Incarnation, Timestamp, Trigger};

use crate::column::{Cells, Columns};
use crate::{decode_cancel, decode_fail};

/// Pending, or leased where there is a holder.
pub const OPEN: i16 = 0;
/// Delivered, perhaps with an extra attempt.
pub const DELIVERED: i16 = 1;
/// Failed.
pub const FAILED: i16 = 2;
/// Cancelled.
pub const CANCELLED: i16 = 3;

/// Reads a state from the four columns from `first` on: state, reason, due, holder.
pub fn read_state<'r, R: Cells<'r>>(columns: &Columns<R>, first: usize) -> Result<DeliveryState, R::Fault> {
    let reason: Option<i64> = columns.get(first + 1, "reason")?;
    let due = columns.get(first + 2, "due")?;
    let holder = columns.get::<Option<u64>>(first + 3, "holder")?.map(Incarnation);
    Ok(match (columns.get(first, "state")?, due, holder) {
        (OPEN, Some(due), None) => DeliveryState::Pending { due },
        (OPEN, Some(due), Some(holder)) => DeliveryState::Leased { holder, due },
        (DELIVERED, None, None) => DeliveryState::Delivered { extra: None },
        (DELIVERED, Some(due), None) => DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { due }) },
        (DELIVERED, Some(due), Some(holder)) => {
            DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { holder, due }) }
        }
        (FAILED, None, None) => {
            DeliveryState::Failed(reason.and_then(decode_fail).ok_or_else(|| columns.corrupt("reason"))?)
        }
        (CANCELLED, None, None) => {
            DeliveryState::Cancelled(reason.and_then(decode_cancel).ok_or_else(|| columns.corrupt("reason"))?)
        }
        _ => return Err(columns.corrupt("state")),
    })
}

/// Reads why the next attempt is made.
pub fn read_trigger<'r, R: Cells<'r>>(columns: &Columns<R>, manual: usize) -> Result<Trigger, R::Fault> {
    Ok(if columns.get(manual, "manual")? { Trigger::Manual } else { Trigger::Scheduled })
}

/// The earlier of two due times, either of which may be missing.
pub fn earlier(a: Option<i64>, b: Option<i64>) -> Option<Timestamp> {
    a.into_iter().chain(b).min().map(Timestamp::from_micros)
}
