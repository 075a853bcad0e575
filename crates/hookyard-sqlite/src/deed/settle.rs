//! Records finished attempts and moves their deliveries on.

use hookyard_model::{EndpointChange, EndpointStatus, Next};
use hookyard_ports::StoreError;
use hookyard_ports::store::{Settled, Settlement};
use hookyard_record::{cancel_code, fail_code};
use rusqlite::params;

use super::{accept, status};
use crate::books::{Books, EndpointMark, Lease};
use crate::column::int;
use crate::delivery::{CANCELLED, FAILED};
use crate::fault::{Attempted, Fault};
use crate::order;
use crate::writer::{Deed, Run};

/// A held delivery is given up or called off.
pub(crate) const END: &str = "UPDATE delivery SET state = ?4, reason = ?5, charged = ?6, due = NULL, holder = NULL, \
    waits = 0, manual = 0 WHERE message = ?1 AND endpoint = ?2 AND holder = ?3";

/// A held delivery is tried again at once. The schedule of a delivered one is over; only the variant matters to its extra
/// attempt.
pub(crate) const AGAIN: &str = "UPDATE delivery SET charged = iif(state = 0, ?4, charged), variant = ?5 \
    WHERE message = ?1 AND endpoint = ?2 AND holder = ?3";

/// Settles.
pub(crate) struct SettleAll(pub(crate) Vec<Settlement>);

impl Deed for SettleAll {
    type Answer = Vec<Settled>;

    fn run(&self, books: &mut Books<'_>) -> Run<Vec<Settled>> {
        self.0.iter().map(|settlement| settle(books, settlement)).collect::<Attempted<_>>().map(Ok)
    }
}

fn settle(books: &mut Books<'_>, settlement: &Settlement) -> Attempted<Settled> {
    let key = &settlement.key;
    let Some(endpoint) = books.endpoint(key.endpoint)? else {
        let error = format!("endpoint `{}` of a settlement does not exist", key.endpoint);
        return Err(Fault::Store(StoreError::Other(error)));
    };
    let lease = books.lease(key, &endpoint)?;
    let message = match lease {
        Some(lease) => Some(lease.message),
        None => books.seq_of(&endpoint, key.message)?,
    };
    if !books.log(message, endpoint.row, &settlement.attempt)? {
        let goes_on = matches!(settlement.next, Next::Again { .. });
        return Ok(if goes_on && lease.is_none() { Settled::LeaseLost } else { Settled::Moved });
    }
    let Some(lease) = lease else { return Ok(Settled::LeaseLost) };
    move_on(books, &endpoint, lease, settlement.next)?;
    if !matches!(settlement.next, Next::Again { .. }) {
        books.leases.remove(key);
    }
    for announced in &settlement.operational {
        if accept::stale(books, announced)?.is_none() {
            accept::write(books, announced)?;
        }
    }
    if let Some(change) = settlement.endpoint {
        change_endpoint(books, &endpoint, change)?;
    }
    Ok(Settled::Moved)
}

fn move_on(books: &mut Books<'_>, endpoint: &EndpointMark, lease: Lease, next: Next) -> Attempted<()> {
    let holder = int(books.shared.incarnation.0);
    let (message, row) = (lease.message, endpoint.row);
    let written = match next {
        Next::Again { charged, variant } => {
            let mut statement = books.connection.prepare_cached(AGAIN)?;
            statement.execute(params![message, row, holder, charged, variant])?
        }
        Next::Retry { due, charged, variant } if lease.is_open => {
            books.marks.pending += 1;
            books.hot.retry.execute(params![message, row, holder, due.as_micros(), charged, variant])?
        }
        Next::Failed { reason, charged } if lease.is_open => {
            end(books, lease, row, FAILED, fail_code(reason), charged)?
        }
        Next::Cancelled { reason, charged } if lease.is_open => {
            end(books, lease, row, CANCELLED, cancel_code(reason), charged)?
        }
        Next::Delivered | Next::StaysDelivered | Next::Retry { .. } | Next::Failed { .. } | Next::Cancelled { .. } => {
            books.hot.deliver.execute(params![message, row, holder])?
        }
    };
    if written != 1 {
        let error = format!("delivery of message {message} to endpoint `{}` was leased and is not", endpoint.id);
        return Err(Fault::Store(StoreError::Other(error)));
    }
    if lease.is_open && !matches!(next, Next::Again { .. }) {
        books.marks.leased = books.marks.leased.saturating_sub(1);
        if !matches!(next, Next::Retry { .. }) {
            order::close(books.connection, row, lease.order_key)?;
        }
    }
    Ok(())
}

fn end(books: &Books<'_>, lease: Lease, endpoint: i64, state: i16, reason: u8, charged: u16) -> Attempted<usize> {
    let mut statement = books.connection.prepare_cached(END)?;
    let holder = int(books.shared.incarnation.0);
    Ok(statement.execute(params![lease.message, endpoint, holder, state, reason, charged])?)
}

fn change_endpoint(books: &mut Books<'_>, endpoint: &EndpointMark, change: EndpointChange) -> Attempted<()> {
    // An earlier settlement of the same group may have changed it since.
    let Some(endpoint) = books.endpoint(endpoint.id)?.filter(|present| !present.is_archived()) else { return Ok(()) };
    let failing_since = match change {
        EndpointChange::Failing { since } => Some(endpoint.failing_since.map_or(since, |noted| noted.min(since))),
        EndpointChange::Recovered => None,
        EndpointChange::Disabled { since, reason } => {
            if endpoint.is_enabled() {
                let disabled = EndpointStatus::Disabled { since, reason };
                status::change(books, endpoint.id, &disabled, endpoint.failing_since, since)?;
            }
            return Ok(());
        }
    };
    if failing_since != endpoint.failing_since {
        let mut statement = books.connection.prepare_cached("UPDATE endpoint SET failing_since = ?2 WHERE row = ?1")?;
        statement.execute(params![endpoint.row, failing_since.map(hookyard_model::Timestamp::as_micros)])?;
        books.forget_endpoint(endpoint.id);
    }
    Ok(())
}
