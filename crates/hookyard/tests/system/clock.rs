//! A clock that is set back between two runs.

use crate::deployment::{Deployment, TWICE, endpoint, id, party};
use crate::pass_over;
use crate::receiver::{Manner, Receiver};

/// Where Debian and its kin put the library that shifts a process's clock.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

#[tokio::test]
async fn ids_keep_rising_and_nothing_due_is_lost_when_the_clock_goes_back() {
    let Some(library) = LIBRARIES.iter().find(|library| std::path::Path::new(library).exists()) else {
        return pass_over("`libfaketime` is not installed (Debian has it as `faketime`)");
    };
    let receiver = Receiver::with(|before, _| match before {
        0 => Manner::status("503 Busy"),
        _ => Manner::ok(),
    })
    .await;
    let config = party(&[&endpoint("crm", &receiver.url(), TWICE)]);
    let deployment = Deployment::new(&config);
    let node = deployment.start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(node.publish("1").await);
    }
    for message in &ids {
        node.until_all(message, "delivered").await;
    }
    node.stop().await;

    let deployment =
        deployment.set("LD_PRELOAD", library).set("FAKETIME", "-1h").set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let node = deployment.start().await;
    for _ in 0..5 {
        let answer = node.publish_body(r#"{"eventType":"a","payload":2}"#).await.expect(202).json();
        ids.push(id(&answer));
    }
    for message in &ids {
        node.until_all(message, "delivered").await;
    }
    let listed = node.of_app("/msg?limit=50").await;
    let newest_first: Vec<String> = listed["data"].as_array().expect("a list").iter().map(id).collect();
    node.stop().await;
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(ids, sorted, "ids rise in the order of acceptance");
    ids.reverse();
    assert_eq!(newest_first, ids);
}

#[tokio::test]
async fn what_is_due_by_the_later_clock_is_delivered_once_time_has_come_again() {
    let Some(library) = LIBRARIES.iter().find(|library| std::path::Path::new(library).exists()) else {
        return pass_over("`libfaketime` is not installed (Debian has it as `faketime`)");
    };
    let receiver = Receiver::with(|before, _| match before {
        0 => Manner::status("503 Busy"),
        _ => Manner::ok(),
    })
    .await;
    let retry = "retry = { policy = \"fixed\", delay = \"2s\", retries = 1 }";
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), retry)]));
    let node = deployment.start().await;
    let message = node.publish("1").await;
    node.until_attempts(&message, 1).await;
    node.stop().await;

    let back = deployment.set("LD_PRELOAD", library).set("FAKETIME", "-1h").set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let node = back.start().await;
    let pending = node.deliveries(&message).await.swap_remove(0);
    assert_eq!(pending["state"], "pending", "{pending}");
    node.stop().await;

    let deployment = back.set("FAKETIME", "+0s");
    let node = deployment.start().await;
    node.until_all(&message, "delivered").await;
    assert_eq!(node.outcomes(&message).await, ["refused", "delivered"]);
    node.stop().await;
}
