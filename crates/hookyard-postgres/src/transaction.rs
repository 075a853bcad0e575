//! One transaction on one connection, which ends committed or undone.
//!
//! Everything that a transaction needs of its session is said when it begins and ends with it: a pooler may give the next
//! one another connection. Where no pooler can stand in between, sessions are set up once instead and keep what is prepared
//! in them, which changes what a transaction costs and nothing else. A transaction that is dropped half-way takes its
//! connection with it, so that no other deed ever finds itself inside it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::Object;
use hookyard_model::{EndpointId, Timestamp};
use parking_lot::Mutex;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Statement};

use crate::column::Parameter;
use crate::fault::{Attempted, Fault};
use crate::node::Node;
use crate::pool::{Sessions, Share};

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
/// wanted, neither by itself nor in order to join it with the few rows that are named; compiling statements that run once is
/// not either.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SELECT set_config('synchronous_commit', 'on', true), set_config('lock_timeout', '5s', true), \
    set_config('idle_in_transaction_session_timeout', '10s', true), set_config('enable_seqscan', 'off', true), \
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), \
    set_config('jit', 'off', true)";
/// The same where `synchronous_commit` promises as much already, or more.
const BEGIN_WRITE_AS_SET: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SELECT set_config('lock_timeout', '5s', true), set_config('idle_in_transaction_session_timeout', '10s', true), \
    set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), \
    set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)";
/// Begins a transaction that reads one moment.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_seqscan = off; \
    SET LOCAL jit = off";

/// The same in a session of ours, which is set up. The mark of this life is asked for as well: a session without it is
/// another one's, given away by a pooler that came in between, and what was prepared there under our names is not ours.
const BEGIN_WRITE_IN_OURS: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// A read may join as it likes.
const BEGIN_READ_IN_OURS: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SELECT set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true)";

/// How soon a connection shows that it was lost.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A transaction.
pub(crate) struct Tx {
    node: Arc<Node>,
    client: Option<Object>,
    /// Whether its statements stay prepared.
    prepares: bool,
    changed: AtomicBool,
    due: Mutex<Vec<(EndpointId, Timestamp, Whom)>>,
}

/// Whom to tell that something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The other nodes: this one knows, or does not deliver it.
    Others,
    /// This one as well.
    All,
}

impl Tx {
    /// Begins one.
    pub(crate) async fn begin(node: &Arc<Node>, mode: Mode, share: Share) -> Attempted<Self> {
        let pool = node.pools.of(share);
        let sessions = node.sessions();
        let words = match (sessions, mode) {
            (Sessions::Ours, Mode::Read) => Cow::Borrowed(BEGIN_READ_IN_OURS),
            (Sessions::Ours, Mode::Write) => Cow::Owned(format!("{BEGIN_WRITE_IN_OURS}; SHOW {}", node.mark)),
            (Sessions::Anybodys, Mode::Read) => Cow::Borrowed(BEGIN_READ),
            (Sessions::Anybodys, Mode::Write) if node.is_commit_durable => Cow::Borrowed(BEGIN_WRITE_AS_SET),
            (Sessions::Anybodys, Mode::Write) => Cow::Borrowed(BEGIN_WRITE),
        };
        // Reads are many and seldom, and what they look for says in which days it is.
        let prepares = sessions == Sessions::Ours && mode == Mode::Write;
        let mut last = None;
        // A connection that was lost while it lay in the pool may show only now; the next one is tried instead. One that was
        // just made, or that took its time, tells of the server: a pooler takes connections while it has none itself.
        for _ in 0..=pool.status().max_size {
            let client = match pool.get().await {
                Ok(client) => client,
                Err(error) => return Err(error.into()),
            };
            let (is_fresh, began) = (Object::metrics(&client).recycle_count == 0, node.clock.monotonic());
            let mut tx = Self::on(node, client);
            tx.prepares = prepares;
            let first = tx.client().batch_execute(&words).await.map_err(Fault::Sql);
            let may_be_lost = !is_fresh && node.clock.monotonic().saturating_sub(began) < AT_ONCE;
            match first {
                Ok(()) => return Ok(tx),
                Err(fault) if fault.is_outage() && may_be_lost => last = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        Err(last.unwrap_or(Fault::Overtaken))
    }

    fn on(node: &Arc<Node>, client: Object) -> Self {
        let (changed, due) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        Self { node: Arc::clone(node), client: Some(client), prepares: false, changed, due }
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
        match self.prepare(&query, parameters).await? {
            None => Ok(self.client().query_typed(&query, &cloned(parameters)).await?),
            Some(prepared) => Ok(self.client().query(&prepared, &values(parameters)).await?),
        }
    }

    /// The only row that a query gives, if it gives one.
    pub(crate) async fn find(&self, query: &str, parameters: &[Parameter<'_>]) -> Attempted<Option<Row>> {
        Ok(self.query(query, parameters).await?.into_iter().next())
    }

    /// How many rows a statement touched.
    pub(crate) async fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Attempted<u64> {
        let statement = self.node.schema.qualify(statement);
        match self.prepare(&statement, parameters).await? {
            None => Ok(self.client().execute_typed(&statement, &cloned(parameters)).await?),
            Some(prepared) => Ok(self.client().execute(&prepared, &values(parameters)).await?),
        }
    }

    /// The statement, prepared on this connection, where that can be: parsing and planning cost as much as doing.
    async fn prepare(&self, statement: &str, parameters: &[Parameter<'_>]) -> Attempted<Option<Statement>> {
        if !self.prepares {
            return Ok(None);
        }
        let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
        Ok(Some(self.client().prepare_typed_cached(statement, &types).await?))
    }

    /// Statements without parameters.
    pub(crate) async fn run(&self, statements: &str) -> Attempted<()> {
        Ok(self.client().batch_execute(&self.node.schema.qualify(statements)).await?)
    }

    /// Says that endpoints changed; whoever waits in this process is woken once it is committed.
    pub(crate) fn say_changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Says that something is due for an endpoint; who delivers it is told once it is committed.
    pub(crate) fn say_due(&self, endpoint: EndpointId, due: Timestamp, whom: Whom) {
        self.due.lock().push((endpoint, due, whom));
    }

    /// Commits.
    pub(crate) async fn commit(mut self) -> Attempted<()> {
        self.client().batch_execute("COMMIT").await?;
        drop(self.client.take());
        if self.changed.load(Ordering::Relaxed) {
            self.node.wake();
        }
        for (endpoint, due, whom) in std::mem::take(&mut *self.due.lock()) {
            self.node.heard.tell(endpoint, due);
            if whom == Whom::All {
                self.node.heard.hear(endpoint, due);
            }
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

/// Does one statement that is a transaction of its own. When it is dropped half-way, so is its connection.
pub(crate) async fn alone(node: &Arc<Node>, statement: &str, parameters: &[Parameter<'_>]) -> Attempted<()> {
    let client = match node.pools.of(Share::Other).get().await {
        Ok(client) => client,
        Err(error) => return Err(error.into()),
    };
    let mut tx = Tx::on(node, client);
    tx.query(statement, parameters).await?;
    drop(tx.client.take());
    Ok(())
}

/// The parameters' values.
fn values<'a>(parameters: &[Parameter<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    parameters.iter().map(|(value, _)| *value).collect()
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
