//! Lists, pages, attempts, explanations.

use axum::http::StatusCode;
use hookyard_model::{DisableReason, Message, MessageId, Outcome, RawId, limits};
use hookyard_ports::Store;
use hookyard_ports::store::StatusChange;
use hookyard_ports::testkit::build;
use serde_json::{Value, json};

use crate::world::{APP, World};

/// Walks a list from page to page and back again; gives all ids in the list's order.
async fn walk(world: &World, path: &str, limit: usize) -> Vec<String> {
    let join = if path.contains('?') { '&' } else { '?' };
    let mut url = format!("{path}{join}limit={limit}");
    let mut pages: Vec<Vec<String>> = Vec::new();
    loop {
        let answer = world.get(&url).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}: {answer:?}");
        let json = answer.json();
        pages.push(answer.ids());
        let iterator = json["iterator"].as_str().map(str::to_owned);
        assert_eq!(iterator.as_ref(), pages.last().expect("just pushed").last(), "{url}");
        if json["done"] == true {
            break;
        }
        url = format!("{path}{join}limit={limit}&iterator={}", iterator.expect("a list that goes on says where"));
    }
    for index in (1..pages.len()).rev() {
        let back = world.get(&format!("{path}{join}limit={limit}&iterator=-{}", pages[index][0])).await;
        assert_eq!(back.ids(), pages[index - 1], "back from page {index}");
        assert_eq!(back.json()["done"], index == 1, "back from page {index}");
        assert_eq!(back.json()["prevIterator"], format!("-{}", pages[index - 1][0]));
    }
    pages.concat()
}

#[tokio::test]
async fn messages_are_listed_from_the_newest_and_walked_both_ways() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(world.publish(&format!("type.{}", n % 2)).await);
    }
    ids.reverse();
    for limit in [1, 2, 3, 6, 7, 50] {
        assert_eq!(walk(&world, &format!("{APP}/msg"), limit).await, ids, "limit {limit}");
    }
    let odd: Vec<String> = ids.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(walk(&world, &format!("{APP}/msg?event_types=type.1"), 2).await, odd);
    let nothing = world.get("/api/v1/app/tenant-2/msg").await;
    assert_eq!(nothing.text(), r#"{"data":[],"iterator":null,"done":true}"#);
}

#[tokio::test]
async fn with_after_alone_the_oldest_come_first_page_and_still_stand_newest_first() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(world.publish("a").await);
    }
    let second = world.stored(&ids[1]).await.message.accepted;
    let page = world.get(&format!("{APP}/msg?limit=2&after={second}")).await;
    assert_eq!(page.ids(), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(page.json()["done"], false);
    let on = page.json()["prevIterator"].as_str().expect("goes on").to_owned();
    let rest = world.get(&format!("{APP}/msg?limit=2&after={second}&iterator={on}")).await;
    assert_eq!((rest.ids(), &rest.json()["done"]), (vec![ids[3].clone()], &json!(true)));
    let before = world.get(&format!("{APP}/msg?before={second}")).await;
    assert_eq!(before.ids(), [ids[0].clone()]);
}

#[tokio::test]
async fn what_was_accepted_while_the_clock_was_ahead_is_listed_when_it_was_set_back() {
    let world = World::new().await;
    let early = world.publish("a").await;
    let accepted = build::NOW.plus(limits::LIST_WINDOW * 40);
    let id = MessageId::from_raw(RawId::first_of(accepted));
    let message = Message { id, accepted, ..build::message(1) };
    world.node.accept(vec![build::accept(message, &[])]).await.expect("the store answers");
    assert_eq!(walk(&world, &format!("{APP}/msg"), 1).await, [id.to_string(), early]);
}

#[tokio::test]
async fn applications_and_endpoints_have_their_own_orders() {
    let world = World::new().await;
    let apps = [build::application_id(1).to_string(), build::application_id(2).to_string()];
    assert_eq!(walk(&world, "/api/v1/app", 1).await, apps);
    let reversed: Vec<String> = apps.iter().rev().cloned().collect();
    assert_eq!(walk(&world, "/api/v1/app?order=descending", 1).await, reversed);
    let endpoints: Vec<String> = (1..=3).map(|n| build::endpoint_id(n).to_string()).collect();
    assert_eq!(walk(&world, &format!("{APP}/endpoint?order=ascending"), 2).await, endpoints);
    let reversed: Vec<String> = endpoints.iter().rev().cloned().collect();
    for limit in [1, 2, 3] {
        assert_eq!(walk(&world, &format!("{APP}/endpoint"), limit).await, reversed);
    }
}

#[tokio::test]
async fn an_application_and_an_endpoint_have_svix_shapes_and_no_secrets() {
    let world = World::new().await;
    let mut application = build::import_application(1, &[1, 2, 3]);
    application.endpoints[0].settings = std::sync::Arc::new(build::full_settings(1));
    let import = build::import(vec![application, build::import_application(2, &[])]);
    world.node.import(import).await.expect("the store answers").expect("nothing is taken");
    let app = world.get(&format!("/api/v1/app/{}", build::application_id(1))).await;
    assert_eq!(
        app.json(),
        json!({
            "id": build::application_id(1).to_string(), "name": "Tenant 1", "uid": "tenant-1", "throttleRate": null,
            "createdAt": "2026-01-01T00:00:00.000000Z", "updatedAt": "2026-01-01T00:00:00.000000Z", "metadata": {},
            "declaredIn": "hookyard.toml",
        })
    );
    let endpoint = world.get(&format!("{APP}/endpoint/receiver-1")).await;
    let json = endpoint.json();
    for (member, expected) in [
        ("uid", json!("receiver-1")),
        ("version", json!(1)),
        ("disabled", json!(false)),
        ("eventTypes", json!(["task.*", "asset.created"])),
        ("filterTypes", json!(["task.*", "asset.created"])),
        ("channels", json!(["eu:north"])),
        ("throttleRate", Value::Null),
        ("rateLimit", Value::Null),
        ("rate", json!("20/m")),
        ("dialect", json!("photobooth")),
        ("method", json!("PATCH")),
        ("timeout", json!("1500ms")),
        ("ordered", json!("/data/id~1x")),
    ] {
        assert_eq!(json[member], expected, "{member}");
    }
    for secret in ["whsec_", "older", "\"first\"", "second, 1", "pässword", "us:er"] {
        assert!(!endpoint.text().contains(secret), "{secret}");
    }
    let plain = world.get(&format!("{APP}/endpoint/receiver-2")).await;
    assert!(plain.text().contains(r#""eventTypes":null,"filterTypes":null,"channels":null"#), "{}", plain.text());
}

#[tokio::test]
async fn an_attempt_has_svix_fields_and_ours() {
    let world = World::new().await;
    let id = world.publish("a").await;
    assert_eq!(world.attempt(1, 1, &Outcome::Refused).await, 1);
    let url = format!("{APP}/msg/{id}/attempt/{}", build::attempt_id(1));
    let one = world.get(&url).await.json();
    assert_eq!(
        one,
        json!({
            "id": build::attempt_id(1).to_string(), "msgId": id, "endpointId": build::endpoint_id(1).to_string(),
            "url": "https://receiver.example/h%C3%BCk?key=***", "status": 2, "statusText": "fail", "triggerType": 1,
            "response": "AP/+CgA=", "responseStatusCode": 418, "responseDurationMs": 4000,
            "timestamp": "2026-01-01T00:00:01.000000Z", "outcome": "refused",
            "requestHeaders": [["authorization", "***"], ["x-a", "ü"]],
            "responseHeaders": [["x-a", "1"], ["x-a", "2"]],
            "timings": { "dns": 0.001, "connect": 1.002, "tls": 20.003, "firstByte": 300.004, "total": 4000.005 },
            "peer": "[2001:db8::1]:443", "truncated": true,
        })
    );
    let listed = world.get(&format!("{APP}/attempt/msg/{id}")).await;
    assert_eq!(listed.json()["data"], json!([one]));
    let without = world.get(&format!("{APP}/msg/{id}/attempt?with_content=false")).await;
    assert_eq!(without.json()["data"][0]["response"], "{}");
}

#[tokio::test]
async fn attempts_are_narrowed_by_every_filter() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for event_type in ["a", "b", "a"] {
        ids.push(world.publish(event_type).await);
    }
    assert_eq!(world.attempt(1, 1, &Outcome::Delivered).await, 3);
    assert_eq!(world.attempt(2, 11, &Outcome::Refused).await, 3);
    let count = async |path: &str| world.get(&format!("{APP}/attempt/{path}")).await.ids().len();
    assert_eq!(walk(&world, &format!("{APP}/attempt/endpoint/receiver-1"), 2).await.len(), 3);
    for (query, expected) in [
        ("status=0", 3),
        ("status=2", 0),
        ("status=1", 0),
        ("status_code_class=400", 3),
        ("status_code_class=0", 0),
        ("event_types=a", 2),
        ("event_types=b,c", 1),
        ("channel=none", 0),
        ("before=2026-01-01T00:00:02Z", 1),
    ] {
        assert_eq!(count(&format!("endpoint/receiver-1?{query}")).await, expected, "{query}");
    }
    let first = &ids[0];
    assert_eq!(count(&format!("msg/{first}")).await, 2);
    assert_eq!(count(&format!("msg/{first}?endpoint_id=receiver-2")).await, 1);
    assert_eq!(count(&format!("msg/{first}?event_types=b")).await, 0);
    let wrong = world.get(&format!("{APP}/msg/{}/attempt/{}", ids[1], build::attempt_id(1))).await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND, "the attempt is another message's");
}

#[tokio::test]
async fn explain_and_delivery_tell_who_got_it_and_how_it_stands() {
    let world = World::new().await;
    let off = StatusChange::Disable(DisableReason::Manual);
    world.node.change_status(build::endpoint_id(3), off, build::NOW).await.expect("the store answers");
    let id = world.publish("a").await;
    world.attempt(1, 1, &Outcome::Delivered).await;
    world.node.change_status(build::endpoint_id(2), off, build::NOW).await.expect("the store answers");

    let owed = world.get(&format!("{APP}/msg/{id}/delivery")).await.json();
    assert_eq!(owed["done"], true);
    assert_eq!(
        owed["data"],
        json!([
            { "endpointId": build::endpoint_id(1).to_string(), "endpointUid": "receiver-1", "endpointName": "receiver-1", "state": "delivered",
              "reason": null, "due": null, "charged": 0, "round": 0 },
            { "endpointId": build::endpoint_id(2).to_string(), "endpointUid": "receiver-2", "endpointName": "receiver-2", "state": "pending",
              "reason": "held while the endpoint is disabled", "due": "2026-01-01T00:00:02.000000Z", "charged": 0,
              "round": 0 },
        ])
    );
    let explained = world.get(&format!("{APP}/msg/{id}/explain")).await.json();
    assert_eq!(explained["summary"], "owed to 2 of 3 endpoints");
    let decisions: Vec<&Value> =
        explained["endpoints"].as_array().expect("a list").iter().map(|one| &one["decision"]).collect();
    assert_eq!(decisions, ["owed", "owed", "skipped"]);
    assert_eq!(explained["endpoints"][0]["delivery"]["state"], "delivered");
    assert_eq!(explained["endpoints"][2]["delivery"], Value::Null);
    assert!(explained["endpoints"][2]["why"].as_str().is_some_and(|why| why.contains("disabled")), "{explained}");
    let lonely = world.post("/api/v1/app/tenant-2/msg", r#"{"eventType":"a","payload":1}"#).await.json();
    let lonely = lonely["id"].as_str().expect("an id");
    let explained = world.get(&format!("/api/v1/app/tenant-2/msg/{lonely}/explain")).await.json();
    assert_eq!(explained["summary"], "the application had no endpoints when the message was accepted");
}
