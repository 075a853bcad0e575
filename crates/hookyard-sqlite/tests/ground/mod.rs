//! Opens stores for the tests of this crate.

use std::path::Path;
use std::sync::Arc;

use hookyard_model::Secret;
use hookyard_ports::{Metrics, SystemClock};
use hookyard_record::Keyring;
use hookyard_sqlite::Options;

/// A keyring of these secrets.
pub(crate) fn keyring(secrets: &[&str]) -> Keyring {
    let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
    Keyring::from_secrets(&secrets).expect("secrets")
}

/// Options for a directory, all else as shipped, save that the disk of the machine that tests may be as full as it is.
pub(crate) fn options(directory: &Path) -> Options {
    let (metrics, clock) = (Arc::new(Metrics::new()), Arc::new(SystemClock::new()));
    Options { free_disk_share: 0, ..Options::new(directory.to_owned(), keyring(&["main"]), metrics, clock) }
}
