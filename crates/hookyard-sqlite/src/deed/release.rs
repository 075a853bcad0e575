//! Gives leases back without a trace.

use hookyard_model::DeliveryKey;
use rusqlite::params;

use crate::books::Books;
use crate::column::int;
use crate::fault::Attempted;
use crate::writer::{Deed, Run};

/// A delivery loses its holder.
pub(crate) const RELEASE: &str =
    "UPDATE delivery SET holder = NULL WHERE message = ?1 AND endpoint = ?2 AND holder = ?3";

/// Releases what this incarnation holds of these.
pub(crate) struct Release(pub(crate) Vec<DeliveryKey>);

impl Deed for Release {
    type Answer = ();

    fn run(&self, books: &mut Books<'_>) -> Run<()> {
        self.0.iter().try_for_each(|key| release(books, key)).map(Ok)
    }
}

fn release(books: &mut Books<'_>, key: &DeliveryKey) -> Attempted<()> {
    let Some(endpoint) = books.endpoint(key.endpoint)? else { return Ok(()) };
    let Some(lease) = books.lease(key, &endpoint)? else { return Ok(()) };
    let holder = int(books.shared.incarnation.0);
    books.connection.prepare_cached(RELEASE)?.execute(params![lease.message, endpoint.row, holder])?;
    books.leases.remove(key);
    if lease.is_open {
        books.marks.leased = books.marks.leased.saturating_sub(1);
        books.marks.pending += 1;
    }
    Ok(())
}
