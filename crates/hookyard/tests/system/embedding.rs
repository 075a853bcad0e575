//! One data directory, both ways: a program that embeds the library, and the server.

use bytes::Bytes;
use hookyard::accept::Publish;
use hookyard::embedded::{Application, Endpoint, Hookyard};
use hookyard::model::StateKind;

use crate::deployment::Deployment;
use crate::receiver::Receiver;

const SECRET: &str = "whsec_YW4gZXhhbXBsZSwgbm90IGEgcmVhbCBzZWNyZXQ=";

#[tokio::test]
async fn what_a_program_left_pending_is_delivered_and_shown_by_the_server() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new("");
    let crm = Endpoint::new("crm", &receiver.url()).expect("declarable").signed_with(SECRET);
    let shop = Application::new("shop").expect("a uid").with(crm);
    let program = Hookyard::builder(deployment.data()).declare([shop]).accept_only().open().await.expect("opens");
    let paid = Publish::json("order.paid".parse().expect("an event type"), Bytes::from_static(b"{\"order\":1}"));
    let message = program.publish("shop", paid).await.expect("published").message().id;
    program.stop().await;

    let node = deployment.start().await;
    let arrived = receiver.first().await;
    assert_eq!((arrived.header("webhook-id"), &arrived.body[..]), (&*message.to_string(), &b"{\"order\":1}"[..]));
    let listed = node.output(&["messages", "list", "shop"]).await;
    assert!(listed.contains(&message.to_string()), "{listed}");
    node.stop().await;

    let program = Hookyard::builder(deployment.data()).open().await.expect("the server left it whole");
    let deliveries = program.settled("shop", message).await.expect("settled");
    assert_eq!(deliveries.iter().map(|delivery| delivery.state.kind()).collect::<Vec<_>>(), [StateKind::Delivered]);
    program.stop().await;

    deployment.configure("[[application]]\nuid = \"shop\"\n");
    let refused = deployment.refuse().await.complaint(3);
    assert!(refused.contains("`shop` is already declared by the program that embeds Hookyard"), "{refused}");
}
