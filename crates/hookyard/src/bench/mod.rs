//! `hookyard bench`: measures and proves, on the machine it runs on.
//!
//! Starts this program again as server, generator and receiver, in a temporary directory on the disk to be measured.
//! `bench` tells throughput, CPU, latency and size beside the ceiling of a bare HTTP hop; `bench isolation` what dead
//! receivers cost a healthy one; `bench crash` that nothing acknowledged is lost to `kill -9`. Each fails when a promise
//! is broken, and never because the machine is slow.

mod client;
mod crash;
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
    /// Attempts at once to the endpoint
    #[arg(long, default_value_t = 64)]
    concurrency: u16,
    /// Messages per second of the latency part
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Seconds of the latency part
    #[arg(long, default_value_t = 10)]
    seconds: u64,
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
        /// Fail when the healthy endpoint's 99th percentile grows by more than this factor
        #[arg(long)]
        at_most: Option<f64>,
    },
    /// Kill the server at random moments under load; nothing acknowledged may be lost
    Crash {
        /// How often it is killed
        #[arg(long, default_value_t = 100)]
        rounds: u64,
        /// Connections of the generator
        #[arg(long, default_value_t = 32)]
        connections: usize,
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
                concurrency: bench.concurrency,
                rate: bench.rate.max(1),
                steady: Duration::from_secs(bench.seconds.max(1)),
            };
            let measured = throughput::run(&options, path).await?;
            report::print(&measured, bench.json, report::throughput)
        }
        Some(Scenario::Isolation { queued, hanging, rate, seconds, at_most }) => {
            let steady = Duration::from_secs((*seconds).max(1));
            let options = isolation::Options { queued: *queued, hanging: *hanging, rate: (*rate).max(1), steady };
            let measured = isolation::run(options, path).await?;
            report::print(&measured, bench.json, report::isolation)?;
            let worst = measured.beside_p99_ratio.max(measured.after_restart_p99_ratio);
            if let Some(at_most) = at_most.filter(|at_most| worst > *at_most) {
                anyhow::bail!(
                    "the healthy endpoint's 99th percentile grew by {worst:.2}, at most {at_most} is allowed"
                );
            }
            Ok(())
        }
        Some(Scenario::Crash { rounds, connections }) => {
            let proved = crash::run(*rounds, *connections, path).await?;
            report::print(&proved, bench.json, report::crash)
        }
    }
}
