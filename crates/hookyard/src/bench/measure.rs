//! What a benchmark measures: latencies, CPU, memory and disk, each with its unit in its name.

use std::path::Path;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use hookyard_model::Timestamp;
use serde::{Deserialize, Serialize};

/// Nanoseconds since the epoch.
pub(super) fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(0).saturating_mul(1_000)
}

/// Percentiles of a latency, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the unit belongs into the names of the JSON report")]
pub(crate) struct Latency {
    /// Half took at most this.
    pub p50_us: f64,
    /// 99 % took at most this.
    pub p99_us: f64,
    /// 99.9 % took at most this.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
}

/// An empty histogram of nanoseconds, up to ten minutes, with three digits.
pub(super) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 600_000_000_000, 3).context("making a histogram")
}

impl Latency {
    #[expect(clippy::cast_precision_loss, reason = "a latency has fewer digits than a float")]
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Self { p50_us: at(0.5), p99_us: at(0.99), p999_us: at(0.999), max_us: histogram.max() as f64 / 1_000.0 }
    }
}

/// CPU time of a process so far, in microseconds, user and system together.
pub(crate) fn cpu_us(process: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    ticks_us(&text, 11..13)
}

/// CPU time so far of the `PostgreSQL` server that these processes are of: of all its processes, and those that have ended.
pub(crate) fn postgres_cpu_us(processes: &[i32]) -> anyhow::Result<u64> {
    let elsewhere = "the database's processes are not on this machine; their share of the CPU cannot be told";
    let stat = |process: &str| std::fs::read_to_string(Path::new("/proc").join(process).join("stat")).ok();
    let server =
        processes.iter().find_map(|process| parent_of_postgres(&stat(&process.to_string())?)).context(elsewhere)?;
    let mut total = ticks_us(&stat(&server).context(elsewhere)?, 11..15)?;
    for entry in std::fs::read_dir("/proc").context("reading /proc")? {
        // A process may end between being listed and being read.
        let Some(text) = entry?.file_name().to_str().and_then(stat) else { continue };
        if parent_of_postgres(&text).is_some_and(|parent| parent == server) {
            total += ticks_us(&text, 11..15)?;
        }
    }
    Ok(total)
}

/// The parent's id in the `/proc/…/stat` of a process named `postgres`.
fn parent_of_postgres(stat: &str) -> Option<String> {
    let (_, rest) = stat.split_once("(postgres) ")?;
    rest.split_whitespace().nth(1).map(str::to_owned)
}

/// The sum of some of the times in a `/proc/…/stat`, in microseconds. The command's name may hold anything; what follows its
/// closing parenthesis is numbers.
fn ticks_us(stat: &str, which: std::ops::Range<usize>) -> anyhow::Result<u64> {
    let numbers: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| numbers.get(index).and_then(|text| text.parse::<u64>().ok()).context("reading CPU time");
    let per_second = rustix::param::clock_ticks_per_second();
    let sum = which.map(ticks).sum::<anyhow::Result<u64>>()?;
    Ok(sum * 1_000_000 / per_second.max(1))
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident_bytes(process: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("reading resident memory")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("reading resident memory")?;
    Ok(kilobytes * 1024)
}

/// Bytes of all files in a directory.
pub(crate) fn directory_bytes(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
