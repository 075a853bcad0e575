//! One transaction on one connection, which ends committed or undone.
//!
//! Everything that a transaction needs of its session is said when it begins and ends with it: a pooler may give the next
//! one another connection. A transaction that is dropped half-way takes its connection with it, so that no other deed
//! ever finds itself inside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::column::Parameter;
use crate::fault::{Attempted, Fault};
use crate::node::Node;
use crate::pool::Share;

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write. Each statement sees what was committed before it began.
    Write,
    /// Read, all statements the same moment.
    Read,
}

/// Begins a transaction that writes. What it waits for is bounded, and so is how long the locks of a node that was stopped
/// inside one are held. Statistics of the queue are never right for long, so a plan that reads the whole of it is never
/// wanted; compiling statements that run once is not either.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on; \
    SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '10s'; \
    SET LOCAL enable_seqscan = off; SET LOCAL jit = off";
/// The same where `synchronous_commit` promises as much already, or more.
const BEGIN_WRITE_AS_SET: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '5s'; \
    SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL enable_seqscan = off; SET LOCAL jit = off";
/// Begins a transaction that reads one moment.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_seqscan = off; \
    SET LOCAL jit = off";

/// A transaction.
pub(crate) struct Tx {
    node: Arc<Node>,
    client: Option<Object>,
    changed: AtomicBool,
}

impl Tx {
    /// Begins one.
    pub(crate) async fn begin(node: &Arc<Node>, mode: Mode, share: Share) -> Attempted<Self> {
        let pool = node.pools.of(share);
        let words = match mode {
            Mode::Read => BEGIN_READ,
            Mode::Write if node.is_commit_durable => BEGIN_WRITE_AS_SET,
            Mode::Write => BEGIN_WRITE,
        };
        let mut last = None;
        // A connection that was lost while it lay in the pool may show only now; the next one is tried instead. One that was
        // just made tells of the server: a pooler takes connections while it has none itself.
        for _ in 0..=pool.status().max_size {
            let client = match pool.get().await {
                Ok(client) => client,
                Err(error) => return Err(error.into()),
            };
            let is_fresh = Object::metrics(&client).recycle_count == 0;
            let tx = Self { node: Arc::clone(node), client: Some(client), changed: AtomicBool::new(false) };
            match tx.client().batch_execute(words).await.map_err(Fault::Sql) {
                Ok(()) => return Ok(tx),
                Err(fault) if fault.is_outage() && !is_fresh => last = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        Err(last.unwrap_or(Fault::Overtaken))
    }

    fn client(&self) -> &Object {
        self.client.as_ref().expect("it is given back only at the end")
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The rows that a query gives.
    pub(crate) async fn query(&self, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Vec<Row>> {
        let query = self.node.schema.qualify(query);
        Ok(self.client().query_typed(&query, &cloned(parameters)).await?)
    }

    /// The only row that a query gives, if it gives one.
    pub(crate) async fn find(&self, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Option<Row>> {
        Ok(self.query(query, parameters).await?.into_iter().next())
    }

    /// How many rows a statement touched.
    pub(crate) async fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Attempted<u64> {
        let statement = self.node.schema.qualify(statement);
        Ok(self.client().execute_typed(&statement, &cloned(parameters)).await?)
    }

    /// Statements without parameters.
    pub(crate) async fn run(&self, statements: &str) -> Attempted<()> {
        Ok(self.client().batch_execute(&self.node.schema.qualify(statements)).await?)
    }

    /// Says that endpoints changed; whoever waits in this process is woken once it is committed.
    pub(crate) fn say_changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Commits.
    pub(crate) async fn commit(mut self) -> Attempted<()> {
        self.client().batch_execute("COMMIT").await?;
        drop(self.client.take());
        if self.changed.load(Ordering::Relaxed) {
            self.node.wake();
        }
        Ok(())
    }

    /// Undoes what was written; the connection is kept when the database says that it did.
    pub(crate) async fn roll_back(mut self) {
        if self.client().batch_execute("ROLLBACK").await.is_ok() {
            drop(self.client.take());
        }
    }
}

/// The parameters as the client wants them, by value.
fn cloned<'a>(parameters: &[Parameter<'a>]) -> Vec<Parameter<'a>> {
    parameters.iter().map(|(value, kind): &(_, Type)| (*value, kind.clone())).collect()
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}
