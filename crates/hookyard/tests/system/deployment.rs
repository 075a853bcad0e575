//! A deployment in a directory of its own: its file, its data, and the process that runs on them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::wire::{Answer, ask};
use crate::within;

/// The application of most tests.
pub(crate) const APP: &str = "party";
/// How often a server is asked whether a level is reached.
const LOOK: Duration = Duration::from_millis(10);

/// A configuration of the application [`APP`] with these endpoints, each a list of TOML lines.
pub(crate) fn party(endpoints: &[&str]) -> String {
    let mut file = format!("[[application]]\nuid = \"{APP}\"\n");
    for endpoint in endpoints {
        file.push_str("[[application.endpoint]]\n");
        file.push_str(endpoint);
        file.push('\n');
    }
    file
}

/// An endpoint `uid` of the dialect `raw` at `url`, with further lines.
pub(crate) fn endpoint(uid: &str, url: &str, more: &str) -> String {
    format!("uid = \"{uid}\"\nurl = \"{url}\"\ndialect = \"raw\"\n{more}")
}

/// No second attempt.
pub(crate) const ONCE: &str = "retry = { policy = \"fixed\", delay = \"1s\", retries = 0 }";
/// A second attempt at once.
pub(crate) const TWICE: &str = "retry = { policy = \"fixed\", delay = \"10ms\", retries = 1 }";

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed, if it succeeded.
    #[track_caller]
    pub(crate) fn output(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out.trim_end().to_owned()
    }

    /// What it complained about, if it left with this code.
    #[track_caller]
    pub(crate) fn complaint(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.err
    }
}

/// A directory with a configuration.
pub(crate) struct Deployment {
    folder: TempDir,
    environment: Vec<(String, String)>,
    /// A program and its arguments that the server is started through.
    through: Vec<String>,
}

impl Deployment {
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let deployment = Self { folder, environment: Vec::new(), through: Vec::new() };
        deployment.configure(config);
        deployment
    }

    /// Sets a variable for every process of the deployment.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts servers through another program, such as `setpriv`.
    pub(crate) fn through(mut self, program: &[&str]) -> Self {
        self.through = program.iter().map(|&part| part.to_owned()).collect();
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("hookyard-data")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("hookyard.sqlite")
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, config: &str) {
        std::fs::write(self.folder().join("hookyard.toml"), config).expect("the file can be written");
    }

    fn command(&self, through: &[String]) -> Command {
        let binary = env!("CARGO_BIN_EXE_hookyard");
        let mut command = match through.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command.current_dir(self.folder()).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    fn serve(&self) -> Command {
        let mut command = self.command(&self.through);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(&[]);
        command.args(arguments);
        finish(command, "").await
    }

    /// Starts a command that is not waited for; killed when dropped.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(&[]).args(arguments).spawn().expect("the binary starts")
    }

    /// Starts a server that is expected to refuse.
    pub(crate) async fn refuse(&self) -> Ran {
        finish(self.serve(), "").await
    }

    /// Starts a server and waits until it listens.
    pub(crate) async fn start(&self) -> Node<'_> {
        let started = self.try_start().await;
        started.unwrap_or_else(|log| panic!("the server ended before it listened:\n{log}"))
    }

    /// Starts a server and waits until it listens, or ends; then what it said is the error.
    pub(crate) async fn try_start(&self) -> Result<Node<'_>, String> {
        let mut child = self.serve().spawn().expect("the server starts");
        let log = Arc::new(Log::default());
        let mut reading = JoinSet::new();
        reading.spawn(read_log(child.stderr.take().expect("it is piped"), Arc::clone(&log)));
        let address = within("the server to listen", log.address()).await;
        let Some(address) = address else { return Err(log.text()) };
        let token = self.run(&["token"]).await.output();
        Ok(Node { deployment: self, child, log, reading, address, authorization: format!("Bearer {token}") })
    }
}

async fn finish(mut command: Command, input: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let write = async move {
        // A command that ends before it has read everything says why by itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let (output, ()) = within("a command to end", async { tokio::join!(child.wait_with_output(), write) }).await;
    let output = output.expect("its output can be read");
    let text = |bytes| String::from_utf8(bytes).expect("the binary writes text");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// What a server has written on standard error.
#[derive(Default)]
pub(crate) struct Log {
    text: Mutex<String>,
    ended: Mutex<bool>,
    changed: Notify,
}

impl Log {
    pub(crate) fn text(&self) -> String {
        self.text.lock().clone()
    }

    /// Waits until it holds `part`.
    pub(crate) async fn until(&self, part: &str) -> String {
        let level = async {
            loop {
                let changed = self.changed.notified();
                let text = self.text();
                if text.contains(part) {
                    return text;
                }
                assert!(!*self.ended.lock(), "the server ended before it said `{part}`:\n{text}");
                changed.await;
            }
        };
        let reached = tokio::time::timeout(crate::PATIENCE, level).await;
        reached.unwrap_or_else(|_| panic!("the log does not say `{part}`:\n{}", self.text()))
    }

    /// Where the server listens; `None` when it ended before.
    async fn address(&self) -> Option<SocketAddr> {
        loop {
            let changed = self.changed.notified();
            let text = self.text();
            let line = text.lines().find_map(|line| line.strip_prefix("listening on http://"));
            if let Some(address) = line {
                return Some(address.parse().expect("an address"));
            }
            if *self.ended.lock() {
                return None;
            }
            changed.await;
        }
    }
}

async fn read_log(stderr: ChildStderr, log: Arc<Log>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        {
            let mut text = log.text.lock();
            text.push_str(&line);
            text.push('\n');
        }
        log.changed.notify_waiters();
    }
    *log.ended.lock() = true;
    log.changed.notify_waiters();
}

/// A running server; killed when dropped.
pub(crate) struct Node<'a> {
    deployment: &'a Deployment,
    child: Child,
    log: Arc<Log>,
    reading: JoinSet<()>,
    address: SocketAddr,
    /// The header by which this server knows the deployment's token.
    pub(crate) authorization: String,
}

impl Node<'_> {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = vec![("authorization", self.authorization.as_str())];
        all.extend_from_slice(headers);
        let answer = ask(self.address, method, path, &all, Bytes::copy_from_slice(body)).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}; the log:\n{}", self.log.text()))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask(Method::POST, path, &[], body.as_ref()).await
    }

    /// Something of the application [`APP`].
    pub(crate) async fn of_app(&self, path: &str) -> Value {
        self.get(&format!("/api/v1/app/{APP}{path}")).await.expect(200).json()
    }

    /// Publishes this body, whatever it is.
    pub(crate) async fn publish_body(&self, body: impl AsRef<[u8]>) -> Answer {
        self.post(&format!("/api/v1/app/{APP}/msg"), body).await
    }

    /// Publishes a payload as event `photo.taken`, and gives the message's id.
    pub(crate) async fn publish(&self, payload: &str) -> String {
        // The answer need not hold the payload, which may be JSON that no number type can hold.
        let path = format!("/api/v1/app/{APP}/msg?with_content=false");
        let body = format!("{{\"eventType\":\"photo.taken\",\"payload\":{payload}}}");
        id(&self.post(&path, body).await.expect(202).json())
    }

    /// A message's attempts, the oldest first.
    pub(crate) async fn attempts(&self, message: &str) -> Vec<Value> {
        let mut attempts = data(&self.of_app(&format!("/msg/{message}/attempt")).await);
        attempts.reverse();
        attempts
    }

    /// The outcomes of a message's attempts, the oldest first.
    pub(crate) async fn outcomes(&self, message: &str) -> Vec<String> {
        let outcome = |attempt: &Value| attempt["outcome"].as_str().expect("an outcome").to_owned();
        self.attempts(message).await.iter().map(outcome).collect()
    }

    pub(crate) async fn deliveries(&self, message: &str) -> Vec<Value> {
        data(&self.of_app(&format!("/msg/{message}/delivery")).await)
    }

    /// Waits until every delivery of a message is in this state, and gives them.
    pub(crate) async fn until_all(&self, message: &str, state: &str) -> Vec<Value> {
        self.until(&format!("`{message}` to be {state}"), async || {
            let deliveries = self.deliveries(message).await;
            let reached = deliveries.iter().all(|delivery| delivery["state"] == state);
            if reached { Ok(deliveries) } else { Err(json!(deliveries)) }
        })
        .await
    }

    /// Waits until a message has this many attempts, and gives them, the oldest first.
    pub(crate) async fn until_attempts(&self, message: &str, count: usize) -> Vec<Value> {
        self.until(&format!("{count} attempts of `{message}`"), async || {
            let attempts = self.attempts(message).await;
            if attempts.len() >= count { Ok(attempts) } else { Err(json!(attempts)) }
        })
        .await
    }

    /// Waits until `reached` says so; what it saw last is in the message of a failure.
    pub(crate) async fn until<T>(&self, what: &str, mut reached: impl AsyncFnMut() -> Result<T, Value>) -> T {
        let last = Mutex::new(Value::Null);
        let level = async {
            loop {
                match reached().await {
                    Ok(level) => return level,
                    Err(seen) => *last.lock() = seen,
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let reached = tokio::time::timeout(crate::PATIENCE, level).await;
        reached.unwrap_or_else(|_| {
            panic!("waited in vain for {what}; last seen: {:#}\nthe log:\n{}", last.lock(), self.log.text())
        })
    }

    /// The value of a metric, labels included in its name; 0 when it is not there.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.expect(200).text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Runs a command against this server.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    /// Runs a command against this server with this on its standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.deployment.command(&[]);
        command.args(arguments).env("HOOKYARD_SERVER", format!("http://{}", self.address));
        finish(command, input).await
    }

    /// What [`Self::run`] prints.
    pub(crate) async fn output(&self, arguments: &[&str]) -> String {
        self.run(arguments).await.output()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("it runs"), signal).expect("it can be signalled");
    }

    /// Kills it as a power cut would.
    pub(crate) async fn kill(mut self) {
        within("the server to die", self.child.kill()).await.expect("it can be killed");
    }

    /// Stops it, and gives everything it said.
    pub(crate) async fn stop(self) -> String {
        self.signal(Signal::TERM);
        let (code, text) = self.ended().await;
        assert_eq!(code, Some(0), "{text}");
        text
    }

    /// Waits for its end after a signal; gives the exit code and everything it said.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let ended = tokio::time::timeout(crate::PATIENCE, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("the server did not stop:\n{}", self.log.text()));
        within("the end of the log", self.reading.join_next()).await;
        let text = self.log.text();
        assert!(!text.contains("panic"), "{text}");
        (ended.expect("it can be waited for").code(), text)
    }
}

/// The id of what an answer describes.
#[track_caller]
pub(crate) fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap_or_else(|| panic!("no id in {answer}")).to_owned()
}

/// The items of a list.
#[track_caller]
pub(crate) fn data(list: &Value) -> Vec<Value> {
    list["data"].as_array().unwrap_or_else(|| panic!("no list: {list}")).clone()
}

/// Overwrites a part of a file.
pub(crate) fn overwrite(file: &Path, bytes: &[u8]) {
    let opened = std::fs::OpenOptions::new().write(true).open(file);
    opened.and_then(|mut file| file.write_all(bytes)).expect("the file can be overwritten");
}
