//! Configuration files: any bytes as `hookyard.toml`, as Immich's file and as Kiosk's.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookyard::fuzz::{Fault, read_file, read_file_of};
use hookyard_dialects::find;
use hookyard_model::RawId;
use hookyard_ports::Ids;
use hookyard_ports::store::Import;
use hookyard_ports::testkit::build;

use crate::node::{Still, Zeros};

/// Files that an operator wrote: each fault says where, and what is good is rows that can be sent to, the same each time.
pub fn configs(data: &[u8]) {
    if !may_name_a_file(data) {
        let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
        check(&lines, |ids| read_file(data, ids, build::NOW));
    }
}

/// Files of the systems that others run: the same holds for them. The first byte says whose file the rest is.
pub fn foreign_files(data: &[u8]) {
    if let Some((first, data)) = data.split_first() {
        let system = if first % 2 == 0 { "immich" } else { "kiosk" };
        // In YAML a carriage return ends a line as well, alone or before a line feed. What is not even text is no YAML.
        let is_yaml = system == "kiosk" && std::str::from_utf8(data).is_ok();
        let is_end = |at: usize| match data[at] {
            b'\n' => true,
            b'\r' => is_yaml && data.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let ends: Vec<usize> = (0..data.len()).filter(|at| is_end(*at)).collect();
        let starts = std::iter::once(0).chain(ends.iter().map(|end| end + 1));
        let stops = ends.iter().copied().chain(std::iter::once(data.len()));
        let lines: Vec<&[u8]> = starts.zip(stops).map(|(start, stop)| &data[start..stop]).collect();
        check(&lines, |ids| read_file_of(system, data, ids, build::NOW));
    }
}

fn check(lines: &[&[u8]], read: impl Fn(&Ids) -> Result<Import, Vec<Fault>>) {
    let ids = Ids::new(RawId::MIN, Arc::new(Still), Arc::new(Zeros));
    match read(&ids) {
        Ok(import) => {
            check_rows(&import);
            let again = read(&ids).expect("a good file stays good");
            assert_eq!(rows(&again), rows(&import));
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            for fault in faults {
                let text = &fault.text;
                let (line, column) = fault.place.unwrap_or_else(|| panic!("without a place: {text}"));
                // A column may stand behind the last character, where something is missing.
                let line = lines.get(line - 1).unwrap_or_else(|| panic!("behind the last line: {text}"));
                let length = String::from_utf8_lossy(line).chars().count();
                assert!((1..=length + 1).contains(&column), "behind the end of the line: {text}");
                assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "moves the cursor: {text:?}");
            }
        }
    }
}

/// Secrets may stand in files of their own, and a file of the machine that runs this is nobody's input.
///
/// Relative paths lead nowhere; absolute ones begin a text or are written with escapes.
fn may_name_a_file(data: &[u8]) -> bool {
    let names_one = data.windows(5).any(|part| part == b"_file") || data.windows(7).any(|part| part == b"_config");
    names_one && data.windows(2).any(|pair| matches!(pair, b"\"/" | b"'/" | b"\n/" | b"\\u" | b"\\U" | b"\\x"))
}

fn check_rows(import: &Import) {
    let mut applications = BTreeSet::new();
    for application in &import.applications {
        assert!(applications.insert(application.uid.as_str()), "`{}` is imported twice", application.uid);
        let mut endpoints = BTreeSet::new();
        for endpoint in &application.endpoints {
            assert!(endpoints.insert(endpoint.uid.as_str()), "`{}` is imported twice", endpoint.uid);
            let settings = &endpoint.settings;
            let outbound =
                find(&settings.dialect).and_then(hookyard_dialects::Dialect::outbound).expect("a dialect that sends");
            assert_eq!(outbound.check(settings).map_err(|error| error.why), Ok(()));
            assert!(settings.url.password().is_none() && settings.url.has_host());
            for header in &settings.headers {
                assert!(header.name.parse::<http::HeaderName>().is_ok(), "`{}`", header.name);
                assert!(header.value.expose().parse::<http::HeaderValue>().is_ok(), "the value of `{}`", header.name);
            }
        }
    }
}

/// What must not differ from one reading to the next: everything but the ids, which count on.
fn rows(import: &Import) -> Vec<String> {
    let endpoints = import.applications.iter().flat_map(|application| {
        application.endpoints.iter().map(move |endpoint| {
            format!("{} {} {:?} {}", application.uid, endpoint.uid, endpoint.settings, endpoint.disabled)
        })
    });
    endpoints.chain(import.applications.iter().map(|application| format!("{:?}", application.metadata))).collect()
}
