//! Kiosk's `config.yaml`, as the binary reads it.

use hookyard_dialects::{RawRequest, Verified};
use hookyard_model::Secret;
use hookyard_ports::{Clock as _, SystemClock};
use http::Method;
use serde_json::Value;

use crate::deployment::{Deployment, Node, id};
use crate::receiver::{Arrived, Receiver};

const MINIMAL: &str = include_str!("../../../hookyard-dialects/vectors/kiosk_doc_min.json");

/// A deployment that reads this list, by a relative path.
fn kiosk(list: &str) -> Deployment {
    let deployment = Deployment::new("").set("HOOKYARD_KIOSK_CONFIG", "config.yaml");
    let file = format!("immich_url: \"http://immich:2283\"\nshow_time: true\nwebhooks:\n{list}");
    std::fs::write(deployment.folder().join("config.yaml"), file).expect("the file can be written");
    deployment
}

/// Publishes a payload, whose bytes are those that are given.
async fn publish(node: &Node<'_>, event: &str, payload: &str) -> String {
    let time = "2024-11-19T11:03:07Z";
    let message = format!("{{\"eventType\": \"{event}\", \"eventTime\": \"{time}\", \"payload\": {payload}}}");
    id(&node.post("/api/v1/app/kiosk/msg", message).await.expect(202).json())
}

fn is_signed_by(arrived: &Arrived, secret: &str) -> bool {
    let dialect = hookyard_dialects::find(&"kiosk".parse().expect("a name")).expect("it is one of ours");
    let request =
        RawRequest { method: &Method::POST, target: &arrived.target, headers: &arrived.headers, body: &arrived.body };
    let secrets = [Secret::new(secret.to_owned())];
    let verified = dialect.inbound().expect("it verifies").verify(&request, &secrets, SystemClock::new().now());
    matches!(verified, Verified::Accepted { .. })
}

#[tokio::test]
async fn an_event_leaves_as_the_documentation_shows_it_once_for_every_entry() {
    let receiver = Receiver::start().await;
    let url = format!("http://localhost:{}/kiosk", receiver.address().port());
    let entry = |secret: &str| format!("  - url: \"{url}\"\n    event: asset.new\n{secret}");
    let signed = entry("    secret: my_webhook_secret\n");
    let deployment = kiosk(&format!("{signed}{signed}{}  - url: \"{url}\"\n    event: asset.prefetch\n", entry("")));
    let node = deployment.start().await;
    publish(&node, "asset.new", MINIMAL).await;
    let arrived = receiver.arrived(3).await;
    let (signed, unsigned): (Vec<&Arrived>, Vec<&Arrived>) =
        arrived.iter().partition(|one| one.headers.contains_key("x-kiosk-signature-256"));
    assert_eq!((signed.len(), unsigned.len()), (2, 1), "equal entries are each delivered");
    for one in &arrived {
        assert_eq!(one.header("content-type"), "application/json");
        assert!(one.head.starts_with("POST /kiosk HTTP/1.1\r\n"), "{}", one.head);
        assert_eq!(one.body, MINIMAL);
    }
    for one in signed {
        let expected = "sha256=7a573864646a164ebe5bc007892304722c165b975699650db12cf98af0a63a3c";
        assert_eq!(one.header("x-kiosk-signature-256"), expected, "the signature of the vector");
        assert!(is_signed_by(one, "my_webhook_secret") && !is_signed_by(one, "another"));
    }
    let listed = node.output(&["endpoints", "list", "kiosk"]).await;
    assert_eq!(listed.matches("localhost").count(), 4, "{listed}");
    let log = node.stop().await;
    assert!(log.contains("imported Kiosk's file"), "{log}");
}

#[tokio::test]
async fn either_name_of_the_flush_reaches_an_entry_under_the_name_that_it_wrote() {
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let deployment =
        kiosk(&format!("  - {{url: \"{url}\", event: cache.flush}}\n  - {{url: \"{url}\", event: cache.flushed}}\n"));
    let node = deployment.start().await;
    publish(&node, "cache.flushed", "{}").await;
    let arrived = receiver.arrived(2).await;
    let mut names: Vec<String> = arrived
        .iter()
        .map(|one| {
            let body: Value = serde_json::from_slice(&one.body).expect("JSON");
            body["event"].as_str().expect("a name").to_owned()
        })
        .collect();
    names.sort();
    assert_eq!(names, ["cache.flush", "cache.flushed"]);
    node.stop().await;
}

#[tokio::test]
async fn the_published_example_without_its_indentation_is_refused_with_a_hint() {
    let deployment =
        kiosk("- url: \"https://your-webhook-endpoint.com\"\nevent: asset.new\nsecret: \"my_webhook_secret\"\n");
    let report = deployment.refuse().await.complaint(3);
    assert!(report.contains("config.yaml:4:3: `webhooks[0].event`: is missing"), "{report}");
    assert!(report.contains("hint: `event` stands at the top level, at config.yaml:5:1; indent it"), "{report}");
    assert!(!report.contains("my_webhook_secret"), "{report}");
}
