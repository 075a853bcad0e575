//! Secrets stay where they are put.

use http::Method;
use serde_json::Value;

use crate::deployment::{APP, Deployment, ONCE, TWICE, endpoint, party};
use crate::receiver::{Manner, Receiver};

/// What every planted secret holds. Base64 of 27 bytes, so that it can stand in a signing key.
const CANARY: &str = "canary0Canary0canary0Canary0canary00";

/// A deployment with a canary wherever a secret may stand.
fn planted(receiver: &Receiver) -> Deployment {
    let url = receiver.url();
    let with_user = url.replace("http://", &format!("http://user:{CANARY}-url@"));
    let signed = format!(
        "uid = \"signed\"\nurl = \"{url}\"\nsecret = \"whsec_{CANARY}\"\n\
         basic_auth = {{ user = \"u\", password = \"{CANARY}-basic\" }}\n{TWICE}"
    );
    let headers = format!("headers = {{ X-Team = \"{CANARY}-header\", X-From = \"${{PLANTED}}\" }}\n{ONCE}");
    let config = format!(
        "log = \"trace\"\nlog_format = \"json\"\njwt_secret = \"{CANARY}-jwt\"\nmain_secret = [\"{CANARY}-main\"]\n\
         admin_password = \"{CANARY}-admin\"\n{}",
        party(&[&signed, &endpoint("headers", &url, &headers), &endpoint("user", &with_user, ONCE)])
    );
    Deployment::new(&config).set("PLANTED", &format!("{CANARY}-variable"))
}

/// No text holds a canary, or what Basic authentication makes of one.
#[track_caller]
fn check_clean(what: &str, text: &str, encoded: &[String]) {
    let lower = text.to_lowercase();
    let forms = encoded.iter().map(String::as_str).chain([CANARY]);
    for form in forms {
        if let Some(at) = lower.find(&form.to_lowercase()) {
            let around = text.get(at.saturating_sub(300)..(at + 60).min(text.len()));
            panic!("{what} shows a secret: …{}", around.unwrap_or(form));
        }
    }
}

#[tokio::test]
async fn no_secret_is_shown_or_logged_or_kept_in_the_clear() {
    // Refuses the first three, so that failures are logged as well.
    let receiver = Receiver::with(|before, _| match before {
        0..3 => Manner::status("500 Oops"),
        _ => Manner::ok(),
    })
    .await;
    let deployment = planted(&receiver);
    let node = deployment.start().await;
    let message = node.publish("{\"n\":1}").await;
    let arrived = receiver.arrived(3).await;
    node.until("each endpoint to have an attempt", async || {
        let attempts = node.attempts(&message).await;
        if attempts.len() >= 4 { Ok(()) } else { Err(Value::from(attempts)) }
    })
    .await;

    // They are used, though.
    let all = receiver.so_far();
    let seen = |name: &str| all.iter().filter_map(|one| one.headers.get(name)?.to_str().ok()).collect::<Vec<_>>();
    assert!(seen("x-team").contains(&&*format!("{CANARY}-header")));
    assert!(seen("x-from").contains(&&*format!("{CANARY}-variable")));
    let encoded: Vec<String> =
        seen("authorization").into_iter().filter_map(|value| Some(value.strip_prefix("Basic ")?.to_owned())).collect();
    assert!(encoded.len() >= 2, "{arrived:?}");

    let of_app = format!("/api/v1/app/{APP}");
    let attempt = node.attempts(&message).await[0]["id"].as_str().expect("an id").to_owned();
    for path in [
        String::new(),
        "/endpoint".to_owned(),
        "/endpoint/signed".to_owned(),
        "/endpoint/headers".to_owned(),
        "/endpoint/user".to_owned(),
        "/msg".to_owned(),
        format!("/msg/{message}"),
        format!("/msg/{message}/delivery"),
        format!("/msg/{message}/explain"),
        format!("/msg/{message}/attempt"),
        format!("/msg/{message}/attempt/{attempt}"),
        "/attempt/endpoint/headers".to_owned(),
        "/attempt/endpoint/user".to_owned(),
        "/nothing".to_owned(),
    ] {
        check_clean(&path, &node.get(&format!("{of_app}{path}")).await.text(), &encoded);
    }
    for path in ["/metrics", "/health", "/health/ready", "/api/v1/app"] {
        check_clean(path, &node.get(path).await.text(), &encoded);
    }
    let disabled = node.ask(Method::POST, &format!("{of_app}/endpoint/user/disable"), &[], b"").await.expect(200);
    check_clean("disabling", &disabled.text(), &encoded);

    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["config", "check"],
        &["endpoints", "list", APP],
        &["endpoints", "list", APP, "--json"],
        &["messages", "show", APP, &message],
        &["messages", "show", APP, &message, "--json"],
        &["messages", "explain", APP, &message],
    ] {
        let ran = node.run(arguments).await;
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        check_clean(&format!("{arguments:?}"), &format!("{}{}", ran.out, ran.err), &encoded);
    }

    let log = node.stop().await;
    check_clean("the log", &log, &encoded);
    for line in log.lines().filter(|line| !line.starts_with("listening on http://")) {
        let read: Result<Value, _> = serde_json::from_str(line);
        assert!(read.is_ok_and(|line| line.is_object()), "not a JSON object: {line}");
        // Which of two members of one name counts, every reader decides for itself.
        for name in ["message", "level", "timestamp", "target"] {
            assert_eq!(line.matches(&format!("\"{name}\":")).count(), 1, "{name} in {line}");
        }
    }
    assert!(log.contains("answered 500; given up: schedule spent"), "failures are told: {log}");
    for entry in std::fs::read_dir(deployment.data()).expect("it is there") {
        let path = entry.expect("it is there").path();
        let bytes = std::fs::read(&path).expect("it can be read");
        check_clean(&path.display().to_string(), &String::from_utf8_lossy(&bytes), &encoded);
    }
}

#[tokio::test]
async fn no_secret_of_another_systems_file_is_shown_or_logged() {
    let receiver = Receiver::with(|before, _| match before {
        0..2 => Manner::status("500 Oops"),
        _ => Manner::ok(),
    })
    .await;
    let planted = |path: &str| {
        let with_user = receiver.url().replace("http://", &format!("http://user:{CANARY}-user@"));
        format!("{}{path}", with_user.trim_end_matches('/'))
    };
    let deployment = Deployment::new("log = \"trace\"\nlog_format = \"json\"\n");
    let immich = deployment.folder().join("immich.json").display().to_string();
    let file = serde_json::json!({"webhooks": [{
        "events": ["PersonCreate"], "url": planted("/immich"), "backoffMs": 10,
        "headers": {"X-Webhook-Secret": format!("{CANARY}-header")}
    }]});
    std::fs::write(&immich, file.to_string()).expect("the file can be written");
    let kiosk =
        format!("webhooks:\n  - {{url: \"{}\", event: asset.new, secret: \"{CANARY}-secret\"}}\n", planted("/kiosk"));
    std::fs::write(deployment.folder().join("config.yaml"), kiosk).expect("the file can be written");
    let deployment = deployment.set("IMMICH_WEBHOOKS_CONFIG", &immich).set("HOOKYARD_KIOSK_CONFIG", "config.yaml");
    let node = deployment.start().await;
    for (application, event) in [("immich", "PersonCreate"), ("kiosk", "asset.new")] {
        let message = format!("{{\"eventType\": \"{event}\", \"payload\": {{}}}}");
        node.post(&format!("/api/v1/app/{application}/msg"), message).await.expect(202);
    }
    let arrived = receiver.arrived(3).await;
    let header = |name: &str| arrived.iter().find_map(|one| one.headers.get(name)?.to_str().ok());
    assert_eq!(header("x-webhook-secret"), Some(&*format!("{CANARY}-header")), "they are used, though");
    let encoded = [header("authorization").and_then(|value| value.strip_prefix("Basic ")).expect("a user").to_owned()];
    for application in ["immich", "kiosk"] {
        for path in ["", "/endpoint", "/msg", "/nothing"] {
            let path = format!("/api/v1/app/{application}{path}");
            check_clean(&path, &node.get(&path).await.text(), &encoded);
        }
    }
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["config", "check"],
        &["config", "reload"],
        &["doctor"],
        &["doctor", "--json"],
        &["endpoints", "list", "immich", "--json"],
        &["endpoints", "list", "kiosk", "--json"],
    ] {
        let ran = node.run(arguments).await;
        check_clean(&format!("{arguments:?}"), &format!("{}{}", ran.out, ran.err), &encoded);
        assert!(ran.out.len() > 10, "{arguments:?}: {ran:?}");
    }
    check_clean("the log", &node.stop().await, &encoded);
    for entry in std::fs::read_dir(deployment.data()).expect("it is there") {
        let path = entry.expect("it is there").path();
        let bytes = std::fs::read(&path).expect("it can be read");
        check_clean(&path.display().to_string(), &String::from_utf8_lossy(&bytes), &encoded);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_is_said_without_it() {
    let canary = "Canary0canary";
    for (lines, key) in [
        (format!("secret = \"whsec_{canary}\""), "secret"),
        (format!("secret = \"whsk_{canary}\""), "secret"),
        (format!("headers = {{ X-A = \"{canary}\\n\" }}"), "headers.X-A"),
        (format!("basic_auth = {{ user = \"a:{canary}\", password = \"{canary}\" }}"), "basic_auth.user"),
    ] {
        let crm = format!("uid = \"crm\"\nurl = \"https://example.com\"\n{lines}");
        let report = Deployment::new(&party(&[&crm])).refuse().await.complaint(3);
        assert!(report.contains(key), "{key} in {report}");
        assert!(!report.to_lowercase().contains(&canary.to_lowercase()), "{report}");
    }
    for url in [format!("ftp://u:{canary}@example.com"), format!("https://u:{canary}@exa mple.com")] {
        let crm = format!("uid = \"crm\"\nurl = \"{url}\"");
        let report = Deployment::new(&party(&[&crm])).refuse().await.complaint(3);
        assert!(!report.to_lowercase().contains(&canary.to_lowercase()), "{report}");
    }
}

#[tokio::test]
async fn keys_that_were_made_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let deployment = Deployment::new(&party(&[]));
    deployment.start().await.stop().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&deployment.data()), 0o700);
    for entry in std::fs::read_dir(deployment.data()).expect("it is there") {
        let path = entry.expect("it is there").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
