//! What the server has counted of a database's statements, for whoever measures what a message costs it.
//!
//! Called by the bench, before and after. The server counts where its extension `pg_stat_statements` is loaded and made.

use hookyard_model::Secret;
use tokio_postgres::error::SqlState;

use crate::url::Place;
use crate::{OpenError, fault, tls};

/// Where the extension's view is.
const PLACE: &str = "SELECT quote_ident(n.nspname) FROM pg_catalog.pg_extension e \
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";

/// Sums over all statements of a database since its server began to count them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counted {
    /// How often one was executed; `BEGIN`, `COMMIT` and `SET` count where the server counts utilities.
    pub executions: i64,
    /// Bytes written to the write-ahead log.
    pub wal_bytes: i64,
    /// Milliseconds spent executing.
    pub executing_ms: f64,
}

/// What is counted for a database; `None` where nothing is.
pub async fn counted(database: &Secret<String>) -> Result<Option<Counted>, OpenError> {
    let place = Place::parse(database)?;
    let (client, connection) = match place.config.connect(tls::connector(&place)?).await {
        Ok(connected) => connected,
        Err(error) => return Err(OpenError::Unreachable { at: place.at(), why: fault::told(&error) }),
    };
    let counting = async {
        let Some(schema) = client.query_typed_opt(PLACE, &[]).await? else { return Ok(None) };
        let schema: String = schema.try_get(0)?;
        let sums = format!(
            "SELECT coalesce(sum(calls), 0)::int8, coalesce(sum(wal_bytes), 0)::int8, \
             coalesce(sum(total_exec_time), 0)::float8 FROM {schema}.pg_stat_statements \
             WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
        );
        let row = client.query_typed_one(&sums, &[]).await?;
        let (executions, wal_bytes, executing_ms) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Some(Counted { executions, wal_bytes, executing_ms }))
    };
    let counted: Result<_, tokio_postgres::Error> = tokio::select! {
        counted = counting => counted,
        // It ends only when the connection is lost.
        lost = connection => Err(match lost {
            Err(error) => error,
            Ok(()) => return Ok(None),
        }),
    };
    match counted {
        Ok(counted) => Ok(counted),
        // It is made and was not loaded with the server, or this role may not read it.
        Err(error)
            if error.code().is_some_and(|code| {
                [SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, SqlState::INSUFFICIENT_PRIVILEGE].contains(code)
            }) =>
        {
            Ok(None)
        }
        Err(error) => Err(OpenError::Unreachable { at: place.at(), why: fault::told(&error) }),
    }
}
