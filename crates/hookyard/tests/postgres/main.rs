//! The binary on a real `PostgreSQL`: several nodes on one database, and a database that goes away.
//!
//! `HOOKYARD_TEST_POSTGRES` is the URL of a server and a role that may make schemas; `scripts/check/55-postgres.sh` starts one.
//! Without it every test passes over and says so. [`schema`] gives each test a place of its own there, [`world`] the way to it,
//! through a pooler or not; what must be restarted or filled up is a [`cluster`] of the test's own. [`wire`], [`receiver`] and [`deployment`] are those of the tests
//! on the embedded store. Every wait is for a level and has a deadline.

mod changing;
mod cluster;
mod cutting;
#[expect(dead_code, reason = "the tests on the embedded store ask more of it")]
#[path = "../system/deployment.rs"]
mod deployment;
#[path = "../system/disk.rs"]
mod disk;
mod doctoring;
mod dying;
mod exhausting;
mod hinting;
mod load;
mod moving;
mod opening;
mod pooler;
mod pooling;
mod proxy;
#[expect(dead_code, reason = "the tests on the embedded store ask more of it")]
#[path = "../system/receiver.rs"]
mod receiver;
mod restarting;
mod schema;
#[path = "../system/wire.rs"]
mod wire;
mod world;

use std::time::Duration;

/// How long anything may take before its test fails: longer than a node that died holds what it held, and than a deed waits
/// for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(45);

/// How often something is looked at that cannot say when it is there.
const LOOK: Duration = Duration::from_millis(10);

/// Waits for `level`, not for ever; `what` completes "waited for".
async fn within<T>(what: &str, level: impl Future<Output = T>) -> T {
    let reached = tokio::time::timeout(PATIENCE, level).await;
    reached.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Says why a test is passed over on this machine.
fn pass_over(why: &str) {
    eprintln!("passed over: {why}");
}
