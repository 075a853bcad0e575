//! What left its file: its past is read, and nothing new comes in.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use hookyard_model::{OrganisationId, Outcome, RawId};
use hookyard_ports::Store as _;
use hookyard_ports::store::Import;
use hookyard_ports::testkit::build;
use hookyard_server::mint_token;
use serde_json::json;

use crate::world::{APP, World, secret, token};

impl World {
    /// Has the file declare `tenant-2` alone from now on.
    async fn archive(&self) {
        let left = vec![build::import_application(2, &[])];
        let import = Import { now: build::at(60), ..build::import(left) };
        self.node.import(import).await.expect("the store answers").expect("nothing is taken");
    }
}

#[tokio::test]
async fn the_past_of_an_archived_application_is_read_as_before_and_marked() {
    let world = World::new().await;
    let message = world.publish("a").await;
    assert_eq!(world.attempt(1, 1, &Outcome::Delivered).await, 1);
    let attempt = world.get(&format!("{APP}/attempt/msg/{message}")).await.ids().remove(0);
    let paths = [
        format!("{APP}/msg"),
        format!("{APP}/msg/{message}"),
        format!("{APP}/msg/{message}/raw"),
        format!("{APP}/msg/{message}/explain"),
        format!("{APP}/msg/{message}/attempt/{attempt}"),
        format!("{APP}/attempt/msg/{message}"),
        format!("{APP}/attempt/endpoint/{}", build::endpoint_id(1)),
    ];
    let mut before = Vec::new();
    for path in &paths {
        let answer = world.get(path).await;
        assert!(!answer.headers.contains_key("hookyard-archived"), "{path}: {answer:?}");
        before.push(answer.body);
    }
    world.archive().await;
    let expected = format!("at {}: it left hookyard.toml", build::at(60));
    for (path, before) in paths.iter().zip(before) {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.headers["hookyard-archived"], *expected, "{path}");
        // What is explained speaks of the time that has passed.
        assert!(answer.body == before || path.ends_with("/explain"), "{path}: {answer:?}");
    }
    let deliveries = world.get(&format!("{APP}/msg/{message}/delivery")).await;
    let names: Vec<_> =
        deliveries.json()["data"].as_array().expect("a list").iter().map(|one| one["endpointUid"].clone()).collect();
    assert_eq!(names, ["receiver-1", "receiver-2", "receiver-3"], "endpoints keep their names");
    let application = world.get(APP).await.json();
    assert_eq!(
        (&application["archivedAt"], &application["declaredIn"]),
        (&json!(build::at(60).to_string()), &json!("hookyard.toml"))
    );
    assert_eq!(world.get(&format!("{APP}/endpoint")).await.ids(), Vec::<String>::new());
}

#[tokio::test]
async fn an_archived_application_takes_nothing_and_says_why() {
    let world = World::new().await;
    let message = world.publish("a").await;
    world.archive().await;
    let one = r#"{"eventType":"a","payload":{}}"#;
    let endpoint = format!("{APP}/endpoint/{}", build::endpoint_id(1));
    for (path, body) in [
        (format!("{APP}/msg"), one.to_owned()),
        (format!("{APP}/msg/batch"), format!("{{\"messages\":[{one}]}}")),
        (format!("{APP}/msg/{message}/endpoint/{}/resend", build::endpoint_id(1)), String::new()),
        (format!("{endpoint}/enable"), String::new()),
        (format!("{endpoint}/disable"), String::new()),
    ] {
        let refused = world.post(&path, body).await;
        assert_eq!((refused.status, &refused.json()["code"]), (StatusCode::NOT_FOUND, &json!("not_found")), "{path}");
        let hint = refused.json()["hint"].as_str().expect("a hint").to_owned();
        let expected = format!("`tenant-1` was archived at {}: it left hookyard.toml", build::at(60));
        assert!(hint.starts_with(&expected) && hint.contains("can be read"), "{path}: {hint}");
    }
    let never = world.get("/api/v1/app/tenant-9/msg").await.json();
    let hint = never["hint"].as_str().expect("a hint");
    assert!(hint.ends_with("has no application with the id or uid `tenant-9`; it has `tenant-2`"), "{hint}");
}

#[tokio::test]
async fn archived_applications_are_listed_only_when_asked_for() {
    let world = World::new().await;
    world.archive().await;
    let (gone, left) = (build::application_id(1).to_string(), build::application_id(2).to_string());
    assert_eq!(world.get("/api/v1/app").await.ids(), [&*left]);
    for order in ["ascending", "descending"] {
        let archived = world.get(&format!("/api/v1/app?archived=true&order={order}")).await;
        assert_eq!(archived.ids(), [&*gone], "{order}");
        assert_eq!(archived.json()["data"][0]["archivedAt"], build::at(60).to_string());
    }
}

#[tokio::test]
async fn a_uid_that_is_there_again_is_read_from_the_present_and_the_past_by_its_id() {
    let world = World::new().await;
    let message = world.publish("a").await;
    world.archive().await;
    let mut again = build::import_application(1, &[]);
    again.id = build::application_id(9);
    world.node.import(build::import(vec![again])).await.expect("the store answers").expect("nothing is taken");
    assert_eq!(world.get(&format!("{APP}/msg")).await.ids(), Vec::<String>::new());
    let past = world.get(&format!("/api/v1/app/{}/msg", build::application_id(1))).await;
    assert_eq!(past.ids(), [message]);
}

#[tokio::test]
async fn an_archived_application_is_there_for_its_own_token_and_for_nobody_elses() {
    let world = World::new().await;
    let message = world.publish("a").await;
    world.archive().await;
    let foreign = mint_token(&secret(), OrganisationId::from_raw(RawId::MAX), None, build::NOW);
    for (token, is_own) in [
        (token(Some(build::application_id(1))), true),
        (token(Some(build::application_id(2))), false),
        (foreign, false),
    ] {
        for (method, path) in [
            (Method::GET, APP.to_owned()),
            (Method::GET, format!("/api/v1/app/{}", build::application_id(1))),
            (Method::GET, format!("{APP}/msg/{message}")),
            (Method::POST, format!("{APP}/msg/{message}/endpoint/{}/resend", build::endpoint_id(1))),
        ] {
            let reads = method == Method::GET;
            let request =
                Request::builder().method(method).uri(&path).header("authorization", format!("Bearer {token}"));
            let answer = world.send(request.body(Body::empty()).expect("a request")).await;
            let expected = if is_own && reads { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(answer.status, expected, "{path}: {answer:?}");
            assert_eq!(answer.headers.contains_key("hookyard-archived"), is_own && reads, "{path}");
            assert_eq!(answer.text().contains("archived"), is_own && path != format!("{APP}/msg/{message}"), "{path}");
        }
    }
}
