//! Sending again by hand.

use crate::deployment::{APP, Deployment, Node, ONCE, endpoint, party};
use crate::receiver::{Manner, Receiver};

/// Refuses the first request and takes the others.
async fn reluctant() -> Receiver {
    Receiver::with(|before, _| match before {
        0 => Manner::status("500 Oops"),
        _ => Manner::ok(),
    })
    .await
}

async fn resend_by_api(node: &Node<'_>, message: &str) {
    let path = format!("/api/v1/app/{APP}/msg/{message}/endpoint/crm/resend");
    node.post(&path, "").await.expect(202);
}

#[tokio::test]
async fn what_failed_is_sent_again_by_the_api() {
    let receiver = reluctant().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), ONCE)]));
    let node = deployment.start().await;
    let message = node.publish("1").await;
    node.until_all(&message, "failed").await;
    resend_by_api(&node, &message).await;
    let delivery = node.until_all(&message, "delivered").await.swap_remove(0);
    assert_eq!(delivery["round"], 1, "{delivery}");
    let attempts = node.attempts(&message).await;
    assert_eq!(node.outcomes(&message).await, ["refused", "delivered"]);
    assert_eq!((&attempts[0]["triggerType"], &attempts[1]["triggerType"]), (&0.into(), &1.into()));
    node.stop().await;
}

#[tokio::test]
async fn what_failed_is_sent_again_by_a_command_that_names_no_endpoint() {
    let (failing, fine) = (reluctant().await, Receiver::start().await);
    let endpoints = [endpoint("failing", &failing.url(), ONCE), endpoint("fine", &fine.url(), ONCE)];
    let deployment = Deployment::new(&party(&[&endpoints[0], &endpoints[1]]));
    let node = deployment.start().await;
    let message = node.publish("1").await;
    node.until_attempts(&message, 2).await;
    let said = node.output(&["resend", APP, &message]).await;
    assert_eq!(said.lines().count(), 1, "{said}");
    node.until_all(&message, "delivered").await;
    assert_eq!((failing.so_far().len(), fine.so_far().len()), (2, 1));
    let nothing = node.output(&["resend", APP, &message]).await;
    assert!(nothing.contains("nothing to resend"), "{nothing}");
    node.stop().await;
}

#[tokio::test]
async fn what_was_delivered_gets_one_more_attempt_and_stays_delivered() {
    let receiver = Receiver::with(|before, _| match before {
        2 => Manner::status("500 Oops"),
        _ => Manner::ok(),
    })
    .await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), ONCE)]));
    let node = deployment.start().await;
    let message = node.publish("1").await;
    node.until_all(&message, "delivered").await;
    resend_by_api(&node, &message).await;
    node.until_attempts(&message, 2).await;
    let said = node.output(&["resend", APP, &message, "crm"]).await;
    assert!(said.contains("is due again for crm"), "{said}");
    node.until_attempts(&message, 3).await;
    let delivery = node.deliveries(&message).await.swap_remove(0);
    assert_eq!((&delivery["state"], &delivery["reason"]), (&"delivered".into(), &serde_json::Value::Null));
    assert_eq!(node.outcomes(&message).await, ["delivered", "delivered", "refused"]);
    assert_eq!(receiver.so_far().len(), 3);
    node.stop().await;
}

#[tokio::test]
async fn a_resend_to_nowhere_is_refused() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let message = node.publish("1").await;
    let refused = node.run(&["resend", APP, &message, "nobody"]).await.complaint(5);
    assert!(refused.contains("nobody"), "{refused}");
    let refused = node.run(&["resend", APP, "msg_nothing", "nobody"]).await.complaint(5);
    assert!(refused.contains("msg_nothing"), "{refused}");
    node.stop().await;
}
