//! The last deed of a clean stop: keeps the marks, so that the next start counts nothing.

use hookyard_model::Timestamp;
use rusqlite::params;

use crate::books::Books;
use crate::column::int;
use crate::writer::{Deed, Run};

/// Stops.
pub(crate) struct Stop {
    pub(crate) now: Timestamp,
}

impl Deed for Stop {
    type Answer = ();

    fn run(&self, books: &mut Books<'_>) -> Run<()> {
        books.marks.keep_all(books.connection)?;
        books.connection.execute(
            "UPDATE node SET stopped = ?2 WHERE incarnation = ?1",
            params![int(books.shared.incarnation.0), self.now.as_micros()],
        )?;
        books.is_closing = true;
        Ok(Ok(()))
    }
}
