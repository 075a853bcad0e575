//! A `PostgreSQL` server of a test's own, to be stopped, restarted and filled up.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::schema::server;
use crate::{pass_over, within};

/// Where a program of `PostgreSQL` is: of the newest version that Debian's packages left, else on the path.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.max_by_key(|version| version.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    let of_package = newest.map(|version| version.path().join("bin").join(name));
    let on_path = ["/usr/local/bin", "/usr/bin", "/usr/sbin", "/bin"].map(|folder| Path::new(folder).join(name));
    of_package.into_iter().chain(on_path).find(|program| program.is_file())
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs as the owner of a folder, and in it: servers refuse to run as root.
pub(crate) fn unprivileged(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        let owner = folder.metadata().expect("it is there");
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.current_dir(folder).env("LC_ALL", "C");
    command
}

/// A folder that [`unprivileged`] commands may write.
pub(crate) fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    if is_root() {
        give(folder.path());
    }
    folder
}

/// Gives a folder to the user of [`unprivileged`].
pub(crate) fn give(folder: &Path) {
    run(Command::new("chown").arg("postgres:").arg(folder));
}

/// Runs a command that must succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A running server; gone when dropped.
pub(crate) struct Cluster {
    folder: TempDir,
    port: u16,
    pg_ctl: PathBuf,
    psql: PathBuf,
}

impl Cluster {
    /// A fresh one; `None`, and said, where it cannot run or nobody asked for tests on a server.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_in(open_folder(), &[], "").await
    }

    /// A fresh one in this folder, made with further arguments and settings.
    pub(crate) async fn start_in(folder: TempDir, arguments: &[&str], settings: &str) -> Option<Self> {
        server()?;
        let (Some(initdb), Some(pg_ctl), Some(psql)) = (program("initdb"), program("pg_ctl"), program("psql")) else {
            pass_over("the programs of a PostgreSQL server are not installed");
            return None;
        };
        let port = free_port();
        let setup = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D", "data"];
        run(unprivileged(&initdb, folder.path()).args(setup).args(arguments));
        let conf = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 60\n\
             {settings}\n"
        );
        let file = folder.path().join("data/postgresql.conf");
        let before = std::fs::read_to_string(&file).expect("it was made");
        std::fs::write(&file, before + &conf).expect("it can be written");
        let cluster = Self { folder, port, pg_ctl, psql };
        cluster.resume().await;
        Some(cluster)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a role finds a database.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    fn control(&self, arguments: &[&str]) -> Command {
        let mut command = unprivileged(&self.pg_ctl, self.folder());
        command.args(["-D", "data", "-w", "-t", "60", "-l", "log"]).args(arguments);
        // A server keeps what its parent gives it, and a pipe would never end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    async fn do_control(&self, arguments: &[&str]) {
        let mut command = tokio::process::Command::from(self.control(arguments));
        let status = within("pg_ctl", command.status()).await.expect("it runs");
        assert!(status.success(), "pg_ctl {arguments:?}: {status}\n{}", self.log());
    }

    /// What the server said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// Starts it again.
    pub(crate) async fn resume(&self) {
        self.do_control(&["start"]).await;
    }

    /// Starts it again if it gave up.
    pub(crate) async fn resume_if_ended(&self) {
        let mut command = tokio::process::Command::from(self.control(&["status"]));
        if !command.status().await.expect("it runs").success() {
            self.resume().await;
        }
    }

    /// Stops it: `fast` says farewell to its clients, `immediate` is as a crash.
    pub(crate) async fn stop(&self, mode: &str) {
        self.do_control(&["-m", mode, "stop"]).await;
    }

    /// Has statements done by whoever may do everything.
    #[track_caller]
    pub(crate) fn execute(&self, statements: &[&str]) {
        let mut command = Command::new(&self.psql);
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url("postgres", "postgres")]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        run(&mut command);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may be stopped already, and nothing of it is kept.
        let _ = self.control(&["-m", "immediate", "stop"]).status();
    }
}
