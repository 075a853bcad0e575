//! `POST /api/v1/app/{app}/msg/batch`: publishes several messages in one transaction.
//!
//! 202 with one answer per message, in order: `{status: 202, message}` or `{status, error}`. One that is refused keeps none
//! of the others back. Under the same `idempotency-key` a repeat of the whole batch gets the first answers again.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use hookyard_accept::Published;
use hookyard_model::limits;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::incoming::{kept_headers, object, publish};
use super::refuse::refuse;
use super::{Content, MessageOut};
use crate::api::{find, idempotency};
use crate::auth::Caller;
use crate::body;
use crate::doors::Doors;
use crate::error::{ApiError, Result, WireError};
use crate::query::Query;
use crate::reply;
use crate::segments::Segments;

#[derive(Debug, Deserialize)]
struct BatchIn<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(Debug, Serialize)]
struct BatchOut<'a> {
    data: Vec<Answer<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Accepted { status: u16, message: MessageOut<'a> },
    Refused { status: u16, error: WireError<'a> },
}

pub(crate) async fn batch(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments(application): Segments<String>,
    request: Request,
) -> Result<Response> {
    let caller = caller.organisation_only()?;
    let reference = find::application_ref(&application)?;
    let (head, body) = request.into_parts();
    let content = Content::from(Query::of(&head.uri).flag("with_content", true)?);
    let key = idempotency::key(&head.headers)?;
    let body = body::read(body).await?;
    let BatchIn { messages } = object(&body)?;
    if messages.len() > limits::BATCH_MESSAGES {
        let problem =
            format!("{} messages in one batch, at most {} are allowed", messages.len(), limits::BATCH_MESSAGES);
        return Err(ApiError::value(["body", "messages"], problem));
    }
    let fingerprint = key.map(|_| idempotency::fingerprint(&body));
    let mut wanted = Vec::with_capacity(messages.len());
    // Where each message's answer is: among those that were published, or an error of its own.
    let mut answers = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        match publish(message.get().as_bytes(), &body) {
            Ok(mut one) => {
                one.kept_headers = kept_headers(&head.headers);
                let scope = || format!("POST msg/batch {index}");
                one.repeat = key.zip(fingerprint).map(|(key, body)| idempotency::repeat(&scope(), key, body));
                wanted.push(one);
                answers.push(None);
            }
            Err(error) => answers.push(Some(at(index, error))),
        }
    }
    let published = doors.publisher.publish_batch(caller.organisation, &reference, wanted).await;
    let published = match published {
        Ok(published) => published,
        Err(error) => return Err(refuse(error, &doors, caller, &application).await),
    };
    let mut told = Vec::with_capacity(published.len());
    for one in published {
        told.push(match one {
            Ok(published) => Ok(published),
            Err(error) => Err(refuse(error, &doors, caller, &application).await),
        });
    }
    let mut published = told.into_iter();
    let answers: Vec<Result<Published>> = answers
        .into_iter()
        .enumerate()
        .map(|(index, refused)| match refused {
            Some(error) => Err(error),
            None => {
                published.next().expect("each message that was read has an answer").map_err(|error| at(index, error))
            }
        })
        .collect();
    let data = answers.iter().map(|answer| answer_out(answer, content)).collect();
    Ok(reply::json(StatusCode::ACCEPTED, &BatchOut { data }))
}

fn at(index: usize, error: ApiError) -> ApiError {
    error.inside([Cow::Borrowed("messages"), index.to_string().into()])
}

fn answer_out(answer: &Result<Published>, content: Content) -> Answer<'_> {
    match answer {
        Ok(published) => Answer::Accepted {
            status: StatusCode::ACCEPTED.as_u16(),
            message: MessageOut::new(published.message(), content),
        },
        Err(error) => Answer::Refused { status: error.code().status().as_u16(), error: error.wire() },
    }
}
