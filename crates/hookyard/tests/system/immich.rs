//! Immich's webhook file, as the binary reads it.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::deployment::{Deployment, Node, data, id};
use crate::receiver::{Manner, Receiver};

const APP: &str = "/api/v1/app/immich";
const PERSON: &str = include_str!("../../../hookyard-dialects/vectors/immich_person_create.json");

/// A deployment whose Immich file is this one.
fn immich(file: &Value) -> Deployment {
    let deployment = Deployment::new("");
    let path = deployment.folder().join("webhooks.json").display().to_string();
    let deployment = deployment.set("IMMICH_WEBHOOKS_CONFIG", &path);
    write(&deployment, file);
    deployment
}

fn write(deployment: &Deployment, file: &Value) {
    std::fs::write(deployment.folder().join("webhooks.json"), file.to_string()).expect("the file can be written");
}

/// The receiver's URL by a name that only the operator's own files may use.
fn by_name(receiver: &Receiver, path: &str) -> String {
    format!("http://localhost:{}{path}", receiver.address().port())
}

/// Publishes a payload, whose bytes are those that are given.
async fn publish(node: &Node<'_>, event: &str, payload: &str) -> String {
    let time = "2025-11-20T13:34:56.789999+01:00";
    let message = format!("{{\"eventType\": \"{event}\", \"eventTime\": \"{time}\", \"payload\": {payload}}}");
    id(&node.post(&format!("{APP}/msg"), message).await.expect(202).json())
}

async fn deliveries(node: &Node<'_>, message: &str) -> Vec<Value> {
    data(&node.get(&format!("{APP}/msg/{message}/delivery")).await.expect(200).json())
}

#[tokio::test]
async fn an_event_leaves_as_immich_would_send_it_and_is_tried_again_as_the_file_says() {
    let receiver = Receiver::with(|before, _| match before {
        0 => Manner::status("500 Oops"),
        _ => Manner::ok(),
    })
    .await;
    let headers = json!({"Authorization": "Bearer <token>", "x-immich-event": "overridden"});
    let deployment = immich(&json!({"webhooks": [
        {"events": [" PersonCreate ", "PersonCreate"], "url": by_name(&receiver, "/a?b=c"), "method": "put",
         "headers": headers, "backoffMs": 10, "retries": 2},
        {"id": "nobody's", "events": ["AssetCreate"], "url": "http://kai:8080/x"}
    ]}));
    let node = deployment.start().await;
    let golden: Value = serde_json::from_str(PERSON).expect("JSON");
    let payload = PERSON.split_once("\"payload\":").and_then(|(_, rest)| rest.strip_suffix('}')).expect("a payload");
    let message = publish(&node, "PersonCreate", payload).await;
    let arrived = receiver.arrived(2).await;
    assert_eq!(arrived.len(), 2, "a name that is listed twice counts once");
    assert_eq!(arrived[0].body, arrived[1].body, "every attempt sends the same bytes");
    let one = &arrived[1];
    assert!(one.head.starts_with("PUT /a?b=c HTTP/1.1\r\n"), "{}", one.head);
    let delivery_id = one.header("x-immich-delivery-id");
    let expected = PERSON.replace(golden["id"].as_str().expect("an id"), delivery_id);
    assert_eq!(one.body, expected, "the vector, under this delivery's id");
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-immich-event", "overridden"),
        ("x-immich-timestamp", "2025-11-20T12:34:56.789Z"),
        ("authorization", "Bearer <token>"),
    ] {
        assert_eq!(one.header(name), value, "{name}");
    }
    node.until("the delivery to be settled", async || {
        let all = deliveries(&node, &message).await;
        if all.iter().all(|delivery| delivery["state"] == "delivered") { Ok(()) } else { Err(json!(all)) }
    })
    .await;
    let log = node.stop().await;
    assert!(log.lines().any(|line| line.contains("webhook-1") && line.contains("answered 500")), "{log}");
}

#[tokio::test]
async fn without_a_file_there_is_no_application_and_the_answer_names_the_setting() {
    let deployment = Deployment::new("").set("IMMICH_WEBHOOKS_CONFIG", "/nowhere/webhooks.json");
    let node = deployment.start().await;
    for path in ["/api/v1/app/immich/msg", "/api/v1/app/kiosk/msg"] {
        let refused = node.post(path, r#"{"eventType": "PersonCreate", "payload": {}}"#).await.expect(404).json();
        let hint = refused["hint"].as_str().expect("a hint");
        let setting = if path.contains("immich") { "IMMICH_WEBHOOKS_CONFIG" } else { "HOOKYARD_KIOSK_CONFIG" };
        assert!(hint.contains(setting) && hint.contains("file exists"), "{refused}");
    }
    let log = node.stop().await;
    assert_eq!(log.matches("/nowhere/webhooks.json").count(), 1, "{log}");
    assert_eq!(log.matches("no file declares these applications").count(), 1, "{log}");
    assert!(log.contains("`kiosk` (set `kiosk_config`)"), "{log}");
}

#[tokio::test]
async fn a_wrong_file_stops_the_start_with_every_fault() {
    let deployment = immich(&json!({"webhooks": [{"url": "ftp://a", "events": []}, {"events": "x"}, 5]}));
    let report = deployment.refuse().await.complaint(3);
    assert!(report.contains("configuration has 4 faults"), "{report}");
    for part in
        ["`webhooks[0].url`: has the scheme `ftp`", "`webhooks[1].events`: is a text", "`webhooks[2]`: is a number"]
    {
        assert!(report.contains(part), "{part} in {report}");
    }
    assert!(!deployment.data().exists(), "a start that is refused leaves nothing behind");
    assert_eq!(deployment.run(&["config", "check"]).await.complaint(3), report);
}

#[tokio::test]
async fn what_leaves_the_file_is_cancelled_and_the_others_stay() {
    let receiver = Receiver::always(Manner::status("500 Oops")).await;
    let entry = |id: &str| json!({"id": id, "events": ["PersonCreate"], "url": by_name(&receiver, "/"), "backoffMs": 3_600_000});
    let deployment = immich(&json!({"webhooks": [entry("stays"), entry("leaves")]}));
    let node = deployment.start().await;
    let message = publish(&node, "PersonCreate", "{}").await;
    receiver.arrived(2).await;
    // What is in flight while its endpoint leaves is cancelled later, by the engine's ageing.
    let settled = async || {
        let all = deliveries(&node, &message).await;
        if all.iter().all(|delivery| delivery["charged"] == 1) { Ok(()) } else { Err(json!(all)) }
    };
    node.until("both attempts to be written down", settled).await;
    write(&deployment, &json!({"webhooks": [entry("stays")]}));
    node.signal(Signal::HUP);
    let cancelled = node
        .until("one delivery to be cancelled", async || {
            let all = deliveries(&node, &message).await;
            let cancelled = all.iter().find(|delivery| delivery["state"] == "cancelled");
            cancelled.cloned().ok_or_else(|| json!(all))
        })
        .await;
    assert_eq!(cancelled["reason"], "endpoint removed", "{cancelled}");
    let all = deliveries(&node, &message).await;
    assert_eq!(all.iter().filter(|delivery| delivery["state"] == "pending").count(), 1, "{all:?}");

    // A fault in one file changes nothing of any file.
    deployment.configure("[[application]]\nuid = \"other\"\n");
    std::fs::write(deployment.folder().join("webhooks.json"), "{").expect("the file can be written");
    let refused = node.run(&["config", "reload"]).await.complaint(5);
    assert!(refused.contains("webhooks.json:1:2: is not JSON"), "{refused}");
    node.get("/api/v1/app/other/endpoint").await.expect(404);
    assert_eq!(data(&node.get(&format!("{APP}/endpoint")).await.expect(200).json()).len(), 1);

    std::fs::remove_file(deployment.folder().join("webhooks.json")).expect("it is there");
    let reloaded = node.run(&["config", "reload"]).await.output();
    assert_eq!(reloaded, "reloaded: 1 created, 0 updated, 2 archived, 0 unchanged");
    node.post(&format!("{APP}/msg"), r#"{"eventType": "PersonCreate", "payload": {}}"#).await.expect(404);
    let log = node.stop().await;
    assert_eq!(log.matches("archived the application: no file declares it any more").count(), 1, "{log}");

    // It comes back as another application of that name; the first one's history stays with the first one.
    write(&deployment, &json!({"webhooks": [entry("stays")]}));
    let node = deployment.start().await;
    assert_eq!(data(&node.get(&format!("{APP}/endpoint")).await.expect(200).json()).len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_start_without_the_variable_archives_what_the_file_declared() {
    let file = json!({"webhooks": [{"events": ["PersonCreate"], "url": "http://kai:8080/x"}]});
    let deployment = immich(&file);
    deployment.start().await.stop().await;
    let deployment = deployment.set("IMMICH_WEBHOOKS_CONFIG", "");
    let node = deployment.start().await;
    let left = node.get(&format!("{APP}/endpoint")).await.expect(200);
    assert!(left.headers.contains_key("hookyard-archived"), "{left:?}");
    let refused = node.run(&["send", "immich", "PersonCreate"]).await.complaint(5);
    for part in ["was archived at", "webhooks.json", "IMMICH_WEBHOOKS_CONFIG"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let log = node.stop().await;
    assert!(log.contains("archived the application: no file declares it any more"), "{log}");
}

#[tokio::test]
async fn a_check_counts_what_each_file_declares() {
    let deployment = immich(&json!({"webhooks": [{"events": ["PersonCreated"], "url": "http://kai:8080/x"}]}));
    deployment.configure("[[application]]\nuid = \"a\"\n[[application]]\nuid = \"b\"\n");
    let folder = format!("{}/", deployment.folder().display());
    let checked = deployment.run(&["config", "check"]).await.output().replace(&folder, "");
    let expected = "warning: webhooks.json:1:25: `webhooks[0].events[0]`: is `PersonCreated`, an event that Immich does \
                    not have\n  hint: did you mean `PersonCreate`?\nhookyard.toml: fine; 2 applications, 0 endpoints, 0 \
                    sources\nwebhooks.json: fine; 1 application, 1 endpoint";
    assert_eq!(checked, expected);
}
