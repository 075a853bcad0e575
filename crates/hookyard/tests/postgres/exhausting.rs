//! A database server that has no connections left, or no room on its disk.

use crate::cluster::{Cluster, give, is_root};
use crate::cutting::until_taken;
use crate::deployment::{endpoint, id, party};
use crate::disk::SmallDisk;
use crate::pass_over;
use crate::receiver::Receiver;
use crate::schema::Schema;

/// Ends every session of the role.
const SEND_AWAY: &str =
    "do $$ begin perform pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'; end $$";

#[tokio::test]
async fn a_server_without_connections_is_told_to_callers_and_nothing_acknowledged_is_lost() {
    let Some(cluster) = Cluster::start().await else { return };
    cluster.execute(&["create role app login", "create database app owner app"]);
    let Some(schema) = Schema::on(&cluster.url("app", "app")) else { return };
    let receiver = Receiver::start().await;
    let deployment = schema.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let mut taken = vec![until_taken(&node, 0).await];

    cluster.execute(&["alter role app connection limit 0", SEND_AWAY]);
    let refused = node.publish_body(r#"{"eventType":"a","payload":0}"#).await.expect(503);
    assert_eq!(refused.headers["retry-after"], "5");

    // Fewer than it would like to have.
    cluster.execute(&["alter role app connection limit 2"]);
    for number in 1..20 {
        taken.push(until_taken(&node, number).await);
    }
    cluster.execute(&["alter role app connection limit -1"]);
    for message in &taken {
        node.until_all(message, "delivered").await;
    }
    assert_eq!(receiver.so_far().len(), taken.len(), "each came once");
    node.stop().await;
}

/// A JSON text of so many bytes that no compression makes much smaller.
fn noise(bytes: usize, seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let letters = (0..bytes - 2).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[(state >> 58) as usize])
    });
    format!("\"{}\"", letters.collect::<String>())
}

#[tokio::test]
async fn a_server_whose_disk_is_full_is_told_to_callers_and_nothing_acknowledged_is_lost() {
    let Some(cluster) = Cluster::start().await else { return };
    let place = cluster.folder().join("small");
    let Some(disk) = is_root().then(|| SmallDisk::mount(place.clone(), "24m")).flatten() else {
        return pass_over("a disk of some megabytes can only be mounted by root");
    };
    give(&place);
    let tablespace = format!("create tablespace small location '{}'", place.display());
    cluster.execute(&[&tablespace, "create database app tablespace small"]);
    let Some(schema) = Schema::on(&cluster.url("postgres", "app")) else { return };
    let receiver = Receiver::start().await;
    let deployment = schema.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let mut acknowledged = Vec::new();
    let refused = loop {
        let body = format!("{{\"eventType\":\"a\",\"payload\":{}}}", noise(100_000, acknowledged.len()));
        let answer = node.publish_body(&body).await;
        if answer.status.as_u16() != 202 {
            break answer.expect(503);
        }
        acknowledged.push(id(&answer.json()));
        assert!(acknowledged.len() < 300, "thirty megabytes do not fit into twenty-four");
    };
    assert_eq!(refused.headers["retry-after"], "5");
    assert!(acknowledged.len() > 5, "it was not full from the start");
    for message in &acknowledged {
        node.get(&format!("/api/v1/app/party/msg/{message}")).await.expect(200);
    }

    disk.grow("128m");
    acknowledged.push(until_taken(&node, 0).await);
    for message in &acknowledged {
        node.until_all(message, "delivered").await;
    }
    node.stop().await;
    drop((schema, cluster, disk));
}
