//! Starts on a database that are refused, each with a reason that a person can act upon.

use crate::deployment::{Deployment, party};
use crate::schema::Schema;
use crate::world::{Way, World};

#[tokio::test]
async fn another_main_secret_is_refused_and_one_more_is_not() {
    let Some(schema) = Schema::new() else { return };
    schema.node("a", &party(&[])).start().await.stop().await;

    let other = schema.node("b", &party(&[])).set("HOOKYARD_MAIN_SECRET", "another");
    let refused = other.refuse().await.complaint(3);
    assert!(refused.contains("main_secret"), "{refused}");
    assert!(refused.contains("hint: "), "{refused}");
    assert!(!refused.contains("the main secret of several nodes") && !refused.contains("another`"), "{refused}");

    let both = schema.node("b", &party(&[])).set("HOOKYARD_MAIN_SECRET", "another, the main secret of several nodes");
    both.start().await.stop().await;
    schema.node("b", &party(&[])).set("HOOKYARD_MAIN_SECRET", "another").start().await.stop().await;
}

#[tokio::test]
async fn without_the_secrets_that_all_nodes_share_nothing_starts() {
    let Some(schema) = Schema::new() else { return };
    let nothing = Deployment::new(&party(&[])).set("HOOKYARD_DATABASE", schema.url());
    let refused = nothing.refuse().await.complaint(3);
    for secret in ["jwt_secret", "main_secret"] {
        assert!(refused.contains(secret), "{secret} in:\n{refused}");
    }
    let one = Deployment::new(&party(&[]))
        .set("HOOKYARD_DATABASE", schema.url())
        .set("HOOKYARD_MAIN_SECRET", "the main secret of several nodes");
    let refused = one.refuse().await.complaint(3);
    assert!(refused.contains("jwt_secret"), "{refused}");
    assert!(!refused.contains("`main_secret`"), "{refused}");
    assert!(!one.data().exists(), "no node makes secrets of its own");
}

#[tokio::test]
async fn two_processes_of_one_name_are_told_so() {
    let Some(schema) = Schema::new() else { return };
    let (one, other) = (schema.node("a", &party(&[])), schema.node("a", &party(&[])));
    let first = one.start().await;
    let second = other.start().await;
    first.log().until("another process runs as node `a`").await;
    second.stop().await;
    let before = first.publish("1").await;
    assert!(first.deliveries(&before).await.is_empty());
    first.stop().await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_its_password() {
    let Some(schema) = Schema::new() else { return };
    let port = crate::cluster::free_port();
    let url = format!("postgres://somebody:hush@127.0.0.1:{port}/there");
    let refused = schema.node_through(&url, "a", &party(&[])).refuse().await.complaint(1);
    assert!(refused.contains(&format!("127.0.0.1:{port}")), "{refused}");
    assert!(!refused.contains("hush"), "{refused}");
}

#[tokio::test]
async fn a_pooler_that_does_not_get_through_keeps_no_start_waiting() {
    let Some(schema) = Schema::new() else { return };
    let nowhere = format!("postgres://postgres@127.0.0.1:{}/there", crate::cluster::free_port());
    let settings = [("server_login_retry", "60")];
    let Some(world) = World::through(schema, &nowhere, Way::Pooled, &settings).await else { return };
    let refused = world.node("a", &party(&[])).refuse().await.complaint(1);
    assert!(refused.contains("cannot be reached"), "{refused}");
    assert!(refused.contains("a pooler before it, does not answer"), "{refused}");
}

#[tokio::test]
async fn a_pooler_of_one_connection_that_is_listened_on_by_mistake_keeps_no_start_waiting() {
    let Some(schema) = Schema::new() else { return };
    let url = schema.url().to_owned();
    let settings = [("default_pool_size", "1")];
    let Some(world) = World::through(schema, &url, Way::Pooled, &settings).await else { return };
    let mistaken = world.node("a", &party(&[])).set("HOOKYARD_DATABASE_LISTEN", world.url());
    mistaken.start().await.stop().await;
}
