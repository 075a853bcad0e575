//! `hookyard bench`: measures and proves, on the machine it runs on.
//!
//! Starts this program again as server, generator and receiver, in a temporary directory on the disk to be measured.
//! `bench` tells throughput, CPU, latency and size beside the ceiling of a bare HTTP hop; `bench isolation` what dead
//! receivers cost a healthy one; `bench dialects` what each dialect costs; `bench crash` that nothing acknowledged is lost to
//! `kill -9`, on either store. Each fails when a promise is broken, and never because the machine is slow.

mod client;
mod crash;
mod dialects;
mod generate;
mod isolation;
mod measure;
mod payload;
mod process;
mod receive;
mod report;
mod setup;
mod throughput;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};

pub(crate) use throughput::{generator, receiver};

/// A 99th percentile below this is the machine's doing as much as ours: a fsync or a neighbour's turn on its core is a few
/// milliseconds, and what isolation guards against is seconds.
const NOISE_US: f64 = 25_000.0;

/// Measure this machine: throughput, CPU per message, latency, memory, store size
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    scenario: Option<Scenario>,
    /// Messages of the throughput part
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// Bytes of a payload
    #[arg(long, default_value_t = 200)]
    payload: usize,
    /// Connections of the generator
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Messages in one request
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    batch: u64,
    /// Messages that are stored before anything is measured on the database
    #[arg(long, default_value_t = 0)]
    old: u64,
    /// Attempts at once to the endpoint
    #[arg(long, default_value_t = 64)]
    concurrency: u16,
    /// Messages per second of the latency part
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Seconds of the latency part
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// A `postgres://…` database on this machine to measure beside the embedded store, in its schema `hookyard_bench`
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where the temporary directory is made; its disk is what is measured
    #[arg(long, global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
}

/// What else can be measured or proved.
#[derive(Debug, Subcommand)]
enum Scenario {
    /// What dead receivers cost a healthy one, a restart included
    Isolation {
        /// Messages queued for an endpoint that never answers
        #[arg(long, default_value_t = 1_000_000)]
        queued: u64,
        /// Endpoints that hang
        #[arg(long, default_value_t = 1_000)]
        hanging: u64,
        /// Messages per second for the healthy endpoint
        #[arg(long, default_value_t = 500)]
        rate: u64,
        /// Seconds of each part
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Fail when the healthy endpoint's 99th percentile grows by more than this factor, from 25 ms or from more
        #[arg(long)]
        at_most: Option<f64>,
    },
    /// What a message costs in each dialect, beside `standard`
    Dialects {
        /// Messages for each dialect in each round
        #[arg(long, default_value_t = 20_000)]
        messages: u64,
        /// How often each dialect has its turn
        #[arg(long, default_value_t = 3)]
        rounds: u64,
    },
    /// Kill the server at random moments under load; nothing acknowledged may be lost
    Crash {
        /// How often it is killed
        #[arg(long, default_value_t = 100)]
        rounds: u64,
        /// Connections of the generator
        #[arg(long, default_value_t = 32)]
        connections: usize,
        /// A `postgres://…` database to do it on instead of the embedded store, in its schema `hookyard_bench`
        #[arg(long, value_name = "URL")]
        database: Option<String>,
    },
}

/// Runs what was asked and prints what was measured.
pub(crate) async fn run(bench: Bench) -> anyhow::Result<()> {
    let directory = match &bench.directory {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    };
    let directory = directory.context("making a temporary directory")?;
    let path = directory.path();
    match &bench.scenario {
        None => {
            let options = throughput::Options {
                messages: bench.messages.max(1),
                payload: bench.payload,
                connections: bench.connections.max(1),
                batch: bench.batch,
                old: bench.old,
                concurrency: bench.concurrency,
                rate: bench.rate.max(1),
                steady: Duration::from_secs(bench.seconds.max(1)),
                database: bench.database.clone(),
            };
            let measured = throughput::run(&options, path).await?;
            report::print(&measured, bench.json, report::throughput)
        }
        Some(Scenario::Isolation { queued, hanging, rate, seconds, at_most }) => {
            let steady = Duration::from_secs((*seconds).max(1));
            let options = isolation::Options { queued: *queued, hanging: *hanging, rate: (*rate).max(1), steady };
            let measured = isolation::run(options, path).await?;
            report::print(&measured, bench.json, report::isolation)?;
            match at_most {
                Some(at_most) => judge(&measured, *at_most),
                None => Ok(()),
            }
        }
        Some(Scenario::Dialects { messages, rounds }) => {
            let (messages, rounds) = ((*messages).max(1), (*rounds).max(1));
            let (payload, connections) = (bench.payload, bench.connections.max(1));
            let options = dialects::Options { messages, rounds, payload, connections };
            let measured = dialects::run(options, path).await?;
            report::print(&measured, bench.json, report::dialects)
        }
        Some(Scenario::Crash { rounds, connections, database }) => {
            let proved = crash::run(*rounds, *connections, database.as_deref(), path).await?;
            report::print(&proved, bench.json, report::crash)
        }
    }
}

/// Fails when the healthy endpoint's 99th percentile grew by more than `at_most`.
fn judge(measured: &isolation::Report, at_most: f64) -> anyhow::Result<()> {
    let worst_us = measured.beside.p99_us.max(measured.after_restart.p99_us);
    let allowed_us = at_most * measured.alone.p99_us.max(NOISE_US);
    let [worst, allowed] = [worst_us, allowed_us].map(|us| us / 1_000.0);
    anyhow::ensure!(
        worst_us <= allowed_us,
        "the healthy endpoint's 99th percentile grew to {worst:.2} ms, at most {allowed:.2} ms are allowed"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(alone: f64, beside: f64, after_restart: f64, fine: bool) {
        let latency = |ms: f64| measure::Latency { p50_us: 1.0, p99_us: ms * 1_000.0, p999_us: 1.0, max_us: 1.0 };
        let report = isolation::Report {
            queued: 1,
            hanging: 1,
            per_second: 1,
            alone: latency(alone),
            beside: latency(beside),
            after_restart: latency(after_restart),
            beside_p99_ratio: beside / alone,
            after_restart_p99_ratio: after_restart / alone,
            resident_bytes: 1,
            ready_after_kill_ms: 1.0,
            first_attempt_after_kill_ms: 1.0,
            ready_after_stop_ms: 1.0,
        };
        assert_eq!(judge(&report, 2.0).is_ok(), fine, "{alone} ms, {beside} ms, {after_restart} ms");
    }

    #[test]
    fn what_a_machine_does_to_any_percentile_is_no_broken_promise() {
        check(0.3, 9.8, 4.1, true);
        check(0.3, 50.0, 0.3, true);
        check(0.3, 50.1, 0.3, false);
        check(0.3, 0.3, 50.1, false);
        check(30.0, 60.0, 60.0, true);
        check(30.0, 61.0, 30.0, false);
    }
}
