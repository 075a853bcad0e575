//! `hookyard doctor` on a database of several nodes.

use serde_json::Value;

use crate::deployment::{Deployment, Ran, party};
use crate::pooler::Pooler;
use crate::schema::Schema;

/// What it found of this check, each as verdict, words and hint.
#[track_caller]
fn found(ran: &Ran, check: &str) -> Vec<(String, String, Option<String>)> {
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let of_check = report["checks"].as_array().expect("a list").iter().filter(|finding| finding["check"] == check);
    let found = |finding: &Value| {
        let (verdict, said) = (text(&finding["verdict"]), text(&finding["said"]));
        (verdict.expect("a verdict"), said.expect("words"), text(&finding["hint"]))
    };
    of_check.map(found).collect()
}

/// The only thing that it found of this check.
#[track_caller]
fn one(ran: &Ran, check: &str) -> (String, String, Option<String>) {
    let mut all = found(ran, check);
    assert_eq!(all.len(), 1, "{check}: {ran:?}");
    all.swap_remove(0)
}

async fn doctor(deployment: &Deployment) -> Ran {
    deployment.run(&["doctor", "--json", "--listen", "127.0.0.1:0"]).await
}

#[tokio::test]
async fn a_schema_is_seen_as_a_start_would_find_it() {
    let Some(schema) = Schema::new() else { return };
    let node = schema.node("a", &party(&[]));
    for _ in 0..2 {
        let ran = doctor(&node).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(one(&ran, "database").1.starts_with("PostgreSQL "), "{ran:?}");
        assert!(one(&ran, "schema").1.ends_with("has no tables yet; a start makes them"), "it makes none: {ran:?}");
        assert!(one(&ran, "database_listen").1.starts_with("is not set"), "{ran:?}");
        assert_eq!(found(&ran, "data"), [], "no node of a database has one");
    }
    let running = node.start().await;
    let ran = doctor(&node).await;
    assert!(one(&ran, "schema").1.contains("this one's; `main_secret` opens its secrets"), "beside a node: {ran:?}");
    running.stop().await;

    let other = schema.node("b", &party(&[])).set("HOOKYARD_MAIN_SECRET", "another one");
    let ran = doctor(&other).await;
    let (verdict, said, hint) = one(&ran, "schema");
    assert_eq!((ran.code, verdict.as_str()), (Some(1), "fail"));
    let refused = other.refuse().await.complaint(3);
    let hint = hint.expect("there is something to do");
    assert!(refused.contains(&said) && refused.contains(&hint), "in the words of a start: {said}\n{refused}");
    assert!(!ran.out.contains("another one"), "{ran:?}");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_named_without_its_password() {
    let Some(schema) = Schema::new() else { return };
    let node = schema.node_through("postgres://hookyard:hunter2@127.0.0.1:1/hooks", "a", &party(&[]));
    let ran = doctor(&node).await;
    let (verdict, said, hint) = one(&ran, "database");
    assert_eq!((ran.code, verdict.as_str(), hint.is_some()), (Some(1), "fail", true));
    assert!(said.contains("`127.0.0.1:1` cannot be reached"), "{said}");
    let node = schema.node("a", &party(&[])).set("HOOKYARD_DATABASE_LISTEN", "postgres://u:hunter2@127.0.0.1:1/hooks");
    let deaf = doctor(&node).await;
    let (verdict, said, hint) = one(&deaf, "database_listen");
    assert_eq!((deaf.code, verdict.as_str(), hint.is_some()), (Some(1), "fail", true));
    assert!(said.contains("`127.0.0.1:1`"), "{said}");
    assert!(!format!("{ran:?}{deaf:?}").contains("hunter2"), "{ran:?}{deaf:?}");
}

#[tokio::test]
async fn a_pooler_is_caught_and_may_not_stand_before_the_listener() {
    let Some(schema) = Schema::new() else { return };
    let Some(pooler) = Pooler::before(schema.url(), &crate::world::ADVISED).await else { return };
    let url = pooler.url(schema.url());
    let behind = |listen: &str| schema.node_through(&url, "a", &party(&[])).set("HOOKYARD_DATABASE_LISTEN", listen);
    let direct = behind(schema.url());
    let ran = doctor(&direct).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(found(&ran, "database").iter().any(|(_, said, _)| said.contains("a pooler stands in between")), "{ran:?}");
    assert!(one(&ran, "database_listen").1.contains("is heard at"), "{ran:?}");

    let ran = doctor(&behind(&url)).await;
    let (verdict, said, hint) = one(&ran, "database_listen");
    assert_eq!((ran.code, verdict.as_str()), (Some(1), "fail"), "{said}");
    assert!(hint.is_some_and(|hint| hint.contains("without a pooler in between")), "{ran:?}");

    let straight = schema.node("a", &party(&[])).set("HOOKYARD_DATABASE_LISTEN", schema.url());
    let ran = doctor(&straight).await;
    assert_eq!(found(&ran, "database").len(), 1, "nothing is taken for a pooler: {ran:?}");
}
