//! What a caller is told when nothing was published.

use hookyard_accept::PublishError;

use crate::api::find;
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::{ApiError, Code};

/// The wire's form of a refusal; `application` is how the path named it.
pub(super) async fn refuse(error: PublishError, doors: &Doors, caller: Caller, application: &str) -> ApiError {
    let said = error.to_string();
    match error {
        PublishError::UnknownApplication => find::no_application(doors, caller, application).await,
        PublishError::NotJson(_) => ApiError::value(["body", "payload"], said),
        PublishError::ContentType => ApiError::value(["body", "transformationsParams"], said),
        PublishError::TooLarge(_) => ApiError::new(Code::PayloadTooLarge, said),
        PublishError::TooManyChannels(_) => ApiError::value(["body", "channels"], said),
        PublishError::TooManyTags(_) => ApiError::value(["body", "tags"], said),
        PublishError::DeliverAtTooFar(_) => ApiError::value(["body", "deliverAt"], said),
        PublishError::EventIdTaken { .. } => ApiError::new(Code::Conflict, said)
            .hint("an event id is unique in its application for as long as its message is kept"),
        PublishError::KeyReused { .. } => ApiError::new(Code::IdempotencyConflict, said)
            .hint("use a fresh `idempotency-key` for every request that is not a repeat"),
        PublishError::TooManyDeliveries => ApiError::value(["body", "messages"], said),
        PublishError::Contended => ApiError::new(Code::Unavailable, said),
        PublishError::Store(error) => error.into(),
    }
}
