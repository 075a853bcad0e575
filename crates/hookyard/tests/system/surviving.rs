//! Kills, stops and reloads with work in flight.

use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;

use crate::deployment::{Deployment, endpoint, id, party};
use crate::receiver::{Manner, Receiver};

#[tokio::test]
async fn what_was_in_flight_when_the_server_was_killed_is_interrupted_and_delivered() {
    let (_gate, closed) = watch::channel(false);
    let receiver = Receiver::with(move |before, _| match before {
        0 => Manner::Hold(closed.clone()),
        _ => Manner::ok(),
    })
    .await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "concurrency = 1")]));
    let node = deployment.start().await;
    let in_flight = node.publish("1").await;
    receiver.first().await;
    let mut waiting = Vec::new();
    for n in 2..6 {
        waiting.push(node.publish(&n.to_string()).await);
    }
    node.kill().await;

    let node = deployment.start().await;
    let delivery = node.until_all(&in_flight, "delivered").await.swap_remove(0);
    assert_eq!(node.outcomes(&in_flight).await, ["interrupted", "delivered"]);
    assert_eq!(delivery["charged"], 0, "an interruption takes nothing from the schedule: {delivery}");
    for message in &waiting {
        node.until_all(message, "delivered").await;
        let outcomes = node.outcomes(message).await;
        assert_eq!(outcomes.last().map(String::as_str), Some("delivered"));
        // What the dead node held may have left it, which the log must not leave out.
        assert!(outcomes[..outcomes.len() - 1].iter().all(|outcome| outcome == "interrupted"), "{outcomes:?}");
    }
    assert_eq!(receiver.so_far().len(), 6, "one of the five came twice");
    assert!(node.metric("hookyard_deliveries_rescued_total").await >= 1.0);
    node.stop().await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_a_kill_under_load() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "")]));
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let node = deployment.start().await;
        for n in 0..20 {
            acknowledged.push(node.publish(&format!("\"{round}.{n}\"")).await);
        }
        node.kill().await;
    }
    let node = deployment.start().await;
    for message in &acknowledged {
        node.until_all(message, "delivered").await;
    }
    node.stop().await;
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_gives_the_rest_back_without_a_trace() {
    // Later than any signal takes to arrive, sooner than the grace ends.
    let receiver = Receiver::with(|before, _| match before {
        0 => Manner::Late(Duration::from_secs(3)),
        _ => Manner::ok(),
    })
    .await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "concurrency = 1")]));
    let node = deployment.start().await;
    let in_flight = node.publish("1").await;
    receiver.first().await;
    let mut waiting = Vec::new();
    for n in 2..6 {
        waiting.push(node.publish(&n.to_string()).await);
    }
    node.stop().await;
    assert_eq!(receiver.so_far().len(), 1, "nothing new began");

    let node = deployment.start().await;
    assert_eq!(node.outcomes(&in_flight).await, ["delivered"]);
    for message in &waiting {
        node.until_all(message, "delivered").await;
        assert_eq!(node.outcomes(message).await, ["delivered"]);
    }
    assert_eq!(receiver.so_far().len(), 5, "each came once");
    node.stop().await;
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let (_gate, closed) = watch::channel(false);
    let receiver = Receiver::always(Manner::Hold(closed)).await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "timeout = \"60s\"")]));
    let node = deployment.start().await;
    let message = node.publish("1").await;
    receiver.first().await;
    node.signal(Signal::TERM);
    node.log().until("stopping").await;
    node.signal(Signal::TERM);
    node.log().until("stopped at once by a second signal").await;
    assert_eq!(node.ended().await.0, Some(1));

    let node = deployment.start().await;
    node.until_attempts(&message, 1).await;
    assert_eq!(node.outcomes(&message).await, ["interrupted"]);
    node.kill().await;
}

#[tokio::test]
async fn a_reload_adds_an_endpoint_and_a_wrong_file_changes_nothing() {
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let one = endpoint("one", &first.url(), "");
    let two = endpoint("two", &second.url(), "");
    let deployment = Deployment::new(&party(&[&one]));
    let node = deployment.start().await;

    deployment.configure(&party(&[&one.replace("uid", "uidd"), &two]));
    node.signal(Signal::HUP);
    let log = node.log().until("nothing changed").await;
    assert!(log.contains("hookyard.toml:4:1"), "{log}");
    assert!(log.contains("did you mean `uid`?"), "{log}");
    let endpoints = node.of_app("/endpoint").await;
    assert_eq!(endpoints["data"].as_array().map(Vec::len), Some(1), "{endpoints}");
    let before = node.publish("1").await;
    assert_eq!(node.until_all(&before, "delivered").await.len(), 1);

    deployment.configure(&party(&[&one, &two]));
    node.signal(Signal::HUP);
    node.log().until("created=1 updated=0 archived=0").await;
    let after = node.publish("2").await;
    assert_eq!(node.until_all(&after, "delivered").await.len(), 2);
    assert_eq!(second.first().await.body, "2");

    let archived = id(&node.of_app("/endpoint/one").await);
    deployment.configure(&party(&[&two]));
    node.signal(Signal::HUP);
    node.log().until("archived=1").await;
    let last = node.publish("3").await;
    assert_eq!(node.until_all(&last, "delivered").await.len(), 1);
    assert_eq!(first.so_far().len(), 2);
    let attempts = node.of_app(&format!("/attempt/endpoint/{archived}")).await;
    assert_eq!(attempts["data"].as_array().map(Vec::len), Some(2), "what left the file is archived: {attempts}");
    node.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_its_file_switches_off_is_held_through_a_restart() {
    let receiver = Receiver::with(|before, _| match before {
        0 => Manner::status("503 Busy"),
        _ => Manner::ok(),
    })
    .await;
    let retry = "retry = { policy = \"fixed\", delay = \"1s\", retries = 3 }\n";
    let on = party(&[&endpoint("crm", &receiver.url(), retry)]);
    let off = party(&[&endpoint("crm", &receiver.url(), &format!("{retry}disabled = true"))]);
    let deployment = Deployment::new(&on);
    let node = deployment.start().await;
    let message = node.publish("1").await;
    node.until_attempts(&message, 1).await;
    deployment.configure(&off);
    node.signal(Signal::HUP);
    node.log().until("updated=1").await;
    node.stop().await;

    let node = deployment.start().await;
    let held = node.deliveries(&message).await.swap_remove(0);
    assert_eq!(held["reason"], "held while the endpoint is disabled", "{held}");
    assert_eq!(node.of_app("/endpoint/crm").await["disabledReason"], "manual");
    let meanwhile = node.publish("2").await;
    assert!(node.deliveries(&meanwhile).await.is_empty(), "what is accepted meanwhile owes it nothing");
    deployment.configure(&on);
    node.signal(Signal::HUP);
    node.until_all(&message, "delivered").await;
    assert_eq!(node.outcomes(&message).await, ["refused", "delivered"]);
    assert_eq!(receiver.so_far().len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn an_endpoint_is_switched_off_and_on_by_commands() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    node.output(&["endpoints", "disable", "party", "crm"]).await;
    let meanwhile = node.publish("1").await;
    assert!(node.deliveries(&meanwhile).await.is_empty());
    node.output(&["endpoints", "enable", "party", "crm"]).await;
    let after = node.publish("2").await;
    node.until_all(&after, "delivered").await;
    assert_eq!(receiver.so_far().len(), 1);
    node.stop().await;
}
