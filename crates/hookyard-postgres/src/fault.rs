//! What goes wrong while a deed or a read runs, and what a caller is told about it.

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use hookyard_ports::StoreError;
use tokio_postgres::error::{DbError, SqlState};

/// Why a deed or a read stopped half-way; whatever it wrote is rolled back.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database said no, or cannot be reached.
    Sql(tokio_postgres::Error),
    /// We said no.
    Store(StoreError),
    /// Another transaction was faster; the same deed from the start will see what it did.
    Overtaken,
}

/// What a deed or a read comes to.
pub(crate) type Attempted<T> = Result<T, Fault>;

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        let why = match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                return Self::Sql(error);
            }
            PoolError::Timeout(TimeoutType::Wait) => "all connections of this node were busy for too long",
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                "no connection could be made in time: the database, or a pooler before it, does not answer"
            }
            PoolError::Closed => "it is closed",
            other @ (PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(HookError::Message(_))) => {
                return Self::Store(StoreError::Other(other.to_string()));
            }
        };
        Self::Store(StoreError::Unavailable(why.to_owned()))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The first two letters of a code, which name its class.
fn class(code: &SqlState) -> &str {
    code.code().get(..2).unwrap_or_default()
}

/// Codes of a server or a pooler that is not there for now: it stops, starts, has no room, or is a standby.
fn is_for_now(code: &SqlState) -> bool {
    const CLASSES: [&str; 3] = ["08", "53", "57"];
    const CODES: [SqlState; 7] = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        SqlState::IN_FAILED_SQL_TRANSACTION,
    ];
    CLASSES.contains(&class(code)) || CODES.contains(code)
}

/// What `PgBouncer` says in its own name, always under one code, and what to do about it.
const POOLER: [(&str, &str); 5] = [
    (
        "no more connections allowed (max_client_conn)",
        "the pooler takes no more clients: raise its `max_client_conn`, a node makes up to 16 connections",
    ),
    (
        "query_wait_timeout",
        "all of the pooler's connections to the server were busy for too long: raise its `default_pool_size`",
    ),
    (
        "server login has been failing, try again later (server_login_retry)",
        "the pooler does not get through to the server: its log says why, and after `server_login_retry` it tries again",
    ),
    ("server conn crashed?", "the pooler lost its connection to the server"),
    ("pgbouncer cannot connect to server", "the pooler does not get through to the server: its log says why"),
];

/// What to do about something that is known. It only helps to understand: the kind of an error hangs on its code alone.
fn advice(told: &DbError) -> Option<&'static str> {
    let code = told.code();
    if *code == SqlState::PROTOCOL_VIOLATION {
        return POOLER.iter().find(|(message, _)| *message == told.message()).map(|(_, advice)| *advice);
    }
    let known = [
        (
            SqlState::TOO_MANY_CONNECTIONS,
            "the server takes no more connections: raise `max_connections` or the role's limit, or let the nodes share \
             fewer through a pooler",
        ),
        (SqlState::CANNOT_CONNECT_NOW, "the server starts or stops and takes connections once it has started"),
        (SqlState::ADMIN_SHUTDOWN, "the server was told to stop, or to end this connection"),
        (SqlState::CRASH_SHUTDOWN, "a process of the server crashed, and it starts again by itself"),
        (SqlState::READ_ONLY_SQL_TRANSACTION, "the server only reads: it is a standby, or was made to"),
    ];
    known.into_iter().find(|(state, _)| state == code).map(|(_, advice)| advice)
}

/// What the database says, in one line: its message, its code, and what to do about it where that is known.
fn words(error: &tokio_postgres::Error) -> String {
    if let Some(told) = error.as_db_error() {
        let said = format!("{} ({})", told.message(), told.code().code());
        return advice(told).map_or_else(|| said.clone(), |advice| format!("{said}; {advice}"));
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Fault {
    /// A value that cannot be read.
    pub(crate) fn corrupt(table: &'static str, column: &'static str, id: impl std::fmt::Display) -> Self {
        Self::Store(StoreError::Corrupt { table, column, id: id.to_string() })
    }

    /// A uniqueness rule, when that is what the database said; anything else stays.
    pub(crate) fn or_conflict(self, constraint: &'static str) -> Self {
        match self {
            Self::Sql(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                Self::Store(StoreError::Conflict { constraint })
            }
            other @ (Self::Sql(_) | Self::Store(_) | Self::Overtaken) => other,
        }
    }

    /// Whether the same deed should be done again at once: another transaction was in its way.
    pub(crate) fn is_race(&self) -> bool {
        match self {
            Self::Overtaken => true,
            Self::Store(_) => false,
            Self::Sql(error) => {
                [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED]
                    .iter()
                    .any(|code| error.code() == Some(code))
                    || self.misses_partition()
                    || self.loses_session()
            }
        }
    }

    /// Whether a statement that was prepared on a connection is not there, or is another one's, or gives other columns than
    /// it did, or the session does not bear our mark: whatever stands in between keeps no sessions, or the tables were
    /// changed.
    pub(crate) fn loses_session(&self) -> bool {
        match self {
            Self::Sql(error) => error.code().is_some_and(|code| {
                [
                    SqlState::INVALID_SQL_STATEMENT_NAME,
                    SqlState::DUPLICATE_PSTATEMENT,
                    SqlState::FEATURE_NOT_SUPPORTED,
                    SqlState::UNDEFINED_OBJECT,
                ]
                .contains(code)
            }),
            Self::Store(_) | Self::Overtaken => false,
        }
    }

    /// Whether a row has no partition: its day was dropped by another node, so what is known of the days is old.
    pub(crate) fn misses_partition(&self) -> bool {
        match self {
            // The database has no code of its own for this; a broken invariant has the name of its constraint.
            Self::Sql(error) => {
                let told = error.as_db_error();
                told.is_some_and(|told| *told.code() == SqlState::CHECK_VIOLATION && told.constraint().is_none())
            }
            Self::Store(_) | Self::Overtaken => false,
        }
    }

    /// Whether it says something about the connection or the server rather than about the deed.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Overtaken => true,
            Self::Store(error) => matches!(error, StoreError::Unavailable(_)),
            Self::Sql(error) => error.code().is_none_or(|code| is_for_now(code) && class(code) != "40"),
        }
    }

    /// What the caller is told.
    pub(crate) fn into_error(self) -> StoreError {
        let error = match self {
            Self::Store(error) => return error,
            Self::Overtaken => {
                return StoreError::Unavailable("other transactions were faster again and again".to_owned());
            }
            Self::Sql(error) => error,
        };
        match error.code() {
            Some(code) if *code == SqlState::DISK_FULL => {
                StoreError::Full(format!("there is no space left on the database's disk, make some: {}", words(&error)))
            }
            Some(code) if is_for_now(code) => StoreError::Unavailable(words(&error)),
            // Without a code it was not the server that spoke: the connection is gone, or the answer cannot be read.
            None if error.is_closed() || has_io(&error) => StoreError::Unavailable(words(&error)),
            Some(_) | None => StoreError::Other(words(&error)),
        }
    }
}

/// Whether the connection's input or output failed.
fn has_io(error: &tokio_postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<std::io::Error>() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// What the database says, for errors at opening.
pub(crate) fn told(error: &tokio_postgres::Error) -> String {
    words(error)
}
