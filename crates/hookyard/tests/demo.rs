//! `serve --demo` as a newcomer meets it: an empty directory, one command, and the commands that it prints.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// How long anything may take: a failure, its recovery and a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A demo that runs in a directory.
struct Demo<'f> {
    folder: &'f Path,
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    /// The commands that it printed, by what they are for.
    commands: Vec<(String, String)>,
}

fn command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn within<T>(what: &str, level: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, level).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

impl<'f> Demo<'f> {
    /// Starts it and reads what it says first.
    async fn start(folder: &'f Path, arguments: &[&str]) -> Self {
        let mut serve = command(folder, env!("CARGO_BIN_EXE_hookyard"));
        serve.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments).stderr(Stdio::piped());
        let mut child = serve.spawn().expect("the binary starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut demo = Self { folder, child, stderr, commands: Vec::new() };
        demo.until("listening on http://").await;
        demo
    }

    async fn line(&mut self) -> String {
        let line = within("a line of the log", self.stderr.next_line()).await.expect("text");
        line.expect("it has not ended")
    }

    /// Reads the log until a line holds `part`, and gives that line.
    async fn until(&mut self, part: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Reads the welcome.
    async fn welcomed(mut self) -> Self {
        loop {
            let line = self.line().await;
            if let Some(what) = line.strip_prefix("  # ") {
                let command = self.line().await.trim().to_owned();
                self.commands.push((what.to_owned(), command));
            } else if line.contains("Ctrl-C stops") {
                return self;
            }
        }
    }

    /// The command that is for this.
    fn printed(&self, what: &str) -> &str {
        let found = self.commands.iter().find(|(printed, _)| printed == what);
        found.map_or_else(|| panic!("nothing for `{what}` in {:?}", self.commands), |(_, command)| command)
    }

    /// Runs a text as a shell does and gives what it prints; it must succeed.
    async fn run(&self, text: &str) -> String {
        let mut shell = command(self.folder, "sh");
        let Output { status, stdout, stderr } =
            within(text, shell.args(["-c", text]).output()).await.expect("a shell starts");
        assert!(status.success(), "{text}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("text")
    }

    /// Waits until the delivery to `endpoint` of the message that a printed command shows is delivered, and gives the
    /// outcomes of that endpoint's attempts, the oldest first.
    async fn until_delivered(&self, show: &str, endpoint: &str) -> Vec<String> {
        let level = async {
            loop {
                let shown: Value = serde_json::from_str(&self.run(&format!("{show} --json")).await).expect("JSON");
                let deliveries = shown["deliveries"].as_array().expect("a list");
                let delivery = deliveries.iter().find(|delivery| delivery["endpointUid"] == endpoint);
                let delivery = delivery.unwrap_or_else(|| panic!("no delivery to {endpoint}: {shown}"));
                if delivery["state"] == "delivered" {
                    let attempts = shown["attempts"].as_array().expect("a list").iter().rev();
                    let of_endpoint = attempts.filter(|attempt| attempt["endpointId"] == delivery["endpointId"]);
                    return of_endpoint.map(|attempt| attempt["outcome"].as_str().expect("text").to_owned()).collect();
                }
            }
        };
        within(&format!("`{show}` to be delivered to `{endpoint}`"), level).await
    }

    async fn stop(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("it runs");
        kill_process(id, Signal::TERM).expect("it can be signalled");
        let ended = within("its end", async {
            while let Ok(Some(_)) = self.stderr.next_line().await {}
            self.child.wait().await
        });
        assert!(ended.await.expect("it can be waited for").success());
    }
}

#[tokio::test]
async fn a_failure_and_its_recovery_are_seen_and_every_printed_command_works() {
    let folder = folder();
    let mut demo = Demo::start(folder.path(), &["--demo"]).await.welcomed().await;
    let show = demo.printed("every attempt of it").to_owned();
    assert_eq!(demo.until_delivered(&show, "good").await, ["delivered"]);

    let failed = demo.until("answered 503").await;
    assert!(failed.contains("WARN") && failed.contains("shaky") && failed.contains("order.paid"), "{failed}");
    let arrived = demo.until("arrived on attempt").await;
    assert!(arrived.contains("its sender verified") && arrived.contains("shaky"), "{arrived}");
    let outcomes = demo.until_delivered(&show, "shaky").await;
    let (last, earlier) = outcomes.split_last().expect("there were attempts");
    assert_eq!(last, "delivered");
    assert!(!earlier.is_empty() && earlier.iter().all(|outcome| outcome == "refused"), "{outcomes:?}");

    for (_, command) in &demo.commands {
        // Not every machine has curl; what it asks for is asked elsewhere.
        if !command.starts_with("curl ") {
            demo.run(command).await;
        }
    }
    let listed = demo.run(demo.printed("what was accepted")).await;
    assert!(listed.contains("hello.world"), "{listed}");
    let listed = demo.run(&demo.printed("what a photo server announced").replace("immich", "vikunja")).await;
    assert!(listed.contains("task.created"), "{listed}");
    demo.stop().await;
}

#[tokio::test]
async fn the_receiver_fails_when_it_is_told_to_and_verifies_what_arrives() {
    let folder = folder();
    let demo = Demo::start(folder.path(), &["--demo"]).await.welcomed().await;
    let receiver = demo.printed("what it verified").strip_prefix("curl ").expect("an address").to_owned();
    let receiver = receiver.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let request = async |request: &str| {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let exchange = async {
            let mut stream = tokio::net::TcpStream::connect(&receiver).await?;
            let head = "HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(format!("{request} {head}").as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        within(request, exchange).await.expect("an answer")
    };
    for (asked, status) in [
        ("POST /fail?seconds=0", "400"),
        ("POST /fail?seconds=61", "400"),
        ("POST /fail?seconds=99999999999999999999", "400"),
        ("POST /fail?x", "400"),
        ("POST /fail?seconds=60", "200"),
        ("POST /good", "401"),
        ("GET /good", "404"),
    ] {
        let answer = request(asked).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{asked}: {answer}");
    }
    let show = demo.printed("every attempt of it").to_owned();
    let first = show.split(' ').find(|word| word.starts_with("msg_")).expect("it names the message").to_owned();
    let sent = demo.run(demo.printed("publish one yourself")).await;
    let show = show.replace(&first, sent.trim());
    let failing = async {
        loop {
            if demo.run(&show).await.contains("503") {
                break;
            }
        }
    };
    within("an attempt that fails", failing).await;
    request("POST /recover").await;
    assert_eq!(demo.until_delivered(&show, "good").await.last().map(String::as_str), Some("delivered"));
    let every_system = async {
        loop {
            let counted = request("GET /").await;
            if ["immich", "kiosk", "vikunja", "photobooth"].iter().all(|path| counted.contains(&format!("\"{path}\":")))
            {
                break;
            }
        }
    };
    within("an event of every system", every_system).await;
    assert!(request("GET /").await.contains("\"unverified\":1,"));
    demo.stop().await;
}

#[tokio::test]
async fn a_second_start_goes_on_and_one_without_the_demo_takes_it_back() {
    let folder = folder();
    let demo = Demo::start(folder.path(), &["--demo"]).await.welcomed().await;
    let show = demo.printed("every attempt of it").to_owned();
    let first = show.split(' ').find(|word| word.starts_with("msg_")).expect("it names the message").to_owned();
    demo.stop().await;

    let demo = Demo::start(folder.path(), &["--demo"]).await.welcomed().await;
    let mut show: Vec<&str> = demo.printed("every attempt of it").split(' ').collect();
    let message = show.iter().position(|word| word.starts_with("msg_")).expect("it names the message");
    show[message] = &first;
    let outcomes = demo.until_delivered(&show.join(" "), "shaky").await;
    assert!(outcomes.len() > 1, "what the first start owed is delivered by the second: {outcomes:?}");
    demo.stop().await;

    Demo::start(folder.path(), &[]).await.stop().await;
    std::fs::write(folder.path().join("hookyard.toml"), "[[application]]\nuid = \"demo\"\n").expect("written");
    Demo::start(folder.path(), &[]).await.stop().await;
    let mut refused = command(folder.path(), env!("CARGO_BIN_EXE_hookyard"));
    refused.args(["serve", "--demo", "--listen", "127.0.0.1:0"]);
    let refused = within("it to refuse", refused.output()).await.expect("it starts");
    let said = String::from_utf8(refused.stderr).expect("text");
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("application `demo` is already declared by hookyard.toml"), "{said}");
}

#[tokio::test]
async fn a_node_that_does_not_deliver_has_nothing_to_show() {
    let folder = folder();
    let mut serve = command(folder.path(), env!("CARGO_BIN_EXE_hookyard"));
    serve.args(["serve", "--demo", "--role", "doors", "--listen", "127.0.0.1:0"]);
    let refused = within("it to refuse", serve.output()).await.expect("it starts");
    let said = String::from_utf8(refused.stderr).expect("text");
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("`--demo` delivers what it publishes and needs the role `all`"), "{said}");
}
