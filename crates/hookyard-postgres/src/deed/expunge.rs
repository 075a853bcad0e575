//! Removes a message's payload and keeps the rest.
//!
//! Nobody reads it from then on. Its bytes leave the database's files when the old row is vacuumed, and its log and backups
//! when they do.

use hookyard_model::{ApplicationId, MessageId};
use tokio_postgres::types::Type;

use crate::column::Id;
use crate::fault::Attempted;
use crate::node::Deed;
use crate::transaction::Tx;

/// A message loses its payload.
pub(crate) const EXPUNGE: &str = "UPDATE @message SET payload = NULL WHERE id = $1 AND application = $2";

/// What is owed of it takes no room any more; the claim that comes to it calls it off.
pub(crate) const EMPTY: &str = "UPDATE @owed SET bytes = -1 WHERE message = $1";

/// Expunges.
pub(crate) struct Expunge {
    pub(crate) application: ApplicationId,
    pub(crate) message: MessageId,
}

impl Deed for Expunge {
    type Answer = bool;

    async fn run(&self, tx: &Tx) -> Attempted<bool> {
        let (message, application) = (Id(self.message.raw()), Id(self.application.raw()));
        let is_stored = tx.execute(EXPUNGE, &[(&message, Type::BYTEA), (&application, Type::BYTEA)]).await? == 1;
        if is_stored {
            tx.execute(EMPTY, &[(&message, Type::BYTEA)]).await?;
        }
        Ok(is_stored)
    }
}
