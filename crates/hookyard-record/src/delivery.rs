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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Cell;
    use crate::column::tests::{assert_corrupt, columns};

    fn state(state: i16, reason: Option<i64>, due: Option<i64>, holder: Option<i64>) -> Vec<Cell<'static>> {
        let cell = |number: Option<i64>| number.map_or(Cell::Null, Cell::Int);
        vec![Cell::Null, Cell::Int(state.into()), cell(reason), cell(due), cell(holder)]
    }

    #[test]
    fn columns_that_no_state_has_are_corrupt() {
        for (row, column) in [
            (state(OPEN, None, None, None), "state"),
            (state(OPEN, None, None, Some(1)), "state"),
            (state(DELIVERED, None, None, Some(1)), "state"),
            (state(FAILED, Some(0), Some(0), None), "state"),
            (state(CANCELLED, Some(0), None, Some(1)), "state"),
            (state(4, None, None, None), "state"),
            (state(FAILED, None, None, None), "reason"),
            (state(CANCELLED, Some(99), None, None), "reason"),
            (state(OPEN, None, Some(0), Some(-1)), "holder"),
        ] {
            assert_corrupt(read_state(&columns(&row), 1), column);
        }
    }

    #[test]
    fn a_holder_is_what_tells_leased_from_waiting() {
        let (due, holder) = (Timestamp::from_micros(5), Incarnation(3));
        for (row, expected) in [
            (state(OPEN, None, Some(5), None), DeliveryState::Pending { due }),
            (state(OPEN, None, Some(5), Some(3)), DeliveryState::Leased { holder, due }),
            (state(DELIVERED, None, None, None), DeliveryState::Delivered { extra: None }),
            (
                state(DELIVERED, None, Some(5), Some(3)),
                DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { holder, due }) },
            ),
        ] {
            assert_eq!(read_state(&columns(&row), 1).expect("a state"), expected);
        }
    }

    #[test]
    fn the_earlier_due_time_is_the_one_that_is_there() {
        assert_eq!(earlier(None, None), None);
        assert_eq!(earlier(Some(2), None), earlier(Some(9), Some(2)));
        assert_eq!(earlier(None, Some(2)), Some(Timestamp::from_micros(2)));
    }
}
