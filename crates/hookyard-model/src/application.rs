//! A tenant, and where its declaration comes from.

use std::collections::BTreeMap;

use crate::{ApplicationId, OrganisationId, Rate, Timestamp, Uid};

/// Owns endpoints and messages: a Vikunja project, a photobooth event, an Immich server, a Kiosk.
#[derive(Debug, Clone, PartialEq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Who runs it.
    pub organisation: OrganisationId,
    /// The caller's own name for it, unique in its organisation among those that are not archived.
    pub uid: Option<Uid>,
    /// Shown to people.
    pub name: String,
    /// Free pairs; some dialects read them (photobooth's `event_id`).
    pub metadata: BTreeMap<String, String>,
    /// How fast all its endpoints together may be sent to.
    pub rate_limit: Option<Rate>,
    /// Whether its endpoints must be `https`; `None` leaves it to the dialect and the global setting.
    pub require_https: Option<bool>,
    /// The file that declares it; its declared fields are read-only elsewhere.
    pub declared: Option<Declaration>,
    /// The revision of its fan-out configuration.
    pub revision: Revision,
    /// When it was made.
    pub created: Timestamp,
    /// When its own fields last changed.
    pub updated: Timestamp,
    /// Since when it is gone; archived applications accept nothing and keep their history.
    pub archived: Option<Timestamp>,
}

/// Counts the changes to what an application's fan-out sees: its endpoints, their filters, whether they are on.
///
/// A message names the revision that its fan-out saw, so that the decision can be explained later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Where a row was declared: (file kind, application uid, endpoint uid) is the key of an import.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Declaration {
    /// Which kind of file.
    pub kind: FileKind,
    /// The file's name as the operator gave it, for messages such as `declared_in_file`.
    pub file: String,
}

/// The files that declare rows, each imported as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `hookyard.toml`.
    Hookyard,
    /// Immich's webhook file.
    Immich,
    /// Immich Kiosk's `config.yaml`.
    Kiosk,
    /// Kai's environment variables.
    Kai,
    /// What `serve --demo` declares.
    Demo,
    /// What a program that embeds Hookyard declares in code.
    Program,
}

impl FileKind {
    /// The kind's name in the store and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hookyard => "hookyard",
            Self::Immich => "immich",
            Self::Kiosk => "kiosk",
            Self::Kai => "kai",
            Self::Demo => "demo",
            Self::Program => "program",
        }
    }
}
