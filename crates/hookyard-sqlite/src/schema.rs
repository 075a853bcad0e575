//! The database's form: numbered migrations, forward only, each in one transaction.

use rusqlite::Connection;

/// `PRAGMA application_id` of our databases: `HkYd`.
pub(crate) const APPLICATION_ID: i32 = 0x486b_5964;

/// The migrations in order; the version is how many are applied.
const MIGRATIONS: [&str; 2] =
    [include_str!("../migrations/0001_begin.sql"), include_str!("../migrations/0002_declared_disabled.sql")];

/// Why the form cannot be brought up to date.
#[derive(Debug)]
pub(crate) enum SchemaError {
    /// It is some other program's database.
    Foreign,
    /// A newer version wrote it.
    Newer {
        /// What it has.
        found: i64,
    },
    /// The database says no.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// The version that this code knows.
pub(crate) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("there are few migrations")
}

/// Applies what is missing.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), SchemaError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let owner: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != APPLICATION_ID && (found != 0 || owner != 0 || tables != 0) {
        return Err(SchemaError::Foreign);
    }
    if found > known() {
        return Err(SchemaError::Newer { found });
    }
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
