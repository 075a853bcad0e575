//! What dead receivers cost a healthy one.
//!
//! A healthy endpoint gets a steady rate: first alone, then beside an endpoint that never answers with a long queue and
//! many endpoints that hang, then again right after the server was killed and started anew on that queue. Who hangs is a
//! process of its own: what it costs to hang is not charged to the server.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hookyard_ports::{Clock as _, SystemClock};
use serde::Serialize;

use super::client::Client;
use super::generate::{self, Load};
use super::measure::{self, Latency, nanoseconds};
use super::process::{Helper, Server};
use super::receive::{HANG, Receiver};
use super::setup::{self, APPLICATION, Setup, token};
use super::throughput::{Answer, Ask};

/// Messages of one request while the queue is filled.
const BATCH: u64 = 1_000;
/// Messages for each endpoint that hangs.
const HANGING_MESSAGES: u64 = 5;
/// How long the healthy endpoint's last message may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Messages queued for the endpoint that never answers.
    pub queued: u64,
    /// Endpoints that hang.
    pub hanging: u64,
    /// Messages per second for the healthy endpoint.
    pub rate: u64,
    /// How long each part takes.
    pub steady: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Messages queued for the endpoint that never answers.
    pub queued: u64,
    /// Endpoints that hang.
    pub hanging: u64,
    /// Messages per second for the healthy endpoint.
    pub per_second: u64,
    /// From request to arrival, alone.
    pub alone: Latency,
    /// The same beside the dead.
    pub beside: Latency,
    /// The same right after a kill and a restart.
    pub after_restart: Latency,
    /// The 99th percentile beside the dead, as a multiple of that alone.
    pub beside_p99_ratio: f64,
    /// The 99th percentile after the restart, as a multiple of that alone.
    pub after_restart_p99_ratio: f64,
    /// Resident memory of the server with everything queued.
    pub resident_bytes: u64,
    /// From the restart until the server listened.
    pub ready_after_kill_ms: f64,
    /// From the restart until the first queued message reached its receiver.
    pub first_attempt_after_kill_ms: f64,
    /// From a start after a clean stop until the server listened.
    pub ready_after_stop_ms: f64,
}

/// Measures.
pub(crate) async fn run(options: Options, directory: &Path) -> anyhow::Result<Report> {
    let clock = Arc::new(SystemClock::new());
    let healthy = Receiver::start(Arc::clone(&clock) as _, false).await?;
    let mut dead = Helper::start("bench-receive")?;
    let Answer::Address(hangs) = dead.ask(&Ask::Address).await? else { anyhow::bail!("no address") };
    let setup = Setup::with_file(directory, &configuration(options, &healthy, hangs))?;
    let mut part = Part { options, setup, clock, first: 0 };

    let server = Server::start(&part.setup.options).await?;
    // The first second fills caches and is part of no figure.
    let _: Latency = part.steady(&server, &healthy, Duration::from_secs(1)).await?;
    let alone = part.steady(&server, &healthy, options.steady).await?;
    part.fill(&server).await?;
    let beside = part.steady(&server, &healthy, options.steady).await?;
    let resident_bytes = measure::resident_bytes(server.id()?)?;
    server.kill().await?;

    let _: Answer = dead.ask(&Ask::Reset).await?;
    let began = part.clock.monotonic();
    let server = Server::start(&part.setup.options).await?;
    let ready_after_kill = server.ready_after();
    let first_attempt = async {
        loop {
            let Answer::Received(received) = dead.ask(&Ask::Received).await? else { anyhow::bail!("no count") };
            if received.hung > 0 {
                return Ok(part.clock.monotonic().saturating_sub(began));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let first_attempt_after_kill = tokio::time::timeout(PATIENCE, first_attempt).await??;
    let after_restart = part.steady(&server, &healthy, options.steady).await?;
    server.stop().await?;
    let server = Server::start(&part.setup.options).await?;
    let ready_after_stop = server.ready_after();
    server.stop().await?;
    healthy.stop().await;
    let millis = |span: Duration| span.as_secs_f64() * 1_000.0;
    Ok(Report {
        queued: options.queued,
        hanging: options.hanging,
        per_second: options.rate,
        beside_p99_ratio: beside.p99_us / alone.p99_us,
        after_restart_p99_ratio: after_restart.p99_us / alone.p99_us,
        alone,
        beside,
        after_restart,
        resident_bytes,
        ready_after_kill_ms: millis(ready_after_kill),
        first_attempt_after_kill_ms: millis(first_attempt_after_kill),
        ready_after_stop_ms: millis(ready_after_stop),
    })
}

fn configuration(options: Options, healthy: &Receiver, hangs: SocketAddr) -> String {
    let mut file = String::new();
    setup::application(&mut file, APPLICATION);
    setup::endpoint(&mut file, "healthy", &format!("http://{}/hook", healthy.address()), "");
    setup::application(&mut file, "dead");
    setup::endpoint(&mut file, "dead", &format!("http://{hangs}{HANG}/dead"), "");
    setup::application(&mut file, "hanging");
    for n in 0..options.hanging {
        setup::endpoint(&mut file, &format!("hang-{n}"), &format!("http://{hangs}{HANG}/{n}"), "");
    }
    file
}

struct Part {
    options: Options,
    setup: Setup,
    clock: Arc<SystemClock>,
    first: u64,
}

impl Part {
    /// Sends the steady rate to the healthy endpoint and waits for the last message.
    async fn steady(&mut self, server: &Server, healthy: &Receiver, span: Duration) -> anyhow::Result<Latency> {
        healthy.reset(self.first);
        let messages = self.options.rate * span.as_secs();
        let load = Load {
            address: server.address(),
            path: self.setup.publish_path(),
            token: Some(token(&self.setup)),
            connections: 16,
            first: self.first,
            messages,
            batch: 1,
            payload: 200,
            rate: Some(self.options.rate),
        };
        self.first += messages;
        let generated = generate::generate(load, Arc::clone(&self.clock) as _, |_| {}).await?;
        generated.complete("messages for the healthy endpoint")?;
        let deadline = nanoseconds(self.clock.now().plus(PATIENCE));
        loop {
            let received = healthy.received();
            if received.messages == messages {
                return Ok(received.delivery);
            }
            let arrived = received.messages;
            ensure!(nanoseconds(self.clock.now()) < deadline, "only {arrived} of {messages} messages arrived");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Queues what never arrives, and waits until the disk has it.
    async fn fill(&self, server: &Server) -> anyhow::Result<()> {
        let mut client = Client::connect(server.address(), token(&self.setup)).await?;
        let mut left = self.options.queued;
        while left > 0 {
            let count = left.min(BATCH);
            let _: serde_json::Value = client.post("/api/v1/app/dead/msg/batch", &batch(count)).await?;
            left -= count;
        }
        let _: serde_json::Value = client.post("/api/v1/app/hanging/msg/batch", &batch(HANGING_MESSAGES)).await?;
        // The disk is still taking what the filling wrote, which is not what the dead cost.
        tokio::task::spawn_blocking(rustix::fs::sync).await.context("waiting for the disk")?;
        Ok(())
    }
}

fn batch(count: u64) -> String {
    let mut body = String::from(r#"{"messages":["#);
    for n in 0..count {
        let comma = if n == 0 { "" } else { "," };
        write!(body, r#"{comma}{{"eventType":"bench.queued","payload":{{"n":{n},"pad":"{n:0>160}"}}}}"#)
            .expect("writing to memory cannot fail");
    }
    body.push_str("]}");
    body
}
