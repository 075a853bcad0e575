//! Opens a schema: connection, checks, migrations, check value, a new incarnation.

use deadpool_postgres::Object;
use hookyard_model::{Incarnation, Secret};
use hookyard_ports::{Clock, StoreError};
use hookyard_record::carry::MARK;
use hookyard_record::{Keyring, Place as SealedPlace};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use crate::fault::{Fault, told};
use crate::look::{Listening, listening};
use crate::node::{Beginning, Node};
use crate::pool::{Pools, Sessions, Share};
use crate::schema::{self, Schema, SchemaError};
use crate::url::Place;
use crate::{OpenError, Options, tls};

/// What the check value says; any text would do.
const CHECK: &[u8] = b"hookyard";
const CHECK_PLACE: SealedPlace<'static> = SealedPlace { table: "meta", id: b"secret_check", revision: 0 };
/// The oldest server whose tables and statements are ours.
const OLDEST: i64 = 140_000;
/// Characters of a node's name.
const NAME: usize = 256;

const SERVER: &str = "SELECT current_setting('server_version_num')::int8, current_setting('server_encoding'), \
    pg_is_in_recovery(), current_setting('synchronous_commit'), current_setting('fsync'), \
    current_setting('full_page_writes')";
/// The check value, if a server ever ran here.
pub(crate) const READ_CHECK: &str = "SELECT value FROM @meta WHERE name = 'secret_check'";
/// How far a move to here is, if one has not ended.
pub(crate) const READ_MARK: &str = "SELECT value FROM @meta WHERE name = $1";
/// Keeps the check value.
pub(crate) const WRITE_CHECK: &str = "INSERT INTO @meta (name, value) VALUES ('secret_check', $1) \
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const BACKEND: &str = "SELECT pg_catalog.pg_backend_pid()";
const BEGIN_LIFE: &str = "INSERT INTO @node (name, started, heartbeat) VALUES ($1, $2, $2) RETURNING incarnation";

/// A store that is open, and where to listen.
pub(crate) struct Opened {
    pub(crate) node: Node,
    pub(crate) listen: Option<Place>,
}

/// A server that can be used, and a connection to it.
pub(crate) struct Reached {
    pub(crate) pools: Pools,
    pub(crate) schema: Schema,
    pub(crate) client: Object,
    pub(crate) is_commit_durable: bool,
    place: Place,
}

/// Opens the schema that the options name.
pub(crate) async fn open(options: Options) -> Result<Opened, OpenError> {
    let listen = options.listen.as_ref().map(Place::parse).transpose()?;
    let is_name = !options.node.is_empty() && options.node.chars().count() <= NAME;
    if !is_name || options.node.chars().any(char::is_control) {
        return Err(OpenError::Node(options.node.chars().take(64).filter(|letter| !letter.is_control()).collect()));
    }
    let mut reached = reach(&options).await?;
    reached.migrate().await?;
    let begun = begin_life(&mut reached.client, &reached.schema, &options).await;
    let incarnation = begun.map_err(|error| reached.explain(&error))??;
    let sessions = sessions(&options, &reached).await;
    let Reached { mut pools, schema, is_commit_durable, place, .. } = reached;
    let mark = format!("hookyard.life_{}_{}", incarnation.0, Clock::now(&*options.clock).as_micros());
    if sessions == Sessions::Ours {
        pools.close();
        pools = Pools::of_sessions(&place, options.connections, is_commit_durable, &mark)?;
    }
    let node = Node::new(options, Beginning { pools, schema, incarnation, mark, is_commit_durable, sessions });
    Ok(Opened { node, listen })
}

/// Whose the sessions are. Listening needs one of one's own, so a URL that is given for it has no pooler in between; and
/// where deeds use the same URL, neither have they. Should that be a mistake, a pooler is caught at it here: at giving a
/// connection away, or, where it is busy and has others to give, at losing what was to be heard. What is not sure is
/// anybody's: that is right everywhere, and costs planning.
async fn sessions(options: &Options, reached: &Reached) -> Sessions {
    let same = options.listen.as_ref().is_some_and(|listen| listen.expose() == options.database.expose());
    let are_ours = same
        && is_pooled(reached).await == Some(false)
        && matches!(listening(&reached.place, reached).await, Listening::Heard { .. });
    if are_ours { Sessions::Ours } else { Sessions::Anybodys }
}

/// A connection to the server itself keeps its process and shares it with nobody. One that does not is a pooler's, which
/// shows when another transaction holds the process that it had. `None`: without a second connection nothing was seen.
pub(crate) async fn is_pooled(reached: &Reached) -> Option<bool> {
    let mut other = reached.pools.of(Share::Kept).get().await.ok()?;
    let first = backend(&reached.client).await?;
    let held = other.transaction().await.ok()?;
    let taken: i32 = held.query_typed_one(BACKEND, &[]).await.ok()?.try_get(0).ok()?;
    // A pooler that has only this one connection could not answer while it is held.
    let is_pooled = first == taken || backend(&reached.client).await? != first;
    held.rollback().await.ok()?;
    Some(is_pooled)
}

async fn backend(client: &Object) -> Option<i32> {
    client.query_typed_one(BACKEND, &[]).await.ok()?.try_get(0).ok()
}

/// Whether a URL could be connected to, as far as that can be told without connecting: its parts are known, and the
/// authorities that it names can be read.
pub fn check_url(url: &Secret<String>) -> Result<(), OpenError> {
    Place::parse(url).and_then(|place| tls::connector(&place)).map(drop)
}

/// Connects to the server that the options name.
pub(crate) async fn reach(options: &Options) -> Result<Reached, OpenError> {
    let place = Place::parse(&options.database)?;
    let schema = Schema::new(&options.schema).ok_or_else(|| OpenError::Schema(options.schema.clone()))?;
    let pools = Pools::new(&place, options.connections)?;
    let client = match pools.of(Share::Kept).get().await {
        Ok(client) => client,
        Err(error) => {
            let at = place.at();
            return Err(match Fault::from(error) {
                Fault::Sql(error) => explain(&place, &schema, &error),
                Fault::Store(StoreError::Unavailable(why)) => OpenError::Unreachable { at, why },
                fault @ (Fault::Store(_) | Fault::Overtaken) => {
                    OpenError::Unreachable { at, why: fault.into_error().to_string() }
                }
            });
        }
    };
    let checked = check_server(&client, &place).await;
    let is_commit_durable = checked.map_err(|error| explain(&place, &schema, &error))??;
    Ok(Reached { pools, schema, client, is_commit_durable, place })
}

impl Reached {
    /// Brings the schema to the form that this code knows, making it when it is not there.
    pub(crate) async fn migrate(&mut self) -> Result<(), OpenError> {
        let migrated = schema::migrate(&mut self.client, &self.schema).await;
        migrated.map_err(|error| match error {
            SchemaError::Foreign => OpenError::Foreign(self.schema.name().to_owned()),
            SchemaError::Newer { found } => {
                OpenError::Newer { schema: self.schema.name().to_owned(), found, known: schema::known() }
            }
            SchemaError::Sql(error) => self.explain(&error),
        })
    }

    /// What went wrong, in words.
    pub(crate) fn explain(&self, error: &Error) -> OpenError {
        explain(&self.place, &self.schema, error)
    }
}

/// What went wrong, in words.
fn explain(place: &Place, schema: &Schema, error: &Error) -> OpenError {
    let (at, why) = (place.at(), told(error));
    let is = |codes: &[SqlState]| error.code().is_some_and(|code| codes.contains(code));
    if is(&[SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION, SqlState::INVALID_CATALOG_NAME])
    {
        return OpenError::Refused { at, user: place.user(), why };
    }
    if is(&[SqlState::INSUFFICIENT_PRIVILEGE]) {
        return OpenError::Forbidden { schema: schema.name().to_owned(), why };
    }
    if is(&[SqlState::READ_ONLY_SQL_TRANSACTION]) {
        return OpenError::Standby(at);
    }
    match error.code().map(|code| code.code().get(..2).unwrap_or_default()) {
        None | Some("08" | "53" | "57") => OpenError::Unreachable { at, why },
        Some(_) => OpenError::Database { schema: schema.name().to_owned(), why },
    }
}

/// Whether the server can be used, and whether a commit is on its disk without our asking for it.
async fn check_server(client: &Client, place: &Place) -> Result<Result<bool, OpenError>, Error> {
    let row = client.query_typed_one(SERVER, &[]).await?;
    let (version, encoding, is_standby): (i64, &str, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if version < OLDEST {
        return Ok(Err(OpenError::TooOld { found: version / 10_000 }));
    }
    if encoding != "UTF8" {
        return Ok(Err(OpenError::Encoding(encoding.to_owned())));
    }
    if is_standby {
        return Ok(Err(OpenError::Standby(place.at())));
    }
    let (commit, fsync, pages): (&str, &str, &str) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    if fsync != "on" || pages != "on" {
        tracing::warn!(
            fsync,
            full_page_writes = pages,
            "the database server does not keep what it confirms when its machine stops; set both to `on`"
        );
    }
    Ok(Ok(commit != "off"))
}

/// Checks the secret and begins a new incarnation, in one transaction.
async fn begin_life(
    client: &mut Client,
    schema: &Schema,
    options: &Options,
) -> Result<Result<Incarnation, OpenError>, Error> {
    let tx = client.transaction().await?;
    let lock = crate::lock::migrations(schema);
    tx.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&lock, Type::INT8)]).await?;
    if !tx.query_typed(&schema.qualify(READ_MARK), &[(&MARK, Type::TEXT)]).await?.is_empty() {
        tx.rollback().await?;
        return Ok(Err(OpenError::Incomplete(schema.name().to_owned())));
    }
    let kept = tx.query_typed_opt(&schema.qualify(READ_CHECK), &[]).await?;
    if let Some(kept) = kept
        && !is_our_secret(&options.keyring, kept.try_get(0)?)
    {
        tx.rollback().await?;
        return Ok(Err(OpenError::WrongSecret(schema.name().to_owned())));
    }
    // Sealed again at every start, so that the first key alone opens it once the old ones are taken off the list.
    let check = options.keyring.seal(&CHECK_PLACE, CHECK, &*options.rng);
    tx.execute_typed(&schema.qualify(WRITE_CHECK), &[(&check, Type::BYTEA)]).await?;
    let now = Clock::now(&*options.clock).as_micros();
    let begin = schema.qualify(BEGIN_LIFE);
    let row = tx.query_typed_one(&begin, &[(&options.node, Type::TEXT), (&now, Type::INT8)]).await?;
    let incarnation: i64 = row.try_get(0)?;
    tx.commit().await?;
    Ok(Ok(Incarnation(incarnation.unsigned_abs())))
}

/// Whether the keyring opens the check value.
pub(crate) fn is_our_secret(keyring: &Keyring, check: &[u8]) -> bool {
    keyring.open(&CHECK_PLACE, check).is_ok_and(|plain| plain.as_slice() == CHECK)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hookyard_ports::testkit::build::at;

    use super::*;
    use crate::tests::ground::TestSchema;
    use crate::transaction::{Mode, Tx};

    #[tokio::test]
    async fn sessions_are_ours_where_deeds_and_the_listener_share_a_url() {
        let Some(schema) = TestSchema::new() else { return };
        let asking = open(schema.options("asks", at(0))).await.expect("opens");
        assert_eq!(asking.node.sessions(), Sessions::Anybodys);
        let listen = Some(Secret::new(schema.url.clone()));
        let listening = open(Options { listen, ..schema.options("listens", at(0)) }).await.expect("opens");
        assert_eq!(listening.node.sessions(), Sessions::Ours);
    }

    #[tokio::test]
    async fn a_session_of_somebody_else_is_not_taken_for_ours() {
        let Some(schema) = TestSchema::new() else { return };
        let listen = Some(Secret::new(schema.url.clone()));
        let opened = open(Options { listen, connections: 4, ..schema.options("listens", at(0)) }).await.expect("opens");
        let mut node = opened.node;
        assert_eq!(node.sessions(), Sessions::Ours);
        // What a pooler that comes in between gives: sessions that somebody else has set up.
        let place = Place::parse(&Secret::new(schema.url.clone())).expect("a URL");
        node.pools = Pools::new(&place, 4).expect("made");
        let node = Arc::new(node);
        let write = async || Tx::begin(&node, Mode::Write, Share::Other).await.map(drop);
        let fault = write().await.expect_err("it bears no mark");
        assert!(fault.loses_session(), "{fault:?}");
        node.lose_sessions_after(&fault);
        assert_eq!(node.sessions(), Sessions::Anybodys);
        write().await.expect("anybody's will do");
    }
}
