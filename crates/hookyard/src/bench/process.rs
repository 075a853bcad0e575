//! The processes of a benchmark: this program again, as server, generator or receiver.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use hookyard_ports::{Clock as _, SystemClock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long a process may take to become ready, or to stop.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a server's log is looked at while it starts; the precision of the time until it is ready.
const LOOK: Duration = Duration::from_millis(2);
/// What a server prints once it is ready.
const LISTENING: &str = "listening on http://";

/// What a server under test runs with.
#[derive(Debug, Clone)]
pub(crate) struct ServerOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// Where the log goes; a start begins it anew.
    pub log: PathBuf,
    /// The key of API tokens.
    pub jwt_secret: String,
}

/// A server under test; killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    ready_after: Duration,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub(crate) async fn start(options: &ServerOptions) -> anyhow::Result<Self> {
        let clock = SystemClock::new();
        let log = std::fs::File::create(&options.log).with_context(|| format!("creating {}", options.log.display()))?;
        let mut child = Command::new(this_program()?)
            .arg("serve")
            .args(["--listen", "127.0.0.1:0"])
            .arg("--config")
            .arg(&options.config)
            .arg("--data")
            .arg(&options.data)
            .env("HOOKYARD_JWT_SECRET", &options.jwt_secret)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("starting the server")?;
        let address = loop {
            if let Some(address) = listening(&options.log)? {
                break address;
            }
            let ended = child.try_wait()?.map(|status| format!("the server ended with {status}"));
            let late = (clock.monotonic() > PATIENCE).then(|| "the server did not get ready".to_owned());
            if let Some(why) = ended.or(late) {
                bail!("{why}; its log:\n{}", std::fs::read_to_string(&options.log).unwrap_or_default());
            }
            tokio::time::sleep(LOOK).await;
        };
        Ok(Self { child, address, ready_after: clock.monotonic() })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long it took until it listened.
    pub(crate) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Its process id.
    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// Kills it as a power cut would, without a word.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("killing the server")
    }

    /// Asks it to stop and waits for its end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.id()?).context("the process id is out of range")?;
        let id = rustix::process::Pid::from_raw(id).context("the process id is zero")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM).context("stopping the server")?;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.context("the server did not stop")??;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }
}

fn listening(log: &Path) -> anyhow::Result<Option<SocketAddr>> {
    let text = std::fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))?;
    // A line without its end may still be being written.
    let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let address = complete.filter_map(|line| line.split_once(LISTENING)).map(|(_, address)| address.trim()).next();
    address.map(|address| address.parse().with_context(|| format!("reading the address `{address}`"))).transpose()
}

/// A generator or receiver in a process of its own, spoken to in lines of JSON; killed when dropped.
pub(crate) struct Helper {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// Starts this program with a hidden subcommand.
    pub(crate) fn start(subcommand: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(this_program()?)
            .arg(subcommand)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {subcommand}"))?;
        let input = child.stdin.take().context("the process has no input")?;
        let output = child.stdout.take().context("the process has no output")?;
        Ok(Self { child, input, output: BufReader::new(output).lines() })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask<Q: Serialize, A: DeserializeOwned>(&mut self, question: &Q) -> anyhow::Result<A> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        self.input.write_all(&line).await.context("asking a process of the benchmark")?;
        let answer = self.output.next_line().await?.context("a process of the benchmark ended without an answer")?;
        serde_json::from_str(&answer).with_context(|| format!("reading the answer `{answer}`"))
    }
}

/// Answers the questions of [`Helper::ask`] from standard input until it ends.
pub(crate) async fn answer<Q, A, F>(mut reply: impl FnMut(Q) -> F) -> anyhow::Result<()>
where
    Q: DeserializeOwned,
    A: Serialize,
    F: Future<Output = anyhow::Result<A>>,
{
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut output = tokio::io::stdout();
    while let Some(line) = lines.next_line().await? {
        let mut answer = serde_json::to_vec(&reply(serde_json::from_str(&line)?).await?)?;
        answer.push(b'\n');
        output.write_all(&answer).await?;
        output.flush().await?;
    }
    Ok(())
}

fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("finding this program")
}
