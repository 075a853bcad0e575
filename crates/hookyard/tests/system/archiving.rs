//! Applications that leave their file while a server runs.

use bytes::Bytes;
use hookyard::accept::Publish;
use hookyard::embedded::{Application, Hookyard};

use crate::deployment::{APP, Deployment, ONCE, endpoint, party};
use crate::receiver::Receiver;

#[tokio::test]
async fn what_an_archived_application_was_sent_is_found_and_nothing_new_is_taken() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), ONCE)]));
    let node = deployment.start().await;
    let message = node.output(&["send", APP, "photo.taken", "{\"n\":1}"]).await;
    receiver.first().await;
    node.until_all(&message, "delivered").await;
    deployment.configure("[[application]]\nuid = \"other\"\n");
    node.output(&["config", "reload"]).await;

    let listed = node.run(&["messages", "list", APP]).await;
    assert!(listed.err.starts_with("note: this application was archived at "), "{listed:?}");
    assert!(listed.err.trim_end().ends_with(": it left hookyard.toml"), "{listed:?}");
    assert_eq!(listed.err.lines().count(), 1, "once: {listed:?}");
    assert!(listed.output().contains(&message));
    let shown = node.output(&["messages", "show", APP, &message]).await;
    assert!(shown.contains("crm") && shown.contains("delivered"), "{shown}");
    node.output(&["messages", "explain", APP, &message]).await;
    assert_eq!(node.output(&["messages", "raw", APP, &message]).await, "{\"n\":1}");

    let refused = node.run(&["send", APP, "photo.taken"]).await.complaint(5);
    assert!(refused.contains("was archived at") && refused.contains("it left hookyard.toml"), "{refused}");
    let refused = node.run(&["resend", APP, &message, "crm"]).await.complaint(5);
    assert!(refused.contains("was archived at"), "{refused}");
    node.stop().await;
}

#[tokio::test]
async fn a_reload_that_is_refused_archives_nothing() {
    let deployment = Deployment::new("").set("HOOKYARD_EGRESS_ALLOW", "127.0.0.1");
    let program = Hookyard::builder(deployment.data());
    let shop = Application::new("shop").expect("a uid");
    program.declare([shop]).accept_only().open().await.expect("opens").stop().await;
    let file = deployment.folder().join("webhooks.json");
    std::fs::write(&file, r#"{"webhooks": [{"events": ["AssetCreate"], "url": "https://a.example/x"}]}"#)
        .expect("written");
    let deployment = deployment.set("IMMICH_WEBHOOKS_CONFIG", file.to_str().expect("UTF-8"));
    let node = deployment.start().await;
    let message = node.output(&["send", "immich", "AssetCreate", "{}"]).await;

    // Immich's file is gone, which archives; `shop` is the program's, which is refused.
    std::fs::remove_file(&file).expect("it was there");
    deployment.configure("[[application]]\nuid = \"shop\"\n");
    let refused = node.run(&["config", "reload"]).await.complaint(5);
    assert!(refused.contains("`shop` is already declared by the program that embeds Hookyard"), "{refused}");
    node.output(&["send", "immich", "AssetCreate", "{}"]).await;
    let deliveries = node.output(&["messages", "show", "immich", &message]).await;
    assert!(!deliveries.contains("cancelled"), "{deliveries}");
    deployment.configure("");
    node.output(&["config", "reload"]).await;
    let refused = node.run(&["send", "immich", "AssetCreate", "{}"]).await.complaint(5);
    assert!(refused.contains("was archived at"), "{refused}");
    node.stop().await;

    let program = Hookyard::builder(deployment.data()).open().await.expect("the server left it whole");
    let one = Publish::json("a".parse().expect("an event type"), Bytes::from_static(b"{}"));
    program.publish("shop", one).await.expect("it is there still");
    program.stop().await;
}
