//! Publishing: what is answered, what is kept, what counts as a repeat.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use hookyard_model::{Origin, limits};
use hookyard_ports::Store;
use hookyard_ports::testkit::{Deed, Fault, build};
use serde_json::json;

use crate::world::{APP, Answer, World, ask};

async fn keyed(world: &World, path: &str, key: &str, body: &str) -> Answer {
    let request = ask(Method::POST, path).header("idempotency-key", key).body(Body::from(body.to_owned()));
    world.send(request.expect("a request")).await
}

#[tokio::test]
async fn the_payload_comes_back_byte_for_byte() {
    let world = World::new().await;
    let payload = "{ \"b\":1.50,\n  \"a\" : 12345678901234567890123, \"a\":\"\\u00e9\" }";
    let body =
        format!(r#"{{"payload":{payload},"eventType":"task.created","channels":["x"],"tags":["t"],"eventId":"e-1"}}"#);
    let created = world.post(&format!("{APP}/msg"), body).await;
    assert_eq!(created.status, StatusCode::ACCEPTED);
    assert_eq!(created.headers["content-type"], "application/json");
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    let expected = format!(
        r#"{{"id":"{id}","eventType":"task.created","eventId":"e-1","payload":{payload},"channels":["x"],"tags":["t"],"timestamp":"2026-01-01T00:00:02.000000Z","origin":"api"}}"#
    );
    assert_eq!(created.text(), expected);
    for path in [format!("{APP}/msg/{id}"), format!("{APP}/msg/e-1"), format!("{APP}/msg/{id}/")] {
        let got = world.get(&path).await;
        assert_eq!((got.status, got.text()), (StatusCode::OK, &*expected), "{path}");
    }
    let raw = world.get(&format!("{APP}/msg/{id}/raw")).await;
    assert_eq!((raw.status, raw.text()), (StatusCode::OK, payload));
    assert_eq!(raw.headers["content-type"], "application/json");
    assert_eq!(raw.headers["x-content-type-options"], "nosniff");
    assert_eq!(raw.headers["content-disposition"], format!("attachment; filename=\"{id}\""));
}

#[tokio::test]
async fn without_content_the_payload_is_an_empty_object() {
    let world = World::new().await;
    let body = r#"{"eventType":"a","payload":[1]}"#;
    let created = world.post(&format!("{APP}/msg?with_content=false"), body).await;
    assert_eq!(created.json()["payload"], json!({}));
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.get(&format!("{APP}/msg/{id}")).await.json()["payload"], json!([1]));
    assert_eq!(world.get(&format!("{APP}/msg/{id}?with_content=false")).await.json()["payload"], json!({}));
    assert_eq!(world.get(&format!("{APP}/msg?with_content=false")).await.json()["data"][0]["payload"], json!({}));
}

#[tokio::test]
async fn everything_a_publisher_says_is_kept() {
    let world = World::new().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = r#"{"eventType":"a","data":1,"origin":"server","eventTime":"2026-01-31T09:30:00.250+01:00",
        "deliverAt":"2026-01-01T06:00:00Z","payloadRetentionPeriod":7}"#;
    let request = ask(Method::POST, &format!("{APP}/msg")).header("traceparent", trace).body(Body::from(body));
    let created = world.send(request.expect("a request")).await;
    let json = created.json();
    assert_eq!(json["origin"], "server");
    assert_eq!(json["eventTime"], "2026-01-31T09:30:00.250+01:00");
    assert_eq!(json["deliverAt"], "2026-01-01T06:00:00.000000Z");
    let stored = world.stored(json["id"].as_str().expect("an id")).await.message;
    assert_eq!(stored.origin, Origin::Server);
    assert_eq!(stored.kept_headers, [("traceparent".to_owned(), trace.to_owned())]);
    assert_eq!(stored.expires, build::at(6 * 3_600).plus(std::time::Duration::from_hours(7 * 24)));
}

#[tokio::test]
async fn a_repeat_under_its_key_gets_the_first_answer_and_makes_no_message() {
    let world = World::new().await;
    let path = format!("{APP}/msg");
    let body = r#"{"eventType":"a","payload":{"x":1},"eventId":"e-1"}"#;
    let first = keyed(&world, &path, "k", body).await;
    let second = keyed(&world, &path, "k", body).await;
    assert_eq!((second.status, second.text()), (StatusCode::ACCEPTED, first.text()));
    let by_id = format!("/api/v1/app/{}/msg", build::application_id(1));
    assert_eq!(keyed(&world, &by_id, "k", body).await.text(), first.text(), "however the path names the application");
    let other = keyed(&world, &path, "k", r#"{"eventType":"a","payload":{"x":2}}"#).await;
    assert_eq!((other.status, &other.json()["code"]), (StatusCode::CONFLICT, &json!("idempotency_conflict")));
    assert_eq!(world.get(&path).await.ids().len(), 1);
    let elsewhere = keyed(&world, "/api/v1/app/tenant-2/msg", "k", body).await;
    assert_eq!(elsewhere.status, StatusCode::ACCEPTED, "a key counts in its application");
}

#[tokio::test]
async fn an_event_id_is_taken_and_the_answer_says_by_which_message() {
    let world = World::new().await;
    let body = r#"{"eventType":"a","payload":{},"eventId":"e-1"}"#;
    let first = world.post(&format!("{APP}/msg"), body).await.json();
    let second = world.post(&format!("{APP}/msg"), body).await;
    assert_eq!((second.status, &second.json()["code"]), (StatusCode::CONFLICT, &json!("conflict")));
    let id = first["id"].as_str().expect("an id");
    assert!(second.text().contains(id), "{}", second.text());
}

#[tokio::test]
async fn a_payload_that_is_not_json_is_shown_in_base64() {
    let world = World::new().await;
    let body = r#"{"eventType":"a","payload":{},"transformationsParams":{"rawPayload":"hi","headers":{"content-type":"text/x"}}}"#;
    let created = world.post(&format!("{APP}/msg"), body).await.json();
    assert_eq!(created["payload"], json!({ "contentType": "text/x", "base64": "aGk=" }));
    let raw = world.get(&format!("{APP}/msg/{}/raw", created["id"].as_str().expect("an id"))).await;
    assert_eq!((raw.text(), raw.headers["content-type"].to_str().expect("text")), ("hi", "text/x"));
}

#[tokio::test]
async fn an_expunged_payload_is_shown_as_expired() {
    let world = World::new().await;
    let id = world.publish("a").await;
    assert!(world.node.expunge(build::application_id(1), id.parse().expect("an id")).await.expect("answers"));
    assert_eq!(world.get(&format!("{APP}/msg/{id}")).await.json()["payload"], json!({ "expired": true }));
    assert_eq!(world.get(&format!("{APP}/msg/{id}/raw")).await.status, StatusCode::NOT_FOUND);
    let resent = world.post(&format!("{APP}/msg/{id}/endpoint/receiver-1/resend"), "").await;
    assert_eq!((resent.status, &resent.json()["code"]), (StatusCode::BAD_REQUEST, &json!("missing_payload")));
}

#[tokio::test]
async fn a_batch_is_one_request_and_its_repeat_gets_the_same_answers() {
    let world = World::new().await;
    let path = format!("{APP}/msg/batch");
    let body = r#"{"messages":[{"eventType":"a","payload":{ "n": 1 }},{"eventType":"a b","payload":2},
        {"eventType":"c","payload":3,"eventId":"e"},{"eventType":"c","payload":4,"eventId":"e"}]}"#;
    let first = keyed(&world, &path, "k", body).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let data = first.json()["data"].clone();
    let statuses: Vec<_> = data.as_array().expect("a list").iter().map(|answer| answer["status"].clone()).collect();
    assert_eq!(statuses, [202, 422, 202, 409]);
    assert!(first.text().contains(r#""payload":{ "n": 1 }"#), "{}", first.text());
    assert_eq!(data[1]["error"]["detail"][0]["loc"], json!(["body", "messages", "1", "eventType"]));
    assert_eq!(data[3]["error"]["code"], "conflict");
    assert_eq!(keyed(&world, &path, "k", body).await.text(), first.text());
    assert_eq!(world.get(&format!("{APP}/msg")).await.ids().len(), 2);
}

#[tokio::test]
async fn a_batch_has_a_limit_at_its_edge() {
    let world = World::new().await;
    let batch = |count: usize| {
        let messages = vec![r#"{"eventType":"a","payload":1}"#; count].join(",");
        format!(r#"{{"messages":[{messages}]}}"#)
    };
    let path = format!("{APP}/msg/batch?with_content=false");
    let most = world.post(&path, batch(limits::BATCH_MESSAGES)).await;
    assert_eq!(most.status, StatusCode::ACCEPTED);
    assert_eq!(most.json()["data"].as_array().map(Vec::len), Some(limits::BATCH_MESSAGES));
    assert_eq!(world.post(&path, batch(limits::BATCH_MESSAGES + 1)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(world.post(&path, batch(0)).await.json(), json!({ "data": [] }));
    assert_eq!(world.metrics.accepted.get(), limits::BATCH_MESSAGES as u64);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let world = World::new().await;
    let head = r#"{"eventType":"a","payload":""#;
    let body = |len: usize| format!("{head}{}\"}}", "x".repeat(len - head.len() - 2));
    let path = format!("{APP}/msg?with_content=false");
    assert_eq!(world.post(&path, body(limits::API_BODY_BYTES)).await.status, StatusCode::ACCEPTED);
    let over = world.post(&path, body(limits::API_BODY_BYTES + 1)).await;
    assert_eq!((over.status, &over.json()["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("payload_too_large")));
}

#[tokio::test]
async fn a_store_that_cannot_take_it_is_503_with_a_time_to_wait() {
    let world = World::failing(|deed| if deed == Deed::Accept { Fault::Before } else { Fault::Pass }).await;
    let answer = world.post(&format!("{APP}/msg"), r#"{"eventType":"a","payload":1}"#).await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert_eq!(answer.headers["retry-after"], "5");
}
