//! The binary as its users run it: a real server on a port of its own, a real store, and the commands against it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const CONFIG: &str = r#"
[[application]]
uid = "party"

  [[application.endpoint]]
  uid = "crm"
  url = "https://crm.example/hooks"
  event_types = ["session"]
"#;

/// A server in a directory of its own.
struct Server {
    folder: tempfile::TempDir,
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: String,
}

fn hookyard(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookyard"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::write(folder.path().join("hookyard.toml"), CONFIG).expect("written");
        Self::start_in(folder)
    }

    fn start_in(folder: tempfile::TempDir) -> Self {
        let mut serve = hookyard(folder.path());
        serve.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped());
        let mut child = serve.spawn().expect("the binary starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut log = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).expect("text") > 0, "ended before it listened: {log}");
            if let Some(address) = line.trim_end().strip_prefix("listening on ") {
                break address.to_owned();
            }
            log.push_str(&line);
        };
        Self { folder, child, stderr, address }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("it runs");
    }

    /// Waits for a line of the log that holds `text`.
    fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.stderr.read_line(&mut line).expect("text") > 0, "ended before it said `{text}`");
        }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = hookyard(self.folder.path());
        command.args(arguments).env("HOOKYARD_SERVER", &self.address);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads its input, or ends");
        child.wait_with_output().expect("it ends")
    }

    fn output(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    fn stop(mut self) -> tempfile::TempDir {
        self.signal(Signal::TERM);
        // What it still says must be read, or it would wait for us.
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("text");
        assert!(self.child.wait().expect("it ends").success(), "{rest}");
        let Self { folder, .. } = self;
        folder
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

#[test]
fn a_message_that_was_sent_is_there_after_a_restart() {
    let server = Server::start();
    let id = server.output(&["send", "party", "session", "{\"n\": 1.50}"], "");
    assert!(id.starts_with("msg_"), "{id}");
    let server = Server::start_in(server.stop());
    assert_eq!(server.output(&["messages", "raw", "party", &id], ""), "{\"n\": 1.50}");
    assert!(server.output(&["messages", "list", "party"], "").contains(&id));
    let shown = server.output(&["messages", "show", "party", &id], "");
    assert!(shown.contains("crm") && shown.contains("{\"n\": 1.50}"), "{shown}");
    assert!(server.output(&["messages", "explain", "party", &id], "").contains("owed to 1 of 1 endpoints"));
    server.stop();
}

#[test]
fn a_stream_is_published_line_by_line_and_the_wrong_line_is_named() {
    let server = Server::start();
    let lines: Vec<String> = (0..1_200).map(|number| format!("{{\"n\":{number}}}")).collect();
    let output = server.run(&["send", "party", "session", "--ndjson"], &format!("{}\n\noops\n", lines.join("\n")));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(code(&output), 2, "{said}");
    assert!(said.contains("line 1202: is not JSON") && said.contains("1200 messages sent"), "{said}");
    let listed = server.output(&["messages", "list", "party", "--limit", "2000", "--json"], "");
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).expect("JSON");
    let payloads: Vec<u64> = listed.iter().rev().filter_map(|message| message["payload"]["n"].as_u64()).collect();
    assert_eq!(payloads, (0..1_200).collect::<Vec<_>>(), "in order, each once");
    server.stop();
}

#[test]
fn a_stream_that_is_repeated_under_its_key_publishes_nothing_twice() {
    let server = Server::start();
    let lines = "1\n2\n3\n";
    for _ in 0..2 {
        let output = server.run(&["send", "party", "session", "--ndjson", "--idempotency-key", "import-1"], lines);
        assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    }
    let listed = server.output(&["messages", "list", "party", "--json"], "");
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed.len(), 3);
    server.stop();
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let server = Server::start();
    for (arguments, expected) in [
        (&["send", "party", "session", "no json"][..], 2),
        (&["send", "nobody", "session"], 5),
        (&["send", "party", "a b"], 5),
        (&["messages", "list", "party", "--server", "http://127.0.0.1:1"], 4),
        (&["messages", "list", "party", "--data", "elsewhere"], 3),
        (&["serve"], 1),
        (&["nothing"], 2),
    ] {
        let output = server.run(arguments, "");
        assert_eq!(code(&output), expected, "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    server.stop();
}

#[test]
fn a_wrong_file_keeps_the_server_from_starting_and_changes_nothing_on_reload() {
    let mut server = Server::start();
    let file = server.folder.path().join("hookyard.toml");
    std::fs::write(&file, CONFIG.replace("uid = \"crm\"", "uidd = \"crm\"")).expect("written");
    server.signal(Signal::HUP);
    server.wait_for("the configuration was not reloaded");
    let check = server.run(&["config", "check"], "");
    assert_eq!(code(&check), 3);
    assert!(String::from_utf8_lossy(&check.stderr).contains("hookyard.toml:6:3: `application.endpoint.uidd`"));
    assert!(server.output(&["endpoints", "list", "party"], "").contains("crm"));

    std::fs::write(&file, CONFIG.replace("crm", "shop")).expect("written");
    server.signal(Signal::HUP);
    server.wait_for("imported the configuration file");
    let listed = server.output(&["endpoints", "list", "party"], "");
    assert!(listed.contains("shop") && !listed.contains("crm"), "{listed}");
    assert!(server.output(&["config", "reload"], "").contains("2 unchanged"));
    std::fs::write(&file, "zzz = 1").expect("written");
    let refused = server.run(&["config", "reload"], "");
    assert_eq!(code(&refused), 5);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("\nhookyard.toml:1:1: `zzz`: is not a known key"), "{said}");
    let output = hookyard(server.stop().path()).arg("serve").output().expect("it ends");
    assert_eq!(code(&output), 3);
}

#[test]
fn an_endpoint_is_switched_off_and_on() {
    let server = Server::start();
    server.output(&["endpoints", "disable", "party", "crm"], "");
    assert!(server.output(&["endpoints", "list", "party"], "").contains("disabled (manual)"));
    server.output(&["endpoints", "enable", "party", "crm"], "");
    assert!(server.output(&["endpoints", "list", "party"], "").contains("enabled"));
    server.stop();
}

#[test]
fn a_token_is_good_for_the_server_that_has_the_key() {
    let server = Server::start();
    let token = server.output(&["token"], "");
    server.output(&["messages", "list", "party", "--token", &token, "--data", "elsewhere"], "");
    let own = server.output(&["token", "--app", "party"], "");
    server.output(&["messages", "list", "party", "--token", &own], "");
    let refused = server.run(&["send", "party", "session", "--token", &own], "");
    assert_eq!(code(&refused), 5, "a token of one application does not publish");
    server.stop();
}

#[test]
fn a_stop_waits_for_a_request_in_flight_and_a_second_signal_does_not() {
    let mut server = Server::start();
    let token = server.output(&["token"], "");
    let address = server.address.strip_prefix("http://").expect("a URL").to_owned();
    let mut slow = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "POST /api/v1/app/party/msg HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 100\r\nExpect: \
         100-continue\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).expect("it reads");
    let mut begun = [0; 12];
    slow.read_exact(&mut begun).expect("it asks for the body");
    assert_eq!(&begun, b"HTTP/1.1 100");
    server.signal(Signal::TERM);
    server.wait_for("stopping");
    server.signal(Signal::TERM);
    assert_eq!(server.child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn a_reader_that_closes_the_pipe_ends_the_command_quietly() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut child = hookyard(folder.path())
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((code(&output), output.stderr.len()), (0, 0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_systems_announce_is_shown_without_a_server_and_can_be_published() {
    let folder = tempfile::tempdir().expect("a directory");
    let offline = |arguments: &[&str]| hookyard(folder.path()).args(arguments).output().expect("it runs");
    let listed = offline(&["event-types", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let listed = listed.as_array().expect("a list");
    for dialect in ["immich", "kiosk", "vikunja", "photobooth"] {
        assert!(listed.iter().any(|entry| entry["dialect"] == dialect), "{dialect}");
    }
    let schema = offline(&["event-types", "schema", "vikunja", "task.created"]);
    serde_json::from_slice::<serde_json::Value>(&schema.stdout).expect("JSON");

    let server = Server::start();
    let sample = offline(&["event-types", "sample", "photobooth", "session"]);
    let sample = String::from_utf8(sample.stdout).expect("text");
    assert!(server.output(&["send", "party", "session", "-"], &sample).starts_with("msg_"));
    server.stop();

    let check = |arguments: &[&str], hint: &str| {
        let refused = offline(arguments);
        let said = String::from_utf8(refused.stderr).expect("text");
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(hint), "{said}");
    };
    check(&["event-types", "sample", "immich", "AssetCreated"], "did you mean `AssetCreate`?");
    check(&["event-types", "list", "standard"], "there are `immich`");
}
