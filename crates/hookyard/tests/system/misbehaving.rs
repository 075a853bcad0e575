//! Receivers that do what receivers do.

use std::time::Duration;

use hookyard_model::Timestamp;
use hookyard_ports::{Clock as _, SystemClock};
use serde_json::Value;

use crate::deployment::{Deployment, Node, ONCE, TWICE, endpoint, party};
use crate::receiver::{Manner, OK, Receiver};

/// A deployment with one endpoint at this receiver.
fn deployment(receiver: &Receiver, more: &str) -> Deployment {
    Deployment::new(&party(&[&endpoint("crm", &receiver.url(), more)]))
}

/// Publishes, waits until the delivery is in `state`, and gives its one attempt.
async fn only_attempt(node: &Node<'_>, state: &str) -> Value {
    let message = node.publish("{}").await;
    node.until_all(&message, state).await;
    let mut attempts = node.attempts(&message).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    attempts.swap_remove(0)
}

/// The only attempt of a message to a receiver of this manner has this outcome, and the delivery is given up.
async fn check_given_up(manner: Manner, outcome: &str) -> Value {
    let receiver = Receiver::always(manner).await;
    let deployment = deployment(&receiver, &format!("timeout = \"1s\"\n{ONCE}"));
    let node = deployment.start().await;
    let attempt = only_attempt(&node, "failed").await;
    assert_eq!(attempt["outcome"], outcome, "{attempt}");
    assert_eq!(receiver.so_far().len(), 1);
    node.stop().await;
    attempt
}

fn millis(attempt: &Value) -> u64 {
    attempt["responseDurationMs"].as_u64().expect("a number")
}

#[tokio::test]
async fn headers_that_drip_run_out_of_time() {
    let first = b"HTTP/1.1 200 OK\r\nx-slow: ".to_vec();
    let attempt = check_given_up(Manner::Drip { first, every: Duration::from_secs(1) }, "timed_out").await;
    assert!((900..5_000).contains(&millis(&attempt)), "{attempt}");
}

#[tokio::test]
async fn a_body_that_drips_after_success_is_delivered_and_cut() {
    let first = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec();
    let receiver = Receiver::always(Manner::Drip { first, every: Duration::from_secs(1) }).await;
    let deployment = deployment(&receiver, &format!("timeout = \"10s\"\n{ONCE}"));
    let node = deployment.start().await;
    let attempt = only_attempt(&node, "delivered").await;
    assert_eq!(attempt["truncated"], true, "{attempt}");
    assert!(millis(&attempt) < 5_000, "the status has decided, the rest is not waited for: {attempt}");
    node.stop().await;
}

#[tokio::test]
async fn a_body_without_end_is_cut_where_enough_is_read() {
    for (status, state, outcome) in [("200 OK", "delivered", "delivered"), ("500 Oops", "failed", "refused")] {
        let first = format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
        let piece = [b"1000\r\n", &b"y".repeat(0x1000)[..], b"\r\n"].concat();
        let receiver = Receiver::always(Manner::Endless { first, piece }).await;
        let deployment = deployment(&receiver, ONCE);
        let node = deployment.start().await;
        let attempt = only_attempt(&node, state).await;
        assert_eq!((&attempt["outcome"], &attempt["truncated"]), (&outcome.into(), &true.into()), "{attempt}");
        assert_eq!(attempt["response"].as_str().map(str::len), Some(16 * 1024));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_receiver_that_closes_before_it_answers_breaks_off() {
    let attempt = check_given_up(Manner::Close, "broken_off").await;
    assert!(attempt["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{attempt}");
    assert_eq!(attempt["responseStatusCode"], 0, "{attempt}");
}

#[tokio::test]
async fn garbage_instead_of_http_breaks_off() {
    for garbage in [&b"SSH-2.0-OpenSSH_9.6\r\n"[..], b"\0\x01\x02\x03", b"HTTP/1.1 2000 Far Out\r\n\r\n", b"HTTP/1.1 "]
    {
        check_given_up(Manner::AnswerAndClose(garbage.to_vec()), "broken_off").await;
    }
}

#[tokio::test]
async fn ten_megabytes_of_headers_are_not_read() {
    let first = b"HTTP/1.1 200 OK\r\n".to_vec();
    let piece = format!("x-more: {}\r\n", "z".repeat(1_000)).into_bytes();
    check_given_up(Manner::Endless { first, piece }, "broken_off").await;
}

#[tokio::test]
async fn a_receiver_that_nobody_listens_for_cannot_be_connected() {
    // The port was free a moment ago.
    let address = Receiver::start().await.address();
    let url = format!("http://{address}/hook");
    let deployment = Deployment::new(&party(&[&endpoint("crm", &url, ONCE)]));
    let node = deployment.start().await;
    assert_eq!(only_attempt(&node, "failed").await["outcome"], "connect_failed");
    node.stop().await;
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_under_a_request_costs_an_uncharged_row() {
    let receiver = Receiver::with(|_, arrived| match arrived.earlier_on_connection {
        0 => Manner::ok(),
        _ => Manner::Close,
    })
    .await;
    let deployment = deployment(&receiver, ONCE);
    let node = deployment.start().await;
    only_attempt(&node, "delivered").await;
    let second = node.publish("{}").await;
    let delivery = node.until_all(&second, "delivered").await.swap_remove(0);
    assert_eq!(node.outcomes(&second).await, ["stale_connection", "delivered"]);
    assert_eq!(delivery["charged"], 0, "a stale connection takes nothing from the schedule: {delivery}");
    assert_eq!((receiver.so_far().len(), receiver.connections()), (3, 2));
    node.stop().await;
}

#[tokio::test]
async fn a_kept_connection_carries_the_next_message() {
    let receiver = Receiver::start().await;
    let deployment = deployment(&receiver, "");
    let node = deployment.start().await;
    for _ in 0..3 {
        only_attempt(&node, "delivered").await;
    }
    assert_eq!(receiver.connections(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let receiver = Receiver::always(Manner::AnswerAndClose(OK.to_vec())).await;
    let deployment = deployment(&receiver, ONCE);
    let node = deployment.start().await;
    for _ in 0..3 {
        let message = node.publish("{}").await;
        let delivery = node.until_all(&message, "delivered").await.swap_remove(0);
        assert_eq!(delivery["charged"], 0, "nothing was taken from the schedule: {delivery}");
    }
    assert_eq!(receiver.so_far().len(), 3, "no request reached it twice");
    node.stop().await;
}

#[tokio::test]
async fn a_retry_after_that_is_no_number_of_seconds_is_passed_over() {
    let receiver = Receiver::with(|before, _| match before {
        0 => Manner::answer("503 Service Unavailable", "retry-after: 1e300\r\n"),
        _ => Manner::ok(),
    })
    .await;
    let deployment = deployment(&receiver, TWICE);
    let node = deployment.start().await;
    let message = node.publish("{}").await;
    node.until_all(&message, "delivered").await;
    assert_eq!(node.outcomes(&message).await, ["refused", "delivered"]);
    node.stop().await;
}

#[tokio::test]
async fn a_retry_after_beyond_all_bounds_delays_by_a_day() {
    let receiver =
        Receiver::always(Manner::answer("429 Too Many Requests", "retry-after: 99999999999999999999999\r\n")).await;
    let deployment = deployment(&receiver, TWICE);
    let node = deployment.start().await;
    let message = node.publish("{}").await;
    let attempt = node.until_attempts(&message, 1).await.swap_remove(0);
    assert_eq!(attempt["responseStatusCode"], 429);
    let delivery = node.deliveries(&message).await.swap_remove(0);
    assert_eq!(delivery["state"], "pending", "{delivery}");
    let due: Timestamp = delivery["due"].as_str().expect("a text").parse().expect("a time");
    let now = SystemClock::new().now();
    let day = Duration::from_hours(24);
    assert!(due <= now.plus(day) && due >= now.plus(day).minus(crate::PATIENCE), "{due}");
    node.stop().await;
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let inside = Receiver::start().await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let outside = Receiver::always(Manner::answer(status, &format!("location: {}\r\n", inside.url()))).await;
        let deployment = deployment(&outside, ONCE);
        let node = deployment.start().await;
        let attempt = only_attempt(&node, "failed").await;
        assert_eq!(attempt["outcome"], "refused", "{attempt}");
        assert_eq!(attempt["responseStatusCode"].to_string(), status[..3], "{attempt}");
        node.stop().await;
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn statuses_that_are_not_success_use_up_the_schedule() {
    for status in ["304 Not Modified", "400 Bad Request", "404 Not Found", "410 Gone", "500 Oops", "503 Busy"] {
        let receiver = Receiver::always(Manner::status(status)).await;
        let deployment = deployment(&receiver, TWICE);
        let node = deployment.start().await;
        let message = node.publish("{}").await;
        let delivery = node.until_all(&message, "failed").await.swap_remove(0);
        assert_eq!((&delivery["charged"], &delivery["reason"]), (&2.into(), &"schedule spent".into()), "{delivery}");
        assert_eq!(node.outcomes(&message).await, ["refused", "refused"]);
        node.stop().await;
    }
}

#[tokio::test]
async fn a_standard_endpoint_that_is_gone_is_switched_off_and_says_so() {
    let receiver = Receiver::always(Manner::status("410 Gone")).await;
    let config = party(&[&format!("uid = \"crm\"\nurl = \"{}\"", receiver.url())]);
    let deployment = Deployment::new(&config);
    let node = deployment.start().await;
    let message = node.publish("{}").await;
    let delivery = node.until_all(&message, "cancelled").await.swap_remove(0);
    assert_eq!(delivery["reason"], "endpoint gone", "{delivery}");
    let endpoint = node.of_app("/endpoint/crm").await;
    assert_eq!((&endpoint["disabled"], &endpoint["disabledReason"]), (&true.into(), &"gone".into()), "{endpoint}");
    // What is accepted meanwhile owes it nothing, and that is explained.
    let meanwhile = node.publish("{}").await;
    assert!(node.deliveries(&meanwhile).await.is_empty());
    let explained = node.of_app(&format!("/msg/{meanwhile}/explain")).await;
    assert_eq!(explained["endpoints"][0]["decision"], "skipped", "{explained}");
    node.stop().await;
}

#[tokio::test]
async fn one_that_hangs_delays_no_other() {
    let (_gate, closed) = tokio::sync::watch::channel(false);
    let hanging = Receiver::always(Manner::Hold(closed)).await;
    let healthy = Receiver::start().await;
    let slow = endpoint("slow", &hanging.url(), "event_types = [\"photo.taken\"]\ntimeout = \"60s\"");
    let quick = endpoint("quick", &healthy.url(), "event_types = [\"a\"]");
    let deployment = Deployment::new(&party(&[&slow, &quick]));
    let node = deployment.start().await;
    for _ in 0..40 {
        node.publish("{}").await;
    }
    hanging.arrived(1).await;
    for _ in 0..10 {
        let message = node.publish_body(r#"{"eventType":"a","payload":{}}"#).await.expect(202).json();
        node.until_all(&crate::deployment::id(&message), "delivered").await;
    }
    assert_eq!(healthy.so_far().len(), 10);
    drop(hanging);
    node.kill().await;
}
