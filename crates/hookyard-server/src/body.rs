//! Reads a request's body within its limits.
//!
//! Called by every operation that takes a body. A body that came in one piece, as almost all do, is not copied.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use hookyard_model::limits;
use http_body_util::BodyExt;
use hyper::body::Body as _;

use crate::error::{ApiError, Code, Result};

/// The whole body, at most [`limits::API_BODY_BYTES`], sent within [`limits::BODY_READ`].
pub(crate) async fn read(mut body: Body) -> Result<Bytes> {
    // A length that is announced is refused before anything is kept.
    if body.size_hint().lower() > limits::API_BODY_BYTES as u64 {
        drain(body).await;
        return Err(too_large());
    }
    match tokio::time::timeout(limits::BODY_READ, collect(&mut body)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            drain(body).await;
            Err(too_large())
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ApiError::new(
            Code::RequestTimeout,
            format!("the body did not arrive within {}", hookyard_model::format_duration(limits::BODY_READ)),
        )),
    }
}

/// The whole body; `None` when it goes beyond the limit.
async fn collect(body: &mut Body) -> Result<Option<Bytes>> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::new(Code::Generic, "the body broke off before its end"))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limits::API_BODY_BYTES {
            return Ok(None);
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(Some(if rest.is_empty() { first } else { rest.freeze() }))
}

/// Reads on for a while and keeps nothing, so that the client gets to read why its request is refused.
async fn drain(mut body: Body) {
    let discard = async {
        let mut left = limits::REFUSED_BODY_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(read) else { break };
            left = rest;
        }
    };
    // Whether it ended or time ran out, the answer is the same.
    drop(tokio::time::timeout(limits::REFUSED_BODY_READ, discard).await);
}

fn too_large() -> ApiError {
    let max = limits::API_BODY_BYTES;
    ApiError::new(Code::PayloadTooLarge, format!("the body has more than {max} bytes, the most that is allowed"))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn pieces(pieces: &[usize]) -> Body {
        let pieces: Vec<std::io::Result<Bytes>> = pieces.iter().map(|len| Ok(Bytes::from(vec![b'x'; *len]))).collect();
        Body::from_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_body_may_have_as_many_bytes_as_the_limit() {
        for body in
            [&[limits::API_BODY_BYTES][..], &[limits::API_BODY_BYTES - 1, 1], &[0, 5, limits::API_BODY_BYTES - 5]]
        {
            assert_eq!(read(pieces(body)).await.map(|bytes| bytes.len()).ok(), Some(limits::API_BODY_BYTES));
        }
        for body in [&[limits::API_BODY_BYTES + 1][..], &[limits::API_BODY_BYTES, 1]] {
            let error = read(pieces(body)).await.expect_err("one byte too many");
            assert_eq!(error.code(), Code::PayloadTooLarge);
        }
        let announced = Body::from(vec![b'x'; limits::API_BODY_BYTES + 1]);
        assert_eq!(read(announced).await.expect_err("too large").code(), Code::PayloadTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_end_is_refused_and_not_read_for_ever() {
        let frame = || Some((Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 64 * 1024])), ()));
        let endless = Body::from_stream(stream::unfold((), move |()| std::future::ready(frame())));
        assert_eq!(read(endless).await.expect_err("endless").code(), Code::PayloadTooLarge);
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; limits::API_BODY_BYTES + 1]))]);
        let stalled = Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()));
        assert_eq!(read(stalled).await.expect_err("too large").code(), Code::PayloadTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for_without_end() {
        let never = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
        assert_eq!(read(never).await.expect_err("nothing comes").code(), Code::RequestTimeout);
    }
}
