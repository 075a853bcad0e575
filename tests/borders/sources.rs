//! Borders that only the source text shows: few phrases, each exact.
//!
//! What a lint can hold is in clippy.toml. Comments and test modules are free: they name things without doing them.

use std::fs;
use std::path::{Path, PathBuf};

/// A phrase that only some sources may contain.
struct Phrase {
    border: u8,
    phrases: &'static [&'static str],
    /// Beginnings of paths, from the root.
    allowed: &'static [&'static str],
    why: &'static str,
}

const PHRASES: [Phrase; 5] = [
    Phrase {
        border: 4,
        phrases: &["std::env"],
        allowed: &["crates/hookyard/"],
        why: "only the binary reads the environment",
    },
    Phrase {
        border: 4,
        phrases: &["process::exit(", "process::abort("],
        allowed: &["crates/hookyard/src/main.rs"],
        why: "only main exits, so that what is in flight can finish",
    },
    Phrase {
        border: 4,
        phrases: &["signal::unix", "signal::ctrl_c"],
        allowed: &["crates/hookyard/"],
        why: "only the binary installs signal handlers",
    },
    Phrase {
        border: 4,
        phrases: &["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"CREATE TABLE ", "\"PRAGMA "],
        allowed: &["crates/hookyard-sqlite/", "crates/hookyard-postgres/"],
        why: "only the stores speak SQL",
    },
    Phrase {
        border: 4,
        phrases: &["TcpStream::connect(", "TcpSocket::new", "client::conn"],
        allowed: &["crates/hookyard-egress/", "crates/hookyard/"],
        why: "only egress opens connections on behalf of a message",
    },
];

/// Every forbidden phrase in the sources under `root`, as sentences with file and line.
pub(crate) fn violations(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in sources(&root.join("crates")) {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(root).expect("found under the root").to_string_lossy().into_owned();
        found.extend(phrases_in(&path, &text));
    }
    found
}

/// The forbidden phrases of one file.
pub(crate) fn phrases_in(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    for (number, line) in (1..).zip(product.lines()).filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for rule in PHRASES.iter().filter(|rule| !rule.allowed.iter().any(|allowed| path.starts_with(allowed))) {
            for phrase in rule.phrases.iter().filter(|phrase| line.contains(**phrase)) {
                let (border, why) = (rule.border, rule.why);
                found.push(format!("border {border} of ARCHITECTURE.md: `{phrase}` in {path}:{number}, but {why}"));
            }
        }
    }
    found
}

/// The product's Rust sources under `folder`; files and folders of tests are left out.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry of a readable folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "tests" | "testkit" | "benches" | "examples") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" {
            found.push(path);
        }
    }
    found
}
