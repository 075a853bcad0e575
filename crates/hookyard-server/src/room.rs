//! Room for answers that carry payloads.
//!
//! Asked by the operations that show content, before they read it. A list can hold megabytes, and whoever asks may read it
//! slowly or not at all, so what all callers together make this process hold is bounded here. An answer gives its room
//! back once its last bytes are on their way; that this comes to pass is left to [`crate::patience`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hookyard_model::limits;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::Content;
use crate::error::{ApiError, Code, Result};

/// Bytes that are handed to the connection at once: about as much as it buffers.
const SLICE: usize = 64 * 1024;

/// The room of all answers together.
pub(crate) struct Room(Arc<Semaphore>);

/// The room of one answer.
pub(crate) struct Taken(Option<OwnedSemaphorePermit>);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(limits::ANSWER_BYTES)))
    }

    /// Room for an answer with at most so many bytes of content; one without content needs none.
    pub(crate) async fn take(&self, content: Content, bytes: usize) -> Result<Taken> {
        if content == Content::Without {
            return Ok(Taken(None));
        }
        let bytes = u32::try_from(bytes.min(limits::ANSWER_BYTES)).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.0).acquire_many_owned(bytes);
        match tokio::time::timeout(limits::ANSWER_ROOM, taken).await {
            Ok(permit) => Ok(Taken(Some(permit.expect("the semaphore is never closed")))),
            Err(_) => Err(ApiError::new(Code::Unavailable, "too many answers with payloads are being sent at once")
                .hint("ask without payloads (`with_content=false`), or again later")),
        }
    }
}

impl Taken {
    /// The same answer, which holds the room that it needs until it is sent.
    pub(crate) fn hold(mut self, response: Response) -> Response {
        let Some(permit) = &mut self.0 else { return response };
        let bytes = response.body().size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
        let spare = permit.num_permits().saturating_sub(bytes.unwrap_or(usize::MAX));
        drop(permit.split(spare));
        response.map(|body| Body::new(Held { body, left: Bytes::new(), _room: self }))
    }
}

/// A body that is handed over slice by slice, because a connection takes a whole frame into its memory at once.
struct Held {
    body: Body,
    left: Bytes,
    _room: Taken,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        while self.left.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else { return Poll::Ready(None) };
            match frame.into_data() {
                Ok(data) => self.left = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let slice = self.left.len().min(SLICE);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(slice)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (left, rest) = (self.left.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(left));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, StatusCode};
    use http_body_util::BodyExt;

    use super::*;
    use crate::reply;

    fn answer(bytes: usize) -> Response {
        reply::bytes(StatusCode::OK, HeaderValue::from_static("text/plain"), Bytes::from(vec![b'x'; bytes]))
    }

    #[tokio::test]
    async fn an_answer_holds_what_it_needs_until_its_last_slice_is_taken() {
        let room = Room::new();
        let taken = room.take(Content::With, 10 * SLICE).await.expect("there is room");
        assert_eq!(room.0.available_permits(), limits::ANSWER_BYTES - 10 * SLICE);
        let needed = 2 * SLICE + 1;
        let mut body = taken.hold(answer(needed)).into_body();
        assert_eq!(room.0.available_permits(), limits::ANSWER_BYTES - needed);
        assert_eq!(body.size_hint().exact(), Some(needed as u64), "the length is announced");
        let mut sizes = Vec::new();
        while let Some(frame) = body.frame().await {
            sizes.push(frame.expect("it is all there").into_data().expect("data").len());
        }
        assert_eq!(sizes, [SLICE, SLICE, 1]);
        drop(body);
        assert_eq!(room.0.available_permits(), limits::ANSWER_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_content_is_refused_after_a_while_and_the_rest_is_not() {
        let room = Room::new();
        let all = room.take(Content::With, limits::ANSWER_BYTES).await.expect("nobody else has any");
        let refused = room.take(Content::With, 1).await.err().expect("there is none left");
        assert_eq!(refused.code(), Code::Unavailable);
        let none = room.take(Content::Without, usize::MAX).await.expect("no content takes no room");
        assert_eq!(none.hold(answer(3)).into_body().collect().await.expect("whole").to_bytes().len(), 3);
        drop(all.hold(answer(0)));
        assert!(room.take(Content::With, usize::MAX).await.is_ok(), "what was held is given back");
    }
}
