//! Immich's file: its own example, every rule of it, every fault.

use std::time::Duration;

use hookyard_model::{EndpointSettings, EventPattern, Method};

use super::foreign::{endpoints, read_file};
use super::*;

const DIALECT: &str = "immich";

/// The documentation's own example, as it stands there.
const EXAMPLE: &str = r#"{
  "webhooks": [
    {
      "id": "person-hooks",
      "events": ["PersonCreate", "PersonUpdate", "PersonDelete"],
      "url": "https://example.com/hooks/immich",
      "method": "POST",
      "headers": {
        "Authorization": "Bearer <token>",
        "X-Webhook-Secret": "<secret>"
      },
      "timeoutMs": 15000,
      "retries": 5,
      "backoffMs": 3000,
      "includeServerEvents": false
    }
  ]
}
"#;

fn immich(text: &str) -> Result<Config, String> {
    read_file("IMMICH_WEBHOOKS_CONFIG", "webhooks.json", text)
}

/// A file with this one entry, further members in front of its URL.
fn entry(members: &str) -> String {
    format!(r#"{{"webhooks": [{{{members} "url": "http://a.example/"}}]}}"#)
}

#[track_caller]
fn settings(members: &str) -> EndpointSettings {
    let config = immich(&entry(members)).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.to_string(), "", "{members}");
    endpoints(&config, DIALECT)[0].1.clone()
}

fn names(settings: &EndpointSettings) -> Vec<&str> {
    settings.event_types.iter().flatten().map(EventPattern::as_str).collect()
}

fn schedule(delay: Duration, retries: u16) -> RetryPolicy {
    let max_delay = hookyard_model::limits::RETRY_DELAY;
    RetryPolicy::Exponential { delay, factor: 2.0, max_delay, retries, jitter: 0.0 }
}

#[test]
fn the_example_of_the_documentation_reads_as_it_says() {
    let config = immich(EXAMPLE).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.to_string(), "");
    let endpoints = endpoints(&config, DIALECT);
    let [("person-hooks", settings)] = endpoints[..] else { panic!("{endpoints:?}") };
    assert_eq!(settings.name.as_deref(), Some("person-hooks"));
    assert_eq!(settings.dialect.as_str(), DIALECT);
    assert_eq!(settings.url.as_str(), "https://example.com/hooks/immich");
    assert_eq!(names(settings), ["PersonCreate", "PersonUpdate", "PersonDelete"]);
    assert_eq!(settings.method, Some(Method::Post));
    let headers: Vec<_> = settings.headers.iter().map(|pair| (&*pair.name, pair.value.expose().as_str())).collect();
    assert_eq!(headers, [("Authorization", "Bearer <token>"), ("X-Webhook-Secret", "<secret>")]);
    assert_eq!(settings.timeout, Some(Duration::from_secs(15)));
    assert_eq!(settings.retry, Some(schedule(Duration::from_secs(3), 4)), "five attempts: 0, 3, 9, 21 and 45 s");
    assert!(!settings.include_server_events);
}

#[test]
fn what_an_entry_leaves_out_is_the_documentations_default() {
    let settings = settings(r#""events": ["AssetCreate"],"#);
    assert_eq!(settings.name.as_deref(), Some("webhook-1"));
    assert_eq!(settings.timeout, Some(Duration::from_secs(10)));
    assert_eq!(settings.retry, Some(schedule(Duration::from_secs(2), 2)), "three attempts");
    assert_eq!((settings.method, settings.include_server_events), (None, false));
    assert!(settings.headers.is_empty() && settings.basic_auth.is_none() && settings.keys.keys.is_empty());
}

#[test]
fn null_is_absent_and_a_number_is_a_number_however_it_is_written() {
    let settings = settings(
        r#""id": null, "method": null, "headers": null, "timeoutMs": 1.5e4, "retries": 1.0, "backoffMs": 0,
        "includeServerEvents": true, "events": [" AssetCreate ", "", "  ", "AssetDelete", "AssetCreate"],"#,
    );
    assert_eq!(names(&settings), ["AssetCreate", "AssetDelete"], "trimmed, blanks dropped, each once");
    assert_eq!(settings.timeout, Some(Duration::from_secs(15)));
    assert_eq!(settings.retry, Some(schedule(Duration::ZERO, 0)));
    assert!(settings.include_server_events);
}

#[test]
fn methods_have_no_upper_and_lower_case() {
    for (text, expected) in [("put", Method::Put), ("PATCH", Method::Patch), ("Post", Method::Post)] {
        assert_eq!(settings(&format!(r#""method": "{text}", "events": ["AssetCreate"],"#)).method, Some(expected));
    }
}

#[test]
fn names_count_from_one_and_skipped_entries_count() {
    let text = r#"{"webhooks": [
        {"events": [], "url": "http://a.example/"},
        {"events": ["AssetCreate"], "url": "http://kai:8080/x"},
        {"id": "my hook", "events": ["AssetCreate"], "url": "http://localhost:8080/x"}
    ]}"#;
    let config = immich(text).unwrap_or_else(|report| panic!("{report}"));
    let endpoints = endpoints(&config, DIALECT);
    let names: Vec<_> = endpoints.iter().map(|(_, settings)| settings.name.as_deref().expect("a name")).collect();
    assert_eq!(names, ["webhook-2", "my hook"]);
    assert!(endpoints.iter().all(|(uid, _)| uid.starts_with("auto-")), "a name with a blank is no uid: {endpoints:?}");
    let warned = config.warnings.to_string();
    assert!(
        warned.contains("`webhooks[0].events`: names no event, so nothing would ever be sent; `webhook-1` is skipped")
    );
}

#[test]
fn reordering_a_file_moves_nothing() {
    let entries = [
        r#"{"events": ["AssetCreate", "AssetDelete"], "url": "http://a.example/"}"#,
        r#"{"events": ["AssetDelete", "AssetCreate"], "url": "http://a.example/", "retries": 9}"#,
        r#"{"events": ["AssetCreate"], "url": "http://a.example/"}"#,
        r#"{"id": "same", "events": ["AssetCreate"], "url": "http://b.example/"}"#,
        r#"{"id": "same", "events": ["AssetCreate"], "url": "http://c.example/"}"#,
        r#"{"id": "own", "events": ["AssetCreate"], "url": "http://d.example/"}"#,
    ];
    let uids = |order: &[usize]| {
        let text = order.iter().map(|index| entries[*index]).collect::<Vec<_>>().join(",");
        let config = immich(&format!("{{\"webhooks\": [{text}]}}")).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(config.warnings.to_string().matches("is `same`, as of another entry").count(), 2);
        let mut found: Vec<(String, String)> = endpoints(&config, DIALECT)
            .iter()
            .map(|(uid, settings)| ((*uid).to_owned(), format!("{} {:?}", settings.url, names(settings).len())))
            .collect();
        found.sort();
        found
    };
    let one = uids(&[0, 1, 2, 3, 4, 5]);
    assert_eq!(one, uids(&[5, 4, 2, 3, 1, 0]));
    assert!(one.iter().any(|(uid, _)| uid == "own"));
    assert!(one.iter().any(|(uid, _)| uid.ends_with("-2")), "equal ones are counted: {one:?}");
}

#[test]
fn an_id_that_is_anothers_derived_uid_takes_nothing_from_it() {
    let unnamed = r#"{"events": ["AssetCreate"], "url": "http://a.example/"}"#;
    let one = immich(&format!("{{\"webhooks\": [{unnamed}]}}")).expect("no fault");
    let uid = uids_of(&one)[0].clone();
    let thief = format!(r#"{{"id": "{uid}", "events": ["AssetDelete"], "url": "http://b.example/"}}"#);
    let both = immich(&format!("{{\"webhooks\": [{thief}, {unnamed}]}}")).unwrap_or_else(|report| panic!("{report}"));
    let uids = uids_of(&both);
    assert_eq!((uids.len(), uids[1].as_str()), (2, uid.as_str()));
    assert_ne!(uids[0], uid);
    assert_eq!(endpoints(&both, DIALECT)[0].1.name.as_deref(), Some(uid.as_str()), "it is called as the file says");
}

/// The uid of each.
fn uids_of(config: &Config) -> Vec<String> {
    endpoints(config, DIALECT).iter().map(|(uid, _)| (*uid).to_owned()).collect()
}

#[test]
fn a_user_in_the_url_becomes_basic_authentication() {
    let text = r#"{"webhooks": [{"events": ["AssetCreate"], "url": "https://kai:p%40ss@a.example/x?y=1#z"}]}"#;
    let config = immich(text).unwrap_or_else(|report| panic!("{report}"));
    let settings = endpoints(&config, DIALECT)[0].1;
    assert_eq!(settings.url.as_str(), "https://a.example/x?y=1");
    let user = settings.basic_auth.as_ref().expect("a user");
    assert_eq!((user.user.as_str(), user.password.expose().as_str()), ("kai", "p@ss"));
}

#[test]
fn nothing_in_the_file_means_more_than_to_immich() {
    let settings = settings(r#""headers": {"X-A": "${HOME}", "X-B": 5, "X-C": true}, "events": ["AssetCreate"],"#);
    let values: Vec<_> = settings.headers.iter().map(|pair| pair.value.expose().as_str()).collect();
    assert_eq!(values, ["${HOME}", "5", "true"]);
}

#[test]
fn what_immich_passes_over_in_silence_is_a_warning() {
    let text = r#"{
        "webhook": [],
        "webhooks": [
            {
                "events": ["PersonCreated", "asset.trash", "Person*", "no event"],
                "url": "http://a.example/",
                "timeoutMS": 5,
                "timeoutMs": 5,
                "retries": 1000,
                "backoffMs": 604800001,
                "zzz": {"deep": [1]}
            }
        ]
    }"#;
    let report = immich(text).map(|config| config.warnings.to_string());
    // A hundred repeats a week apart are kept for longer than messages are.
    let report = report.expect_err("too long a schedule");
    insta::assert_snapshot!(report);
}

#[test]
fn every_fault_is_said_at_once_with_its_place() {
    let text = r#"{
  "webhooks": [
    {"id": "", "events": "PersonCreate", "url": "ftp://a.example", "method": "GET"},
    {"id": 5, "events": [1, ["x"]], "url": "example.com/x", "headers": []},
    {"events": ["PersonCreate"], "url": "http://a.example/", "timeoutMs": 0, "retries": 0, "backoffMs": -1},
    {"events": ["PersonCreate"], "url": "http://a.example/", "timeoutMs": 1.5, "retries": "3", "backoffMs": true},
    {"events": ["PersonCreate"], "url": "http://a.example/", "includeServerEvents": "false",
     "headers": {"Host": "x", "A B": "x", "X-A": "b\r\nEvil: 1", "X-B": null, "X-C": {}, "x-d": "1", "X-D": "2"}},
    7,
    {}
  ]
}"#;
    insta::assert_snapshot!(immich(text).expect_err("faults"));
}

#[test]
fn what_is_no_json_is_said_with_its_place() {
    for (text, expected) in [
        ("", "webhooks.json:1:1: is not JSON: expected a value here"),
        ("{\n  \"webhooks\": [\n  {,}]}", "webhooks.json:3:4: is not JSON: expected"),
        ("[]", "webhooks.json:1:1: is a list, must be an object"),
        ("{\"webhooks\": {}}", "webhooks.json:1:14: `webhooks`: is an object, must be a list"),
        ("{} x", "webhooks.json:1:4: is not JSON: expected the end of the text here"),
        ("// no comments\n{}", "webhooks.json:1:1: is not JSON: expected a value here"),
    ] {
        let report = immich(text).expect_err(text);
        assert!(report.contains(expected), "{text}: {report}");
    }
    let deep = format!("{{\"webhooks\": {}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(immich(&deep).expect_err("too deep").contains("is not JSON"));
    assert!(immich(&"[".repeat(limits::CONFIG_FILE_BYTES + 1)).expect_err("too long").contains("is longer than"));
}

#[test]
fn an_empty_file_declares_an_application_without_endpoints() {
    for text in ["{}", "{\"webhooks\": []}", "\u{feff}{\"webhooks\": null}"] {
        let config = immich(text).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(endpoints(&config, DIALECT), []);
    }
}

#[test]
fn no_secret_of_the_file_is_in_a_report() {
    let text = r#"{"webhooks": [
        {"events": ["PersonCreate"], "url": "ftp://user:canary@a.example/?token=canary"},
        {"events": ["PersonCreate"], "url": "canary:canary@a.example"},
        {"events": ["PersonCreate"], "url": "canary:canary@a.example/?next=http://b.example"},
        {"events": ["PersonCreate"], "url": "https://canary:canary@exa mple.com"},
        {"events": ["PersonCreate"], "url": "https://a.example", "headers": {"X-A": "canary\n", "X-B": ["canary"]}}
    ]}"#;
    let report = immich(text).expect_err("faults");
    assert!(report.starts_with("configuration has 6 faults"), "{report}");
    assert!(!report.contains("canary"), "{report}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in r#"[{}\[\]:,"a0 .eE\\u-]{0,60}"#) {
        let _ = immich(&text);
    }
}
