use std::path::Path;

use hookyard_model::{OrganisationId, RetryPolicy};
use hookyard_ports::{Ids, SystemClock, SystemRng};
use proptest::prelude::*;

use super::*;

mod faults;
mod foreign;
mod immich;
mod kiosk;

fn read(text: &str, environment: &Environment) -> Result<Config, Faults> {
    Config::read(Some((Path::new("hookyard.toml"), text)), Faults::default(), &Flags::default(), environment)
}

fn good(text: &str) -> Config {
    read(text, &Environment::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn report(text: &str) -> String {
    read(text, &Environment::default()).expect_err("something is wrong").to_string()
}

/// The value of a setting as it is shown, and where it came from.
fn shown(config: &Config, name: &str) -> (String, String) {
    let shown = config.settings.shown.iter().find(|shown| shown.name == name).expect("a setting");
    (shown.value.clone(), shown.place.to_string())
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file =
        "listen = \"127.0.0.1:1\"\nretention = \"100d\"\nrequire_https = true\n[egress]\nallow = [\"10.0.0.0/8\"]\n";
    let environment = Environment::from([
        ("HOOKYARD_LISTEN", "127.0.0.1:2"),
        ("HOOKYARD_RETENTION", "101d"),
        ("HOOKYARD_EGRESS_ALLOW", "nas.lan:80, 192.168.0.0/16"),
    ]);
    let flags = Flags { config: None, settings: vec![(key::LISTEN, "127.0.0.1:3".to_owned())] };
    let config =
        Config::read(Some((Path::new("h.toml"), file)), Faults::default(), &flags, &environment).expect("no fault");
    for (name, value, place) in [
        ("listen", "127.0.0.1:3", "flag `--listen`"),
        ("retention", "101d", "environment `HOOKYARD_RETENTION`"),
        ("require_https", "true", "h.toml:3:17"),
        ("egress.allow", "nas.lan:80,192.168.0.0/16", "environment `HOOKYARD_EGRESS_ALLOW`"),
        ("request_timeout", "15s", "default"),
    ] {
        assert_eq!(shown(&config, name), (value.to_owned(), place.to_owned()), "{name}");
    }
    let allowed: Vec<String> = config.settings.egress_allow.value.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["nas.lan:80", "192.168.0.0/16"]);
    assert!(config.settings.egress_trust_files.value);
}

#[test]
fn every_default_reads_as_it_is_shown() {
    let config = good("");
    for shown in &config.settings.shown {
        assert_eq!(shown.place, Place::Default, "{}", shown.name);
    }
    let schedule = key::RETRY_SCHEDULE.default;
    let again = good(&format!("retry_schedule = {schedule:?}\nretry_jitter = {}\n", key::RETRY_JITTER.default));
    assert_eq!(again.settings.retry, RetryPolicy::default());
    let texts = [key::LISTEN, key::REQUEST_TIMEOUT, key::DISABLE_AFTER, key::RETENTION];
    let lines: Vec<String> = texts.iter().map(|key| format!("{} = {:?}", key.name, key.default)).collect();
    let text = lines.join("\n");
    let again = good(&text).settings;
    assert_eq!(again.listen.value, config.settings.listen.value);
    assert_eq!(again.request_timeout.value, config.settings.request_timeout.value);
    assert_eq!(again.disable_after.value, config.settings.disable_after.value);
    assert_eq!(again.retention.value, config.settings.retention.value);
}

#[test]
fn the_webhook_port_moves_the_default_address_only() {
    let environment = Environment::from([("WEBHOOK_PORT", "9999")]);
    let listen = |text: &str| read(text, &environment).expect("no fault").settings.listen.value.to_string();
    assert_eq!(listen(""), "0.0.0.0:9999");
    assert_eq!(listen("listen = \"127.0.0.1:1\""), "127.0.0.1:1");
}

#[test]
fn secrets_come_from_variables_and_files_and_are_not_shown() {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("jwt"), "from a file\n").expect("written");
    let text =
        "jwt_secret_file = \"jwt\"\nmain_secret = [\"${NEW}\", \"old\"]\nadmin_password = { secret_file = \"jwt\" }\n";
    let environment = Environment::from([("NEW", "new")]);
    let path = folder.path().join("hookyard.toml");
    let config =
        Config::read(Some((&path, text)), Faults::default(), &Flags::default(), &environment).expect("no fault");
    let settings = &config.settings;
    let secret = |setting: &Option<settings::Setting<hookyard_model::Secret<String>>>| {
        setting.as_ref().map(|setting| setting.value.expose().clone())
    };
    assert_eq!(secret(&settings.jwt_secret).as_deref(), Some("from a file"));
    assert_eq!(secret(&settings.admin_password).as_deref(), Some("from a file"));
    let main: Vec<&str> = settings.main_secret.value.iter().map(|secret| secret.expose().as_str()).collect();
    assert_eq!(main, ["new", "old"]);
    for name in ["jwt_secret", "admin_password"] {
        assert_eq!(shown(&config, name).0, "[redacted]");
    }
    assert_eq!(shown(&config, "main_secret").0, "[redacted],[redacted]");
    assert!(!format!("{config:?}").contains("from a file"));
}

#[test]
fn a_secret_of_the_environment_may_stand_in_a_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("jwt");
    std::fs::write(&path, "from a file\n").expect("written");
    let environment = Environment::from([("HOOKYARD_JWT_SECRET_FILE", path.to_str().expect("UTF-8"))]);
    let config = read("jwt_secret = \"below\"", &environment).expect("no fault");
    assert_eq!(config.settings.jwt_secret.expect("given").value.expose(), "from a file");
}

#[test]
fn an_application_may_allow_http_where_the_deployment_does_not() {
    let text = "require_https = true\n[[application]]\nuid = \"a\"\nrequire_https = false\n[[application.endpoint]]\nurl = \
                \"http://a.example/\"\n";
    assert_eq!(good(text).declared.applications[0].endpoints.len(), 1);
}

const FULL: &str = r#"
[[application]]
uid = "party"
name = "Summer party"
metadata = { event_id = "1" }
rate_limit = "100/s"

  [[application.endpoint]]
  uid = "crm"
  url = "https://u%40:p%3A@example.com/hooks?token=1"
  dialect = "standard"
  event_types = ["session", "share.*"]
  channels = ["a:b"]
  secret = "${PARTY_SECRET}"
  method = "PUT"
  headers = { X-Team = "red" }
  timeout = "20s"
  retry = { policy = "fixed", delay = "10s", retries = 3 }
  include_server_events = true
  concurrency = 8
  rate_limit = "50/s"
  ordered = "/id"
  on_gone = "retry"
  disabled = true

  [[application.endpoint]]
  url = "https://other.example/"
  retry = { policy = "exponential", delay = "2s", factor = 3, max_delay = "1h", retries = 4, jitter = 0.1 }

[[source]]
name = "github"
dialect = "standard"
application = "party"
secrets = ["${PARTY_SECRET}"]
"#;

fn full() -> Config {
    let environment = Environment::from([("PARTY_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]);
    read(FULL, &environment).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn a_full_file_reads_as_it_stands() {
    let config = full();
    let application = &config.declared.applications[0];
    assert_eq!((application.uid.as_str(), application.name.as_str()), ("party", "Summer party"));
    assert_eq!(application.metadata["event_id"], "1");
    insta::assert_debug_snapshot!(application.endpoints[0].1.settings);
    insta::assert_debug_snapshot!(application.endpoints[1].1.settings.retry);
    assert!(application.endpoints[0].1.disabled);
    let auth = application.endpoints[0].1.settings.basic_auth.as_ref().expect("moved out of the URL");
    assert_eq!((auth.user.as_str(), auth.password.expose().as_str()), ("u@", "p:"));
    let source = &config.declared.sources[0];
    let names = [source.name.as_str(), source.dialect.as_str(), source.application.as_str()];
    assert_eq!(names, ["github", "standard", "party"]);
    assert_eq!(source.secrets.len(), 1);
}

#[test]
fn an_import_has_every_row_of_the_file() {
    let ids = Ids::new(hookyard_model::RawId::MIN, Arc::new(SystemClock::new()), Arc::new(SystemRng));
    let import = full().declared.import("hookyard.toml", &ids, hookyard_model::Timestamp::EPOCH);
    assert_eq!(import.organisation, OrganisationId::default_organisation());
    assert_eq!(import.applications.len(), 1);
    let endpoints = &import.applications[0].endpoints;
    assert_eq!(endpoints.iter().map(|endpoint| endpoint.disabled).collect::<Vec<_>>(), [true, false]);
    assert!(endpoints[0].id < endpoints[1].id);
}

fn uids(endpoints: &[(&str, &str)]) -> Vec<String> {
    let endpoint = |(url, rest): &(&str, &str)| format!("[[application.endpoint]]\nurl = {url:?}\n{rest}\n");
    let endpoints: Vec<String> = endpoints.iter().map(endpoint).collect();
    good(&format!("[[application]]\nuid = \"a\"\n{}", endpoints.concat())).declared.applications[0]
        .endpoints
        .iter()
        .map(|(uid, _)| uid.to_string())
        .collect()
}

#[test]
fn an_endpoint_without_a_uid_keeps_the_one_it_gets_when_the_file_is_reordered() {
    let one = ("https://a.example/", "event_types = [\"x\", \"y\"]");
    let other = ("https://b.example/", "");
    let there = uids(&[one, other]);
    let back = uids(&[other, ("https://a.example/", "event_types = [\"y\", \"x\"]\ntimeout = \"1s\"")]);
    assert_eq!(there[0], back[1]);
    assert_eq!(there[1], back[0]);
    let equals = uids(&[other, other, other]);
    assert_eq!(equals[0], back[0]);
    assert_eq!(equals[1..], [format!("{}-2", back[0]), format!("{}-3", back[0])]);
}

#[test]
fn one_report_holds_every_fault() {
    let text = r#"
listen = "nowhere"
retry_schedule = "5s,5x"

[egress]
alow = []

[[application]]
name = "no uid"

  [[application.endpoint]]
  url = "example.com"
  timeout = 15
  retry = { policy = "fixed", delay = "ten", retries = 3, jiter = 1 }

[[source]]
name = "hub"
dialect = "nope"
"#;
    insta::assert_snapshot!(report(text));
}

#[test]
fn what_is_no_toml_is_reported_with_its_place() {
    insta::assert_snapshot!(report("listen = \n[application\nuid == 1\nlisten = \"127.0.0.1:1\"\n"));
}

#[test]
fn a_report_of_garbage_is_bounded() {
    let lines: Vec<String> = (0..5_000).map(|number| format!("k{number} = 1")).collect();
    let report = report(&lines.join("\n"));
    assert!(report.starts_with("configuration has 5000 faults\n"), "{report}");
    assert!(report.ends_with("and 4950 more\n"), "{report}");
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let text = "#".repeat(limits::CONFIG_FILE_BYTES);
    assert!(read(&text, &Environment::default()).is_ok());
    assert_eq!(
        report(&format!("{text}#")),
        format!("configuration has 1 fault\nhookyard.toml: is longer than {} bytes\n", limits::CONFIG_FILE_BYTES)
    );
}

#[test]
fn a_command_that_only_needs_a_token_ignores_the_rest_of_the_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("hookyard.toml");
    std::fs::write(&path, "data = \"d\"\nlisten = 5\nmain_secret = \"${NOT_HERE}\"\n").expect("written");
    let flags = Flags { config: Some(path), settings: Vec::new() };
    let settings = load_token_settings(&flags, &Environment::default()).expect("no fault");
    assert_eq!(settings.data.value, Path::new("d"));
}

fn toml_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[[application]]\n",
        "[[application.endpoint]]\n",
        "[[source]]\n",
        "[egress]\n",
        "uid = ",
        "url = ",
        "retry = ",
        "headers = ",
        "secret = ",
        "listen = ",
        "retry_jitter = ",
        "timeout = ",
        "\"a\"\n",
        "\"https://x@a.b/\"\n",
        "nan\n",
        "-1\n",
        "9e99\n",
        "{ policy = \"fixed\", ",
        "}\n",
        "[",
        "]\n",
        "\"${A\"\n",
        "\"\\u0000\"\n",
        "1979-05-27\n",
        "=",
        "é",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = read(&text, &Environment::default());
    }

    #[test]
    fn anything_that_looks_like_a_file_is_read_or_refused(text in toml_like()) {
        if let Err(faults) = read(&text, &Environment::default()) {
            prop_assert!(!faults.to_string().is_empty());
        }
    }

    #[test]
    fn endpoints_read_back_as_they_were_written(
        uid in "[a-z]{1,20}",
        timeout in 100u64..300_000,
        concurrency in 1u16..=limits::LANE_CONCURRENCY_MAX,
        delays in prop::collection::vec(0u64..604_800, 0..8),
        header in "[ -~]{0,40}",
        events in prop::collection::vec("[a-z.*]{1,20}", 1..5),
    ) {
        let delays_text: Vec<String> = delays.iter().map(|seconds| format!("{seconds}s")).collect();
        let header_text = toml::Value::from(header.as_str()).to_string();
        let text = format!(
            "retention = \"200d\"\n[[application]]\nuid = \"a\"\n[[application.endpoint]]\nuid = {uid:?}\nurl = \
             \"https://a.example/\"\ndialect = \"raw\"\ntimeout = \"{timeout}ms\"\nconcurrency = {concurrency}\nretry = {{ \
             policy = \"schedule\", delays = {delays_text:?}, jitter = 0.5 }}\nevent_types = {events:?}\nheaders = {{ X-A = \
             {header_text} }}\n"
        );
        prop_assume!(!header.contains("${") && !header.is_empty());
        let config = read(&text, &Environment::default());
        let config = config.map_err(|faults| TestCaseError::fail(faults.to_string()))?;
        let (read_uid, endpoint) = &config.declared.applications[0].endpoints[0];
        prop_assert_eq!(read_uid.as_str(), uid);
        prop_assert_eq!(endpoint.settings.timeout, Some(std::time::Duration::from_millis(timeout)));
        prop_assert_eq!(endpoint.settings.concurrency.map(std::num::NonZeroU16::get), Some(concurrency));
        let expected = delays.iter().copied().map(std::time::Duration::from_secs).collect();
        prop_assert_eq!(endpoint.settings.retry.as_ref(), Some(&RetryPolicy::Schedule { delays: expected, jitter: 0.5 }));
        prop_assert_eq!(endpoint.settings.headers[0].value.expose(), &header);
        let read_events = endpoint.settings.event_types.as_ref().expect("given");
        prop_assert_eq!(read_events.iter().map(|event| event.as_str().to_owned()).collect::<Vec<_>>(), events);
    }
}
