//! Files of other systems: named, missing, wrong, beside each other.

use super::*;

/// A directory with these files.
pub(super) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

/// What this text says as the file that `variable` names; paths in a report are without their folder.
pub(super) fn read_file(variable: &str, name: &str, text: &str) -> Result<Config, String> {
    let folder = folder(&[(name, text)]);
    let path = folder.path().join(name).display().to_string();
    let environment = Environment::from([(variable, path.as_str())]);
    Config::load(&Flags::default(), &environment)
        .map_err(|faults| faults.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

/// The endpoints that the system's file declares, each as its shown name, uid and settings.
pub(super) fn endpoints<'c>(config: &'c Config, uid: &str) -> Vec<(&'c str, &'c hookyard_model::EndpointSettings)> {
    let foreign = config.foreign.iter().find(|foreign| foreign.system.uid == uid).expect("a system");
    let application = foreign.application.as_ref().expect("a file");
    assert_eq!((application.uid.as_str(), application.name.as_str()), (uid, foreign.system.name));
    application.endpoints.iter().map(|(uid, endpoint)| (uid.as_str(), &endpoint.settings)).collect()
}

const IMMICH: &str = r#"{"webhooks": [{"events": ["PersonCreate"], "url": "http://localhost:1/"}]}"#;
const KIOSK: &str = "webhooks:\n  - url: http://localhost:1/\n    event: asset.new\n";

#[test]
fn without_a_file_there_is_no_application_and_nothing_is_wrong() {
    let config = Config::load(&Flags::default(), &Environment::default()).expect("no fault");
    assert!(config.foreign.iter().all(|foreign| foreign.file.is_none() && foreign.application.is_none()));
    assert_eq!(config.foreign.len(), SYSTEMS.len());
    assert_eq!(config.warnings, Warnings::default());
    let empty = Environment::from([("IMMICH_WEBHOOKS_CONFIG", ""), ("HOOKYARD_KIOSK_CONFIG", "")]);
    let config = Config::load(&Flags::default(), &empty).expect("empty is not set");
    assert!(config.foreign.iter().all(|foreign| foreign.file.is_none()));
}

#[test]
fn a_file_that_is_missing_is_a_warning() {
    let (immich, kiosk) = ("/nowhere/webhooks.json", "nowhere/config.yaml");
    let environment = Environment::from([("IMMICH_WEBHOOKS_CONFIG", immich), ("HOOKYARD_KIOSK_CONFIG", kiosk)]);
    let config = Config::load(&Flags::default(), &environment).expect("no fault");
    assert!(config.foreign.iter().all(|foreign| foreign.file.is_some() && foreign.application.is_none()));
    insta::assert_snapshot!(config.warnings, @"
    warning: environment `HOOKYARD_KIOSK_CONFIG`: `kiosk_config`: names the file `nowhere/config.yaml`, which does not exist; there is no application `kiosk`
    warning: environment `IMMICH_WEBHOOKS_CONFIG`: `immich_config`: names the file `/nowhere/webhooks.json`, which does not exist; there is no application `immich`
    ");
}

#[test]
fn a_path_in_a_file_starts_from_that_files_folder() {
    let folder = folder(&[("hookyard.toml", "kiosk_config = \"config.yaml\"\n"), ("config.yaml", KIOSK)]);
    let flags = Flags { config: Some(folder.path().join("hookyard.toml")), settings: Vec::new() };
    let config = Config::load(&flags, &Environment::default()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.to_string(), "");
    assert_eq!(endpoints(&config, "kiosk").len(), 1);
}

#[test]
fn a_relative_path_is_refused_for_immich_alone() {
    let environment = Environment::from([("IMMICH_WEBHOOKS_CONFIG", "webhooks.json")]);
    let report = Config::load(&Flags::default(), &environment).expect_err("relative").to_string();
    let expected =
        "environment `IMMICH_WEBHOOKS_CONFIG`: `immich_config`: is `webhooks.json`, must be an absolute path";
    assert!(report.contains(expected), "{report}");
}

#[test]
fn faults_of_all_files_are_in_one_report() {
    let folder = folder(&[("immich.json", "{\"webhooks\": [{}]}"), ("config.yaml", "webhooks: 1\n")]);
    let path = |name| folder.path().join(name).display().to_string();
    let file = format!(
        "immich_config = {:?}\nkiosk_config = {:?}\nlisten = \"x\"\n[[application]]\n",
        path("immich.json"),
        path("config.yaml")
    );
    let report = report(&file).replace(&format!("{}/", folder.path().display()), "");
    insta::assert_snapshot!(report, @"
    configuration has 5 faults
    config.yaml:1:11: `webhooks`: is a number, must be a list
    immich.json:1:15: `webhooks[0].events`: is missing
    immich.json:1:15: `webhooks[0].url`: is missing
    hookyard.toml:3:10: `listen`: is `x`, must be an address and a port (write `127.0.0.1:8080` or `[::1]:8080`)
    hookyard.toml:4:1: `application.uid`: is missing
    ");
}

#[test]
fn a_file_that_cannot_be_read_hides_no_other_fault() {
    let folder = folder(&[]);
    let path = folder.path().display().to_string();
    let environment = Environment::from([("HOOKYARD_KIOSK_CONFIG", path.as_str()), ("HOOKYARD_LISTEN", "x")]);
    let flags = Flags { config: Some(folder.path().join("none.toml")), settings: Vec::new() };
    let report = Config::load(&flags, &environment).expect_err("a directory is no file").to_string();
    assert!(report.starts_with("configuration has 3 faults\n"), "{report}");
    assert!(report.contains("none.toml: cannot be read: ") && report.contains("`listen`: is `x`"), "{report}");
}

#[test]
fn one_application_is_declared_by_one_file() {
    let folder = folder(&[("config.yaml", KIOSK)]);
    let path = folder.path().join("config.yaml");
    let file = format!("kiosk_config = {path:?}\n[[application]]\nuid = \"kiosk\"\n");
    let report = report(&file);
    let expected =
        "hookyard.toml:2:1: `application.uid`: `kiosk` is declared by Kiosk's file, which `kiosk_config` names";
    assert!(report.contains(expected), "{report}");
}

#[test]
fn what_other_files_declare_is_imported_under_its_own_kind() {
    let config = read_file("IMMICH_WEBHOOKS_CONFIG", "webhooks.json", IMMICH).expect("no fault");
    let clock = Arc::new(SystemClock::new());
    let ids = Ids::new(hookyard_model::RawId::from_bytes([0; 20]), clock, Arc::new(SystemRng));
    let now = hookyard_model::Timestamp::from_micros(0);
    let imports: Vec<_> = config.foreign.iter().map(|foreign| foreign.import(&ids, now)).collect();
    let [immich, kiosk] = &imports[..] else { panic!("{imports:?}") };
    assert_eq!((immich.kind, immich.applications.len()), (hookyard_model::FileKind::Immich, 1));
    assert!(immich.file.ends_with("/webhooks.json"), "{}", immich.file);
    assert_eq!((kiosk.kind, kiosk.applications.len()), (hookyard_model::FileKind::Kiosk, 0));
}

#[test]
fn require_https_holds_for_them_too() {
    let folder = folder(&[("config.yaml", KIOSK), ("immich.json", IMMICH)]);
    let path = |name| folder.path().join(name);
    let file = format!(
        "require_https = true\nkiosk_config = {:?}\nimmich_config = {:?}\n",
        path("config.yaml"),
        path("immich.json")
    );
    let report = report(&file);
    assert_eq!(report.matches("must be `https`: `require_https` is on for it").count(), 2, "{report}");
}

#[test]
fn a_pipe_is_refused_before_it_is_opened() {
    let folder = folder(&[]);
    let pipe = folder.path().join("pipe");
    let (mode, kind) = (rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, rustix::fs::FileType::Fifo);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).expect("made");
    let path = pipe.display().to_string();
    let environment = Environment::from([("IMMICH_WEBHOOKS_CONFIG", path.as_str())]);
    let flags = Flags { config: Some(pipe), settings: Vec::new() };
    let report = Config::load(&flags, &environment).expect_err("nobody writes into it").to_string();
    assert!(report.contains(&format!("{path}: is a pipe; name a regular file")), "{report}");
}

#[test]
fn a_file_on_one_long_line_is_read_in_one_walk() {
    let ones = vec!["1"; 1_000_000].join(",");
    let text = format!("{{\"é\": [{ones}], \"webhooks\": [7]}}");
    let report = read_file("IMMICH_WEBHOOKS_CONFIG", "webhooks.json", &text).expect_err("no object");
    assert!(report.contains("webhooks.json:1:2000023: `webhooks[0]`: is a number"), "{report}");
}
