//! Other people's libraries on both ends: what the binary delivers is left for them to verify, what they sign is verified.
//!
//! `tests/oracles/run` calls both tests and, before and after, the libraries. Files under the build's folder for tests are
//! all that they share. Without the libraries' files there is nothing to verify here, and that is said.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hookyard_dialects::{RawRequest, Verified};
use hookyard_model::{Secret, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::deployment::{Deployment, party};
use crate::pass_over;
use crate::receiver::Receiver;

const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// The key pair of the seed 00 01 … 1f.
const PAIR: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";

fn exchange() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

#[tokio::test]
async fn what_is_delivered_is_left_for_the_libraries_of_others() {
    let endpoints = [("standard", SHARED, SHARED), ("svix", OTHER, OTHER), ("standard", PAIR, PUBLIC)];
    let payloads = ["{\"type\":\"photo.taken\",\"n\":9007199254740993}", "{ \"é\" :\t[ ] }", "\"\\u2028\"", "7"];
    let mut receivers = Vec::new();
    let mut declared = Vec::new();
    for (number, (dialect, secret, _)) in endpoints.iter().enumerate() {
        let receiver = Receiver::start().await;
        let url = receiver.url();
        declared.push(format!("uid = \"e{number}\"\nurl = \"{url}\"\ndialect = \"{dialect}\"\nsecret = \"{secret}\""));
        receivers.push(receiver);
    }
    let declared: Vec<&str> = declared.iter().map(String::as_str).collect();
    let deployment = Deployment::new(&party(&declared));
    let node = deployment.start().await;
    for payload in payloads {
        node.publish(payload).await;
    }
    let mut cases = Vec::new();
    for ((dialect, secret, verifier), receiver) in endpoints.iter().zip(&receivers) {
        for arrived in receiver.arrived(payloads.len()).await {
            let text = |(name, value): (&HeaderName, &HeaderValue)| {
                (name.to_string(), Value::from(value.to_str().expect("headers of text")))
            };
            let headers: serde_json::Map<String, Value> = arrived.headers.iter().map(text).collect();
            let prefix = if *dialect == "svix" { "svix" } else { "webhook" };
            let scheme = if secret.starts_with("whsk_") { "v1a" } else { "v1" };
            assert!(arrived.header(&format!("{prefix}-signature")).starts_with(&format!("{scheme},")), "{arrived:?}");
            let body = std::str::from_utf8(&arrived.body).expect("a body of text");
            cases.push(json!({
                "prefix": prefix, "scheme": scheme, "verifier": verifier, "headers": headers, "body": body,
            }));
        }
    }
    node.stop().await;
    assert_eq!(cases.len(), endpoints.len() * payloads.len());
    let text = serde_json::to_string_pretty(&cases).expect("it is JSON");
    std::fs::write(exchange().join("oracle-delivered.json"), text).expect("it can be written");
}

#[tokio::test]
async fn what_a_kiosk_announces_is_left_for_the_library_of_github() {
    const SECRET: &str = "my_webhook_secret";
    const HEADER: &str = "x-kiosk-signature-256";
    let receiver = Receiver::start().await;
    let endpoint = format!("url = \"{}\"\ndialect = \"kiosk\"\nsecret = \"{SECRET}\"", receiver.url());
    let deployment = Deployment::new(&party(&[&endpoint]));
    let node = deployment.start().await;
    let payloads = [
        r#"{"deviceID":"ed08beb1","clientName":"dining-room-pi","assets":[{"id":"bb4ce63b","type":"IMAGE"}]}"#,
        r#"{"clientName":"<Küche> & 😀","config":{"webhooks":[{"secret":"canary"}]}}"#,
        "{}",
    ];
    for payload in payloads {
        node.publish(payload).await;
    }
    let mut cases = Vec::new();
    for arrived in receiver.arrived(payloads.len()).await {
        let body = std::str::from_utf8(&arrived.body).expect("a body of text");
        let headers = json!({ HEADER: arrived.header(HEADER) });
        cases.push(json!({ "header": HEADER, "secret": SECRET, "headers": headers, "body": body }));
    }
    node.stop().await;
    let text = serde_json::to_string_pretty(&cases).expect("it is JSON");
    std::fs::write(exchange().join("oracle-kiosk.json"), text).expect("it can be written");
}

#[test]
fn what_the_libraries_of_others_sign_is_accepted() {
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("oracle-signed-") && name.ends_with(".json")
    };
    let files = std::fs::read_dir(exchange()).expect("the build makes it");
    let files: Vec<PathBuf> = files.map(|entry| entry.expect("it is there").path()).filter(named).collect();
    if files.is_empty() {
        return pass_over("no library has signed anything; `tests/oracles/run` asks them to");
    }
    for file in files {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let cases: Vec<Value> = serde_json::from_str(&text).expect("it is a list");
        assert!(!cases.is_empty(), "{}", file.display());
        for case in &cases {
            check_accepted_and_no_bit_of_it(case);
        }
    }
}

fn check_accepted_and_no_bit_of_it(case: &Value) {
    let text = |name: &str| case[name].as_str().unwrap_or_else(|| panic!("{name} of {case}")).to_owned();
    let mut headers = HeaderMap::new();
    let mut now = None;
    for (name, value) in case["headers"].as_object().expect("headers") {
        let value = value.as_str().expect("headers of text");
        if name.ends_with("-timestamp") {
            now = value.parse().ok().map(Timestamp::from_seconds);
        }
        headers.insert(HeaderName::try_from(name).expect("a name"), HeaderValue::try_from(value).expect("a value"));
    }
    let dialect = hookyard_dialects::find(&text("dialect").parse().expect("a name")).expect("it is one of ours");
    let (inbound, secrets) = (dialect.inbound().expect("it verifies"), [Secret::new(text("secret"))]);
    let verify = |headers: &HeaderMap, body: &[u8]| {
        let body = Bytes::copy_from_slice(body);
        let request = RawRequest { method: &Method::POST, target: "/", headers, body: &body };
        inbound.verify(&request, &secrets, now.expect("a timestamp"))
    };
    let body = text("body").into_bytes();
    assert!(matches!(verify(&headers, &body), Verified::Accepted { .. }), "{case}");
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    for at in 0..body.len() {
        assert!(matches!(verify(&headers, &flipped(&body, at)), Verified::Refused(_)), "byte {at} of {case}");
    }
    for (name, value) in &headers {
        for at in 0..value.len() {
            let mut headers = headers.clone();
            let Ok(value) = HeaderValue::from_bytes(&flipped(value.as_bytes(), at)) else { continue };
            headers.insert(name, value);
            assert!(matches!(verify(&headers, &body), Verified::Refused(_)), "character {at} of `{name}`, {case}");
        }
    }
}
