//! The rows of the store in memory and the small steps that deeds are made of.

use std::collections::BTreeMap;

use hookyard_model::{
    ApplicationId, Attempt, AttemptId, EndpointId, EventId, Incarnation, MessageId, RawId, Seq, Timestamp, limits,
};

use super::configuration::Configuration;
use super::deliveries::Deliveries;
use crate::store::{Dedupe, DedupeKind, RollupRow, StoredMessage};

/// Everything that the store keeps.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) nodes: BTreeMap<Incarnation, Node>,
    pub(super) highest: RawId,
    pub(super) last_seq: Seq,
    pub(super) configuration: Configuration,
    pub(super) messages: BTreeMap<MessageId, StoredMessage>,
    pub(super) event_ids: BTreeMap<(ApplicationId, EventId), MessageId>,
    pub(super) keys: BTreeMap<(ApplicationId, DedupeKind, String), Taken>,
    pub(super) deliveries: Deliveries,
    pub(super) attempts: BTreeMap<AttemptId, Attempt>,
    pub(super) rollups: BTreeMap<(EndpointId, Timestamp), Rollup>,
}

/// One life of a node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) heartbeat: Timestamp,
}

/// A dedupe key and the message that has it.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) message: MessageId,
    pub(super) fingerprint: Option<[u8; 32]>,
    pub(super) expires: Option<Timestamp>,
}

impl Taken {
    pub(super) fn by(message: MessageId, dedupe: &Dedupe) -> Self {
        Self { message, fingerprint: dedupe.fingerprint, expires: dedupe.expires }
    }

    pub(super) fn counts_at(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// Whether the fingerprints agree; true where there is none.
    pub(super) fn agrees_with(&self, dedupe: &Dedupe) -> bool {
        match (&self.fingerprint, &dedupe.fingerprint) {
            (Some(kept), Some(asked)) => kept == asked,
            (None, _) | (_, None) => true,
        }
    }
}

/// One endpoint's minute.
#[derive(Debug, Default)]
pub(super) struct Rollup {
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    pub(super) latency: [u64; RollupRow::BUCKETS.len() + 1],
}

/// The beginning of the minute that holds `at`.
pub(super) fn minute_of(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.as_seconds().div_euclid(60) * 60)
}

impl Rows {
    pub(super) fn new() -> Self {
        Self {
            nodes: BTreeMap::new(),
            highest: RawId::MIN,
            last_seq: Seq(0),
            configuration: Configuration::default(),
            messages: BTreeMap::new(),
            event_ids: BTreeMap::new(),
            keys: BTreeMap::new(),
            deliveries: Deliveries::default(),
            attempts: BTreeMap::new(),
            rollups: BTreeMap::new(),
        }
    }

    /// Remembers that an id is taken.
    pub(super) fn remember(&mut self, id: RawId) {
        self.highest = self.highest.max(id);
    }

    /// Writes an attempt into the log and into the rollup of its minute.
    pub(super) fn log(&mut self, attempt: Attempt) {
        self.remember(attempt.id.raw());
        let rollup = self.rollups.entry((attempt.endpoint, minute_of(attempt.started))).or_default();
        *rollup.outcomes.entry(attempt.outcome.as_str()).or_default() += 1;
        rollup.latency[RollupRow::bucket(attempt.timings.total)] += 1;
        self.attempts.insert(attempt.id, attempt);
    }

    /// Whether `holder` is dead to the node `me`: it was this node before, or its heartbeat is too old.
    pub(super) fn is_dead(&self, holder: Incarnation, me: Incarnation, now: Timestamp) -> bool {
        let name = |incarnation| self.nodes.get(&incarnation).map(|node| &node.name);
        let Some(node) = self.nodes.get(&holder) else { return holder != me };
        holder != me
            && ((holder < me && Some(&node.name) == name(me)) || now.since(node.heartbeat) > limits::HEARTBEAT_LIMIT)
    }
}
