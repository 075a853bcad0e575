//! `[[source]]`: an inbound door, as a file says it.

use hookyard_model::{DialectName, Secret, Uid, limits};

use super::document::Table;
use super::endpoint::known_dialect;
use super::fault::{Faults, Place};
use super::secret;

/// Secrets of one source: the present one and those of a rotation.
const SOURCE_SECRETS: usize = 16;

/// A source as a file declares it.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredSource {
    /// Its name, a part of its door's path.
    pub(crate) name: Uid,
    /// The dialect that verifies and decodes.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the doors of sources"))]
    pub(crate) dialect: DialectName,
    /// The application that it feeds.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the doors of sources"))]
    pub(crate) application: Uid,
    /// What its requests are verified with, the newest first.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the doors of sources"))]
    pub(crate) secrets: Vec<Secret<String>>,
    /// Where it is declared.
    pub(crate) place: Place,
}

/// Reads one source; `None` when something is wrong, which has been said.
pub(crate) fn read(mut table: Table<'_>, faults: &mut Faults) -> Option<DeclaredSource> {
    let place = table.place();
    let name = table.require("name", faults).and_then(|value| value.parse(str::parse, faults));
    let dialect = table.require("dialect", faults).and_then(|value| {
        let (name, dialect) = known_dialect(&value, faults)?;
        if dialect.inbound().is_none() {
            value.fault(faults, "can send, but not verify what comes in");
            return None;
        }
        Some(name)
    });
    let application = table.require("application", faults).and_then(|value| value.parse(str::parse, faults));
    let mut secrets = Vec::new();
    if let Some(value) = table.take("secrets") {
        secrets.extend(value.list(SOURCE_SECRETS, faults).into_iter().filter_map(|item| secret::read(item, faults)));
    }
    secrets.extend(secret::take(&mut table, "secret", "secret_file", faults));
    table.finish(faults);
    Some(DeclaredSource { name: name?, dialect: dialect?, application: application?, secrets, place })
}

/// Refuses a file with more of them than any deployment has doors for.
pub(super) const SOURCES: usize = limits::ENDPOINTS_PER_APPLICATION;
