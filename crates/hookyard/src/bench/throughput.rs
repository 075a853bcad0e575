//! How many messages a second one endpoint gets, what each costs, and how long it takes.
//!
//! Generator, server and receiver are three processes on one machine. In the same run the generator sends to the receiver
//! directly: that is the ceiling of one bare HTTP hop on this machine at this hour, and every figure is best read beside it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hookyard_ports::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use super::generate::{Generated, Load};
use super::measure::{self, Latency, nanoseconds};
use super::process::{Helper, Server};
use super::receive::Received;
use super::setup::{Setup, token};

/// How long the last deliveries may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often the receiver is asked whether all has arrived; its answer costs a line.
const ASK: Duration = Duration::from_millis(20);

/// What to measure.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Messages of the throughput part.
    pub messages: u64,
    /// Bytes of a payload.
    pub payload: usize,
    /// Connections of the generator.
    pub connections: usize,
    /// Attempts at once to the endpoint.
    pub concurrency: u16,
    /// Messages per second of the latency part.
    pub rate: u64,
    /// How long the latency part takes.
    pub steady: Duration,
}

/// What a receiving process is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Where it listens.
    Address,
    /// What arrived.
    Received,
    /// To forget what arrived.
    Reset,
}

/// What a receiving process answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Where it listens.
    Address(std::net::SocketAddr),
    /// What arrived.
    Received(Received),
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Messages of the throughput part.
    pub messages: u64,
    /// Bytes of a payload.
    pub payload_bytes: usize,
    /// From the first request to the arrival of the last message.
    pub messages_per_second: f64,
    /// CPU time per message, user and system.
    pub cpu_us_per_message: CpuPerMessage,
    /// The same hop without a server in between.
    pub bare_hop: BareHop,
    /// As fast as possible: from request to the answer 202.
    pub accept_at_full_load: Latency,
    /// Messages per second of the latency part.
    pub steady_per_second: u64,
    /// At a steady rate: from request to the answer 202.
    pub accept: Latency,
    /// At a steady rate: from request to the arrival at the receiver.
    pub accept_to_delivery: Latency,
    /// Resident memory of the server before the first message.
    pub resident_idle_bytes: u64,
    /// Resident memory of the server after the last.
    pub resident_after_bytes: u64,
    /// Bytes of the data directory after the last message.
    pub store_bytes: u64,
    /// The same per message.
    pub store_bytes_per_message: f64,
    /// From the start of the process until it listened.
    pub ready_ms: f64,
}

/// CPU time per message by process, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CpuPerMessage {
    /// The generator.
    pub generator: f64,
    /// The server.
    pub hookyard: f64,
    /// The receiver.
    pub receiver: f64,
}

/// One HTTP hop from the generator to the receiver.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BareHop {
    /// Requests per second.
    pub requests_per_second: f64,
    /// CPU time per request of both processes, in microseconds.
    pub cpu_us: f64,
}

/// Measures.
#[expect(clippy::cast_precision_loss, reason = "counts and times of a benchmark have fewer digits than a float")]
pub(crate) async fn run(options: &Options, directory: &Path) -> anyhow::Result<Report> {
    let mut receiver = Helper::start("bench-receive")?;
    let mut generator = Helper::start("bench-generate")?;
    let Answer::Address(address) = receiver.ask(&Ask::Address).await? else { anyhow::bail!("no address") };
    let load = |address, path: String, token, messages, rate| Load {
        address,
        path,
        token,
        connections: options.connections,
        first: 0,
        messages,
        payload: options.payload,
        rate,
    };

    let before = [measure::cpu_us(generator.id()?)?, measure::cpu_us(receiver.id()?)?];
    let bare: Generated = generator.ask(&load(address, "/bare".to_owned(), None, options.messages, None)).await?;
    let arrived = wait_for(&mut receiver, options.messages).await?;
    let after = [measure::cpu_us(generator.id()?)?, measure::cpu_us(receiver.id()?)?];
    let messages = options.messages as f64;
    let bare_hop = BareHop {
        requests_per_second: messages / seconds_between(bare.began, arrived.last),
        cpu_us: (after[0] + after[1] - before[0] - before[1]) as f64 / messages,
    };
    let _: Answer = receiver.ask(&Ask::Reset).await?;

    let setup = Setup::write(directory, &format!("http://{address}/hook"), options.concurrency)?;
    let server = Server::start(&setup.options).await?;
    let token = token(&setup);
    let resident_idle_bytes = measure::resident_bytes(server.id()?)?;
    let path = setup.publish_path();
    let processes = [generator.id()?, server.id()?, receiver.id()?];
    let cpu = || processes.iter().map(|process| measure::cpu_us(*process)).collect::<anyhow::Result<Vec<_>>>();
    // A first few messages fill caches and prepare statements; they are part of no figure.
    let warm = options.messages.min(1_000);
    let warming = load(server.address(), path.clone(), Some(token.clone()), warm, None);
    let _: Generated = generator.ask(&warming).await?;
    wait_for(&mut receiver, warm).await?;
    let _: Answer = receiver.ask(&Ask::Reset).await?;

    let before = cpu()?;
    let full = load(server.address(), path.clone(), Some(token.clone()), options.messages, None);
    let accepted: Generated = generator.ask(&full).await?;
    ensure!(accepted.failed == 0, "{} requests were not accepted", accepted.failed);
    let arrived = wait_for(&mut receiver, options.messages).await?;
    let after = cpu()?;
    let spent = |index: usize| (after[index] - before[index]) as f64 / messages;
    let messages_per_second = messages / seconds_between(accepted.began, arrived.last);
    let accept_at_full_load = accepted.accept;
    let _: Answer = receiver.ask(&Ask::Reset).await?;

    let steady_messages = options.rate * options.steady.as_secs();
    let steady = load(server.address(), path, Some(token), steady_messages, Some(options.rate));
    let accepted: Generated = generator.ask(&steady).await?;
    let steady_arrived = wait_for(&mut receiver, steady_messages).await?;
    let resident_after_bytes = measure::resident_bytes(server.id()?)?;
    let ready_ms = server.ready_after().as_secs_f64() * 1_000.0;
    server.stop().await?;
    let store_bytes = measure::directory_bytes(&setup.options.data)?;
    let in_store = (warm + options.messages + steady_messages) as f64;
    Ok(Report {
        messages: options.messages,
        payload_bytes: options.payload,
        messages_per_second,
        cpu_us_per_message: CpuPerMessage { generator: spent(0), hookyard: spent(1), receiver: spent(2) },
        bare_hop,
        accept_at_full_load,
        steady_per_second: options.rate,
        accept: accepted.accept,
        accept_to_delivery: steady_arrived.delivery,
        resident_idle_bytes,
        resident_after_bytes,
        store_bytes,
        store_bytes_per_message: store_bytes as f64 / in_store,
        ready_ms,
    })
}

/// Waits until so many different messages have arrived.
pub(super) async fn wait_for(receiver: &mut Helper, messages: u64) -> anyhow::Result<Received> {
    let clock = SystemClock::new();
    let deadline = nanoseconds(clock.now().plus(PATIENCE));
    loop {
        let Answer::Received(so_far) = receiver.ask(&Ask::Received).await? else { anyhow::bail!("no count") };
        if so_far.messages >= messages {
            return Ok(so_far);
        }
        let arrived = so_far.messages;
        ensure!(nanoseconds(clock.now()) < deadline, "only {arrived} of {messages} messages arrived in time");
        tokio::time::sleep(ASK).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a benchmark's span has fewer digits than a float")]
fn seconds_between(began: u64, ended: u64) -> f64 {
    (ended.saturating_sub(began)) as f64 / 1e9
}

/// The generating process: loads come in as lines, what came of them goes out.
pub(crate) async fn generator() -> anyhow::Result<()> {
    super::process::answer(|load: Load| async move {
        super::generate::generate(load, std::sync::Arc::new(SystemClock::new()), |_| {}).await
    })
    .await
}

/// The receiving process: questions come in as lines.
pub(crate) async fn receiver() -> anyhow::Result<()> {
    let receiver = super::receive::Receiver::start(std::sync::Arc::new(SystemClock::new()), false).await?;
    super::process::answer(|ask: Ask| {
        let answer = match ask {
            Ask::Address => Answer::Address(receiver.address()),
            Ask::Received => Answer::Received(receiver.received()),
            Ask::Reset => {
                receiver.reset(0);
                Answer::Received(receiver.received())
            }
        };
        std::future::ready(Ok(answer))
    })
    .await
    .context("answering the benchmark")
}
