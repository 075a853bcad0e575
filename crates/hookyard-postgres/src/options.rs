//! What a store is opened with, and why it does not open.

use std::sync::Arc;

use hookyard_model::{Secret, limits};
use hookyard_ports::{Clock, Metrics, Rng, SystemRng};
use hookyard_record::Keyring;

/// What a store is opened with.
pub struct Options {
    /// Where the database is: `postgres://user:password@host:port/database`, with `sslmode` and `sslrootcert` as libpq
    /// knows them. A pooler may stand in between, one that gives each transaction another connection included.
    pub database: Secret<String>,
    /// Where to listen for what other nodes change and leave to this one: the same database, without a pooler in between.
    /// Without it, the database is asked every second. Where it is the same URL, statements stay prepared.
    pub listen: Option<Secret<String>>,
    /// The schema; made when it does not exist. Stores of different schemas know nothing of each other.
    pub schema: String,
    /// This node's name: what it held in a former life is freed at once. No other living node may have it.
    pub node: String,
    /// Connections at most, of which three are kept for accepting, settling and the heartbeat; the listener's comes on top.
    pub connections: usize,
    /// What seals secrets at rest.
    pub keyring: Keyring,
    /// Where commits are measured.
    pub metrics: Arc<Metrics>,
    /// The clock of the first heartbeat, and the one that spans are measured with.
    pub clock: Arc<dyn Clock>,
    /// The source of nonces.
    pub rng: Arc<dyn Rng>,
    /// Whether this node delivers what is due. One that does not tells the others of everything that it leaves to them.
    pub delivers: bool,
    /// Deliveries that may be pending or leased before accepting is refused; counted every few seconds, so it may be
    /// passed by what was accepted meanwhile.
    pub pending_limit: u64,
}

impl Options {
    /// Options for a node with the bounds of [`limits`].
    pub fn new(
        database: Secret<String>,
        node: String,
        keyring: Keyring,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            database,
            listen: None,
            schema: "hookyard".to_owned(),
            node,
            connections: 16,
            keyring,
            metrics,
            clock,
            rng: Arc::new(SystemRng),
            delivers: true,
            pending_limit: limits::PENDING,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("schema", &self.schema).field("node", &self.node).finish_non_exhaustive()
    }
}

/// Why a store does not open. Each says what to do; none shows the password.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// The URL cannot be used.
    #[error(
        "database URL cannot be used: {0}\nhint: write `postgres://user:password@host:5432/database?sslmode=verify-full`"
    )]
    Url(String),
    /// The schema's name cannot be used.
    #[error(
        "schema `{0}` cannot be used, it must be 1 to 40 of `a-z 0-9 _`, not begin with a digit, and not with `pg_`"
    )]
    Schema(String),
    /// The node's name cannot be used.
    #[error("node name `{0}` cannot be used, it must be 1 to 256 characters without control characters")]
    Node(String),
    /// Certificates cannot be read.
    #[error(
        "certificates of `{file}` cannot be used: {why}\nhint: `sslrootcert` names a PEM file with the authority's certificate"
    )]
    Certificates {
        /// Which file.
        file: String,
        /// Why.
        why: String,
    },
    /// The server cannot be reached, or it is starting, stopping or a standby.
    #[error(
        "database at {at} cannot be reached: {why}\nhint: check that the server runs and takes connections from here"
    )]
    Unreachable {
        /// Host and port.
        at: String,
        /// What was seen.
        why: String,
    },
    /// The server does not let this user in.
    #[error("database at {at} does not let `{user}` in: {why}\nhint: check user and password in the database URL")]
    Refused {
        /// Host and port.
        at: String,
        /// Who asked.
        user: String,
        /// What it says.
        why: String,
    },
    /// The user may not do what is needed.
    #[error(
        "the database user may not use schema `{schema}`: {why}\nhint: let the user own the schema, or create schemas in this database"
    )]
    Forbidden {
        /// Which schema.
        schema: String,
        /// What the server says.
        why: String,
    },
    /// The server is older than what we need.
    #[error("the database server is version {found}, at least 14 is needed\nhint: upgrade the server")]
    TooOld {
        /// Its version.
        found: i64,
    },
    /// Texts would not be kept as they are.
    #[error(
        "the database's encoding is {0}, it must be UTF8\nhint: make the database with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
    )]
    Encoding(String),
    /// The server is a standby and writes nothing.
    #[error(
        "database at {0} is a standby that only reads\nhint: name the primary, or all servers with `target_session_attrs=read-write`"
    )]
    Standby(String),
    /// Another program has the schema.
    #[error("schema `{0}` holds tables that are not Hookyard's\nhint: choose another with `schema`")]
    Foreign(String),
    /// A newer version wrote it.
    #[error(
        "schema `{schema}` has version {found}, this version of Hookyard knows at most {known}\nhint: run the newer version, \
         or restore a backup from before the upgrade"
    )]
    Newer {
        /// Which schema.
        schema: String,
        /// What it has.
        found: i64,
        /// What we know.
        known: i64,
    },
    /// Secrets in it were sealed with another key.
    #[error(
        "`main_secret` does not open the secrets in schema `{0}`\nhint: set `main_secret` to the value that the other nodes \
         have; to change it, list the new one first and the old one after it"
    )]
    WrongSecret(String),
    /// A move to it has not ended.
    #[error(
        "schema `{0}` is the target of a `hookyard move` that has not ended\nhint: run the same move again, which goes on \
         where it was, or drop the schema"
    )]
    Incomplete(String),
    /// There is nothing to move.
    #[error("there is no store in schema `{0}`\nhint: set `database_schema` to the schema of the nodes")]
    Nothing(String),
    /// Anything else that the database says.
    #[error("schema `{schema}` cannot be opened: {why}")]
    Database {
        /// Which schema.
        schema: String,
        /// What it says.
        why: String,
    },
}
