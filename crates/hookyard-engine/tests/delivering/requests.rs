//! What leaves: headers, bodies, and what of it the log keeps.

use hookyard_accept::Publish;
use hookyard_model::{BasicAuth, DeliveryState, FailReason, HeaderPair, Outcome, Secret, SigningKeys, limits};
use hookyard_ports::testkit::build;

use crate::receivers::Reply;
use crate::world::{World, endpoint, id, numbered, payload, plain, seconds};

fn header(name: &str, value: &str) -> HeaderPair {
    HeaderPair { name: name.to_owned(), value: Secret::new(value.to_owned()) }
}

#[tokio::test(start_paused = true)]
async fn trace_headers_are_passed_on_and_no_other_kept_header_is() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    let kept = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let kept_headers = vec![
        kept("traceparent", trace),
        kept("tracestate", "a=1"),
        kept("x-github-event", "push"),
        kept("user-agent", "curl"),
    ];
    node.publish(Publish { kept_headers, ..numbered(1) }).await;
    world.quiet(seconds(1)).await;
    let arrived = &world.receivers.arrived(id(1))[0];
    assert_eq!((arrived.header("traceparent"), arrived.header("tracestate")), (trace, "a=1"));
    assert_eq!(arrived.header("x-github-event"), "");
    assert!(arrived.header("user-agent").starts_with("Hookyard/"));
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn configured_headers_win_over_the_dialects_and_never_over_the_transports() {
    let configured = endpoint(1, |settings| {
        settings.headers = vec![
            header("Content-Type", "text/plain"),
            header("User-Agent", "their own"),
            header("Host", "elsewhere.example"),
            header("content-length", "0"),
            header("Transfer-Encoding", "chunked"),
            header("Proxy-Authorization", "Basic eA=="),
            header("X-Many", "one"),
            header("x-many", "two"),
        ];
    });
    let world = World::new(vec![configured]).await;
    let node = world.start().await;
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    let arrived = &world.receivers.arrived(id(1))[0];
    assert_eq!((arrived.header("content-type"), arrived.header("user-agent")), ("text/plain", "their own"));
    for name in ["host", "content-length", "transfer-encoding", "proxy-authorization"] {
        assert!(!arrived.request.headers.contains_key(name), "{name} belongs to the transport");
    }
    let many: Vec<_> = arrived.request.headers.get_all("x-many").iter().collect();
    assert_eq!(many, ["one", "two"]);
    assert_eq!(arrived.message(), message);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn credentials_are_masked_in_the_log_and_sent_as_they_are() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let guarded = endpoint(1, |settings| {
        settings.keys = SigningKeys::single(secret);
        settings.basic_auth =
            Some(BasicAuth { user: "canary-user".to_owned(), password: Secret::new("canary-password".to_owned()) });
        settings.headers = vec![header("X-Team", "canary-header"), header("X-Api-Key", "canary-key")];
        settings.url = "https://api.example/bot1:canary-token/send".parse().expect("a URL");
    });
    let world = World::new(vec![guarded]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::With(500, "set-cookie", "session=canary-cookie".to_owned())]);
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(60)).await;
    let arrived = &world.receivers.arrived(id(1))[0];
    assert_eq!(arrived.header("x-team"), "canary-header");
    assert_eq!(arrived.header("authorization"), "Basic Y2FuYXJ5LXVzZXI6Y2FuYXJ5LXBhc3N3b3Jk");
    assert_eq!(arrived.request.url.path(), "/bot1:canary-token/send");
    for attempt in world.attempts(message, id(1)).await {
        let row = format!("{attempt:?}");
        assert!(!row.contains("canary") && !row.contains("Y2FuYXJ5") && !row.contains(secret), "{row}");
        assert!(attempt.request_headers.contains("authorization: ***\n"), "{row}");
        assert!(attempt.request_headers.contains("webhook-signature: v1,"), "{row}");
        assert_eq!(attempt.url, "https://api.example/bot***/send");
        if let Some(response) = attempt.response.filter(|response| response.status == 500) {
            assert_eq!(response.headers, "set-cookie: ***\n");
        }
    }
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_row_of_an_attempt_says_what_was_sent_and_what_came_back() {
    let world = World::new(vec![plain(1)]).await;
    let node = world.start().await;
    world.receivers.script(id(1), [Reply::With(503, "x-why", "tired".to_owned())]);
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(60)).await;
    let attempts = world.attempts(message, id(1)).await;
    assert_eq!(attempts.len(), 2);
    let response = attempts[0].response.as_ref().expect("there was an answer");
    assert_eq!((response.status, response.headers.as_str()), (503, "x-why: tired\n"));
    assert_eq!(&response.body[..], b"so it is");
    assert_eq!(attempts[0].url, build::settings(1).url.as_str());
    assert!(attempts[0].request_headers.contains(&format!("webhook-id: {message}\n")));
    assert!(attempts[0].id < attempts[1].id && attempts[0].started < attempts[1].started);
    node.engine.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_encoded_elsewhere_arrives_as_any_other() {
    let absent = endpoint(2, |settings| {
        settings.dialect = "template".parse().expect("a name");
        settings.options = [("body".to_owned(), "{{ payload.absent }}".to_owned())].into();
    });
    let world = World::new(vec![plain(1), absent]).await;
    let node = world.start().await;
    for bytes in [limits::ENCODE_INLINE_BYTES, limits::ENCODE_INLINE_BYTES + 1, limits::API_BODY_BYTES] {
        let text = format!("\"{}\"", "x".repeat(bytes - 2));
        let message = node.publish(payload(text.clone())).await;
        world.quiet(seconds(1)).await;
        let arrived = world.receivers.arrived(id(1)).pop().expect("it arrived");
        assert_eq!(arrived.message(), message);
        assert!(arrived.request.body == text, "byte for byte");
        assert_eq!(world.outcomes(message, id(1)).await, [Outcome::Delivered]);
        let outcomes = world.outcomes(message, id(2)).await;
        assert!(matches!(&outcomes[..], [Outcome::CannotBeEncoded(why)] if why.contains("absent")), "{outcomes:?}");
    }
    node.engine.stop(seconds(1)).await;
}

/// Publishes one message to an endpoint that can never be sent to; says why.
async fn cannot_be_encoded(change: impl FnOnce(&mut hookyard_model::EndpointSettings)) -> String {
    let world = World::new(vec![endpoint(1, change)]).await;
    let node = world.start().await;
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    assert_eq!(world.receivers.count(id(1)), 0, "nothing is sent");
    assert_eq!(world.state(message, id(1)).await, DeliveryState::Failed(FailReason::CannotBeEncoded));
    assert_eq!(world.endpoint(id(1)).await.failing_since, None, "the endpoint is not charged");
    let outcomes = world.outcomes(message, id(1)).await;
    node.engine.stop(seconds(1)).await;
    match &outcomes[..] {
        [Outcome::CannotBeEncoded(why)] => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_encoded_fails_at_once_and_is_not_sent() {
    let why = cannot_be_encoded(|settings| settings.dialect = "morse".parse().expect("a name")).await;
    assert_eq!(why, "this version cannot send in dialect `morse`");
    let why = cannot_be_encoded(|settings| settings.keys = SigningKeys::single("whsec_canary")).await;
    assert!(!why.contains("canary"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_neither_slot_nor_worker_and_the_delivery_ends_visibly() {
    let settings = hookyard_engine::Settings { slots: 2, ..hookyard_engine::Settings::default() };
    let world = World::with(vec![plain(1)], settings).await;
    let node = world.start().await;
    world.receivers.script(id(1), vec![Reply::Panics; 8]);
    let mut messages = Vec::new();
    for n in 0..9 {
        messages.push(node.publish(numbered(n)).await);
    }
    world.quiet(seconds(10)).await;
    let mut delivered = 0;
    for message in messages {
        match &world.outcomes(message, id(1)).await[..] {
            [Outcome::Delivered] => delivered += 1,
            [Outcome::CannotBeEncoded(why)] => {
                assert!(why.contains("panicked"), "{why}");
                assert_eq!(world.state(message, id(1)).await, DeliveryState::Failed(FailReason::CannotBeEncoded));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(delivered, 1);
    assert_eq!(world.status(id(1)).await, hookyard_model::EndpointStatus::Enabled);
    node.engine.stop(seconds(1)).await;
}
