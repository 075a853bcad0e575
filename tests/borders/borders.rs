//! Holds the borders between the crates that ARCHITECTURE.md draws.
//!
//! A failure names the border. It is a question about the design, not a lint to silence.

mod rules;
mod sources;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tree::Member;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn member(name: &str, needs: &[&str], for_tests: &[&str], reaches: &[&str]) -> Member {
    Member {
        name: name.to_owned(),
        needs: needs.iter().map(|need| (need.to_string(), Vec::new())).collect(),
        needs_for_tests: set(for_tests),
        reaches: set(reaches),
    }
}

#[test]
fn the_crates_keep_their_borders() {
    let members = tree::members();
    assert!(members.len() >= 10, "cargo knows only {members:?}");
    let violations = rules::violations(&members);
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn a_program_that_embeds_the_library_gets_nothing_of_the_server() {
    let reached = tree::embedded();
    for part in ["hookyard-accept", "hookyard-egress", "hookyard-engine", "hookyard-sqlite"] {
        assert!(reached.contains(part), "the library delivers nothing without `{part}`");
    }
    let violations = rules::embedding(&reached);
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
    assert_eq!(rules::embedding(&set(&["clap", "tokio"])).len(), 1);
}

#[test]
fn the_sources_keep_their_borders() {
    let root = tree::root();
    assert!(sources::sources(&root.join("crates")).len() >= 10, "the sources were not found");
    let violations = sources::violations(&root);
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn architecture_md_has_a_place_for_every_crate_and_every_border() {
    let text = fs::read_to_string(tree::root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md can be read");
    for member in tree::members() {
        assert!(text.contains(&format!("| `{}` |", member.name)), "the crate map lacks `{}`", member.name);
    }
    let (_, borders) = text.split_once("\n## Borders\n").expect("a chapter `Borders`");
    for number in 1..=5 {
        assert!(borders.contains(&format!("\n{number}. ")), "border {number} is missing");
    }
}

#[test]
fn every_border_that_is_broken_is_named() {
    #[track_caller]
    fn check(member: Member, expected: &[&str]) {
        let found = rules::violations(&[member]);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (sentence, beginning) in found.iter().zip(expected) {
            let beginning = format!("border {beginning}");
            assert!(sentence.starts_with(&beginning), "`{sentence}` does not begin with `{beginning}`");
        }
    }

    check(member("hookyard-server", &["hookyard-accept", "axum"], &["hookyard-ports"], &["tokio"]), &[]);
    check(
        member("hookyard-server", &["hookyard-engine"], &[], &[]),
        &["1 of ARCHITECTURE.md: `hookyard-server` may not name `hookyard-engine`"],
    );
    check(
        member("hookyard-engine", &[], &["hookyard-sqlite"], &[]),
        &["1 of ARCHITECTURE.md: `hookyard-engine` may not name `hookyard-sqlite`"],
    );
    check(member("hookyard-core", &[], &["hookyard-ports"], &[]), &["1 "]);
    check(member("hookyard-new", &[], &[], &[]), &["1 of ARCHITECTURE.md: `hookyard-new` has no place yet"]);
    check(
        member("hookyard-dialects", &[], &[], &["tokio", "url"]),
        &["2 of ARCHITECTURE.md: `hookyard-dialects` is pure and has `tokio` compiled into it"],
    );
    check(member("hookyard-engine", &["rand"], &[], &[]), &["2 of ARCHITECTURE.md: `hookyard-engine` names `rand`"]);
    check(member("hookyard-model", &["serde"], &[], &[]), &["3 "]);
    check(member("hookyard-engine", &["rusqlite"], &[], &[]), &["4 "]);
    check(member("hookyard-server", &["clap"], &["hickory-resolver"], &[]), &["4 ", "4 "]);

    let mut listening = member("hookyard-engine", &[], &[], &[]);
    listening.needs = BTreeMap::from([("tokio".to_owned(), vec!["signal".to_owned()])]);
    check(listening, &["4 of ARCHITECTURE.md: `hookyard-engine` asks tokio for signals"]);
}

#[test]
fn a_phrase_counts_where_it_does_something() {
    #[track_caller]
    fn check(path: &str, text: &str, lines: &[usize]) {
        let found = sources::phrases_in(path, text);
        assert_eq!(found.len(), lines.len(), "{found:?}");
        for (sentence, line) in found.iter().zip(lines) {
            assert!(sentence.contains(&format!("{path}:{line}, ")), "{sentence}");
        }
    }

    let server = "crates/hookyard-server/src/lib.rs";
    check(server, "fn f() {\n    std::env::args();\n}\n", &[2]);
    check(server, "use std::env;\n", &[1]);
    check(server, "// std::env::args()\nlet version = env!(\"CARGO_PKG_VERSION\");\n", &[]);
    check(server, "#[cfg(test)]\nmod tests {\n    std::env::args();\n}\n", &[]);
    check(server, "query(\"SELECT 1\");\nstd::process::exit(1);\n", &[1, 2]);
    check("crates/hookyard-sqlite/src/lib.rs", "query(\"SELECT 1\");\n", &[]);
    check("crates/hookyard/src/main.rs", "std::process::exit(1);\n", &[]);
    check("crates/hookyard/src/cmd/serve.rs", "std::process::exit(1);\n", &[1]);
    check("crates/hookyard-engine/src/lib.rs", "TcpStream::connect(address);\n", &[1]);
}
