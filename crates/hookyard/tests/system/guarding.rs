//! The guard in front of everything that leaves.

use crate::deployment::{APP, Deployment, ONCE, endpoint, party};
use crate::receiver::Receiver;

#[tokio::test]
async fn a_file_that_is_not_trusted_needs_the_line_that_the_refusal_names() {
    let receiver = Receiver::start().await;
    let party = party(&[&endpoint("crm", &receiver.url(), ONCE)]);
    let deployment = Deployment::new(&format!("egress.trust_files = false\n{party}"));
    let node = deployment.start().await;
    let message = node.publish("1").await;
    node.until_all(&message, "failed").await;
    let attempt = node.attempts(&message).await.swap_remove(0);
    assert_eq!(attempt["outcome"], "blocked", "{attempt}");
    assert!(attempt["detail"].as_str().is_some_and(|detail| detail.contains("public addresses only")), "{attempt}");
    let line = attempt["hint"].as_str().expect("the line to add").to_owned();
    assert_eq!(line, format!("egress.allow = [\"{}\"]", receiver.address()));
    assert!(node.metric("hookyard_egress_blocked_total{rule=\"loopback\"}").await >= 1.0);
    let endpoint = node.of_app("/endpoint/crm").await;
    assert!(endpoint["failingSince"].is_null(), "what the guard refuses is not the endpoint's fault: {endpoint}");
    node.stop().await;
    assert_eq!(receiver.connections(), 0);

    deployment.configure(&format!("egress.trust_files = false\n{line}\n{party}"));
    let node = deployment.start().await;
    node.output(&["resend", APP, &message, "crm"]).await;
    node.until_all(&message, "delivered").await;
    assert_eq!(receiver.first().await.body, "1");
    node.stop().await;
}

#[tokio::test]
async fn metadata_addresses_are_refused_even_from_a_file() {
    for url in ["http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://[::ffff:a9fe:a9fe]/"] {
        let deployment = Deployment::new(&party(&[&endpoint("crm", url, ONCE)]));
        let node = deployment.start().await;
        let message = node.publish("1").await;
        node.until_all(&message, "failed").await;
        let attempt = node.attempts(&message).await.swap_remove(0);
        assert_eq!(attempt["outcome"], "blocked", "{url}: {attempt}");
        assert!(attempt["hint"].is_null(), "opening it is not one line away: {attempt}");
        assert!(attempt["peer"].is_null(), "{attempt}");
        node.stop().await;
    }
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let (receiver, proxy) = (Receiver::start().await, Receiver::start().await);
    let mut deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), ONCE)]));
    let address = format!("http://{}", proxy.address());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        deployment = deployment.set(name, &address);
    }
    let node = deployment.start().await;
    let message = node.publish("1").await;
    node.until_all(&message, "delivered").await;
    assert_eq!((receiver.so_far().len(), proxy.connections()), (1, 0));
    node.stop().await;
}
