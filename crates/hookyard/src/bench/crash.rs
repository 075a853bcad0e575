//! Kills the server at random moments under load, and proves that nothing it acknowledged is lost.
//!
//! Each round starts the server on the same data, sends as fast as it answers, and kills it without a word. After the last
//! round the server runs on until everything acknowledged has arrived. A message that arrived more than once must have as
//! many attempts that are logged as interrupted.
//!
//! So it is on the embedded store and on a database. There the server that comes back is the same node, which frees what its
//! former life held before it claims anything; what that life had on its way to the database as it was killed may still
//! happen, and is freed by a later heartbeat.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use hookyard_ports::{Clock as _, Rng as _, SystemClock, SystemRng};
use parking_lot::Mutex;
use serde::Serialize;

use super::client::Client;
use super::generate::{self, Load};
use super::process::Server;
use super::receive::Receiver;
use super::setup::{APPLICATION, Setup, token};

/// Numbers of one round; no round gets through as many.
const ROUND: u64 = 10_000_000;
/// Attempts at once: how much may be in flight at a kill.
const CONCURRENCY: u16 = 64;
/// The latest moment of a kill after the server listens.
const LATEST: Duration = Duration::from_millis(1_500);
/// How long the last deliveries may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// What was proved.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// How often the server was killed.
    pub rounds: u64,
    /// Messages answered with 202.
    pub acknowledged: u64,
    /// Of those, how many arrived. Anything less than all is an error, so this is the same number.
    pub delivered: u64,
    /// Messages that arrived more than once.
    pub repeated: u64,
    /// Of those, how many whose every repetition is logged as interrupted: the same number.
    pub explained: u64,
}

/// Kills and proves, on the database if one is named.
pub(crate) async fn run(
    rounds: u64,
    connections: usize,
    database: Option<&str>,
    directory: &Path,
) -> anyhow::Result<Report> {
    let clock = Arc::new(SystemClock::new());
    let receiver = Receiver::start(Arc::clone(&clock) as _, true).await?;
    let url = format!("http://{}/hook", receiver.address());
    let setup = match database {
        None => Setup::write(directory, &url, CONCURRENCY)?,
        // Nothing changes that another node would have to tell, and a pooler may stand before the database.
        Some(database) => Setup::on_database(directory, &url, CONCURRENCY, database, None)?,
    };
    let acknowledged: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
    let mut refusal = None;
    for round in 0..rounds {
        let server = Server::start(&setup.options).await?;
        let load = Load {
            address: server.address(),
            path: setup.publish_path(),
            token: Some(token(&setup)),
            connections,
            first: round * ROUND,
            messages: ROUND,
            batch: 1,
            payload: 200,
            rate: None,
        };
        let noted = Arc::clone(&acknowledged);
        let generating = generate::generate(load, Arc::clone(&clock) as _, move |number| {
            noted.lock().insert(number);
        });
        let killing = async {
            tokio::time::sleep(LATEST.mul_f64(SystemRng.unit())).await;
            server.kill().await
        };
        let (generated, killed) = tokio::join!(generating, killing);
        refusal = refusal.or(generated?.refusal());
        killed?;
    }

    let server = Server::start(&setup.options).await?;
    let acknowledged = std::mem::take(&mut *acknowledged.lock());
    let why = refusal.unwrap_or_else(|| "the server was killed too early each time".to_owned());
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged, so nothing is proved: {why}");
    let deadline = clock.monotonic() + PATIENCE;
    loop {
        let missing = acknowledged.iter().filter(|number| receiver.arrival(**number).is_none()).count();
        if missing == 0 {
            break;
        }
        ensure!(clock.monotonic() < deadline, "{missing} acknowledged messages did not arrive");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut client = Client::connect(server.address(), token(&setup)).await?;
    settled(&mut client, deadline, &clock).await?;
    let mut repeated = 0;
    for arrival in receiver.arrivals().into_iter().filter(|arrival| arrival.times > 1) {
        let id = arrival.id.unwrap_or_default();
        let interrupted = interruptions(&mut client, &id).await?;
        let times = arrival.times;
        ensure!(
            interrupted + 1 >= times,
            "{id} arrived {times} times, {interrupted} of its attempts are logged as interrupted"
        );
        repeated += 1;
    }
    server.stop().await?;
    receiver.stop().await;
    let count = acknowledged.len() as u64;
    Ok(Report { rounds, acknowledged: count, delivered: count, repeated, explained: repeated })
}

/// Waits until the last attempts are in the log.
async fn settled(client: &mut Client, deadline: Duration, clock: &SystemClock) -> anyhow::Result<()> {
    loop {
        let metrics = client.text("/metrics").await?;
        let open = metrics.lines().filter(|line| line.starts_with("hookyard_deliveries{"));
        let open: f64 = open.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        if metrics.contains("hookyard_deliveries{") && open == 0.0 {
            return Ok(());
        }
        ensure!(clock.monotonic() < deadline, "{open} deliveries are still open");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn interruptions(client: &mut Client, message: &str) -> anyhow::Result<u32> {
    let path = format!("/api/v1/app/{APPLICATION}/attempt/msg/{message}?limit=250");
    let page: serde_json::Value = client.get(&path).await?;
    let attempts = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let interrupted = attempts.iter().filter(|attempt| attempt["outcome"] == "interrupted").count();
    Ok(u32::try_from(interrupted).unwrap_or(u32::MAX))
}
