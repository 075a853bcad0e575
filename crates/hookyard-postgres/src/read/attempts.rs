//! Attempts, one or a page.

use hookyard_model::{ApplicationId, Attempt, AttemptId, Timestamp};
use hookyard_ports::store::{AttemptQuery, Page};
use hookyard_record::{Pages, Step, Walk};
use tokio_postgres::types::Type;

use super::page::{examined, given};
use crate::attempt;
use crate::column::{Columns, Id};
use crate::fault::Attempted;
use crate::node::Deed;
use crate::transaction::{Mode, Tx};

/// One attempt.
pub(crate) struct One {
    pub(crate) application: ApplicationId,
    pub(crate) id: AttemptId,
}

impl Deed for One {
    type Answer = Option<Attempt>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Option<Attempt>> {
        let (application, id) = (Id(self.application.raw()), Id(self.id.raw()));
        let found = tx.find(attempt::BY_ID, &[(&application, Type::BYTEA), (&id, Type::BYTEA)]).await?;
        found.as_ref().map(attempt::read).transpose()
    }
}

/// A page of the attempts of a message, of an endpoint, of both, or of a whole application.
pub(crate) struct List(pub(crate) AttemptQuery);

impl Deed for List {
    type Answer = Page<Attempt>;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Page<Attempt>> {
        let query = &self.0;
        let mut pages = Pages::new(query.page.limit);
        let walk = Walk::new(&query.page, |id: AttemptId| id.raw(), query.after, query.before);
        let (of, upwards, downwards) = match (query.message, query.endpoint) {
            (Some(message), _) => (message.raw(), attempt::OF_MESSAGE_UPWARDS, attempt::OF_MESSAGE_DOWNWARDS),
            (None, Some(endpoint)) => (endpoint.raw(), attempt::OF_ENDPOINT_UPWARDS, attempt::OF_ENDPOINT_DOWNWARDS),
            (None, None) => {
                (query.application.raw(), attempt::OF_APPLICATION_UPWARDS, attempt::OF_APPLICATION_DOWNWARDS)
            }
        };
        let endpoint = query.endpoint.map(|endpoint| Id(endpoint.raw()));
        let class = query.status_class.map(i32::from);
        let parameters: [crate::column::Parameter<'_>; 11] = [
            (&Id(of), Type::BYTEA),
            (&walk.above, Type::BYTEA),
            (&walk.below, Type::BYTEA),
            (&examined(), Type::INT8),
            (&endpoint, Type::BYTEA),
            (&query.succeeded, Type::BOOL),
            (&class, Type::INT4),
            (&query.before.map(Timestamp::as_micros), Type::INT8),
            (&query.after.map(Timestamp::as_micros), Type::INT8),
            (&Id(query.application.raw()), Type::BYTEA),
            (&given(query.page.limit), Type::INT8),
        ];
        for row in &tx.query(walk.of(upwards, downwards), &parameters).await? {
            let columns = Columns::new("attempt", row);
            match pages.step_to(columns.get(22, "n")?, columns.id(0, "id")?, columns.get(23, "wanted")?) {
                Step::Take => pages.take(attempt::read(row)?, 0),
                Step::Skip => {}
                Step::Stop => break,
            }
        }
        Ok(pages.finish(&query.page.start))
    }
}
