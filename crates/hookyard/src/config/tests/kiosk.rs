//! Kiosk's file: its own example, every rule of the list, every fault.

use hookyard_model::{EndpointSettings, EventPattern};

use super::foreign::{endpoints, read_file};
use super::*;

const DIALECT: &str = "kiosk";

/// The documentation's own example, with the indentation that YAML needs.
const EXAMPLE: &str = r#"webhooks:
  - url: "https://your-webhook-endpoint.com"
    event: asset.new
    secret: "my_webhook_secret" # Optional secret for securing webhooks
"#;

fn kiosk(text: &str) -> Result<Config, String> {
    read_file("HOOKYARD_KIOSK_CONFIG", "config.yaml", text)
}

fn names(settings: &EndpointSettings) -> Vec<&str> {
    settings.event_types.iter().flatten().map(EventPattern::as_str).collect()
}

fn secret(settings: &EndpointSettings) -> Option<&str> {
    settings.keys.keys.first().map(|key| key.text.expose().as_str())
}

#[test]
fn the_example_of_the_documentation_reads_as_it_says() {
    let config = kiosk(EXAMPLE).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.to_string(), "");
    let endpoints = endpoints(&config, DIALECT);
    let [(uid, settings)] = endpoints[..] else { panic!("{endpoints:?}") };
    assert!(uid.starts_with("auto-"), "{uid}");
    assert_eq!(settings.name.as_deref(), Some("webhook-1"));
    assert_eq!(settings.dialect.as_str(), DIALECT);
    assert_eq!(settings.url.as_str(), "https://your-webhook-endpoint.com/");
    assert_eq!((names(settings), secret(settings)), (vec!["asset.new"], Some("my_webhook_secret")));
    assert_eq!((&settings.retry, settings.timeout), (&None, None), "the deployment's policy holds");
}

#[test]
fn everything_but_the_list_is_kiosks_own_business() {
    let text = format!(
        "# yaml-language-server: $schema=./config.schema.json\nimmich_api_key: \"\"\nimmich_url: \"\"\nweather:\n  \
         locations:\n    - name: Berlin\n      lat: 52.5\nkiosk: {{port: 3000, watch_config: true}}\n{EXAMPLE}albums: [a, *x]\n"
    )
    .replace("*x", "b");
    let config = kiosk(&text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.to_string(), "");
    assert_eq!(endpoints(&config, DIALECT).len(), 1);
    for text in ["", "immich_url: x\n", "webhooks:\n", "webhooks: []\n", "# nothing\n"] {
        let config = kiosk(text).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(endpoints(&config, DIALECT), []);
    }
}

#[test]
fn equal_entries_are_each_delivered() {
    let entry = "- {url: 'http://a.example', event: asset.new, secret: one}\n";
    let other = "- {url: 'http://a.example', event: asset.new, secret: two}\n";
    let text = format!("webhooks:\n{entry}{entry}{other}");
    let config = kiosk(&text).unwrap_or_else(|report| panic!("{report}"));
    let endpoints = endpoints(&config, DIALECT);
    let uids: std::collections::BTreeSet<_> = endpoints.iter().map(|(uid, _)| *uid).collect();
    assert_eq!((endpoints.len(), uids.len()), (3, 3));
    let secrets: Vec<_> = endpoints.iter().map(|(_, settings)| secret(settings)).collect();
    assert_eq!(secrets, [Some("one"), Some("one"), Some("two")]);
}

#[test]
fn both_names_of_the_flush_are_known_and_an_empty_secret_is_none() {
    let text = "webhooks:\n- {url: 'http://a.example', event: cache.flush, secret: ''}\n- {url: 'http://a.example', \
                event: cache.flushed, secret: }\n- {url: 'http://a.example', event: asset.offline.new}\n";
    let config = kiosk(text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.to_string(), "");
    let endpoints = endpoints(&config, DIALECT);
    assert!(endpoints.iter().all(|(_, settings)| secret(settings).is_none()));
    assert!(names(endpoints[0].1).contains(&"cache.flushed"), "either name of the event is wanted");
    assert!(names(endpoints[1].1).contains(&"cache.flush"), "either name of the event is wanted");
    assert_ne!(endpoints[0].0, endpoints[1].0);
}

#[test]
fn an_event_that_kiosk_does_not_have_is_a_warning() {
    let text =
        "webhooks:\n- {url: 'http://a.example', event: asset.now}\n- {url: 'http://a.example', event: 'asset.*'}\n";
    let config = kiosk(text).unwrap_or_else(|report| panic!("{report}"));
    insta::assert_snapshot!(
        without_folder(&config.warnings.to_string()),
        @"
    warning: config.yaml:2:36: `webhooks[0].event`: is `asset.now`, an event that Kiosk does not have
      hint: did you mean `asset.new`?
    warning: config.yaml:3:36: `webhooks[1].event`: is `asset.*`, which no event can be called; it matches nothing
    "
    );
    assert_eq!(endpoints(&config, DIALECT).len(), 1);
}

/// The report without the folder of this test.
fn without_folder(report: &str) -> String {
    let line = |line: &str| match line.split_once("config.yaml:") {
        Some((_, rest)) => format!("warning: config.yaml:{rest}"),
        None => line.to_owned(),
    };
    report.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_fault_is_said_at_once_with_its_place() {
    let text = r"webhooks:
  - url: https://user:canary@exa mple.com
    event: [asset.new, asset.prefetch]
    secret: 12345
  - url: ftp://a.example
    event: ''
    sceret: canary
    headers: {}
  - just a text
  - {}
";
    let report = kiosk(text).expect_err("faults");
    assert!(!report.contains("canary"), "{report}");
    insta::assert_snapshot!(report);
}

#[test]
fn the_example_without_its_indentation_gets_a_hint() {
    let text = EXAMPLE.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(kiosk(&text).expect_err("the event is missing"));
}

#[test]
fn a_secret_outside_of_its_entry_is_a_warning() {
    let text = EXAMPLE.replace("    secret", "secret");
    let config = kiosk(&text).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(secret(endpoints(&config, DIALECT)[0].1), None);
    assert!(config.warnings.to_string().contains("`secret`: stands outside of every entry and has no effect"));
}

#[test]
fn a_list_under_another_name_is_a_warning() {
    let config = kiosk(&EXAMPLE.replace("webhooks:", "Webhooks:")).unwrap_or_else(|report| panic!("{report}"));
    let warned = config.warnings.to_string();
    assert!(
        warned.contains("config.yaml:1:1: `Webhooks`: is not read, and nothing else declares webhooks"),
        "{warned}"
    );
    assert!(warned.contains("hint: did you mean `webhooks`?"), "{warned}");
    assert_eq!(endpoints(&config, DIALECT), []);
}

#[test]
fn what_is_no_yaml_is_said_with_its_place() {
    for (text, expected) in [
        ("webhooks: [", "config.yaml:"),
        ("- a", "config.yaml:1:1: is a list, must be an object"),
        ("webhooks: {}", "config.yaml:1:11: `webhooks`: is an object, must be a list"),
        ("webhooks: []\nwebhooks: []", "config.yaml:2:1: `webhooks`: is given twice"),
    ] {
        let report = kiosk(text).expect_err(text);
        assert!(report.contains(expected), "{text}: {report}");
    }
}
