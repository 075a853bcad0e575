//! A `PgBouncer` of a test's own, which gives each transaction another connection.

use std::fmt::Write as _;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::cluster::{free_port, give, is_root, open_folder, program, unprivileged};
use crate::{pass_over, within};

/// Users that it lets through beside the one of the URL.
const USERS: [&str; 2] = ["postgres", "app"];

/// `PgBouncer` before a server; ended when dropped.
pub(crate) struct Pooler {
    folder: TempDir,
    port: u16,
    program: PathBuf,
    child: Option<Child>,
    ini: String,
}

impl Pooler {
    /// One before the server of a URL, with further settings of its own; `None`, and said, where the program is missing.
    pub(crate) async fn before(url: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let Some(program) = program("pgbouncer") else {
            pass_over("`pgbouncer` is not installed");
            return None;
        };
        let url = url::Url::parse(url).expect("a URL");
        let (folder, port) = (open_folder(), free_port());
        let users = folder.path().join("users");
        let mut lines = format!("\"{}\" \"{}\"\n", url.username(), url.password().unwrap_or_default());
        for user in USERS.into_iter().filter(|user| *user != url.username()) {
            writeln!(lines, "\"{user}\" \"\"").expect("a text takes anything");
        }
        std::fs::write(&users, lines).expect("it can be written");
        if is_root() {
            give(&users);
        }
        let (host, server) = (url.host_str().expect("a host"), url.port().unwrap_or(5432));
        let mut ini = format!(
            "[databases]\n* = host={host} port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\nlogfile = log\n",
            users.display()
        );
        for (name, value) in settings {
            writeln!(ini, "{name} = {value}").expect("a text takes anything");
        }
        let mut pooler = Self { folder, port, program, child: None, ini };
        pooler.resume().await;
        Some(pooler)
    }

    /// Changes a setting; a pooler that runs reads it at once.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        writeln!(self.ini, "{name} = {value}").expect("a text takes anything");
        self.write();
        let id = self.child.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            kill_process(id, Signal::HUP).expect("it can be signalled");
        }
    }

    fn write(&self) {
        std::fs::write(self.folder.path().join("pooler.ini"), &self.ini).expect("it can be written");
    }

    /// Takes one of its connections to the server, until what this gives is dropped: a transaction that does not end.
    pub(crate) async fn occupy(&self, user: &str, database: &str) -> TcpStream {
        let occupied = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let words = format!("user\0{user}\0database\0{database}\0\0");
            // The version of the protocol, 3.0.
            send(&mut stream, &[], &[&[0, 3, 0, 0], words.as_bytes()].concat()).await?;
            until_idle(&mut stream).await?;
            send(&mut stream, b"Q", b"BEGIN; SELECT 1\0").await?;
            until_idle(&mut stream).await?;
            std::io::Result::Ok(stream)
        };
        within("a connection of the pooler", occupied).await.expect("the pooler speaks the protocol")
    }

    /// Starts it, and waits until it takes connections.
    pub(crate) async fn resume(&mut self) {
        self.write();
        let mut command = Command::from(unprivileged(&self.program, self.folder.path()));
        command.args(["--quiet", "pooler.ini"]).kill_on_drop(true);
        self.child = Some(command.spawn().expect("it starts"));
        within("the pooler to listen", async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(crate::LOOK).await;
            }
        })
        .await;
    }

    /// Ends it as a crash would.
    pub(crate) async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            within("the pooler to end", child.kill()).await.expect("it can be killed");
        }
    }

    /// How many clients have come so far.
    pub(crate) fn clients(&self) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("login attempt")).count()
    }

    /// The same URL, through the pooler.
    pub(crate) fn url(&self, direct: &str) -> String {
        let mut url = url::Url::parse(direct).expect("a URL");
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(self.port)).expect("a port");
        url.into()
    }
}

/// Sends a message of the protocol of `PostgreSQL`; the first one has no kind.
async fn send(stream: &mut TcpStream, kind: &[u8], body: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(body.len() + 4).expect("it is short");
    stream.write_all(&[kind, &length.to_be_bytes(), body].concat()).await
}

/// Reads messages of the server until it waits for the next one.
async fn until_idle(stream: &mut TcpStream) -> std::io::Result<()> {
    loop {
        let kind = stream.read_u8().await?;
        let mut body = vec![0; stream.read_u32().await? as usize - 4];
        stream.read_exact(&mut body).await?;
        match kind {
            b'Z' => return Ok(()),
            b'E' => return Err(std::io::Error::other(String::from_utf8_lossy(&body).into_owned())),
            _ => {}
        }
    }
}
