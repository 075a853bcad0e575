//! How many messages a second one endpoint gets, what each costs, and how long it takes.
//!
//! Generator, server and receiver are three processes on one machine. In the same run the generator sends to the receiver
//! directly: that is the ceiling of one bare HTTP hop on this machine at this hour, and every figure is best read beside it.
//! So it is with a database that is named: the embedded store is measured in the same run.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hookyard_model::Secret;
use hookyard_ports::{Clock as _, SystemClock};
use hookyard_postgres::Counted;
use serde::{Deserialize, Serialize};

use super::generate::{Generated, Load};
use super::measure::{self, Latency, nanoseconds};
use super::process::{Helper, Server};
use super::receive::Received;
use super::setup::{Setup, token};

/// How long the last deliveries may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// Old messages that are sent before the receiver forgets them, and in one request.
const OLD_AT_ONCE: u64 = 100_000;
const OLD_BATCH: u64 = 250;
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
    /// Messages in one request.
    pub batch: u64,
    /// Messages that are on the database before anything is measured there.
    pub old: u64,
    /// Attempts at once to the endpoint.
    pub concurrency: u16,
    /// Messages per second of the latency part.
    pub rate: u64,
    /// How long the latency part takes.
    pub steady: Duration,
    /// A `PostgreSQL` database on this machine, to be measured beside the embedded store.
    pub database: Option<String>,
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
    /// Messages per second of the latency part.
    pub steady_per_second: u64,
    /// The same hop without a server in between.
    pub bare_hop: BareHop,
    /// With the embedded store.
    #[serde(flatten)]
    pub embedded: Figures,
    /// With the database that was named, in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Figures>,
}

/// What was measured with one store.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    /// From the first request to the arrival of the last message.
    pub messages_per_second: f64,
    /// CPU time per message, user and system.
    pub cpu_us_per_message: CpuPerMessage,
    /// As fast as possible: from request to the answer 202.
    pub accept_at_full_load: Latency,
    /// At a steady rate: from request to the answer 202.
    pub accept: Latency,
    /// At a steady rate: from request to the arrival at the receiver.
    pub accept_to_delivery: Latency,
    /// Resident memory of the server before the first message.
    pub resident_idle_bytes: u64,
    /// Resident memory of the server after the last.
    pub resident_after_bytes: u64,
    /// Bytes of the data directory after the last message; 0 with a database.
    pub store_bytes: u64,
    /// The same per message.
    pub store_bytes_per_message: f64,
    /// From the start of the process until it listened.
    pub ready_ms: f64,
    /// What the database's own counters say, where it keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<CountedPerMessage>,
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
    /// Every process of a `PostgreSQL` server on this machine, where the store is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<f64>,
}

/// What a `PostgreSQL` server counted in its throughput part, for each message.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CountedPerMessage {
    /// Executions of statements, `BEGIN` and `COMMIT` included.
    pub executions: f64,
    /// Microseconds spent executing them, other processes' turns on the CPU included.
    pub executing_us: f64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: f64,
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
    let receiver = Helper::start("bench-receive")?;
    let generator = Helper::start("bench-generate")?;
    let mut bench = Bench { options, generator, receiver, address: ([127, 0, 0, 1], 0).into() };
    let Answer::Address(address) = bench.receiver.ask(&Ask::Address).await? else { anyhow::bail!("no address") };
    bench.address = address;

    let before = [measure::cpu_us(bench.generator.id()?)?, measure::cpu_us(bench.receiver.id()?)?];
    let bare = Load { batch: 1, ..bench.load(address, "/bare".to_owned(), None, options.messages, None) };
    let bare: Generated = bench.generator.ask(&bare).await?;
    let arrived = wait_for(&mut bench.receiver, options.messages).await?;
    let after = [measure::cpu_us(bench.generator.id()?)?, measure::cpu_us(bench.receiver.id()?)?];
    let messages = options.messages as f64;
    let bare_hop = BareHop {
        requests_per_second: messages / seconds_between(bare.began, arrived.last),
        cpu_us: (after[0] + after[1] - before[0] - before[1]) as f64 / messages,
    };

    let url = format!("http://{address}/hook");
    let embedded = bench.server(&Setup::write(directory, &url, options.concurrency)?, false).await?;
    let database = match &options.database {
        None => None,
        Some(database) => {
            let directory = directory.join("database");
            std::fs::create_dir(&directory).context("making a directory")?;
            let listen = Some(database.as_str());
            let setup = Setup::on_database(&directory, &url, options.concurrency, database, listen)?;
            Some(bench.server(&setup, true).await?)
        }
    };
    Ok(Report {
        messages: options.messages,
        payload_bytes: options.payload,
        steady_per_second: options.rate,
        bare_hop,
        embedded,
        database,
    })
}

/// The processes beside the server.
struct Bench<'o> {
    options: &'o Options,
    generator: Helper,
    receiver: Helper,
    /// Where the receiver listens.
    address: SocketAddr,
}

impl Bench<'_> {
    fn load(&self, address: SocketAddr, path: String, token: Option<String>, messages: u64, rate: Option<u64>) -> Load {
        let Options { connections, payload, batch, .. } = *self.options;
        Load { address, path, token, connections, first: 0, messages, batch, payload, rate }
    }

    /// Sends and waits until all has arrived.
    async fn send(&mut self, load: Load) -> anyhow::Result<(Generated, Received)> {
        let _: Answer = self.receiver.ask(&Ask::Reset).await?;
        let accepted: Generated = self.generator.ask(&load).await?;
        accepted.complete("messages")?;
        let arrived = wait_for(&mut self.receiver, load.messages).await?;
        Ok((accepted, arrived))
    }

    /// CPU time so far of generator, server, receiver and, where there is one, the database.
    fn cpu(&self, server: &Server, counters: &Counters) -> anyhow::Result<[u64; 4]> {
        let database = counters.0.as_ref().map(|counted| measure::postgres_cpu_us(&counted.processes));
        let database = database.transpose()?.unwrap_or(0);
        let [generator, server, receiver] = [self.generator.id()?, server.id()?, self.receiver.id()?];
        Ok([measure::cpu_us(generator)?, measure::cpu_us(server)?, measure::cpu_us(receiver)?, database])
    }

    /// Measures one server.
    #[expect(clippy::cast_precision_loss, reason = "counts and times of a benchmark have fewer digits than a float")]
    async fn server(&mut self, setup: &Setup, is_database: bool) -> anyhow::Result<Figures> {
        let Options { messages, rate, .. } = *self.options;
        let server = Server::start(&setup.options).await?;
        let resident_idle_bytes = measure::resident_bytes(server.id()?)?;
        let path = match self.options.batch {
            1 => setup.publish_path(),
            _ => setup.publish_batch_path(),
        };
        let token = token(setup);
        let load = |bench: &Self, messages, rate| {
            bench.load(server.address(), path.clone(), Some(token.clone()), messages, rate)
        };
        if is_database {
            self.age(&server, setup).await?;
        }
        // A first few messages fill caches and prepare statements; they are part of no figure.
        let warm = messages.min(1_000);
        self.send(load(self, warm, None)).await?;

        let database = self.options.database.clone().filter(|_| is_database).map(Secret::new);
        let counted = Counters::read(database.as_ref()).await?;
        let before = self.cpu(&server, &counted)?;
        let (accepted, arrived) = self.send(load(self, messages, None)).await?;
        let after = self.cpu(&server, &counted)?;
        let counted = Counters::read(database.as_ref()).await?.since(&counted, messages);
        let spent = |index: usize| (after[index] - before[index]) as f64 / messages as f64;
        let messages_per_second = messages as f64 / seconds_between(accepted.began, arrived.last);

        let steady_messages = rate * self.options.steady.as_secs();
        let (steady, steady_arrived) = self.send(load(self, steady_messages, Some(rate))).await?;
        let resident_after_bytes = measure::resident_bytes(server.id()?)?;
        let ready_ms = server.ready_after().as_secs_f64() * 1_000.0;
        server.stop().await?;
        let store_bytes = if is_database { 0 } else { measure::directory_bytes(&setup.options.data)? };
        Ok(Figures {
            messages_per_second,
            cpu_us_per_message: CpuPerMessage {
                generator: spent(0),
                hookyard: spent(1),
                receiver: spent(2),
                database: is_database.then(|| spent(3)),
            },
            accept_at_full_load: accepted.accept,
            accept: steady.accept,
            accept_to_delivery: steady_arrived.delivery,
            resident_idle_bytes,
            resident_after_bytes,
            store_bytes,
            store_bytes_per_message: store_bytes as f64 / (warm + messages + steady_messages) as f64,
            ready_ms,
            counted,
        })
    }

    /// Sends what is to be old, in batches and in parts that the receiver's memory has room for.
    async fn age(&mut self, server: &Server, setup: &Setup) -> anyhow::Result<()> {
        let mut left = self.options.old;
        while left > 0 {
            let messages = left.min(OLD_AT_ONCE);
            left -= messages;
            let load = self.load(server.address(), setup.publish_batch_path(), Some(token(setup)), messages, None);
            self.send(Load { batch: OLD_BATCH, connections: 8, ..load }).await?;
        }
        Ok(())
    }
}

/// What a database's server tells, where there is one.
struct Counters(Option<Counted>);

impl Counters {
    async fn read(database: Option<&Secret<String>>) -> anyhow::Result<Self> {
        match database {
            None => Ok(Self(None)),
            Some(database) => Ok(Self(Some(hookyard_postgres::counted(database).await?))),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark have fewer digits than a float")]
    fn since(&self, before: &Self, messages: u64) -> Option<CountedPerMessage> {
        let statements = |counters: &Self| counters.0.as_ref()?.statements;
        let (after, before, messages) = (statements(self)?, statements(before)?, messages as f64);
        Some(CountedPerMessage {
            executions: (after.executions - before.executions) as f64 / messages,
            executing_us: (after.executing_ms - before.executing_ms) * 1_000.0 / messages,
            wal_bytes: (after.wal_bytes - before.wal_bytes) as f64 / messages,
        })
    }
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
