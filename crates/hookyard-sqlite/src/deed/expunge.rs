//! Removes a message's payload and keeps the rest.

use hookyard_model::{ApplicationId, MessageId};

use crate::books::Books;
use crate::writer::{Deed, Run};

/// Expunges.
pub(crate) struct Expunge {
    pub(crate) application: ApplicationId,
    pub(crate) message: MessageId,
}

impl Deed for Expunge {
    type Answer = bool;

    fn run(&self, books: &mut Books<'_>) -> Run<bool> {
        let Some(application) = books.application(self.application)? else { return Ok(Ok(false)) };
        let Some(message) = books.seq(application.row, self.message)? else { return Ok(Ok(false)) };
        // Free pages would keep the bytes until they are used again; here they are overwritten at once.
        books.connection.pragma_update(None, "secure_delete", true)?;
        let updated = books
            .connection
            .prepare_cached("UPDATE message SET payload = NULL WHERE seq = ?1")
            .and_then(|mut statement| statement.execute([message]));
        books.connection.pragma_update(None, "secure_delete", false)?;
        updated?;
        Ok(Ok(true))
    }
}
