//! A disk that is full, and space that comes back.

use crate::deployment::{Deployment, endpoint, id, party};
use crate::disk::SmallDisk;
use crate::pass_over;
use crate::receiver::Receiver;

#[tokio::test]
async fn a_full_disk_is_told_to_callers_and_nothing_acknowledged_is_lost() {
    let receiver = Receiver::start().await;
    let config = party(&[&endpoint("crm", &receiver.url(), "")]);
    let deployment = Deployment::new(&format!("data = \"disk/data\"\n{config}"));
    let Some(disk) = SmallDisk::mount(deployment.folder().join("disk"), "8m") else {
        return pass_over("a disk of eight megabytes can only be mounted by root");
    };
    let node = deployment.start().await;
    let body = format!("{{\"eventType\":\"a\",\"payload\":\"{}\"}}", "x".repeat(100_000));
    let mut acknowledged = Vec::new();
    let refused = loop {
        let answer = node.publish_body(&body).await;
        if answer.status.as_u16() != 202 {
            break answer.expect(503);
        }
        acknowledged.push(id(&answer.json()));
        assert!(acknowledged.len() < 200, "twenty megabytes do not fit into eight");
    };
    assert_eq!(refused.json()["code"], "unavailable");
    assert_eq!(refused.headers["retry-after"], "5");
    assert!(acknowledged.len() > 5, "it was not full from the start");
    for message in &acknowledged {
        node.get(&format!("/api/v1/app/party/msg/{message}")).await.expect(200);
    }

    // Not the reserve alone, but the very last byte.
    let last = std::fs::write(deployment.folder().join("disk/filler"), vec![0; 8 * 1024 * 1024]);
    assert!(last.is_err_and(|error| error.kind() == std::io::ErrorKind::StorageFull));
    for _ in 0..3 {
        node.publish_body(&body).await.expect(503);
    }
    assert_eq!(node.get("/health/live").await.status.as_u16(), 200);
    for message in &acknowledged {
        node.get(&format!("/api/v1/app/party/msg/{message}")).await.expect(200);
    }

    disk.grow("64m");
    let after = node
        .until("the node to accept again", async || {
            let answer = node.publish_body(&body).await;
            if answer.status.as_u16() == 202 { Ok(id(&answer.json())) } else { Err(answer.json()) }
        })
        .await;
    acknowledged.push(after);
    for message in &acknowledged {
        node.until_all(message, "delivered").await;
    }
    node.stop().await;
    let node = deployment.start().await;
    for message in &acknowledged {
        node.until_all(message, "delivered").await;
    }
    node.stop().await;
}

#[tokio::test]
async fn a_disk_without_room_for_the_first_file_is_refused() {
    let deployment = Deployment::new(&format!("data = \"disk/data\"\n{}", party(&[])));
    let Some(_disk) = SmallDisk::mount(deployment.folder().join("disk"), "64k") else {
        return pass_over("a disk of 64 kilobytes can only be mounted by root");
    };
    let refused = deployment.refuse().await.complaint(1);
    assert!(refused.contains("no space left") || refused.contains("No space left"), "{refused}");
}

#[tokio::test]
async fn a_disk_that_is_too_small_for_a_first_start_is_named_as_what_is_wrong() {
    for size in ["16k", "40k", "64k"] {
        let deployment = Deployment::new(&format!("data = \"disk/data\"\n{}", party(&[])));
        let Some(_disk) = SmallDisk::mount(deployment.folder().join("disk"), size) else {
            return pass_over("a disk of some kilobytes can only be mounted by root");
        };
        let said = deployment.refuse().await.complaint(1);
        assert!(said.contains("there is no space left on the disk of"), "{size}: {said}");
        assert!(said.contains("hint: make room there"), "{size}: {said}");
    }
}
