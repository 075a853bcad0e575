//! A database server that has no connections left, or no room on its disks.

use crate::cluster::{Cluster, give, is_root, open_folder};
use crate::cutting::until_taken;
use crate::deployment::{Node, endpoint, id, party};
use crate::disk::SmallDisk;
use crate::pass_over;
use crate::receiver::Receiver;
use crate::world::{Way, World, check_log, check_refused, on_every_way};

on_every_way! {
    a_server_without_connections_is_told_to_callers_and_nothing_acknowledged_is_lost
    a_server_whose_disk_is_full_is_told_to_callers_and_nothing_acknowledged_is_lost
    a_server_that_crashes_because_its_log_has_no_room_is_told_to_callers_and_nothing_acknowledged_is_lost
}

/// Ends every session of the role.
const SEND_AWAY: &str =
    "do $$ begin perform pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'; end $$";

async fn a_server_without_connections_is_told_to_callers_and_nothing_acknowledged_is_lost(way: Way) {
    let Some(cluster) = Cluster::start().await else { return };
    cluster.execute(&["create role app login", "create database app owner app"]);
    let Some(world) = World::on(&cluster.url("app", "app"), way).await else { return };
    let receiver = Receiver::start().await;
    let deployment = world.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let mut taken = vec![until_taken(&node, 0).await];

    cluster.execute(&["alter role app connection limit 0", SEND_AWAY]);
    check_refused(&node).await;

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
    check_log(&node.stop().await, 1);
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

async fn a_server_whose_disk_is_full_is_told_to_callers_and_nothing_acknowledged_is_lost(way: Way) {
    let Some(cluster) = Cluster::start().await else { return };
    let place = cluster.folder().join("small");
    let Some(disk) = is_root().then(|| SmallDisk::mount(place.clone(), "16m")).flatten() else {
        return pass_over("a disk of some megabytes can only be mounted by root");
    };
    give(&place);
    let tablespace = format!("create tablespace small location '{}'", place.display());
    cluster.execute(&[&tablespace, "create database app tablespace small"]);
    let Some(world) = World::on(&cluster.url("postgres", "app"), way).await else { return };
    let receiver = Receiver::start().await;
    let deployment = world.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let mut acknowledged = fill(&node).await;
    for message in &acknowledged {
        node.get(&format!("/api/v1/app/party/msg/{message}")).await.expect(200);
    }

    disk.grow("128m");
    acknowledged.push(until_taken(&node, 0).await);
    for message in &acknowledged {
        node.until_all(message, "delivered").await;
    }
    check_log(&node.stop().await, 1);
    drop((world, cluster, disk));
}

/// Publishes until the node refuses, and gives what it took.
async fn fill(node: &Node<'_>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let body = format!("{{\"eventType\":\"a\",\"payload\":{}}}", noise(100_000, acknowledged.len()));
        let answer = node.publish_body(&body).await;
        if answer.status.as_u16() != 202 {
            assert_eq!(answer.expect(503).headers["retry-after"], "5");
            assert!(acknowledged.len() > 5, "it was not full from the start");
            return acknowledged;
        }
        acknowledged.push(id(&answer.json()));
        assert!(acknowledged.len() < 300, "thirty megabytes do not fit into sixteen");
    }
}

/// A server that cannot write its log stops as in a crash, and may not come back before there is room.
async fn a_server_that_crashes_because_its_log_has_no_room_is_told_to_callers_and_nothing_acknowledged_is_lost(
    way: Way,
) {
    let folder = open_folder();
    let place = folder.path().join("wal");
    let Some(disk) = is_root().then(|| SmallDisk::mount(place.clone(), "16m")).flatten() else {
        return pass_over("a disk of some megabytes can only be mounted by root");
    };
    give(&place);
    let arguments = ["--wal-segsize=1", "--waldir", place.to_str().expect("a plain path")];
    // No checkpoint makes room before it is full.
    let Some(cluster) = Cluster::start_in(folder, &arguments, "max_wal_size = '1GB'\nmin_wal_size = '2MB'").await
    else {
        return;
    };
    let Some(world) = World::on(&cluster.url("postgres", "postgres"), way).await else { return };
    let receiver = Receiver::start().await;
    let deployment = world.node("a", &party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let mut acknowledged = fill(&node).await;
    assert!(cluster.log().contains("PANIC"), "the log was not full:\n{}", cluster.log());

    disk.grow("128m");
    cluster.resume_if_ended().await;
    acknowledged.push(until_taken(&node, 0).await);
    for message in &acknowledged {
        node.until_all(message, "delivered").await;
    }
    check_log(&node.stop().await, 1);
    drop((world, cluster, disk));
}
