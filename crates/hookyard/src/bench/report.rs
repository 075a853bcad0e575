//! Prints what was measured, for people or as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::measure::Latency;
use super::{crash, dialects, isolation, throughput};

/// Prints one JSON object, or the text that `text` makes of it.
#[expect(clippy::print_stdout, reason = "the report is what the command is for")]
pub(super) fn print<T: Serialize>(measured: &T, json: bool, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    let shown = if json { serde_json::to_string_pretty(measured)? } else { text(measured) };
    println!("{}", shown.trim_end());
    Ok(())
}

pub(super) fn throughput(report: &throughput::Report) -> String {
    let bare = &report.bare_hop;
    let mut table = Table::default();
    table.line(
        "bare HTTP hop",
        &format!("{:.0} requests/s, {:.1} µs CPU, both sides", bare.requests_per_second, bare.cpu_us),
    );
    figures(&mut table, report, &report.embedded);
    if let Some(database) = &report.database {
        table.line("", "");
        table.line("with the database", "");
        figures(&mut table, report, database);
    }
    table.text
}

fn figures(table: &mut Table, report: &throughput::Report, figures: &throughput::Figures) {
    let cpu = &figures.cpu_us_per_message;
    table.line("throughput", &format!("{:.0} messages/s", figures.messages_per_second));
    table.line(
        "",
        &format!(
            "{} messages of {} bytes, accepted, fsynced, signed, delivered",
            report.messages, report.payload_bytes
        ),
    );
    let database = cpu.database.map_or_else(String::new, |database| {
        format!(" and {database:.1} µs PostgreSQL, {:.1} µs together", cpu.hookyard + database)
    });
    table.line("CPU per message", &format!("{:.1} µs hookyard{database}", cpu.hookyard));
    table.line("", &format!("{:.1} µs generator, {:.1} µs receiver", cpu.generator, cpu.receiver));
    table.line("accept, full load", &latency(&figures.accept_at_full_load));
    table.line(&format!("accept, {}/s", report.steady_per_second), &latency(&figures.accept));
    table.line(&format!("accept to delivery, {}/s", report.steady_per_second), &latency(&figures.accept_to_delivery));
    table.line(
        "resident memory",
        &format!("{} idle, {} after", mib(figures.resident_idle_bytes), mib(figures.resident_after_bytes)),
    );
    if cpu.database.is_none() {
        table.line(
            "store",
            &format!("{}, {:.0} bytes per message", mib(figures.store_bytes), figures.store_bytes_per_message),
        );
    }
    if let Some(counted) = &figures.counted {
        table.line("statements", &format!("{:.3} executions per message", counted.executions));
        table.line("", &format!("{:.1} µs executing, {:.0} bytes of log", counted.executing_us, counted.wal_bytes));
    }
    table.line("ready after", &format!("{:.0} ms", figures.ready_ms));
}

pub(super) fn isolation(report: &isolation::Report) -> String {
    let mut table = Table::default();
    table.line("healthy endpoint", &format!("{} messages/s", report.per_second));
    table.line("alone", &latency(&report.alone));
    table.line("beside the dead", &latency(&report.beside));
    table.line("", &format!("{} queued for one that never answers, {} that hang", report.queued, report.hanging));
    table.line("after kill, restart", &latency(&report.after_restart));
    let (beside, restart) = (report.beside_p99_ratio, report.after_restart_p99_ratio);
    table.line("p99 beside alone", &format!("{beside:.2} times, {restart:.2} times after the restart"));
    table.line("resident memory", &mib(report.resident_bytes));
    let [kill, first, stop] =
        [report.ready_after_kill_ms, report.first_attempt_after_kill_ms, report.ready_after_stop_ms];
    table.line("ready", &format!("{kill:.0} ms after a kill, {stop:.0} ms after a clean stop"));
    table.line("first attempt", &format!("{first:.0} ms after a kill"));
    table.text
}

pub(super) fn crash(report: &crash::Report) -> String {
    let mut table = Table::default();
    table.line("killed", &format!("{} times under load", report.rounds));
    table.line("acknowledged", &format!("{} messages, all delivered", report.acknowledged));
    table.line("repeated", &format!("{} messages, every repetition logged as interrupted", report.repeated));
    table.text
}

pub(super) fn dialects(report: &dialects::Report) -> String {
    let mut table = Table::default();
    table.line(
        "CPU per message",
        &format!("{} messages of {} bytes in each dialect", report.messages, report.payload_bytes),
    );
    for cost in &report.dialects {
        let (cpu, ratio) = (cost.cpu_us_per_message, cost.beside_standard);
        table.line(cost.dialect, &format!("{cpu:.1} µs, {ratio:.2} times `standard`"));
    }
    table.text
}

fn latency(latency: &Latency) -> String {
    let [p50, p99, p999, max] =
        [latency.p50_us, latency.p99_us, latency.p999_us, latency.max_us].map(|us| format!("{:.2} ms", us / 1_000.0));
    format!("p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}")
}

#[expect(clippy::cast_precision_loss, reason = "a size is shown with one digit after the point")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[derive(Default)]
struct Table {
    text: String,
}

impl Table {
    fn line(&mut self, name: &str, value: &str) {
        writeln!(self.text, "{}", format!("{name:<28}{value}").trim_end()).expect("writing to memory cannot fail");
    }
}
