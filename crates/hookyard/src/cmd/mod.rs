//! The command line: one file per subcommand.
//!
//! Called by `main`. Commands that need the store talk to the running server; only `serve` opens it. `backup` and
//! `restore` copy it as a file, `move` copies it to one of the other kind.

mod access;
mod backup;
mod client;
mod config;
mod copies;
mod doctor;
mod endpoints;
mod event_types;
mod failure;
mod messages;
mod move_;
mod output;
mod page;
mod resend;
mod restore;
mod send;
mod serve;
mod token;

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

pub(crate) use self::failure::Failure;
use crate::{bench, log};

/// Receives, keeps and delivers webhooks.
#[derive(Debug, Parser)]
#[command(name = "hookyard", version, after_help = failure::HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Token(token::Token),
    Send(send::Send),
    #[command(subcommand)]
    Messages(messages::Messages),
    Resend(resend::Resend),
    #[command(subcommand)]
    Endpoints(endpoints::Endpoints),
    #[command(subcommand)]
    EventTypes(event_types::EventTypes),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Doctor(doctor::Doctor),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Move(move_::Move),
    Bench(bench::Bench),
    #[command(hide = true)]
    BenchGenerate,
    #[command(hide = true)]
    BenchReceive,
    Completions(Completions),
    Man(Man),
}

/// Print completions for a shell.
#[derive(Debug, Args)]
struct Completions {
    /// Which shell.
    shell: clap_complete::Shell,
}

/// Print the manual page, or write one for each command.
#[derive(Debug, Args)]
struct Man {
    /// Write the pages of all commands into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<std::path::PathBuf>,
}

impl Cli {
    /// Does what the command line asks and says how that went.
    pub(crate) fn run(self) -> ExitCode {
        match self.command.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                if !matches!(failure, Failure::OutputClosed) {
                    use std::io::Write as _;
                    // Nobody is left to tell when standard error is closed, too.
                    let _ = writeln!(std::io::stderr(), "error: {failure}");
                }
                failure.code()
            }
        }
    }
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Serve(serve) => serve.run(),
            Self::Token(token) => block_on(token.run()),
            Self::Send(send) => block_on(send.run()),
            Self::Messages(messages) => block_on(messages.run()),
            Self::Resend(resend) => block_on(resend.run()),
            Self::Endpoints(endpoints) => block_on(endpoints.run()),
            Self::EventTypes(event_types) => event_types.run(),
            Self::Config(config) => block_on(config.run()),
            Self::Doctor(doctor) => block_on(doctor.run()),
            Self::Backup(backup) => block_on(backup.run()),
            Self::Restore(restore) => block_on(restore.run()),
            Self::Move(moving) => block_on(moving.run()),
            Self::Bench(bench) => bench_on_both_cores(bench),
            Self::BenchGenerate => block_on(async { Ok(bench::generator().await?) }),
            Self::BenchReceive => block_on(async { Ok(bench::receiver().await?) }),
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
        }
    }
}

/// Runs a command that waits for a server, on this thread alone.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    log::start_for_command();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Other(error.into()))?;
    let done = runtime.block_on(command);
    // A read of standard input cannot be given up and must not hold the end of the program.
    runtime.shutdown_background();
    done
}

/// Runs a benchmark whose generator and receiver may live in this process, beside the server in its own.
fn bench_on_both_cores(bench: bench::Bench) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Other(error.into()))?;
    Ok(runtime.block_on(bench::run(bench))?)
}

impl Completions {
    fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "hookyard", &mut script);
        output::bytes(&script)
    }
}

impl Man {
    fn run(self) -> Result<(), Failure> {
        if let Some(folder) = self.out {
            let written = clap_mangen::generate_to(Cli::command(), &folder);
            return written.map_err(|error| {
                Failure::Other(anyhow::Error::new(error).context(format!("`{}` cannot be written", folder.display())))
            });
        }
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
        rendered.map_err(|error| Failure::Other(error.into()))?;
        output::bytes(&page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_exit_codes_are_in_the_help() {
        assert!(Cli::command().render_help().to_string().contains("4 server unreachable"));
    }
}
