//! `hookyard move`: everything of one store in the other, whatever ends the move in between.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::watch;

use crate::deployment::{Deployment, Node, data, endpoint, party};
use crate::receiver::{Manner, Receiver};
use crate::schema::Schema;
use crate::within;

const JWT: &str = "the token secret of several nodes";
const MAIN: &str = "the main secret of several nodes";

/// A node on an embedded store in a folder that outlives it.
fn embedded(folder: &Path, config: &str) -> Deployment {
    Deployment::new(config)
        .set("HOOKYARD_DATA", folder.to_str().expect("a plain path"))
        .set("HOOKYARD_JWT_SECRET", JWT)
        .set("HOOKYARD_MAIN_SECRET", MAIN)
}

/// A folder of its own for an embedded store.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// The folder as `--from` and `--to` want it.
    fn side(&self) -> String {
        format!("data:{}", self.data().display())
    }
}

/// Everything that a door tells about these messages, and about the endpoints.
async fn answers(deployment: Deployment, messages: &[String]) -> Vec<Value> {
    // A node that delivers would change what it is asked about.
    let deployment = deployment.set("HOOKYARD_ROLE", "doors");
    let node = deployment.start().await;
    let mut all = vec![json!(data(&node.of_app("/endpoint").await))];
    for endpoint in data(&node.of_app("/endpoint").await) {
        let id = endpoint["id"].as_str().expect("an id").to_owned();
        for about in ["", "/stats", "/headers", "/secret", "/attempt"] {
            let answer = node.get(&format!("/api/v1/app/party/endpoint/{id}{about}")).await;
            all.push(json!([answer.status.as_u16(), answer.text()]));
        }
    }
    for message in messages {
        for about in ["", "/attempt", "/delivery", "/explain", "/raw"] {
            let answer = node.get(&format!("/api/v1/app/party/msg/{message}{about}")).await;
            assert_eq!(answer.status, 200, "{about}: {answer:?}");
            all.push(json!(without_spans(&answer.text())));
        }
        for attempt in node.attempts(message).await {
            let id = attempt["id"].as_str().expect("an id");
            all.push(json!(node.get(&format!("/api/v1/app/party/attempt/{id}")).await.text()));
        }
    }
    all.push(json!(node.of_app("/msg?limit=250").await));
    node.stop().await;
    all
}

/// A text without the spans that `explain` counts from the present: the times beside them stay.
fn without_spans(text: &str) -> String {
    let mut parts = text.split(" is due ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| format!("{all} is due {}", part.split_once(" (at ").map_or(part, |(_, at)| at)))
}

#[track_caller]
fn assert_same(before: &[Value], after: &[Value]) {
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
}

/// Publishes with an idempotency key.
async fn once(node: &Node<'_>, key: &str, payload: &str) -> Value {
    let body = format!("{{\"eventType\":\"photo.taken\",\"payload\":{payload},\"eventId\":\"{key}\"}}");
    let headers = [("idempotency-key", key)];
    node.ask(http::Method::POST, "/api/v1/app/party/msg", &headers, body.as_bytes()).await.expect(202).json()
}

fn report(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_store_that_went_there_and_back_gives_the_same_answers_and_goes_on() {
    let Some(schema) = Schema::new() else { return };
    let (gate, closed) = watch::channel(false);
    let receiver = Receiver::with(move |before, _| match before {
        7 => Manner::Hold(closed.clone()),
        _ => Manner::ok(),
    })
    .await;
    let failing = Receiver::always(Manner::status("503 Service Unavailable")).await;
    let config = party(&[
        &endpoint("crm", &receiver.url(), "concurrency = 1"),
        &endpoint("later", &failing.url(), "retry = { policy = \"fixed\", delay = \"1h\", retries = 3 }"),
        &endpoint("never", &failing.url(), "retry = { policy = \"fixed\", delay = \"1ms\", retries = 0 }"),
        &endpoint(
            "tidy",
            &failing.url(),
            "ordered = true\nretry = { policy = \"fixed\", delay = \"1h\", retries = 3 }",
        ),
        &endpoint("off", &failing.url(), "disabled = true"),
    ]);
    let (first, last) = (Folder::new(), Folder::new());
    let deployment = embedded(&first.data(), &config);
    let node = deployment.start().await;
    let mut messages = Vec::new();
    for n in 0..9 {
        let payload = format!("{{\"n\":{n},\"odd\":1.00,\"text\":\"<\\u2028 é\"}}");
        messages.push(once(&node, &format!("key-{n}"), &payload).await["id"].as_str().expect("an id").to_owned());
    }
    receiver.arrived(8).await;
    let of_crm = async || {
        let mut missing = Vec::new();
        for message in &messages {
            let states: Vec<String> = (node.deliveries(message).await.iter())
                .map(|delivery| delivery["state"].as_str().expect("a state").to_owned())
                .collect();
            if !states.contains(&"failed".to_owned()) {
                missing.push(json!(states));
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(json!(missing)) }
    };
    node.until("every message to have failed at one endpoint", of_crm).await;
    // With one delivery in flight.
    node.kill().await;

    let before = answers(embedded(&first.data(), &config), &messages).await;
    let there = schema.node("a", &config);
    let out = there.run(&["move", "--from", &first.side(), "--to", "database", "--json"]).await;
    assert!(out.err.contains("copying `message`") && out.err.contains("comparing `audit`"), "{out:?}");
    let out = report(&out.output());
    assert_eq!(out["tables"]["message"]["rows"], 9, "{out:#}");
    assert!(out["inFlight"].as_u64() >= Some(1), "{out:#}");
    let again = there.run(&["move", "--from", &first.side(), "--to", "database", "--json"]).await;
    let again = report(&again.output());
    assert_eq!((&again["tables"], &again["resumedAt"]), (&out["tables"], &out["rows"]), "it is compared once more");
    assert_same(&before, &answers(schema.node("a", &config), &messages).await);

    let back = there.run(&["move", "--from", "database", "--to", &last.side()]).await.output();
    assert!(back.contains("messages: 9") && back.contains("in flight when the source was left"), "{back}");
    assert!(back.contains("`serve` needs the setting `main_secret`"), "{back}");
    assert_same(&before, &answers(embedded(&last.data(), &config), &messages).await);

    let home = embedded(&last.data(), &config);
    let node = home.start().await;
    gate.send(true).expect("the receiver waits");
    assert_eq!(
        once(&node, "key-3", "{\"n\":3,\"odd\":1.00,\"text\":\"<\\u2028 é\"}").await["id"],
        messages[3].as_str()
    );
    let arrived = receiver.arrived(10).await;
    assert_eq!(arrived.len(), 10, "nine messages, one of them twice");
    let of_crm = async || {
        let mut states = Vec::new();
        for message in &messages {
            let delivered = |delivery: &Value| delivery["state"] == "delivered";
            states.push(node.deliveries(message).await.iter().any(delivered));
        }
        if states.iter().all(|delivered| *delivered) { Ok(()) } else { Err(json!(states)) }
    };
    node.until("every message to be delivered to one endpoint", of_crm).await;
    let outcomes = node.outcomes(&messages[7]).await;
    assert!(outcomes.contains(&"interrupted".to_owned()), "{outcomes:?}");
    let after = once(&node, "key-new", "1").await["id"].as_str().expect("an id").to_owned();
    assert!(!messages.contains(&after) && messages.iter().all(|message| *message < after), "ids go on");
    node.stop().await;
}

/// Starts a move and kills it when it says this; `false` when it was faster.
async fn killed_at(deployment: &Deployment, from: &str, to: &str, word: &str) -> bool {
    let mut child = deployment.spawn(&["move", "--from", from, "--to", to]);
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let met = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains(word) {
                return;
            }
        }
    };
    within("the move to come so far", met).await;
    within("the move to die", child.kill()).await.expect("it can be killed");
    child.wait().await.expect("it is dead").code() != Some(0)
}

#[tokio::test]
async fn a_killed_move_leaves_a_target_that_nobody_serves_and_goes_on_from_there() {
    let (first, config) = (Folder::new(), party(&[]));
    let Some(_) = Schema::new() else { return };
    let deployment = embedded(&first.data(), &config);
    let node = deployment.start().await;
    let payload = format!("\"{}\"", "x".repeat(900_000));
    let mut messages = Vec::new();
    for _ in 0..30 {
        messages.push(node.publish(&payload).await);
    }
    node.stop().await;

    // A move may be faster than we are; then the next one has its chance.
    let mut whole = None;
    for _ in 0..20 {
        let Some(schema) = Schema::new() else { return };
        let there = schema.node("a", &config);
        if killed_at(&there, &first.side(), "database", "copying `owed`").await {
            let refused = there.refuse().await.complaint(1);
            assert!(refused.contains("`hookyard move` that has not ended\nhint: run the same move again"), "{refused}");
            let elsewhere = Folder::new();
            let refused = there.run(&["move", "--from", "database", "--to", &elsewhere.side()]).await.complaint(1);
            assert!(refused.contains("is the target of a move that has not ended"), "{refused}");
            let moved = there.run(&["move", "--from", &first.side(), "--to", "database", "--json"]).await.output();
            let moved = report(&moved);
            assert!(moved["resumedAt"].as_u64() >= Some(30), "{moved:#}");
            assert_eq!(moved["tables"]["message"]["rows"], 30, "{moved:#}");
            whole = Some(schema);
            break;
        }
    }
    let schema = whole.expect("no move to the database could be killed half-way");
    let there = schema.node("a", &config);
    let mut is_whole = false;
    for _ in 0..20 {
        let last = Folder::new();
        if killed_at(&there, "database", &last.side(), "copying `owed`").await {
            let refused = embedded(&last.data(), &config).refuse().await.complaint(1);
            assert!(refused.contains("`hookyard move` that has not ended"), "{refused}");
            let moved = there.run(&["move", "--from", "database", "--to", &last.side(), "--json"]).await.output();
            assert!(report(&moved)["resumedAt"].as_u64() >= Some(30), "{moved}");
            let home = embedded(&last.data(), &config);
            let node = home.start().await;
            for message in &messages {
                let raw = node.get(&format!("/api/v1/app/party/msg/{message}/raw")).await.expect(200);
                assert!(raw.text().contains(&payload), "a payload came over whole");
            }
            node.stop().await;
            is_whole = true;
            break;
        }
    }
    assert!(is_whole, "no move from the database could be killed half-way");
}

#[tokio::test]
async fn a_move_that_was_broken_off_does_not_go_on_with_another_source() {
    let Some(schema) = Schema::new() else { return };
    let (first, config) = (Folder::new(), party(&[]));
    let source = embedded(&first.data(), &config);
    let node = source.start().await;
    let payload = format!("\"{}\"", "x".repeat(900_000));
    for _ in 0..30 {
        node.publish(&payload).await;
    }
    node.stop().await;
    let there = schema.node("a", &config);
    if !killed_at(&there, &first.side(), "database", "copying `message`").await {
        return crate::pass_over("the move was faster than its death");
    }
    // A server that ran in between may have changed what was copied already.
    source.start().await.stop().await;
    let refused = there.run(&["move", "--from", &first.side(), "--to", "database"]).await.complaint(1);
    assert!(refused.contains("from another store, or from the state of this one before a server ran"), "{refused}");
}

#[tokio::test]
async fn a_move_is_refused_where_it_would_do_harm() {
    let Some(schema) = Schema::new() else { return };
    let (first, other, config) = (Folder::new(), Folder::new(), party(&[]));
    let there = schema.node("a", &config);
    let (full, rest) = (first.side(), other.side());
    let refuse = async |from: &str, to: &str, code: i32, says: &str| {
        let refused = there.run(&["move", "--from", from, "--to", to]).await.complaint(code);
        assert!(refused.contains(says), "{from} to {to}: {refused}");
        assert!(!refused.contains("panic") && !refused.contains(MAIN), "{refused}");
    };
    refuse(&full, "database", 1, "there is no store in").await;
    refuse("database", &full, 1, "there is no store in schema").await;
    refuse(&full, &rest, 2, "both are embedded stores").await;
    refuse("database", schema.url(), 2, "both are PostgreSQL").await;
    refuse("mysql://u:hush@db/h", &full, 2, "`--from` must be `data:DIR`").await;
    assert!(!first.data().exists(), "nothing was made");

    let source = embedded(&first.data(), &config);
    let node = source.start().await;
    node.publish("1").await;
    refuse(&full, "database", 1, "is in use by another process").await;
    node.stop().await;
    let node = there.start().await;
    refuse(&full, "database", 1, "node `a` runs on schema").await;
    refuse("database", &rest, 1, "node `a` runs on schema").await;
    node.stop().await;
    refuse(&full, "database", 1, "is not empty, `application` has rows").await;

    let Some(empty) = Schema::new() else { return };
    let stranger = empty.node("a", &config).set("HOOKYARD_MAIN_SECRET", "another");
    let refused = stranger.run(&["move", "--from", &full, "--to", "database"]).await.complaint(3);
    assert!(refused.contains("`main_secret` does not open the secrets in"), "{refused}");
    let ours = empty.node("a", &config);
    let moved = ours.run(&["move", "--from", &full, "--to", "database"]).await.output();
    assert!(moved.contains("start no server on data directory"), "{moved}");
    let refused = ours.run(&["move", "--from", "database", "--to", &full]).await.output();
    assert!(refused.contains("the same in both"), "what is there already is only compared: {refused}");
}
