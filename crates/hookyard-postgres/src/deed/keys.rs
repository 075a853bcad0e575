//! Dedupe keys: who has one, and taking it.

use std::collections::{BTreeMap, BTreeSet};

use hookyard_model::{ApplicationId, MessageId, Timestamp};
use hookyard_ports::store::{Acceptance, Dedupe};
use hookyard_record::dedupe_code;
use tokio_postgres::types::Type;

use crate::column::{Columns, Id, text};
use crate::fault::{Attempted, Fault};
use crate::transaction::Tx;

/// Who has these keys.
pub(crate) const TAKEN: &str = "SELECT d.message, d.application, d.kind, d.key, d.fingerprint, d.expires \
    FROM unnest($1, $2, $3) AS k(application, kind, key) \
    JOIN @dedupe d ON d.application = k.application AND d.kind = k.kind AND d.key = k.key";
/// Takes keys away from those that have them.
pub(crate) const FREE: &str = "DELETE FROM @dedupe d USING unnest($1, $2, $3, $4) AS k(application, kind, key, message) \
    WHERE d.application = k.application AND d.kind = k.kind AND d.key = k.key AND d.message = k.message";
/// Gives keys to messages.
pub(crate) const TAKE: &str = "INSERT INTO @dedupe (application, kind, key, message, fingerprint, expires) \
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";

type Key = (Id, i16, String);

#[derive(Debug, Clone)]
struct Taken {
    message: Id,
    fingerprint: Option<[u8; 32]>,
    expires: Option<i64>,
}

/// The keys that a transaction asks about, as they stand and as it leaves them.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    stored: BTreeMap<Key, Taken>,
    taken: BTreeMap<Key, Taken>,
}

fn key(application: ApplicationId, dedupe: &Dedupe) -> Key {
    (Id(application.raw()), dedupe_code(dedupe.kind).into(), text(&dedupe.key))
}

impl Keys {
    /// Reads who has these keys.
    pub(crate) async fn read(tx: &Tx, asked: &[(ApplicationId, &Dedupe)]) -> Attempted<Self> {
        let asked: BTreeSet<Key> = asked.iter().map(|(application, dedupe)| key(*application, dedupe)).collect();
        let mut keys = Self::default();
        if asked.is_empty() {
            return Ok(keys);
        }
        let applications: Vec<Id> = asked.iter().map(|(application, ..)| *application).collect();
        let kinds: Vec<i16> = asked.iter().map(|(_, kind, _)| *kind).collect();
        let names: Vec<&str> = asked.iter().map(|(.., name)| name.as_str()).collect();
        let parameters: [crate::column::Parameter<'_>; 3] =
            [(&applications, Type::BYTEA_ARRAY), (&kinds, Type::INT2_ARRAY), (&names, Type::TEXT_ARRAY)];
        for row in tx.query(TAKEN, &parameters).await? {
            let columns = Columns::new("dedupe", &row);
            let fingerprint = match columns.get::<Option<&[u8]>>(4, "fingerprint")? {
                None => None,
                Some(bytes) => Some(bytes.try_into().map_err(|_| columns.corrupt("fingerprint"))?),
            };
            let taken = Taken { message: columns.get(0, "message")?, fingerprint, expires: columns.get(5, "expires")? };
            let key = (columns.get(1, "application")?, columns.get(2, "kind")?, columns.get(3, "key")?);
            keys.stored.insert(key, taken);
        }
        Ok(keys)
    }

    /// Who has a key at `now`, if anybody: the answer for a message that wants it.
    pub(crate) fn taken(&self, application: ApplicationId, dedupe: &Dedupe, now: Timestamp) -> Option<Acceptance> {
        let key = key(application, dedupe);
        let taken = self.taken.get(&key).or_else(|| self.stored.get(&key))?;
        if taken.expires.is_some_and(|expires| expires <= now.as_micros()) {
            return None;
        }
        let same_request = match (&taken.fingerprint, &dedupe.fingerprint) {
            (Some(kept), Some(asked)) => kept == asked,
            (None, _) | (_, None) => true,
        };
        let message = MessageId::from_raw(taken.message.0);
        Some(Acceptance::Duplicate { kind: dedupe.kind, message, same_request })
    }

    /// Gives a key to a message, in the place of one that ran out.
    pub(crate) fn take(&mut self, application: ApplicationId, dedupe: &Dedupe, message: MessageId) {
        let taken = Taken {
            message: Id(message.raw()),
            fingerprint: dedupe.fingerprint,
            expires: dedupe.expires.map(Timestamp::as_micros),
        };
        self.taken.insert(key(application, dedupe), taken);
    }

    /// Writes what was taken. Keys come in their order, so that two transactions that want the same ones do not wait for
    /// each other in a circle; who comes second begins again and finds them taken.
    pub(crate) async fn write(self, tx: &Tx) -> Attempted<()> {
        if self.taken.is_empty() {
            return Ok(());
        }
        let ran_out: Vec<(&Key, &Taken)> =
            self.taken.keys().filter_map(|key| Some((key, self.stored.get(key)?))).collect();
        if !ran_out.is_empty() {
            let applications: Vec<Id> = ran_out.iter().map(|((application, ..), _)| *application).collect();
            let kinds: Vec<i16> = ran_out.iter().map(|((_, kind, _), _)| *kind).collect();
            let names: Vec<&str> = ran_out.iter().map(|((.., name), _)| name.as_str()).collect();
            let messages: Vec<Id> = ran_out.iter().map(|(_, taken)| taken.message).collect();
            tx.execute(
                FREE,
                &[
                    (&applications, Type::BYTEA_ARRAY),
                    (&kinds, Type::INT2_ARRAY),
                    (&names, Type::TEXT_ARRAY),
                    (&messages, Type::BYTEA_ARRAY),
                ],
            )
            .await?;
        }
        let applications: Vec<Id> = self.taken.keys().map(|(application, ..)| *application).collect();
        let kinds: Vec<i16> = self.taken.keys().map(|(_, kind, _)| *kind).collect();
        let names: Vec<&str> = self.taken.keys().map(|(.., name)| name.as_str()).collect();
        let messages: Vec<Id> = self.taken.values().map(|taken| taken.message).collect();
        let fingerprints: Vec<Option<&[u8]>> =
            self.taken.values().map(|taken| taken.fingerprint.as_ref().map(|bytes| &bytes[..])).collect();
        let expires: Vec<Option<i64>> = self.taken.values().map(|taken| taken.expires).collect();
        let written = tx
            .execute(
                TAKE,
                &[
                    (&applications, Type::BYTEA_ARRAY),
                    (&kinds, Type::INT2_ARRAY),
                    (&names, Type::TEXT_ARRAY),
                    (&messages, Type::BYTEA_ARRAY),
                    (&fingerprints, Type::BYTEA_ARRAY),
                    (&expires, Type::INT8_ARRAY),
                ],
            )
            .await?;
        if written == self.taken.len() as u64 { Ok(()) } else { Err(Fault::Overtaken) }
    }
}
