//! What the server has counted of a database's statements, for whoever measures what a message costs it.
//!
//! Called by the bench, before and after. The server counts where its extension `pg_stat_statements` is loaded and made.

use hookyard_model::Secret;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::url::Place;
use crate::{OpenError, fault, tls};

/// Where the extension's view is.
const PLACE: &str = "SELECT quote_ident(n.nspname) FROM pg_catalog.pg_extension e \
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";

/// What it answers when the view cannot be read.
const UNREADABLE: [SqlState; 2] = [SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, SqlState::INSUFFICIENT_PRIVILEGE];

/// Whose processes serve a database; they are of one parent, the server.
const PROCESSES: &str = "SELECT coalesce(array_agg(pid), '{}') FROM pg_catalog.pg_stat_activity";

/// What a server tells of the work it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Ids of some of its processes, on its machine.
    pub processes: Vec<i32>,
    /// What it has counted, where it counts.
    pub statements: Option<Statements>,
}

/// Sums over all statements of a database since its server began to count them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statements {
    /// How often one was executed; `BEGIN`, `COMMIT` and `SET` count where the server counts utilities.
    pub executions: i64,
    /// Bytes written to the write-ahead log.
    pub wal_bytes: i64,
    /// Milliseconds spent executing.
    pub executing_ms: f64,
}

/// What its server tells of a database.
pub async fn counted(database: &Secret<String>) -> Result<Counted, OpenError> {
    let place = Place::parse(database)?;
    let (client, connection) = match place.config.connect(tls::connector(&place)?).await {
        Ok(connected) => connected,
        Err(error) => return Err(OpenError::Unreachable { at: place.at(), why: fault::told(&error) }),
    };
    let asking = async {
        let processes = client.query_typed_one(PROCESSES, &[]).await?.try_get(0)?;
        let statements = match statements(&client).await {
            // The view is made and was not loaded with the server, or this role may not read it.
            Err(error) if error.code().is_some_and(|code| UNREADABLE.contains(code)) => None,
            statements => statements?,
        };
        Ok(Counted { processes, statements })
    };
    let counted: Result<Counted, String> = tokio::select! {
        counted = asking => counted.map_err(|error: tokio_postgres::Error| fault::told(&error)),
        // It ends only when the connection is lost.
        lost = connection => Err(lost.err().map_or_else(|| "it closed the connection".to_owned(), |error| fault::told(&error))),
    };
    counted.map_err(|why| OpenError::Unreachable { at: place.at(), why })
}

async fn statements(client: &Client) -> Result<Option<Statements>, tokio_postgres::Error> {
    let Some(schema) = client.query_typed_opt(PLACE, &[]).await? else { return Ok(None) };
    let schema: String = schema.try_get(0)?;
    let sums = format!(
        "SELECT coalesce(sum(calls), 0)::int8, coalesce(sum(wal_bytes), 0)::int8, \
         coalesce(sum(total_exec_time), 0)::float8 FROM {schema}.pg_stat_statements \
         WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
    );
    let row = client.query_typed_one(&sums, &[]).await?;
    let (executions, wal_bytes, executing_ms) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Some(Statements { executions, wal_bytes, executing_ms }))
}
