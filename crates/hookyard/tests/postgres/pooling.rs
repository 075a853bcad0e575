//! A pooler between the nodes and the database that gives each transaction another connection.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::cluster::{free_port, give, is_root, open_folder, program, unprivileged};
use crate::cutting::until_taken;
use crate::deployment::{endpoint, party};
use crate::receiver::Receiver;
use crate::schema::Schema;
use crate::{pass_over, within};

/// `PgBouncer` before a server; ended when dropped.
struct Pooler {
    folder: TempDir,
    port: u16,
    program: PathBuf,
    child: Option<Child>,
}

impl Pooler {
    /// One before the server of a URL; `None`, and said, where the program is missing.
    fn before(url: &str) -> Option<Self> {
        let Some(program) = program("pgbouncer") else {
            pass_over("`pgbouncer` is not installed");
            return None;
        };
        let url = url::Url::parse(url).expect("a URL");
        let (host, server) = (url.host_str().expect("a host"), url.port().unwrap_or(5432));
        let (folder, port) = (open_folder(), free_port());
        let users = folder.path().join("users");
        std::fs::write(&users, format!("\"{}\" \"{}\"\n", url.username(), url.password().unwrap_or_default()))
            .expect("it can be written");
        let settings = format!(
            "[databases]\n* = host={host} port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 4\n\
             max_client_conn = 200\n",
            users.display()
        );
        std::fs::write(folder.path().join("pooler.ini"), settings).expect("it can be written");
        if is_root() {
            give(&users);
        }
        let mut pooler = Self { folder, port, program, child: None };
        pooler.resume();
        Some(pooler)
    }

    fn resume(&mut self) {
        let mut command = Command::from(unprivileged(&self.program, self.folder.path()));
        command.args(["--quiet", "pooler.ini"]).kill_on_drop(true);
        self.child = Some(command.spawn().expect("it starts"));
    }

    /// Ends it as a crash would.
    async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            within("the pooler to end", child.kill()).await.expect("it can be killed");
        }
    }

    fn url(&self, direct: &str) -> String {
        let mut url = url::Url::parse(direct).expect("a URL");
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(self.port)).expect("a port");
        url.into()
    }
}

#[tokio::test]
async fn two_nodes_work_behind_a_pooler_and_outlive_it() {
    let Some(schema) = Schema::new() else { return };
    let Some(mut pooler) = Pooler::before(schema.url()) else { return };
    let url = pooler.url(schema.url());
    let (receiver, ordered) = (Receiver::start().await, Receiver::start().await);
    let config =
        party(&[&endpoint("crm", &receiver.url(), ""), &endpoint("ordered", &ordered.url(), "ordered = \"endpoint\"")]);
    let (a, b) = (schema.node_through(&url, "a", &config), schema.node_through(&url, "b", &config));
    // A pooler that has only just begun may not listen yet.
    let one = loop {
        match a.try_start().await {
            Ok(node) => break node,
            Err(log) => assert!(log.contains("cannot be reached"), "{log}"),
        }
    };
    let other = b.start().await;
    let mut taken = Vec::new();
    for number in 0..20 {
        let node = if number % 2 == 0 { &one } else { &other };
        taken.push(until_taken(node, number).await);
    }

    pooler.stop().await;
    for node in [&one, &other] {
        let refused = node.publish_body(r#"{"eventType":"a","payload":0}"#).await.expect(503);
        assert_eq!(refused.headers["retry-after"], "5");
    }
    pooler.resume();
    for number in 20..30 {
        let node = if number % 2 == 0 { &one } else { &other };
        taken.push(until_taken(node, number).await);
    }
    for message in &taken {
        one.until_all(message, "delivered").await;
    }
    let mut came = Vec::new();
    for arrived in ordered.so_far() {
        let number: u64 = std::str::from_utf8(&arrived.body).expect("text").parse().expect("a number");
        if !came.contains(&number) {
            came.push(number);
        }
    }
    assert_eq!(came, (0..30).collect::<Vec<_>>(), "each in its order");
    one.stop().await;
    other.stop().await;
}
