//! Frees what dead incarnations hold, and logs each as interrupted.

use hookyard_model::{ApplicationId, Attempt, AttemptId, DeliveryKey, Timestamp, Trigger};
use hookyard_ports::StoreError;
use hookyard_record::read_trigger;
use rusqlite::{Row, params};

use crate::books::Books;
use crate::column::{Columns, bound, int};
use crate::delivery::OPEN;
use crate::fault::{Attempted, Fault};
use crate::writer::{Deed, Run};

/// What incarnations before this one hold. There is one process, and it is this one: they are all dead.
pub(crate) const HELD_BY_OTHERS: &str = "SELECT d.message, d.endpoint, d.state, d.manual, m.id, e.id, a.id \
    FROM delivery d INDEXED BY delivery_holder CROSS JOIN message m ON m.seq = d.message \
    CROSS JOIN endpoint e ON e.row = d.endpoint CROSS JOIN application a ON a.row = e.application \
    WHERE d.holder IS NOT NULL AND d.holder < ?1 LIMIT ?2";
/// A delivery loses its dead holder.
pub(crate) const FREE: &str = "UPDATE delivery SET holder = NULL, due = ?3 WHERE message = ?1 AND endpoint = ?2";

/// Rescues, an id for each attempt to log.
pub(crate) struct Rescue {
    pub(crate) now: Timestamp,
    pub(crate) attempt_ids: Vec<AttemptId>,
}

impl Deed for Rescue {
    type Answer = usize;

    fn run(&self, books: &mut Books<'_>) -> Run<usize> {
        let held = held(books, self.attempt_ids.len())?;
        for (held, id) in held.iter().zip(&self.attempt_ids) {
            let attempt = Attempt::interrupted(*id, held.key, held.application, held.trigger, self.now);
            if !books.log(Some(held.message), held.endpoint, &attempt)? {
                return Err(Fault::Store(StoreError::Conflict { constraint: "attempt id" }));
            }
            let freed = params![held.message, held.endpoint, self.now.as_micros()];
            books.connection.prepare_cached(FREE)?.execute(freed)?;
            if held.state == OPEN {
                books.marks.leased = books.marks.leased.saturating_sub(1);
                books.marks.pending += 1;
            }
        }
        Ok(Ok(held.len()))
    }
}

struct Held {
    message: i64,
    endpoint: i64,
    state: i16,
    trigger: Trigger,
    key: DeliveryKey,
    application: ApplicationId,
}

impl Held {
    fn read(row: &Row<'_>) -> Attempted<Self> {
        let columns = Columns::new("delivery", row);
        Ok(Self {
            message: columns.get(0, "message")?,
            endpoint: columns.get(1, "endpoint")?,
            state: columns.get(2, "state")?,
            trigger: read_trigger(&columns, 3)?,
            key: DeliveryKey { message: columns.get(4, "message")?, endpoint: columns.get(5, "endpoint")? },
            application: columns.get(6, "endpoint")?,
        })
    }
}

fn held(books: &Books<'_>, limit: usize) -> Attempted<Vec<Held>> {
    let mut statement = books.connection.prepare_cached(HELD_BY_OTHERS)?;
    let mut rows = statement.query(params![int(books.shared.incarnation.0), bound(limit)])?;
    let mut held = Vec::new();
    while let Some(row) = rows.next()? {
        held.push(Held::read(row)?);
    }
    Ok(held)
}
