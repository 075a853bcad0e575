//! From accepting to delivering, when everything is well.

use bytes::Bytes;
use hookyard_dialects::{RawRequest, Verified};
use hookyard_model::{Secret, Timestamp};
use hookyard_ports::{Clock as _, SystemClock};
use http::Method;
use serde_json::Value;

use crate::deployment::{APP, Deployment, data, endpoint, id, party};
use crate::receiver::{Arrived, Receiver};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An endpoint of the dialect `standard`.
fn standard(url: &str) -> String {
    format!("uid = \"crm\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"")
}

fn verify(arrived: &Arrived, body: &Bytes) -> Verified {
    let dialect = hookyard_dialects::find(&"standard".parse().expect("a name")).expect("it is one of ours");
    let request = RawRequest { method: &Method::POST, target: &arrived.target, headers: &arrived.headers, body };
    let secrets = [Secret::new(SECRET.to_owned())];
    dialect.inbound().expect("it verifies").verify(&request, &secrets, SystemClock::new().now())
}

#[tokio::test]
async fn what_is_accepted_arrives_signed_and_is_shown() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&standard(&receiver.url())]));
    let node = deployment.start().await;
    let message = node.publish("{\"n\": 1.50}").await;

    let arrived = receiver.first().await;
    assert_eq!(arrived.body, "{\"n\": 1.50}");
    assert_eq!(arrived.header("webhook-id"), message);
    assert_eq!(arrived.header("content-type"), "application/json");
    assert_eq!(arrived.header("user-agent"), format!("Hookyard/{}", env!("CARGO_PKG_VERSION")));
    assert!(matches!(verify(&arrived, &arrived.body), Verified::Accepted { .. }), "{arrived:?}");
    assert!(matches!(verify(&arrived, &Bytes::from("{\"n\": 1.51}")), Verified::Refused(_)), "{arrived:?}");

    let delivery = node.until_all(&message, "delivered").await.swap_remove(0);
    assert_eq!((&delivery["endpointUid"], &delivery["round"]), (&"crm".into(), &0.into()), "{delivery}");
    let attempt = node.attempts(&message).await.swap_remove(0);
    let expected: [(&str, Value); 6] = [
        ("outcome", "delivered".into()),
        ("responseStatusCode", 200.into()),
        ("response", "ok".into()),
        ("triggerType", 0.into()),
        ("peer", receiver.address().to_string().into()),
        ("url", receiver.url().into()),
    ];
    for (name, value) in expected {
        assert_eq!(attempt[name], value, "{name} of {attempt}");
    }
    assert!(attempt["timings"]["total"].as_f64().is_some_and(|total| total > 0.0), "{attempt}");

    let shown = node.output(&["messages", "show", APP, &message]).await;
    for part in [message.as_str(), "photo.taken", "{\"n\": 1.50}", "crm", "delivered", "200"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let explained = node.output(&["messages", "explain", APP, &message]).await;
    for part in ["owed to 1 of 1 endpoints", "crm", "delivered"] {
        assert!(explained.contains(part), "{part} in {explained}");
    }
    node.stop().await;
}

#[tokio::test]
async fn only_endpoints_whose_filter_matches_are_owed_and_the_others_know_why() {
    let receiver = Receiver::start().await;
    let photos = endpoint("photos", &receiver.url(), "event_types = [\"photo.*\"]");
    let tasks = endpoint("tasks", &receiver.url(), "event_types = [\"task.done\"]");
    let deployment = Deployment::new(&party(&[&photos, &tasks]));
    let node = deployment.start().await;
    let message = node.publish("{}").await;
    assert_eq!(node.until_all(&message, "delivered").await.len(), 1);
    let explained = node.of_app(&format!("/msg/{message}/explain")).await;
    assert_eq!(explained["summary"], "owed to 1 of 2 endpoints");
    let skipped = explained["endpoints"].as_array().expect("a list").iter().find(|one| one["endpointUid"] == "tasks");
    let skipped = skipped.expect("the endpoint is explained");
    assert_eq!(skipped["decision"], "skipped");
    assert!(skipped["why"].as_str().is_some_and(|why| why.contains("photo.taken")), "{skipped}");
    assert_eq!(receiver.so_far().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_message_for_later_is_not_delivered_before() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let due = SystemClock::new().now().plus(std::time::Duration::from_millis(1_500));
    let body = format!("{{\"eventType\":\"a\",\"payload\":1,\"deliverAt\":\"{due}\"}}");
    let message = id(&node.publish_body(body).await.expect(202).json());
    let pending = node.deliveries(&message).await;
    assert_eq!(pending[0]["state"], "pending", "{pending:?}");
    assert!(receiver.so_far().is_empty());
    node.until_all(&message, "delivered").await;
    let attempt = node.attempts(&message).await.swap_remove(0);
    let began: Timestamp = attempt["timestamp"].as_str().expect("a text").parse().expect("a time");
    assert!(began >= due, "began at {began}, due at {due}");
    // A due time without anything else to do is met by a timer, not by the sweep of five seconds.
    assert!(began <= due.plus(std::time::Duration::from_secs(3)), "began at {began}, due at {due}");
    node.stop().await;
}

#[tokio::test]
async fn a_batch_is_accepted_one_by_one_and_keeps_nothing_back() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let batch = r#"{"messages":[{"eventType":"a","payload":1},{"payload":2},{"eventType":"c","payload":3}]}"#;
    let answer = node.post(&format!("/api/v1/app/{APP}/msg/batch"), batch).await.expect(202).json();
    let answers = data(&answer);
    let statuses: Vec<_> = answers.iter().map(|answer| answer["status"].as_u64().expect("a status")).collect();
    assert_eq!(statuses, [202, 422, 202], "{answers:?}");
    for accepted in [&answers[0], &answers[2]] {
        node.until_all(&id(&accepted["message"]), "delivered").await;
    }
    let mut bodies: Vec<Bytes> = receiver.so_far().into_iter().map(|arrived| arrived.body).collect();
    bodies.sort();
    assert_eq!(bodies, ["1", "3"]);
    node.stop().await;
}

#[tokio::test]
async fn what_is_not_json_arrives_as_it_was_given() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "method = \"PUT\"")]));
    let node = deployment.start().await;
    let body = r#"{"eventType":"a","payload":{},
        "transformationsParams":{"rawPayload":"<x>\u00e9</x>","headers":{"content-type":"text/xml"}}}"#;
    let message = id(&node.publish_body(body).await.expect(202).json());
    let arrived = receiver.first().await;
    assert_eq!(arrived.body, "<x>é</x>");
    assert_eq!(arrived.header("content-type"), "text/xml");
    assert!(arrived.head.starts_with("PUT /hook HTTP/1.1\r\n"), "{arrived:?}");
    let raw = node.get(&format!("/api/v1/app/{APP}/msg/{message}/raw")).await.expect(200);
    assert_eq!((&raw.body[..], &raw.headers["content-type"]), ("<x>é</x>".as_bytes(), &"text/xml".parse().unwrap()));
    assert_eq!(node.output(&["messages", "raw", APP, &message]).await, "<x>é</x>");
    node.stop().await;
}

#[tokio::test]
async fn the_publisher_s_trace_reaches_the_receiver() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&standard(&receiver.url())]));
    let node = deployment.start().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (path, body) = (format!("/api/v1/app/{APP}/msg"), br#"{"eventType":"a","payload":{}}"#);
    node.ask(Method::POST, &path, &[("traceparent", trace)], body).await.expect(202);
    assert_eq!(receiver.first().await.header("traceparent"), trace);
    node.stop().await;
}

#[tokio::test]
async fn an_ordered_endpoint_gets_one_after_the_other() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "ordered = \"endpoint\"")]));
    let node = deployment.start().await;
    let messages: Vec<String> = (0..50).map(|n| format!("{{\"eventType\":\"a\",\"payload\":{n}}}")).collect();
    let batch = format!("{{\"messages\":[{}]}}", messages.join(","));
    node.post(&format!("/api/v1/app/{APP}/msg/batch"), batch).await.expect(202);
    let arrived = receiver.arrived(50).await;
    let bodies: Vec<String> =
        arrived.iter().map(|one| String::from_utf8(one.body.to_vec()).expect("a number")).collect();
    assert_eq!(bodies, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    node.stop().await;
}

#[tokio::test]
async fn what_happened_is_counted() {
    let receiver = Receiver::with(|before, _| match before {
        0 => crate::receiver::Manner::status("500 Internal Server Error"),
        _ => crate::receiver::Manner::ok(),
    })
    .await;
    let crm = endpoint("crm", &receiver.url(), crate::deployment::TWICE);
    let deployment = Deployment::new(&party(&[&crm]));
    let node = deployment.start().await;
    let path = format!("/api/v1/app/{APP}/msg");
    let body = br#"{"eventType":"a","payload":{}}"#;
    let first = node.ask(Method::POST, &path, &[("idempotency-key", "k")], body).await.expect(202);
    node.ask(Method::POST, &path, &[("idempotency-key", "k")], body).await.expect(202);
    node.publish_body("oops").await.expect(422);
    node.get("/api/v1/app/nobody").await.expect(404);
    node.until_all(&id(&first.json()), "delivered").await;
    for (name, expected) in [
        ("hookyard_messages_accepted_total", 1.0),
        ("hookyard_messages_duplicate_total", 1.0),
        ("hookyard_attempts_total{outcome=\"refused\"}", 1.0),
        ("hookyard_attempts_total{outcome=\"delivered\"}", 1.0),
        ("hookyard_attempt_duration_seconds_count", 2.0),
        ("hookyard_requests_rejected_total{rule=\"not_found\"}", 1.0),
        ("hookyard_requests_rejected_total{rule=\"value_error.jsondecode\"}", 1.0),
        ("hookyard_attempts_in_flight", 0.0),
    ] {
        assert!((node.metric(name).await - expected).abs() < f64::EPSILON, "{name} is {}", node.metric(name).await);
    }
    assert!(node.metric("hookyard_store_commits_total").await >= 3.0);
    assert!(node.metric("hookyard_store_bytes").await > 0.0);
    node.stop().await;
}
