//! What the guides show is what the binary does.
//!
//! For docs/guides/verify.md, what is delivered in each dialect is left for its snippets to verify:
//! `scripts/check/52-verify-snippets.sh` calls that test and then the snippets. A file under the build's folder for tests
//! is all that they share: a list of {scheme, prefix, header, secret, headers, body}. For docs/guides/template.md, its
//! file is run as it stands, save for the addresses.

use std::path::Path;

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::deployment::{Deployment, id, party};
use crate::receiver::Receiver;

/// An endpoint: its dialect, the scheme of the guide, what the snippets are told of it, and further lines.
struct Sent {
    dialect: &'static str,
    scheme: &'static str,
    prefix: &'static str,
    header: &'static str,
    secret: &'static str,
    more: &'static str,
}

const SENT: [Sent; 7] = [
    Sent {
        dialect: "standard",
        scheme: "standard",
        prefix: "webhook",
        header: "webhook-signature",
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        more: "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
    },
    Sent {
        dialect: "svix",
        scheme: "standard",
        prefix: "svix",
        header: "svix-signature",
        secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        more: "secret = \"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\"",
    },
    Sent {
        dialect: "kiosk",
        scheme: "body",
        prefix: "sha256=",
        header: "x-kiosk-signature-256",
        secret: "my webhook $ecret",
        more: "secret = \"my webhook $ecret\"",
    },
    Sent {
        dialect: "vikunja",
        scheme: "body",
        prefix: "",
        header: "x-vikunja-signature",
        secret: "Schlüssel%s",
        more: "secret = \"Schlüssel%s\"",
    },
    Sent {
        dialect: "photobooth",
        scheme: "body",
        prefix: "",
        header: "x-signature",
        secret: "-n",
        more: "secret = \"-n\"",
    },
    Sent {
        dialect: "template",
        scheme: "body",
        prefix: "sha256=",
        header: "x-hub-signature-256",
        secret: "It's a Secret to Everybody",
        more: "secret = \"It's a Secret to Everybody\"\noptions = { body = '{\"text\":{{ payload.text | tojson }}}', \
               signature = { header = \"X-Hub-Signature-256\", prefix = \"sha256=\" } }",
    },
    Sent {
        dialect: "immich",
        scheme: "header",
        prefix: "",
        header: "authorization",
        secret: "Bearer let-me-in",
        more: "headers = { Authorization = \"Bearer let-me-in\" }",
    },
];

const PAYLOADS: [&str; 2] = [
    r#"{"text":"Grüße <\"&\"> \u2028 ${HOME} $(id) %s","event_id":7,"n":1.00}"#,
    r#"{ "text" : "", "event_id" : "x" }"#,
];

#[tokio::test]
async fn what_is_delivered_is_left_for_the_snippets_of_the_guide() {
    let mut receivers = Vec::new();
    let mut declared = Vec::new();
    for (number, Sent { dialect, more, .. }) in SENT.iter().enumerate() {
        let receiver = Receiver::start().await;
        let url = receiver.url();
        let lines = format!("uid = \"e{number}\"\nurl = \"{url}\"\ndialect = \"{dialect}\"\n{more}");
        declared.push(lines);
        receivers.push(receiver);
    }
    let declared: Vec<&str> = declared.iter().map(String::as_str).collect();
    // The photobooth's endpoints are `https` unless their application says no.
    let file =
        party(&declared).replacen("[[application.endpoint]]", "require_https = false\n[[application.endpoint]]", 1);
    let deployment = Deployment::new(&file);
    let node = deployment.start().await;
    for payload in PAYLOADS {
        node.publish(payload).await;
    }
    let mut cases = Vec::new();
    for (sent, receiver) in SENT.iter().zip(&receivers) {
        for arrived in receiver.arrived(PAYLOADS.len()).await {
            let text = |(name, value): (&HeaderName, &HeaderValue)| {
                (name.to_string(), Value::from(value.to_str().expect("headers of text")))
            };
            let headers: serde_json::Map<String, Value> = arrived.headers.iter().map(text).collect();
            assert!(headers.contains_key(sent.header), "{arrived:?}");
            let body = std::str::from_utf8(&arrived.body).expect("a body of text");
            let Sent { dialect, scheme, prefix, header, secret, .. } = sent;
            cases.push(json!({
                "dialect": dialect, "scheme": scheme, "prefix": prefix, "header": header, "secret": secret,
                "headers": headers, "body": body,
            }));
        }
    }
    node.stop().await;
    assert_eq!(cases.len(), SENT.len() * PAYLOADS.len());
    let text = serde_json::to_string_pretty(&cases).expect("it is JSON");
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("snippets-delivered.json"), text)
        .expect("it can be written");
}

const GUIDE: &str = include_str!("../../../../docs/guides/template.md");

/// The block of the guide that begins with these words.
fn block(words: &str) -> &'static str {
    let (_, after) = GUIDE.split_once(&format!("```{words}\n")).unwrap_or_else(|| panic!("no block `{words}`"));
    after.split_once("\n```").expect("it ends").0
}

#[tokio::test]
async fn the_templates_of_the_guide_send_what_it_shows() {
    let mut receivers = Vec::new();
    let mut lines = Vec::new();
    for line in block("toml").lines() {
        if line.trim_start().starts_with("url = ") {
            let receiver = Receiver::start().await;
            lines.push(format!("url = \"{}\"", receiver.url()));
            receivers.push(receiver);
        } else {
            lines.push(line.to_owned());
        }
    }
    let deployment = Deployment::new(&lines.join("\n")).set("LEDGER_SECRET", "a secret");
    let node = deployment.start().await;
    let payload = block("json published");
    let message =
        format!(r#"{{"eventType":"order.paid","eventTime":"2026-03-01T09:30:00+01:00","payload":{payload}}}"#);
    let message = id(&node.post("/api/v1/app/shop/msg?with_content=false", message).await.expect(202).json());
    for (receiver, uid) in receivers.iter().zip(["slack", "ledger", "form"]) {
        let arrived = receiver.first().await;
        let body = String::from_utf8(arrived.body.to_vec()).expect("text").replace(&message, "msg_…");
        assert_eq!(body, block(&format!("text {uid}")), "{uid}");
    }
    let [slack, ledger, form] = &receivers[..] else { panic!("the guide has three endpoints") };
    assert_eq!(slack.first().await.header("content-type"), "application/json");
    assert_eq!(form.first().await.header("content-type"), "application/x-www-form-urlencoded");
    let ledger = ledger.first().await;
    assert_eq!(ledger.header("x-event"), "order.paid");
    assert!(ledger.header("x-timestamp").parse::<u64>().is_ok());
    assert_eq!(ledger.header("x-signature").len(), "v0=".len() + 64);
    node.stop().await;
}
