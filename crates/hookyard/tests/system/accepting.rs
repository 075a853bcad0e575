//! What the doors take and what they turn away, byte for byte.

use http::Method;
use serde_json::Value;

use crate::deployment::{APP, Deployment, endpoint, id, party};
use crate::receiver::Receiver;

/// Svix's limit, and ours.
const BODY: usize = 2 * 1024 * 1024;

/// A publish request of exactly this many bytes.
fn body_of(bytes: usize) -> String {
    let (open, close) = (r#"{"eventType":"a","payload":""#, r#""}"#);
    format!("{open}{}{close}", "x".repeat(bytes - open.len() - close.len()))
}

fn nested(depth: usize) -> String {
    format!(r#"{{"eventType":"a","payload":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test]
async fn a_body_of_two_mebibytes_is_the_largest_there_may_be() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let refused = node.publish_body(body_of(BODY + 1)).await.expect(413);
    assert_eq!(refused.headers["content-type"], "application/json");
    assert_eq!(refused.json()["code"], "payload_too_large");
    node.publish_body(body_of(BODY)).await.expect(202);
    let arrived = receiver.first().await;
    assert_eq!(arrived.body.len(), BODY - r#"{"eventType":"a","payload":}"#.len());
    node.stop().await;
}

#[tokio::test]
async fn what_is_not_one_sound_json_value_is_refused_with_the_reason() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let deep = nested(10_000);
    let too_deep = nested(129);
    let cases: [(&[u8], &str); 10] = [
        (b"{\"eventType\":\"\xff\",\"payload\":{}}", "jsondecode"),
        (b"{\"eventType\":\"a\",\"payload\":\"\xff\"}", "jsondecode"),
        (b"{\"eventType\":\"a\",\"payload\":\"\xed\xa0\x80\"}", "jsondecode"),
        (b"{\"eventType\":\"a\",\"payload\":{}", "jsondecode"),
        (b"{\"eventType\":\"a\",\"payload\":{}} x", "jsondecode"),
        (b"", "jsondecode"),
        (b"{\"eventType\":\"a\",\"eventType\":\"b\",\"payload\":{}}", "duplicate"),
        (b"{\"eventType\":\"a\",\"payload\":1,\"payload\":2}", "duplicate"),
        (deep.as_bytes(), "128"),
        (too_deep.as_bytes(), "128"),
    ];
    for (body, why) in cases {
        let shown = body.escape_ascii().to_string();
        let shown = &shown[..shown.len().min(80)];
        let answer = node.publish_body(body).await;
        assert_eq!(answer.status.as_u16(), 422, "{shown}: {answer:?}");
        assert!(answer.text().contains(why), "{why} in {}, for {shown}", answer.text());
        assert!(answer.json()["detail"][0]["msg"].is_string(), "{shown}: {}", answer.text());
    }
    node.publish_body(nested(128)).await.expect(202);
    node.stop().await;
}

#[tokio::test]
async fn a_payload_keeps_its_bytes_to_the_receiver_and_back() {
    let receiver = Receiver::start().await;
    let standard =
        format!("uid = \"crm\"\nurl = \"{}\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"", receiver.url());
    let deployment = Deployment::new(&party(&[&standard]));
    let node = deployment.start().await;
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let payloads = [
        deep.as_str(),
        "{\"a\":1,\"a\":2}",
        "{\"n\":9007199254740993,\"f\":1.0000000000000000000001e400,\"z\":-0,\"e\":1E+2}",
        "{ \"spaces\" :\t[ ] ,\n\"\\u00e9\":\"\\ud83d\\ude00 é\" }",
        "123456789012345678901234567890",
        "null",
        "\"\\ud800 alone\"",
    ];
    for payload in payloads {
        let message = node.publish(payload).await;
        node.until_all(&message, "delivered").await;
        let arrived = receiver.so_far();
        assert_eq!(arrived.last().expect("it arrived").body, payload);
        assert_eq!(node.output(&["messages", "raw", APP, &message]).await, payload);
        let shown = node.get(&format!("/api/v1/app/{APP}/msg/{message}")).await.expect(200).text();
        assert!(shown.contains(&format!("\"payload\":{payload}")), "{payload} in {shown}");
        for form in [&["messages", "show", APP, &message][..], &["messages", "list", APP]] {
            node.output(form).await;
            let shown = node.output(&[form, &["--json"]].concat()).await;
            assert!(shown.contains(&format!("\"payload\":{payload}")), "{form:?}: {payload} in {shown}");
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn a_repeat_under_its_key_is_the_same_message_even_after_a_restart() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "")]));
    let path = format!("/api/v1/app/{APP}/msg");
    let (key, body) = ([("idempotency-key", "order-7")], br#"{"eventType":"a","payload":{"n":1}}"#);
    let node = deployment.start().await;
    let first = node.ask(Method::POST, &path, &key, body).await.expect(202).json();
    let message = id(&first);
    node.until_all(&message, "delivered").await;
    node.stop().await;

    let node = deployment.start().await;
    let again = node.ask(Method::POST, &path, &key, body).await.expect(202).json();
    assert_eq!(again, first);
    let other = node.ask(Method::POST, &path, &key, br#"{"eventType":"a","payload":{"n":2}}"#).await.expect(409);
    assert_eq!(other.json()["code"], "idempotency_conflict");
    let listed = node.of_app("/msg").await;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(receiver.so_far().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn an_event_id_is_taken_once() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let body = r#"{"eventType":"a","payload":{},"eventId":"e-1"}"#;
    let message = id(&node.publish_body(body).await.expect(202).json());
    let taken = node.publish_body(body).await.expect(409);
    assert_eq!(taken.json()["code"], "conflict");
    assert_eq!(id(&node.of_app("/msg/e-1").await), message);
    node.stop().await;
}

#[tokio::test]
async fn strangers_get_nothing_and_are_told_so_in_json() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let path = format!("/api/v1/app/{APP}/msg");
    for headers in [&[][..], &[("authorization", "Bearer x.y.z")], &[("authorization", "Basic dTpw")]] {
        let answer = crate::wire::ask(node.address(), Method::GET, &path, headers, "").await.expect("an answer");
        assert_eq!(answer.status.as_u16(), 401, "{answer:?}");
        assert_eq!(answer.json()["code"], "authentication_failed");
    }
    // A token of one application sees that application and no other.
    let application = node.of_app("").await;
    let token = node.output(&["token", "--app", &id(&application)]).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let own = crate::wire::ask(node.address(), Method::GET, &path, &headers, "").await.expect("an answer");
    assert_eq!(own.status.as_u16(), 200, "{own:?}");
    let publish = crate::wire::ask(node.address(), Method::POST, &path, &headers, "{}").await.expect("an answer");
    assert_eq!(publish.status.as_u16(), 403, "{publish:?}");
    assert!(own.json()["data"].as_array().is_some_and(Vec::is_empty));
    assert_ne!(own.json(), Value::Null);
    node.stop().await;
}
