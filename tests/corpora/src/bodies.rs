//! Bodies of the management API: any bytes and headers, sent to the doors of a node.

use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::node::Node;
use crate::request;

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    data: Vec<Answer<'a>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: u16,
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    id: &'a str,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Requests to publish, given as header lines, an empty line and the body: refused as the caller's fault or kept as they
/// came, and the same alone as in a batch.
pub fn bodies(data: &[u8]) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime needs no thread");
    runtime.block_on(send(data));
}

async fn send(data: &[u8]) {
    let (headers, body) = request(data);
    let node = Node::new().await;

    let (status, answer) = post(&node, "/api/v1/app/tenant-1/msg/batch", &headers, body).await;
    if status == StatusCode::ACCEPTED {
        let batch: Batch<'_> = serde_json::from_slice(&answer).expect("the answer to a batch");
        for one in batch.data {
            assert!(matches!(one.status, 202 | 409 | 400..=422), "{}", text(&answer));
            assert_eq!(one.message.is_some(), one.status == 202, "{}", text(&answer));
        }
    }

    let (status, answer) = post(&node, "/api/v1/app/tenant-2/msg", &headers, body).await;
    if status != StatusCode::ACCEPTED {
        return;
    }
    let alone: Message<'_> = serde_json::from_slice(&answer).expect("a message");
    // A repeat is the same message under a key, and another one or a conflict without.
    let (status, again) = post(&node, "/api/v1/app/tenant-2/msg", &headers, body).await;
    if headers.contains_key("idempotency-key") {
        assert_eq!((status, &again), (StatusCode::ACCEPTED, &answer));
    } else {
        assert!(matches!(status, StatusCode::ACCEPTED | StatusCode::CONFLICT) && again != answer, "{}", text(&again));
    }

    let path = format!("/api/v1/app/tenant-2/msg/{}/raw", alone.id);
    let (status, kept) = node.ask(Method::GET, &path, &headers, b"").await;
    assert_eq!(status, StatusCode::OK);
    // What is no JSON is shown in base64, under two names.
    let is_json = alone.payload.get().as_bytes() == &*kept;
    assert!(
        is_json || alone.payload.get().starts_with("{\"contentType\":"),
        "{} is not {}",
        text(&kept),
        text(&answer)
    );

    let batch = [b"{\"messages\":[", body, b"]}"].concat();
    let (status, answer) = post(&node, "/api/v1/app/tenant-3/msg/batch", &headers, &batch).await;
    assert_eq!(status, StatusCode::ACCEPTED, "alone it is a message: {}", text(&answer));
    let batch: Batch<'_> = serde_json::from_slice(&answer).expect("the answer to a batch");
    let first = batch.data.first().and_then(|one| one.message.as_ref()).expect("alone it is a message");
    assert_eq!(first.payload.get(), alone.payload.get());
}

/// Sends it and checks what holds for every answer.
async fn post(node: &Node, path: &str, headers: &HeaderMap, body: &[u8]) -> (StatusCode, Bytes) {
    let (status, answer) = node.ask(Method::POST, path, headers, body).await;
    assert!(status == StatusCode::ACCEPTED || status.is_client_error(), "{status} {}", text(&answer));
    assert!(serde_json::from_slice::<&RawValue>(&answer).is_ok(), "the answer is not JSON: {}", text(&answer));
    (status, answer)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
