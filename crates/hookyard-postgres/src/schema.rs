//! The schema's name in statements, and its form: numbered migrations, forward only, each in one transaction.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// The migrations in order; the version is how many are applied.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_begin.sql")];
/// Bytes of a schema's name: with the names of partitions and channels it stays below the database's 63.
const NAME_BYTES: usize = 40;

/// The schema that a store lives in. Statements name it, so that they mean the same on any connection.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    name: String,
    prefix: String,
}

impl Schema {
    /// A schema by its name; `None` when the name is not one that needs no quotes.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let is_name = begins && name.len() <= NAME_BYTES && name.bytes().all(is_plain) && !name.starts_with("pg_");
        is_name.then(|| Self { name: name.to_owned(), prefix: format!("\"{name}\".") })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A statement in which `@` stands before each name of ours.
    pub(crate) fn qualify(&self, statement: &str) -> String {
        statement.replace('@', &self.prefix)
    }

    /// The channel on which changes are told.
    pub(crate) fn channel(&self) -> String {
        format!("{}_changes", self.name)
    }

    /// The channel on which nodes tell each other what is due.
    pub(crate) fn due_channel(&self) -> String {
        format!("{}_due", self.name)
    }
}

/// Why the form cannot be brought up to date.
#[derive(Debug)]
pub(crate) enum SchemaError {
    /// It is some other program's schema.
    Foreign,
    /// A newer version wrote it.
    Newer {
        /// What it has.
        found: i64,
    },
    /// The database says no.
    Sql(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for SchemaError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(error)
    }
}

/// The version that this code knows.
pub(crate) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("there are few migrations")
}

/// Applies what is missing, one node at a time.
pub(crate) async fn migrate(client: &mut Client, schema: &Schema) -> Result<(), SchemaError> {
    let tx = client.transaction().await?;
    let lock = crate::lock::migrations(schema);
    tx.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&lock, Type::INT8)]).await?;
    let name = schema.name();
    let tables = "SELECT count(*), count(*) FILTER (WHERE relname = 'migration') FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')";
    let found = tx.query_typed_one(tables, &[(&name, Type::TEXT)]).await?;
    let (tables, ours): (i64, i64) = (found.get(0), found.get(1));
    if tables > 0 && ours == 0 {
        tx.rollback().await?;
        return Err(SchemaError::Foreign);
    }
    if tables == 0 {
        let make = "CREATE TABLE @migration (version bigint PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())";
        // Made only where it is missing: the role may have a schema of its own and no right to make another.
        let there = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1";
        if tx.query_typed(there, &[(&name, Type::TEXT)]).await?.is_empty() {
            tx.batch_execute(&format!("CREATE SCHEMA \"{name}\"")).await?;
        }
        tx.batch_execute(&schema.qualify(make)).await?;
    }
    let version = schema.qualify("SELECT coalesce(max(version), 0) FROM @migration");
    let found: i64 = tx.query_typed_one(&version, &[]).await?.get(0);
    if found > known() {
        tx.rollback().await?;
        return Err(SchemaError::Newer { found });
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        tx.batch_execute(&schema.qualify(migration)).await?;
        let insert = schema.qualify("INSERT INTO @migration (version) VALUES ($1)");
        tx.execute_typed(&insert, &[(&version, Type::INT8)]).await?;
    }
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_has_a_plain_name() {
        for name in ["hookyard", "_h2", "a_b"] {
            assert!(Schema::new(name).is_some(), "{name}");
        }
        for name in ["", "Hookyard", "2h", "h-y", "h\"y", "h.y", "pg_temp", &"h".repeat(41)] {
            assert!(Schema::new(name).is_none(), "{name}");
        }
    }

    #[test]
    fn every_name_of_ours_gets_the_schema() {
        let schema = Schema::new("h").expect("a name");
        let statement = schema.qualify("SELECT nextval('@message_seq') FROM @message m, @owed");
        assert_eq!(statement, "SELECT nextval('\"h\".message_seq') FROM \"h\".message m, \"h\".owed");
    }
}
