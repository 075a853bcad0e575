//! Starts that are refused, each with a reason that a person can act upon.

use std::os::unix::fs::PermissionsExt as _;

use crate::deployment::{Deployment, endpoint, overwrite, party};
use crate::pass_over;

#[tokio::test]
async fn a_wrong_file_is_refused_with_every_fault_and_its_place() {
    let deployment = Deployment::new(
        r#"retry_schedule = "5s,5x"
[[application]]
uid = "party"
[[application.endpoint]]
url = "ftp://example.com"
tiemout = "5s"
[[application.endpoint]]
url = "https://example.com"
dialect = "standart"
"#,
    );
    let report = deployment.refuse().await.complaint(3);
    for part in [
        "4 faults",
        "hookyard.toml:1:18: `retry_schedule`: retry schedule entry `5x` is not a duration",
        "hookyard.toml:5:7: `application.endpoint.url`: has the scheme `ftp`",
        "hookyard.toml:6:1: `application.endpoint.tiemout`: is not a known key",
        "did you mean `timeout`?",
        "hookyard.toml:9:11: `application.endpoint.dialect`: is `standart`, which is not a dialect; did you mean `standard`?",
    ] {
        assert!(report.contains(part), "{part} in:\n{report}");
    }
    assert!(!deployment.data().exists(), "a start that is refused leaves nothing behind");
    let checked = deployment.run(&["config", "check"]).await.complaint(3);
    assert_eq!(checked, report);
}

#[tokio::test]
async fn what_a_start_refuses_a_check_refuses_in_the_same_words() {
    let secrets = "jwt_secret = \"s\"\nmain_secret = \"s\"\n";
    for (config, variable, word) in [
        ("doors_listen = \"127.0.0.1:1\"", None, "`doors_listen`"),
        ("tls = { cert = \"c\", key = \"k\" }", None, "`tls.cert`"),
        ("egress.proxy = \"http://proxy:1\"", None, "`egress.proxy`"),
        ("kai = { api_secret = \"s\" }", None, "`kai.api_secret`"),
        ("", Some(("HOOKYARD_KAI_GITHUB_SECRET", "s")), "`kai.github_secret`"),
        ("retention = \"2d\"", None, "`retention`"),
        ("database = \"postgres://a:hunter2@b/c\"", None, "`main_secret`"),
        (&format!("{secrets}database = \"postgres://a:hunter2@b/c?nonsense=1\""), None, "`database`"),
        ("role = \"workers\"", None, "`role`"),
        ("listen = \"localhost\"", None, "`listen`"),
    ] {
        let mut deployment = Deployment::new(config);
        if let Some((name, value)) = variable {
            deployment = deployment.set(name, value);
        }
        let refused = deployment.refuse().await.complaint(3);
        assert!(refused.contains(word) && !refused.contains("hunter2"), "{config}: {refused}");
        assert_eq!(deployment.run(&["config", "check"]).await.complaint(3), refused, "{config}");
        assert!(!deployment.data().exists(), "{config}: nothing was begun");
    }
}

#[tokio::test]
async fn headers_that_would_break_http_are_refused() {
    for (header, why) in [
        (r#""X-A" = "b\r\nEvil: 1""#, "holds a line break"),
        (r#""X-A" = "b\nEvil: 1""#, "holds a line break"),
        (r#""X-A" = "b\u0000""#, "zero byte"),
        (r#""X-A" = "b\u001b""#, "control character"),
        (r#""X-A\r\nEvil" = "b""#, "is not a header name"),
        (r#""X A" = "b""#, "is not a header name"),
        (r#""Host" = "internal""#, "the transport's own header"),
        (r#""content-length" = "3""#, "the transport's own header"),
        (r#""Transfer-Encoding" = "chunked""#, "the transport's own header"),
        (r#""Connection" = "upgrade""#, "the transport's own header"),
        (r#""X-Smokescreen-Role" = "b""#, "the transport's own header"),
    ] {
        let crm = endpoint("crm", "https://example.com", &format!("headers = {{ {header} }}"));
        let report = Deployment::new(&party(&[&crm])).refuse().await.complaint(3);
        assert!(report.contains(why) && report.contains("hookyard.toml:"), "{why} for {header} in:\n{report}");
        assert_eq!(report.lines().count(), 2, "{report}");
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let refused = deployment.refuse().await.complaint(1);
    assert!(refused.contains("is in use by another process"), "{refused}");
    assert!(refused.contains("hint: stop the other one"), "{refused}");
    node.publish("1").await;
    node.stop().await;
    deployment.start().await.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_refused_and_named() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let other = Deployment::new(&party(&[])).set("HOOKYARD_LISTEN", &node.address().to_string());
    // The flag that tests start servers with stands above the variable, so this one goes without.
    let refused = other.run(&["serve"]).await.complaint(1);
    assert!(refused.contains("cannot listen on") && refused.contains("HOOKYARD_LISTEN"), "{refused}");
    node.stop().await;
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_is_refused() {
    let deployment = Deployment::new(&format!("data = \"hookyard.toml/data\"\n{}", party(&[])));
    let refused = deployment.refuse().await.complaint(1);
    assert!(refused.contains("data directory `hookyard.toml/data` cannot be made"), "{refused}");
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_refused() {
    let mut deployment = Deployment::new(&party(&[]));
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    open(deployment.folder(), 0o755);
    std::fs::create_dir(deployment.data()).expect("a directory");
    open(&deployment.data(), 0o555);
    if rustix::process::getuid().is_root() {
        // Root may write everywhere.
        deployment = deployment.through(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        let allowed = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_hookyard"), "--version"])
            .output();
        if !allowed.is_ok_and(|output| output.status.success()) {
            return pass_over("no `setpriv`, or another user may not run the binary where it is");
        }
    }
    let refused = deployment.refuse().await.complaint(1);
    assert!(refused.contains("hookyard-data"), "{refused}");
    assert!(refused.to_lowercase().contains("permission denied") || refused.contains("cannot be written"), "{refused}");
    open(&deployment.data(), 0o755);
}

#[tokio::test]
async fn a_damaged_database_is_refused_and_not_touched() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    node.publish("1").await;
    node.stop().await;
    overwrite(&deployment.database(), &[0xa5; 100]);
    let damaged = std::fs::read(deployment.database()).expect("it is there");
    let refused = deployment.refuse().await.complaint(1);
    assert!(refused.contains("is not a database of Hookyard or is damaged"), "{refused}");
    assert!(refused.contains("hookyard.sqlite"), "{refused}");
    assert_eq!(std::fs::read(deployment.database()).expect("it is there"), damaged);
}

#[tokio::test]
async fn a_damaged_page_is_a_refusal_or_an_error_and_never_a_panic() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let mut messages = Vec::new();
    for _ in 0..20 {
        messages.push(node.publish(&format!("\"{}\"", "x".repeat(3_000))).await);
    }
    node.stop().await;
    let whole = std::fs::read(deployment.database()).expect("it is there");
    let mut noticed = 0;
    for page in (1..whole.len() / 4_096).step_by(7) {
        let mut damaged = whole.clone();
        damaged[page * 4_096..][..600].fill(0x5a);
        std::fs::write(deployment.database(), &damaged).expect("it can be written");
        let node = match deployment.try_start().await {
            Ok(node) => node,
            Err(log) => {
                assert!(log.contains("damaged") && !log.contains("panic"), "page {page}: {log}");
                noticed += 1;
                continue;
            }
        };
        let listed = node.get("/api/v1/app/party/msg").await;
        let published = node.publish_body(r#"{"eventType":"a","payload":{}}"#).await;
        for answer in [listed, published] {
            assert!(matches!(answer.status.as_u16(), 200 | 202 | 500), "page {page}: {answer:?}");
            if answer.status.as_u16() == 500 {
                assert_eq!(answer.text(), "{}", "nothing internal leaves");
                noticed += 1;
            }
        }
        // What it says at its end must not hold a panic.
        node.stop().await;
    }
    assert!(noticed > 0, "none of the pages mattered");
}

#[tokio::test]
async fn a_database_that_was_cut_short_is_refused() {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    for _ in 0..50 {
        node.publish(&format!("\"{}\"", "x".repeat(5_000))).await;
    }
    node.stop().await;
    let whole = std::fs::metadata(deployment.database()).expect("it is there").len();
    for kept in [whole / 2, 10_000, 100] {
        let file = std::fs::OpenOptions::new().write(true).open(deployment.database()).expect("it is there");
        file.set_len(kept).expect("it can be cut");
        drop(file);
        let refused = deployment.refuse().await.complaint(1);
        assert!(refused.contains("is damaged"), "{kept} of {whole} bytes: {refused}");
    }
}

#[tokio::test]
async fn another_main_secret_is_refused_and_the_old_one_beside_the_new_is_fine() {
    let config = party(&[&endpoint("crm", "https://example.com", "headers = { X-Key = \"k\" }")]);
    let first = "main_secret = \"the first secret of this deployment\"\n";
    let second = "main_secret = \"the second secret of this deployment\"\n";
    let both = "main_secret = [\"the second secret of this deployment\", \"the first secret of this deployment\"]\n";
    let deployment = Deployment::new(&format!("{first}{config}"));
    deployment.start().await.stop().await;
    deployment.configure(&format!("{second}{config}"));
    let refused = deployment.refuse().await.complaint(3);
    assert!(refused.contains("`main_secret` does not open the secrets"), "{refused}");
    assert!(!refused.contains("of this deployment"), "{refused}");
    deployment.configure(&format!("{both}{config}"));
    deployment.start().await.stop().await;
}
