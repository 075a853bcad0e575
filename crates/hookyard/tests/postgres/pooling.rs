//! What a pooler does by itself: it dies, and it has its own limits.

use std::time::Duration;

use tokio::time::Instant;

use crate::cutting::until_taken;
use crate::deployment::{endpoint, party};
use crate::receiver::Receiver;
use crate::schema::Schema;
use crate::world::{ADVISED, At, Cuttable, Way, World, check_log, check_refused};

#[tokio::test]
async fn two_nodes_work_behind_a_pooler_and_outlive_it() {
    let Some(mut world) = World::new(Way::PooledListening).await else { return };
    let (receiver, ordered) = (Receiver::start().await, Receiver::start().await);
    let config =
        party(&[&endpoint("crm", &receiver.url(), ""), &endpoint("ordered", &ordered.url(), "ordered = \"endpoint\"")]);
    let (a, b) = (world.node("a", &config), world.node("b", &config));
    let one = a.start().await;
    let other = b.start().await;
    let mut taken = Vec::new();
    for number in 0..20 {
        let node = if number % 2 == 0 { &one } else { &other };
        taken.push(until_taken(node, number).await);
    }

    let pooler = world.pooler.as_mut().expect("it stands in between");
    pooler.stop().await;
    for node in [&one, &other] {
        check_refused(node).await;
    }
    pooler.resume().await;
    for number in 20..30 {
        let node = if number % 2 == 0 { &one } else { &other };
        taken.push(until_taken(node, number).await);
    }
    for message in &taken {
        one.until_all(message, "delivered").await;
    }
    let mut came = Vec::new();
    for arrived in ordered.so_far() {
        let number: u64 = std::str::from_utf8(&arrived.body).expect("text").parse().expect("a number");
        if !came.contains(&number) {
            came.push(number);
        }
    }
    assert_eq!(came, (0..30).collect::<Vec<_>>(), "each in its order");
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_pooler_that_takes_no_more_clients_is_named_and_nothing_acknowledged_is_lost() {
    let Some(mut world) = World::new(Way::PooledListening).await else { return };
    let receiver = Receiver::start().await;
    let deployment = world.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let mut taken = vec![until_taken(&node, 0).await];
    node.until_all(&taken[0], "delivered").await;

    let pooler = world.pooler.as_mut().expect("it stands in between");
    pooler.stop().await;
    pooler.set("max_client_conn", "0");
    pooler.resume().await;
    node.log().until("raise its `max_client_conn`").await;
    check_refused(&node).await;

    pooler.set("max_client_conn", "100");
    taken.push(until_taken(&node, 1).await);
    for message in &taken {
        node.until_all(message, "delivered").await;
    }
    assert_eq!(receiver.so_far().len(), 2, "each came once");
    check_log(&node.stop().await, 2);
}

/// A pooler whose connections to the server are all taken, with a time that it lets clients wait; callers hear of it sooner
/// than this.
async fn check_occupied(wait: &str, cause: &str, sooner: Duration) {
    let Some(schema) = Schema::new() else { return };
    let url = schema.url().to_owned();
    let settings = [&ADVISED[..], &[("default_pool_size", "2"), ("query_wait_timeout", wait)]].concat();
    let Some(world) = World::through(schema, &url, Way::Pooled, &settings).await else { return };
    let receiver = Receiver::start().await;
    let deployment = world.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let mut taken = vec![until_taken(&node, 0).await];
    node.until_all(&taken[0], "delivered").await;

    let url = url::Url::parse(&url).expect("a URL");
    let pooler = world.pooler.as_ref().expect("it stands in between");
    let (user, database) = (url.username(), url.path().trim_start_matches('/'));
    let occupied = (pooler.occupy(user, database).await, pooler.occupy(user, database).await);
    let began = Instant::now();
    check_refused(&node).await;
    assert!(began.elapsed() < sooner, "it was told after {:?}", began.elapsed());
    node.log().until(cause).await;

    drop(occupied);
    taken.push(until_taken(&node, 1).await);
    for message in &taken {
        node.until_all(message, "delivered").await;
    }
    assert_eq!(receiver.so_far().len(), 2, "each came once");
    check_log(&node.stop().await, 1);
}

#[tokio::test]
async fn a_pooler_whose_connections_are_all_busy_is_named_and_nothing_acknowledged_is_lost() {
    check_occupied("3", "raise its `default_pool_size`", Duration::from_secs(6)).await;
}

#[tokio::test]
async fn a_pooler_that_lets_clients_wait_for_long_is_not_waited_for() {
    check_occupied("120", "the database gave no answer within", Duration::from_secs(15)).await;
}

#[tokio::test]
async fn a_pooler_whose_server_is_away_is_asked_once_for_each_deed() {
    let Some(mut cut) = Cuttable::new(Way::Pooled, At::Server).await else { return };
    let receiver = Receiver::start().await;
    let deployment = cut.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let before = until_taken(&node, 0).await;
    node.until_all(&before, "delivered").await;
    cut.proxy.refuse().await;
    check_refused(&node).await;

    let pooler = cut.world.pooler.as_ref().expect("it stands in between");
    let (clients, began) = (pooler.clients(), Instant::now());
    for _ in 0..20 {
        check_refused(&node).await;
    }
    let (clients, took) = (pooler.clients() - clients, began.elapsed());
    // Two for each round of the loop above, and what the node asks of its own accord some times a second.
    let allowed = 60 + 20 * (1 + usize::try_from(took.as_secs()).expect("it is short"));
    assert!(clients <= allowed, "{clients} connections within {took:?}");

    cut.proxy.listen().await;
    let after = until_taken(&node, 1).await;
    node.until_all(&after, "delivered").await;
    check_log(&node.stop().await, 1);
}
