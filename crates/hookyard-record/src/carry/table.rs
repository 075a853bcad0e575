//! The tables that a move copies, and their columns in the form that no store has and every store knows.
//!
//! Ids stand where a store may have integers of its own, and what only repeats another row is left out. A table's columns
//! stand in one order everywhere: in rows, in digests and in what the stores write.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number, or nothing.
    Int,
    /// 0 or 1, or nothing.
    Bool,
    /// A text, or nothing.
    Text,
    /// Bytes, or nothing.
    Bytes,
    /// The id of another row, which must be there before.
    Refers(Table),
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name, which is the same in every store unless that store says otherwise.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A table, in the order in which rows need each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Applications.
    Application,
    /// Endpoints as they are.
    Endpoint,
    /// Endpoints as they were at each revision, their settings sealed.
    EndpointRevision,
    /// Messages.
    Message,
    /// Deliveries that owe an attempt.
    Owed,
    /// Deliveries that owe nothing.
    Ended,
    /// The log.
    Attempt,
    /// Counts by endpoint and minute.
    Rollup,
    /// Keys that only one message of an application may have.
    Dedupe,
    /// Inbound doors.
    Source,
    /// What a source did not let in.
    Refusal,
    /// What happens at times.
    Job,
    /// Long work.
    Task,
    /// Sealed keys and hashes.
    Key,
    /// Who changed what.
    Audit,
}

macro_rules! columns {
    ($($name:literal $kind:expr),* $(,)?) => { &[$(Column { name: $name, kind: $kind }),*] };
}

use Kind::{Bool, Bytes, Int, Refers, Text};

const APPLICATION: &[Column] = columns![
    "id" Bytes, "organisation" Bytes, "uid" Text, "name" Text, "metadata" Text, "rate_limit" Text, "require_https" Bool,
    "declared_kind" Text, "declared_file" Text, "revision" Int, "created" Int, "updated" Int, "archived" Int,
];
const ENDPOINT: &[Column] = columns![
    "id" Bytes, "application" Refers(Table::Application), "uid" Text, "revision" Int, "status" Int, "reason" Int,
    "since" Int, "failing_since" Int, "declared_kind" Text, "declared_file" Text, "declared_disabled" Bool, "created" Int,
    "updated" Int,
];
const ENDPOINT_REVISION: &[Column] = columns![
    "endpoint" Refers(Table::Endpoint), "revision" Int, "status" Int, "reason" Int, "since" Int, "declared_kind" Text,
    "declared_file" Text, "updated" Int, "settings" Bytes,
];
const MESSAGE: &[Column] = columns![
    "id" Bytes, "seq" Int, "application" Refers(Table::Application), "accepted" Int, "expires" Int, "revision" Int,
    "origin" Int, "origin_name" Text, "deliver_at" Int, "event_type" Text, "event_id" Text, "event_time" Text,
    "channels" Text, "tags" Text, "content_type" Text, "kept_headers" Text, "targets" Bytes, "payload" Bytes,
];
const OWED: &[Column] = columns![
    "message" Refers(Table::Message), "endpoint" Refers(Table::Endpoint), "state" Int, "due" Int, "leased" Bool,
    "waits" Bool, "order_key" Int, "charged" Int, "round" Int, "variant" Int, "manual" Bool,
];
const ENDED: &[Column] = columns![
    "message" Refers(Table::Message), "endpoint" Refers(Table::Endpoint), "state" Int, "reason" Int, "order_key" Int,
    "charged" Int, "round" Int, "variant" Int,
];
const ATTEMPT: &[Column] = columns![
    "id" Bytes, "message" Refers(Table::Message), "endpoint" Refers(Table::Endpoint), "trigger" Int, "outcome" Int,
    "started" Int, "dns" Int, "connect" Int, "tls" Int, "first_byte" Int, "total" Int, "status" Int, "detail" Text,
    "rule" Text, "hint" Text, "peer" Text, "url" Text, "request_headers" Text, "response_headers" Text, "truncated" Bool,
    "body" Bytes,
];
const ROLLUP: &[Column] = columns!["endpoint" Refers(Table::Endpoint), "minute" Int, "counts" Bytes];
const DEDUPE: &[Column] = columns![
    "application" Refers(Table::Application), "kind" Int, "key" Text, "message" Refers(Table::Message),
    "fingerprint" Bytes, "expires" Int,
];
const SOURCE: &[Column] = columns![
    "id" Bytes, "organisation" Bytes, "application" Refers(Table::Application), "name" Text, "dialect" Text,
    "revision" Int, "settings" Bytes, "declared_kind" Text, "declared_file" Text, "created" Int, "updated" Int,
    "archived" Int,
];
const REFUSAL: &[Column] = columns![
    "row" Int, "source" Refers(Table::Source), "at" Int, "rule" Text, "why" Text, "peer" Text, "headers" Text,
    "bytes" Int,
];
const JOB: &[Column] = columns![
    "row" Int, "id" Bytes, "application" Refers(Table::Application), "name" Text, "rule" Text, "event_type" Text,
    "payload" Bytes, "next" Int, "last" Int, "created" Int, "updated" Int, "archived" Int,
];
const TASK: &[Column] = columns![
    "id" Bytes, "application" Refers(Table::Application), "kind" Text, "arguments" Text, "state" Int, "cursor" Bytes,
    "done" Int, "cancel" Bool, "detail" Text, "created" Int, "updated" Int,
];
const KEY: &[Column] = columns!["name" Text, "value" Bytes, "created" Int];
const AUDIT: &[Column] = columns![
    "row" Int, "at" Int, "organisation" Bytes, "actor" Text, "action" Text, "subject" Text, "detail" Text,
];

impl Table {
    /// All of them, in the order in which they are copied.
    pub const ALL: [Self; 15] = [
        Self::Application,
        Self::Endpoint,
        Self::EndpointRevision,
        Self::Message,
        Self::Owed,
        Self::Ended,
        Self::Attempt,
        Self::Rollup,
        Self::Dedupe,
        Self::Source,
        Self::Refusal,
        Self::Job,
        Self::Task,
        Self::Key,
        Self::Audit,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Endpoint => "endpoint",
            Self::EndpointRevision => "endpoint_revision",
            Self::Message => "message",
            Self::Owed => "owed",
            Self::Ended => "ended",
            Self::Attempt => "attempt",
            Self::Rollup => "rollup",
            Self::Dedupe => "dedupe",
            Self::Source => "source",
            Self::Refusal => "refusal",
            Self::Job => "job",
            Self::Task => "task",
            Self::Key => "key",
            Self::Audit => "audit",
        }
    }

    /// Its columns.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Application => APPLICATION,
            Self::Endpoint => ENDPOINT,
            Self::EndpointRevision => ENDPOINT_REVISION,
            Self::Message => MESSAGE,
            Self::Owed => OWED,
            Self::Ended => ENDED,
            Self::Attempt => ATTEMPT,
            Self::Rollup => ROLLUP,
            Self::Dedupe => DEDUPE,
            Self::Source => SOURCE,
            Self::Refusal => REFUSAL,
            Self::Job => JOB,
            Self::Task => TASK,
            Self::Key => KEY,
            Self::Audit => AUDIT,
        }
    }

    /// The place of a column among [`Table::columns`].
    pub fn place(self, column: &str) -> usize {
        let place = self.columns().iter().position(|other| other.name == column);
        place.expect("a store asks for columns that the table has")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_refers_to_is_copied_before_it() {
        for (place, table) in Table::ALL.into_iter().enumerate() {
            for column in table.columns() {
                if let Refers(other) = column.kind {
                    assert!(Table::ALL[..place].contains(&other), "{} refers to {}", table.name(), other.name());
                }
            }
        }
    }
}
