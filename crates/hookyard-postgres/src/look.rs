//! Looks at a database as a start would find it, and changes nothing.
//!
//! Called by `doctor`, beside nodes that run as well as without any. What would keep a store from opening is the error that
//! opening it would give, so that both say it in the same words. Whether anything is heard where there is to be listened is
//! asked when a store opens as well.

use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hookyard_model::Timestamp;
use hookyard_record::carry::MARK;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Error};

use crate::fault::told;
use crate::open::{READ_CHECK, READ_MARK, Reached, is_our_secret, is_pooled, reach};
use crate::url::Place;
use crate::{OpenError, Options, schema, tls};

/// How long something that was said may be on its way to a listener.
const HEAR: Duration = Duration::from_secs(3);

const SERVER: &str =
    "SELECT current_setting('server_version'), (extract(epoch FROM clock_timestamp()) * 1000000)::int8";
/// Whether the schema is there; its tables, those among them that this role does not own, and whether one says which
/// version wrote them; whether this role may make what is missing.
const FORM: &str = "SELECT s.oid IS NOT NULL, (SELECT count(*) FROM pg_catalog.pg_class c \
    WHERE c.relnamespace = s.oid AND c.relkind IN ('r', 'p')), (SELECT count(*) FROM pg_catalog.pg_class c \
    WHERE c.relnamespace = s.oid AND c.relkind IN ('r', 'p') AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')), \
    EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.relnamespace = s.oid AND c.relname = 'migration'), \
    CASE WHEN s.oid IS NULL THEN pg_catalog.has_database_privilege(current_database(), 'CREATE') \
    ELSE pg_catalog.has_schema_privilege(s.oid, 'CREATE') END \
    FROM (SELECT (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1)) AS s(oid)";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM @migration";

/// What was seen of a database that answers.
#[derive(Debug)]
pub struct Seen {
    /// Host and port, for people.
    pub at: String,
    /// The server's version in its own words.
    pub version: String,
    /// What the server says is the time, and what the options' clock said then.
    pub clocks: (Timestamp, Timestamp),
    /// Whether a commit is on the server's disk without anybody asking for it; stores ask where it is not.
    pub is_commit_durable: bool,
    /// Whether a pooler that gives each transaction another connection was caught at it.
    pub is_pooled: bool,
    /// What is in the schema, or why no store opens there.
    pub form: Result<Form, OpenError>,
    /// What came of listening; `None` where no URL for it is given.
    pub listening: Option<Listening>,
}

/// What a start would find in a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing, and it may make what it needs.
    Missing,
    /// An older version's tables, which it would bring up to date.
    Older {
        /// What they have.
        found: i64,
        /// What this code knows.
        known: i64,
    },
    /// This version's tables, whose secrets the keys open.
    Ready {
        /// What both have.
        version: i64,
    },
}

/// What came of listening where other nodes' changes are to be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listening {
    /// What was said in the database was heard.
    Heard {
        /// Where.
        at: String,
    },
    /// It listens, and nothing came: a pooler stands in between, or it is another database.
    Silent {
        /// Where.
        at: String,
    },
    /// It cannot be listened there.
    Refused {
        /// Where.
        at: String,
        /// What was seen.
        why: String,
    },
}

/// Looks at the schema that the options name; their node does not matter.
pub async fn look(options: &Options) -> Result<Seen, OpenError> {
    let listen = options.listen.as_ref().map(Place::parse).transpose()?;
    let reached = reach(options).await?;
    let server = reached.client.query_typed_one(SERVER, &[]).await;
    let (version, now): (String, i64) =
        server.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?))).map_err(|error| reached.explain(&error))?;
    let clocks = (Timestamp::from_micros(now), options.clock.now());
    let form = match form(&reached, options).await {
        Ok(form) => form,
        Err(error) => Err(reached.explain(&error)),
    };
    let listening = match &listen {
        Some(place) => Some(listening(place, &reached).await),
        None => None,
    };
    let seen = Seen {
        at: Place::parse(&options.database)?.at(),
        version,
        clocks,
        is_commit_durable: reached.is_commit_durable,
        is_pooled: is_pooled(&reached).await == Some(true),
        form,
        listening,
    };
    reached.pools.close();
    Ok(seen)
}

async fn form(reached: &Reached, options: &Options) -> Result<Result<Form, OpenError>, Error> {
    let (client, name) = (&reached.client, reached.schema.name());
    let row = client.query_typed_one(FORM, &[(&name, Type::TEXT)]).await?;
    let (is_there, tables, not_ours, is_versioned, may_make): (bool, i64, i64, bool, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    if tables > 0 && !is_versioned {
        return Ok(Err(OpenError::Foreign(name.to_owned())));
    }
    let forbidden = |why: &str| OpenError::Forbidden { schema: name.to_owned(), why: why.to_owned() };
    if not_ours > 0 {
        return Ok(Err(forbidden("its tables belong to another role")));
    }
    if !may_make {
        let why = if is_there { "it may not make tables in it" } else { "it may not make schemas in this database" };
        return Ok(Err(forbidden(why)));
    }
    if tables == 0 {
        return Ok(Ok(Form::Missing));
    }
    let known = schema::known();
    let found: i64 = client.query_typed_one(&reached.schema.qualify(VERSION), &[]).await?.try_get(0)?;
    if found > known {
        return Ok(Err(OpenError::Newer { schema: name.to_owned(), found, known }));
    }
    // The first version has all that is read below.
    if found == 0 {
        return Ok(Ok(Form::Missing));
    }
    if !client.query_typed(&reached.schema.qualify(READ_MARK), &[(&MARK, Type::TEXT)]).await?.is_empty() {
        return Ok(Err(OpenError::Incomplete(name.to_owned())));
    }
    let check = client.query_typed_opt(&reached.schema.qualify(READ_CHECK), &[]).await?;
    if let Some(check) = check
        && !is_our_secret(&options.keyring, check.try_get(0)?)
    {
        return Ok(Err(OpenError::WrongSecret(name.to_owned())));
    }
    Ok(Ok(if found < known { Form::Older { found, known } } else { Form::Ready { version: known } }))
}

/// What comes of listening at a place.
pub(crate) async fn listening(place: &Place, reached: &Reached) -> Listening {
    let at = place.at();
    let heard = match tls::connector(place) {
        Ok(connector) => match tokio::time::timeout(crate::pool::MAKE, place.config.connect(connector)).await {
            Ok(Ok((client, mut connection))) => {
                let messages = stream::poll_fn(move |context| connection.poll_message(context));
                hear(&client, messages, reached).await
            }
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err("it does not answer".to_owned()),
        },
        Err(error) => Err(error.to_string()),
    };
    match heard {
        Ok(true) => Listening::Heard { at },
        Ok(false) => Listening::Silent { at },
        Err(why) => Listening::Refused { at, why },
    }
}

/// Whether a listener hears what is said in the database, on a channel that no node listens on.
async fn hear(
    listener: &Client,
    messages: impl futures_util::Stream<Item = Result<AsyncMessage, Error>>,
    reached: &Reached,
) -> Result<bool, String> {
    let channel = format!("{}_doctor", reached.schema.name());
    let words = format!("LISTEN \"{channel}\"");
    let mut messages = pin!(messages);
    let mut saying = pin!(async {
        listener.batch_execute(&words).await?;
        reached.client.query_typed("SELECT pg_catalog.pg_notify($1, '')", &[(&channel, Type::TEXT)]).await
    });
    let mut patience = pin!(tokio::time::sleep(HEAR));
    let mut is_said = false;
    loop {
        tokio::select! {
            said = &mut saying, if !is_said => {
                said.map_err(|error| told(&error))?;
                is_said = true;
            }
            message = messages.next() => match message {
                Some(Ok(AsyncMessage::Notification(_))) => return Ok(true),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(told(&error)),
                None => return Err("the server closed the connection".to_owned()),
            },
            () = &mut patience => return Ok(false),
        }
    }
}
