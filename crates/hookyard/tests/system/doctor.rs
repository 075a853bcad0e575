//! `hookyard doctor`: what it sees beside a server, without one, and when something is wrong.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::deployment::{Deployment, ONCE, Ran, endpoint, party};
use crate::receiver::Receiver;

/// A port that nobody listens on at present.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// What it found of this check, each as verdict, words and hint.
#[track_caller]
fn found(ran: &Ran, check: &str) -> Vec<(String, String, Option<String>)> {
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!(report["ok"], ran.code == Some(0), "{ran:?}");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let of_check = report["checks"].as_array().expect("a list").iter().filter(|finding| finding["check"] == check);
    let found = |finding: &Value| {
        let (verdict, said) = (text(&finding["verdict"]), text(&finding["said"]));
        (verdict.expect("a verdict"), said.expect("words"), text(&finding["hint"]))
    };
    of_check.map(found).collect()
}

/// The only thing that it found of this check.
#[track_caller]
fn one(ran: &Ran, check: &str) -> (String, String, Option<String>) {
    let mut all = found(ran, check);
    assert_eq!(all.len(), 1, "{check}: {all:?}");
    all.swap_remove(0)
}

#[tokio::test]
async fn a_deployment_that_would_start_passes() {
    let receiver = Receiver::start().await;
    let url = format!("http://localhost:{}/secret-path?token=secret-query", receiver.address().port());
    let deployment = Deployment::new(&party(&[&endpoint("crm", &url, ONCE), &endpoint("shop", &receiver.url(), ONCE)]))
        .set("HOOKYARD_LISTEN", &format!("127.0.0.1:{}", free_port()));
    let ran = deployment.run(&["doctor", "--json"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let configuration = found(&ran, "configuration");
    assert_eq!(configuration[0].1, "hookyard.toml: fine; 1 application, 2 endpoints, 0 sources");
    assert!(one(&ran, "data").1.contains("is not there yet and can be made"), "{ran:?}");
    assert!(one(&ran, "port").1.ends_with("is free"), "{ran:?}");
    assert!(one(&ran, "dns").1.contains("`localhost` has 127.0.0.1"), "{ran:?}");
    let egress = found(&ran, "egress");
    assert_eq!(egress.len(), 2, "{egress:?}");
    assert!(
        egress.iter().all(|(verdict, said, _)| verdict == "ok" && said.contains("is a loopback address")),
        "{egress:?}"
    );
    for check in ["disk", "files", "tls", "clock"] {
        assert_ne!(one(&ran, check).0, "fail", "{check}");
    }
    assert!(!ran.out.contains("secret-"), "only scheme, host and port are shown: {ran:?}");
    assert!(!deployment.data().exists(), "it makes nothing that lasts");
    let text = deployment.run(&["doctor"]).await.output();
    assert!(text.lines().any(|line| line.starts_with("ok ") && line.contains("localhost")), "{text}");
    assert_eq!(receiver.connections(), 0, "it sends nothing");
}

#[tokio::test]
async fn a_running_server_is_recognised_by_its_lock_and_its_door() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let listen = node.address().to_string();
    let ran = deployment.run(&["doctor", "--json", "--listen", &listen]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(one(&ran, "data").1.ends_with("is in use by a running server"), "{ran:?}");
    assert_eq!(one(&ran, "port").1, format!("a server answers on `{listen}` and is ready"));
    assert_eq!(one(&ran, "clock").0, "ok");
    node.publish("1").await;
    node.stop().await;
    let ran = deployment.run(&["doctor", "--json", "--listen", &listen]).await;
    assert!(one(&ran, "data").1.ends_with("is there, ours and free"), "{ran:?}");
    deployment.start().await.stop().await;
}

#[tokio::test]
async fn a_port_that_somebody_else_has_is_a_failure() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[]));
    let ran = deployment.run(&["doctor", "--json", "--listen", &receiver.address().to_string()]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("error: 1 check failed"), "{ran:?}");
    let (verdict, said, hint) = one(&ran, "port");
    assert_eq!(verdict, "fail");
    assert!(said.contains("is taken by something that is no Hookyard") && hint.is_some(), "{said}");
}

#[tokio::test]
async fn what_the_guard_would_refuse_comes_with_the_line_that_opens_it() {
    let receiver = Receiver::start().await;
    let party = party(&[&endpoint("crm", &receiver.url(), ONCE), &endpoint("nas", "http://nas:5000/x", ONCE)]);
    let port = free_port();
    let deployment = Deployment::new(&format!("egress.trust_files = false\n{party}"))
        .set("HOOKYARD_LISTEN", &format!("127.0.0.1:{port}"));
    let ran = deployment.run(&["doctor", "--json"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let egress = found(&ran, "egress");
    let hints: Vec<&str> = egress.iter().filter_map(|(_, _, hint)| hint.as_deref()).collect();
    let line = format!("egress.allow = [\"{}\"]", receiver.address());
    assert_eq!(hints, [line.as_str(), "egress.allow = [\"nas:5000\"]"]);
    assert!(egress.iter().all(|(verdict, ..)| verdict == "fail"), "{egress:?}");

    deployment.configure(&format!("egress.trust_files = false\n{line}\n{party}"));
    let egress = found(&deployment.run(&["doctor", "--json"]).await, "egress");
    assert_eq!(egress.iter().filter(|(verdict, ..)| verdict == "ok").count(), 1, "{egress:?}");
}

#[tokio::test]
async fn metadata_addresses_and_names_that_do_not_exist_are_failures() {
    let urls = ["http://169.254.169.254/latest/", "http://nobody.invalid/"];
    let party = party(&[&endpoint("a", urls[0], ONCE), &endpoint("b", urls[1], ONCE)]);
    let deployment = Deployment::new(&party).set("HOOKYARD_LISTEN", "127.0.0.1:0");
    let ran = deployment.run(&["doctor", "--json"]).await;
    let (verdict, said, hint) = one(&ran, "egress");
    assert_eq!((verdict.as_str(), hint), ("fail", None), "opening it is not one line away");
    assert!(said.contains("metadata address"), "{said}");
    assert_eq!(one(&ran, "dns").0, "fail");
    assert!(ran.err.contains("error: 2 checks failed"), "{ran:?}");
}

#[tokio::test]
async fn every_fault_of_the_configuration_is_a_failure() {
    let deployment = Deployment::new("listen = \"x\"\nzzz = 1\n[[application]]\n");
    let ran = deployment.run(&["doctor", "--json"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let configuration = found(&ran, "configuration");
    assert_eq!(configuration.iter().filter(|(verdict, ..)| verdict == "fail").count(), 3, "{configuration:?}");
    assert!(configuration.iter().any(|(_, said, _)| said.starts_with("hookyard.toml:1:10: `listen`: is `x`")));
    assert_eq!(one(&ran, "files").0, "ok", "what does not depend on it is looked at");
    let ran = Deployment::new("[tls]\ncert = \"c\"\nkey = \"k\"\n").run(&["doctor", "--json"]).await;
    let refused = found(&ran, "configuration").into_iter().filter(|(verdict, ..)| verdict == "fail").count();
    assert_eq!(refused, 1, "a setting that a start would refuse: {ran:?}");
}

#[tokio::test]
async fn a_data_directory_that_others_may_read_is_a_warning_and_one_that_is_none_a_failure() {
    let deployment = Deployment::new(&party(&[])).set("HOOKYARD_LISTEN", "127.0.0.1:0");
    std::fs::create_dir(deployment.data()).expect("a directory");
    std::fs::set_permissions(deployment.data(), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let ran = deployment.run(&["doctor", "--json"]).await;
    assert_eq!(ran.code, Some(0), "a warning is no failure: {ran:?}");
    let (verdict, said, hint) = found(&ran, "data").swap_remove(1);
    assert_eq!((verdict.as_str(), hint.as_deref()), ("warn", Some("chmod 700 ./hookyard-data")), "{said}");
    for data in ["hookyard.toml", "hookyard.toml/below"] {
        let ran = deployment.run(&["doctor", "--json", "--data", data]).await;
        assert_eq!((ran.code, one(&ran, "data").0.as_str()), (Some(1), "fail"), "{data}: {ran:?}");
    }
}
