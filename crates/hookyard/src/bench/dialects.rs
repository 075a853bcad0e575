//! What a message costs in each dialect, beside `standard`.
//!
//! One server with an application for each dialect, whose one endpoint signs where the dialect does. The dialects take
//! turns in rounds, so that a noisy hour of the machine falls on all of them, and the figure of each is read beside that of
//! `standard` in the same run.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::generate::{Generated, Load};
use super::process::{Helper, Server};
use super::setup::{Setup, token};
use super::throughput::{Answer, Ask, wait_for};
use super::{measure, setup};

/// The dialect that all others are read beside.
const BASE: &str = "standard";

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Messages for each dialect in each round.
    pub messages: u64,
    /// How often each dialect has its turn.
    pub rounds: u64,
    /// Bytes of a payload.
    pub payload: usize,
    /// Connections of the generator.
    pub connections: usize,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Messages of each dialect.
    pub messages: u64,
    /// Bytes of a payload.
    pub payload_bytes: usize,
    /// Each dialect that sends, `standard` first.
    pub dialects: Vec<Cost>,
}

/// What a message costs in one dialect.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    /// Its name.
    pub dialect: &'static str,
    /// CPU time of the server per message, user and system.
    pub cpu_us_per_message: f64,
    /// The same as a multiple of that of `standard`.
    pub beside_standard: f64,
}

/// Measures.
#[expect(clippy::cast_precision_loss, reason = "counts and times of a benchmark have fewer digits than a float")]
pub(crate) async fn run(options: Options, directory: &Path) -> anyhow::Result<Report> {
    let mut receiver = Helper::start("bench-receive")?;
    let mut generator = Helper::start("bench-generate")?;
    let Answer::Address(address) = receiver.ask(&Ask::Address).await? else { anyhow::bail!("no address") };
    let names = names();
    let file = configuration(&names, &format!("http://{address}/hook"));
    let setup = Setup::with_file(directory, &file)?;
    let server = Server::start(&setup.options).await?;
    let token = token(&setup);
    let mut spent = vec![0; names.len()];
    // In the first round caches fill and statements are prepared; it is part of no figure.
    for round in 0..=options.rounds {
        let messages = if round == 0 { options.messages.min(1_000) } else { options.messages };
        for (dialect, spent) in names.iter().zip(&mut spent) {
            let _: Answer = receiver.ask(&Ask::Reset).await?;
            let load = Load {
                address: server.address(),
                path: format!("/api/v1/app/{dialect}/msg"),
                token: Some(token.clone()),
                connections: options.connections,
                first: 0,
                messages,
                batch: 1,
                payload: options.payload,
                rate: None,
            };
            let before = measure::cpu_us(server.id()?)?;
            let accepted: Generated = generator.ask(&load).await?;
            accepted.complete(&format!("messages for `{dialect}`"))?;
            wait_for(&mut receiver, messages).await.with_context(|| format!("waiting for `{dialect}`"))?;
            if round > 0 {
                *spent += measure::cpu_us(server.id()?)? - before;
            }
        }
    }
    server.stop().await?;
    let messages = options.messages * options.rounds;
    let base = spent[0] as f64;
    let cost = |(dialect, spent): (&&'static str, u64)| Cost {
        dialect,
        cpu_us_per_message: spent as f64 / messages as f64,
        beside_standard: spent as f64 / base,
    };
    let dialects = names.iter().zip(spent).map(cost).collect();
    Ok(Report { messages, payload_bytes: options.payload, dialects })
}

/// Every dialect that sends, [`BASE`] first.
fn names() -> Vec<&'static str> {
    let sends = hookyard_dialects::all().iter().filter(|dialect| dialect.outbound().is_some());
    let mut names: Vec<&str> = sends.map(|dialect| dialect.name()).collect();
    names.sort_by_key(|name| *name != BASE);
    names
}

/// An application and its endpoint for each dialect.
fn configuration(names: &[&'static str], url: &str) -> String {
    let mut file = String::new();
    for name in names {
        setup::application(&mut file, name);
        file.push_str("require_https = false\nmetadata = { event_id = \"1\" }\n");
        setup::endpoint_in(&mut file, name, url, &format!("dialect = \"{name}\"\nconcurrency = 64\n{}", own(name)));
    }
    file
}

/// What an endpoint of the dialect needs beside its URL: a secret where it signs.
fn own(dialect: &str) -> &'static str {
    match dialect {
        "standard" | "svix" => "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n",
        "kiosk" | "vikunja" | "photobooth" => "secret = \"a secret of the benchmark\"\n",
        "template" => concat!(
            "secret = \"a secret of the benchmark\"\n",
            "options.signature = { header = \"X-Signature\", prefix = \"sha256=\" }\n",
            "options.body = '{\"text\":\"{{ event_type }}\",\"of\":{{ payload | tojson }}}'\n",
        ),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_that_sends_has_a_turn() {
        let names = names();
        assert_eq!(names[0], BASE);
        assert!(names.len() >= 3, "{names:?}");
        let file = configuration(&names, "http://127.0.0.1:1/hook");
        assert_eq!(file.matches("[[application.endpoint]]").count(), names.len());
    }
}
