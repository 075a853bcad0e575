//! The borders between crates, as tables.
//!
//! The numbers are those of the list "Borders" in ARCHITECTURE.md. A failure is a question about the design: change the
//! list there first, with a decision in docs/decisions, and these tables after it.

use std::collections::BTreeSet;

use crate::tree::Member;

/// Border 1: who may name whom. Read a line as an arrow; what is not here is forbidden.
const ARROWS: [(&str, &[&str]); 12] = [
    ("hookyard-model", &[]),
    ("hookyard-core", &["hookyard-model"]),
    ("hookyard-dialects", &["hookyard-model"]),
    ("hookyard-ports", &["hookyard-model"]),
    ("hookyard-record", &["hookyard-model", "hookyard-ports"]),
    ("hookyard-sqlite", &["hookyard-model", "hookyard-ports", "hookyard-record"]),
    ("hookyard-postgres", &["hookyard-model", "hookyard-ports", "hookyard-record"]),
    ("hookyard-egress", &["hookyard-model", "hookyard-ports"]),
    ("hookyard-accept", &["hookyard-core", "hookyard-dialects", "hookyard-model", "hookyard-ports"]),
    ("hookyard-engine", &["hookyard-accept", "hookyard-core", "hookyard-dialects", "hookyard-model", "hookyard-ports"]),
    ("hookyard-server", &["hookyard-accept", "hookyard-core", "hookyard-dialects", "hookyard-model", "hookyard-ports"]),
    (
        "hookyard",
        &[
            "hookyard-accept",
            "hookyard-core",
            "hookyard-dialects",
            "hookyard-egress",
            "hookyard-engine",
            "hookyard-model",
            "hookyard-ports",
            "hookyard-postgres",
            "hookyard-record",
            "hookyard-server",
            "hookyard-sqlite",
        ],
    ),
];

/// What the in-memory store and the conformance suite come from: tests of any crate that is not pure may name it.
const TESTKIT: &str = "hookyard-ports";

/// Border 2: the crates that compute and do nothing else.
const PURE: [&str; 3] = ["hookyard-model", "hookyard-core", "hookyard-dialects"];

/// Border 2: what no pure crate may have compiled into it, at any distance.
const DEEDS: [&str; 20] = [
    "async-std",
    "axum",
    "fastrand",
    "getrandom",
    "hickory-resolver",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "mio",
    "polling",
    "rand",
    "reqwest",
    "rusqlite",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tokio-postgres",
    "tokio-util",
    "tracing-subscriber",
];

/// A set of outside crates that only some of ours may name, in tests neither.
struct Only {
    border: u8,
    outside: &'static [&'static str],
    ours: &'static [&'static str],
    why: &'static str,
}

const ONLY: [Only; 7] = [
    Only {
        border: 2,
        outside: &["fastrand", "getrandom", "rand"],
        ours: &["hookyard-ports"],
        why: "randomness comes from `hookyard_ports::Rng`, so that a seed replays a run",
    },
    Only {
        border: 3,
        outside: &["serde"],
        ours: &["hookyard-dialects", "hookyard-record", "hookyard-server", "hookyard"],
        why: "a type with `serde` is a wire or file format and stands beside the door, dialect or store that speaks it",
    },
    Only {
        border: 4,
        outside: &["deadpool-postgres", "diesel", "libsqlite3-sys", "postgres", "rusqlite", "sqlx", "tokio-postgres"],
        ours: &["hookyard-postgres", "hookyard-sqlite"],
        why: "only the stores speak SQL",
    },
    Only {
        border: 4,
        outside: &["hickory-resolver"],
        ours: &["hookyard-egress"],
        why: "only egress resolves names, because what was judged must be what is dialled",
    },
    Only {
        border: 4,
        outside: &["hyper", "hyper-util"],
        ours: &["hookyard", "hookyard-egress", "hookyard-server"],
        why: "connections belong to egress, to the doors and to the command line",
    },
    Only {
        border: 4,
        outside: &["rustls", "rustls-native-certs", "tokio-postgres-rustls", "tokio-rustls", "webpki-roots"],
        ours: &["hookyard", "hookyard-egress", "hookyard-postgres", "hookyard-server"],
        why: "connections belong to egress, to the doors, to the command line and to the store behind one",
    },
    Only {
        border: 4,
        outside: &[
            "anyhow",
            "clap",
            "clap_complete",
            "clap_mangen",
            "dotenvy",
            "mimalloc",
            "signal-hook",
            "tracing-subscriber",
        ],
        ours: &["hookyard"],
        why: "only the binary has a command line, an environment, signals, a log and an allocator",
    },
];

/// Border 4: what a program that embeds the library does not get, at any distance: doors, a command line, files, a log.
const PROGRAM: [&str; 16] = [
    "anyhow",
    "axum",
    "clap",
    "clap_complete",
    "clap_mangen",
    "hdrhistogram",
    "hookyard-server",
    "jsonwebtoken",
    "mimalloc",
    "saphyr-parser",
    "signal-hook-registry",
    "tempfile",
    "toml",
    "tower",
    "tower-http",
    "tracing-subscriber",
];

/// What of the program reaches those who embed the library, as sentences; empty when nothing does.
pub(crate) fn embedding(reached: &BTreeSet<String>) -> Vec<String> {
    let named = PROGRAM.iter().filter(|name| reached.contains(**name));
    named
        .map(|name| broken(4, &format!("`hookyard` without the feature `program` has `{name}` compiled into it")))
        .collect()
}

/// Every way in which the crates break a border, as sentences; empty when they keep them all.
pub(crate) fn violations(members: &[Member]) -> Vec<String> {
    members.iter().flat_map(|member| [arrows(member), deeds(member), only(member), signals(member)].concat()).collect()
}

fn broken(border: u8, what: &str) -> String {
    format!("border {border} of ARCHITECTURE.md: {what}")
}

fn arrows(member: &Member) -> Vec<String> {
    let name = &member.name;
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| from == name) else {
        return vec![broken(1, &format!("`{name}` has no place yet; draw its arrows in tests/borders/rules.rs"))];
    };
    let for_product = member.needs.keys().filter(|to| !allowed.contains(&to.as_str()));
    let for_tests = member.needs_for_tests.iter().filter(|to| {
        let testkit = to.as_str() == TESTKIT && !PURE.contains(&name.as_str());
        *to != name && !testkit && !allowed.contains(&to.as_str())
    });
    for_product
        .chain(for_tests)
        .filter(|to| to.starts_with("hookyard"))
        .map(|to| broken(1, &format!("`{name}` may not name `{to}`; it may name {allowed:?}")))
        .collect()
}

fn deeds(member: &Member) -> Vec<String> {
    let name = &member.name;
    if !PURE.contains(&name.as_str()) {
        return Vec::new();
    }
    let reached = DEEDS.iter().filter(|deed| member.reaches.contains(**deed));
    reached.map(|deed| broken(2, &format!("`{name}` is pure and has `{deed}` compiled into it"))).collect()
}

fn only(member: &Member) -> Vec<String> {
    let name = &member.name;
    let foreign = ONLY.iter().filter(|rule| !rule.ours.contains(&name.as_str()));
    foreign
        .flat_map(|rule| {
            let named = rule
                .outside
                .iter()
                .filter(|outside| member.needs.contains_key(**outside) || member.needs_for_tests.contains(**outside));
            named.map(|outside| broken(rule.border, &format!("`{name}` names `{outside}`, but {}", rule.why)))
        })
        .collect()
}

fn signals(member: &Member) -> Vec<String> {
    let asked = member.needs.get("tokio").is_some_and(|features| features.iter().any(|f| f == "signal" || f == "full"));
    if asked && member.name != "hookyard" {
        return vec![broken(
            4,
            &format!("`{}` asks tokio for signals, but only the binary installs handlers", member.name),
        )];
    }
    Vec::new()
}
