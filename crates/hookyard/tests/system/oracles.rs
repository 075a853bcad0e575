//! Leaves what the binary delivers where other people's libraries can verify it.
//!
//! Read by `tests/oracles/run`. Each case holds a request as it arrived, the secret its receiver has, and which scheme.

use std::path::Path;

use serde_json::{Value, json};

use crate::deployment::{Deployment, party};
use crate::receiver::Receiver;

/// Beneath the build's own folder for tests.
const FILE: &str = "oracles.json";
const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// The key pair of the seed 00 01 … 1f.
const PAIR: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";

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
            let headers: serde_json::Map<String, Value> = arrived
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().expect("text").into()))
                .collect();
            let prefix = if *dialect == "svix" { "svix" } else { "webhook" };
            assert!(headers.contains_key(&format!("{prefix}-signature")), "{headers:?}");
            let scheme = if secret.starts_with("whsk_") { "v1a" } else { "v1" };
            let body = std::str::from_utf8(&arrived.body).expect("text");
            cases.push(json!({
                "prefix": prefix, "scheme": scheme, "verifier": verifier, "headers": headers, "body": body,
            }));
        }
    }
    node.stop().await;
    assert_eq!(cases.len(), endpoints.len() * payloads.len());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(FILE);
    std::fs::write(&file, serde_json::to_string_pretty(&cases).expect("it is JSON")).expect("it can be written");
}
