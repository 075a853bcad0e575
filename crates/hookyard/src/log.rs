//! Log lines on standard error.
//!
//! Started once by the command that runs: `serve` by its settings, every other one by `HOOKYARD_LOG` alone and quietly, so
//! that a warning of a library reaches whoever asked.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{Environment, LogFormat};

/// Starts the log of a server.
pub(crate) fn start(filter: &str, format: LogFormat) {
    // The settings have checked the filter.
    let filter = quiet(filter.parse().unwrap_or_default());
    let layer = match format {
        LogFormat::Text => fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    log_panics();
}

/// Starts the log of a command for people.
pub(crate) fn start_for_command() {
    let environment = Environment::of_process();
    let filter = environment.get("HOOKYARD_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(tracing::Level::WARN));
    let layer = fmt::layer().with_writer(io::stderr).without_time().with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
}

/// The filter without what a library says of every connection that breaks: the store says what it means, and once.
fn quiet(filter: Targets) -> Targets {
    const BREAKS: &str = "deadpool";
    let is_asked = filter.iter().any(|(target, _)| target.starts_with(BREAKS));
    if is_asked { filter } else { filter.with_target(BREAKS, LevelFilter::OFF) }
}

/// Has a panic of a request or an attempt written to the log, in the log's own form, instead of raw lines between.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(thread = thread.name(), place, %backtrace, "panic: {message}");
    }));
}
