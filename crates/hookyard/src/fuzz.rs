//! The readers of `hookyard.toml` and of other systems' files, for their fuzz targets.
//!
//! Called by `tests/corpora` and by nothing else. It reads as `config check` does, in a process that has no environment
//! and gave no flags.

use std::path::Path;

use hookyard_model::Timestamp;
use hookyard_ports::Ids;
use hookyard_ports::store::Import;

use crate::config::{Config, Environment, Faults, Flags, Foreign, Place, SYSTEMS};

/// The folder does not exist: what a file refers to by a relative path is not there.
const FILE: &str = "folder-that-is-not-there/hookyard.toml";

/// What is wrong with a file.
#[derive(Debug)]
pub struct Fault {
    /// Line and column, from 1; `None` if the fault does not say where in the file it is.
    pub place: Option<(usize, usize)>,
    /// As the report shows it.
    pub text: String,
}

/// What `bytes` say as a file: the rows that it declares, or everything that is wrong with it.
pub fn read_file(bytes: &[u8], ids: &Ids, now: Timestamp) -> Result<Import, Vec<Fault>> {
    match Config::of_bytes(Path::new(FILE), bytes.to_vec(), &Flags::default(), &Environment::default()) {
        Ok(config) => Ok(config.declared.import(FILE, ids, now)),
        Err(faults) => Err(told(&faults)),
    }
}

/// What `bytes` say as the file of another system: `immich` or `kiosk`.
pub fn read_file_of(system: &str, bytes: &[u8], ids: &Ids, now: Timestamp) -> Result<Import, Vec<Fault>> {
    let system = SYSTEMS.iter().find(|known| known.uid == system).expect("it is a system whose file we read");
    match Foreign::of_bytes(system, Path::new(FILE), bytes.to_vec()) {
        Ok(foreign) => Ok(foreign.import(ids, now)),
        Err(faults) => Err(told(&faults)),
    }
}

fn told(faults: &Faults) -> Vec<Fault> {
    faults.iter().map(|(place, fault)| Fault { place: position(place), text: fault.to_string() }).collect()
}

fn position(place: &Place) -> Option<(usize, usize)> {
    match place {
        // Line 0 is the file as a whole.
        Place::File { line, column, .. } => (*line > 0).then_some((*line, *column)),
        Place::Environment(_) | Place::Flag(_) | Place::Default => None,
    }
}
