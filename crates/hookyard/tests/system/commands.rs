//! Commands against a running server, in numbers.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::deployment::{APP, Deployment, endpoint, party};
use crate::receiver::Receiver;

#[tokio::test]
async fn a_stream_of_a_thousand_lines_is_delivered_line_by_line() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let lines: Vec<String> = (0..1_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    let sent = node.run_with(&["send", APP, "photo.taken", "--ndjson"], &lines.join("\n")).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(sent.err.contains("1000 messages sent"), "{sent:?}");
    let arrived = receiver.arrived(1_000).await;
    assert_eq!(arrived.len(), 1_000, "each came once");
    let bodies: BTreeSet<Bytes> = arrived.into_iter().map(|arrived| arrived.body).collect();
    assert_eq!(bodies, lines.into_iter().map(Bytes::from).collect());
    node.stop().await;
}

#[tokio::test]
async fn the_codes_of_commands_tell_failures_apart() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let address = node.address();
    node.run(&["send", "nobody", "a"]).await.complaint(5);
    node.run(&["send", APP, "a", "oops"]).await.complaint(2);
    node.run(&["send", APP]).await.complaint(2);
    node.run(&["send", APP, "a", "--token", "x"]).await.complaint(5);
    node.stop().await;
    let server = format!("http://{address}");
    let unreachable = deployment.run(&["send", APP, "a", "--server", &server]).await.complaint(4);
    assert!(unreachable.contains(&address.to_string()), "{unreachable}");
}

#[tokio::test]
async fn a_message_can_be_sent_listed_and_found_by_its_event_id() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let message = node.output(&["send", APP, "photo.taken", "{\"n\":1}", "--event-id", "e-7"]).await;
    let listed = node.output(&["messages", "list", APP]).await;
    assert!(listed.contains(&message) && listed.contains("e-7"), "{listed}");
    let shown = node.output(&["messages", "show", APP, "e-7", "--json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
    assert_eq!(shown["message"]["id"], message);
    node.stop().await;
}

#[tokio::test]
async fn a_reload_can_be_asked_for_by_a_command() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    deployment.configure(&party(&[&endpoint("crm", &receiver.url(), "")]));
    let said = node.output(&["config", "reload"]).await;
    assert!(said.contains("1 created"), "{said}");
    deployment.configure("oops");
    let refused = node.run(&["config", "reload"]).await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.err.contains("hookyard.toml:1"), "{refused:?}");
    node.publish("1").await;
    receiver.first().await;
    node.stop().await;
}
