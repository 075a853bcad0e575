//! Puts a copy in place as the store of a data directory.
//!
//! The directory is empty save for keys, and its lock is held from before the first byte is written until the copy is in
//! place, so that no server starts on half of it.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::check::Checked;
use super::fault::BackupError;
use super::part::{COMPANIONS, Overwrite, Part, SUFFIX};
use super::take::refuse_without_room;
use super::{Contents, Progress, Watch, companion};
use crate::OpenError;
use crate::open::{DATABASE, LOCK, is_in_use, lock};

/// Bytes between two looks at who watches.
const PIECE: usize = 1024 * 1024;
/// What may stay in a directory that is restored to: the keys of the store that was there, which its copy may need, and what
/// file systems put into their roots.
const MAY_STAY: [&str; 4] = ["main_secret", "jwt_secret", LOCK, "lost+found"];

/// A copy that is whole and on disk in its data directory, whose lock is held, and not in place yet.
#[derive(Debug)]
pub struct Restoration {
    contents: Contents,
    directory: PathBuf,
    // In this order: the file is removed, then the directory that was made for it, then the lock is given up.
    part: Part,
    made: Option<Made>,
    _lock: File,
}

impl Restoration {
    /// What it holds.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Gives a file that was made beside it to the directory's owner, who is not always the one who restores.
    pub fn hand_over(&self, file: &Path) -> Result<(), BackupError> {
        hand_over(&self.directory, file)
    }

    /// Puts it in place. Afterwards the directory has a store, and is free for a server.
    pub fn place(self) -> Result<(), BackupError> {
        let Self { part, made, .. } = self;
        part.place()?;
        if let Some(made) = made {
            made.keep();
        }
        Ok(())
    }
}

/// A directory that was made; removed when dropped, with the lock in it.
#[derive(Debug)]
struct Made {
    directory: Option<PathBuf>,
}

impl Made {
    fn keep(mut self) {
        self.directory = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_file(directory.join(LOCK));
            // Fails when somebody has put something there, which is theirs then.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// Refuses a directory that a process uses, or that has something in it.
pub fn refuse_occupied(directory: &Path) -> Result<(), BackupError> {
    let unreadable = |error: std::io::Error| BackupError::reading(directory, &error);
    match is_in_use(directory) {
        Ok(true) => return Err(BackupError::InUse(directory.to_owned())),
        Ok(false) => {}
        Err(error) => return Err(unreadable(error)),
    }
    refuse_filled(directory)
}

fn refuse_filled(directory: &Path) -> Result<(), BackupError> {
    let unreadable = |error: std::io::Error| BackupError::reading(directory, &error);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    // What a restore that was killed left; it is replaced.
    let rest = companion(Path::new(DATABASE), SUFFIX);
    let rests = COMPANIONS.map(|suffix| companion(&rest, suffix));
    let may_stay = |name: &Path| {
        MAY_STAY.iter().any(|stays| name == Path::new(stays)) || rests.iter().chain([&rest]).any(|rest| name == rest)
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(PathBuf::from(entry.map_err(unreadable)?.file_name()));
    }
    names.sort();
    match names.into_iter().find(|name| !may_stay(name)) {
        None => Ok(()),
        Some(found) => {
            Err(BackupError::NotEmpty { directory: directory.to_owned(), found: found.display().to_string() })
        }
    }
}

/// Copies what was checked into the directory, which is made if it is not there.
pub fn restore(checked: Checked, directory: &Path, watch: &Watch) -> Result<Restoration, BackupError> {
    let Checked { file, contents } = checked;
    let was_there = directory.exists();
    let lock = lock(directory).map_err(|error| locking(directory, error))?;
    let made = (!was_there).then(|| Made { directory: Some(directory.to_owned()) });
    refuse_filled(directory)?;
    refuse_without_room(directory, contents.bytes, 0)?;
    let part = Part::begin(&directory.join(DATABASE), Overwrite::Refuse)?;
    copy(&file, &part, contents.bytes, watch)?;
    part.sync()?;
    hand_over(directory, part.path())?;
    hand_over(directory, &directory.join(LOCK))?;
    Ok(Restoration { contents, directory: directory.to_owned(), part, made, _lock: lock })
}

fn locking(directory: &Path, error: OpenError) -> BackupError {
    match error {
        OpenError::InUse(directory) => BackupError::InUse(directory),
        OpenError::Full(directory) => BackupError::Full(directory),
        OpenError::Io { directory, source } => BackupError::writing(&directory, &source),
        error @ (OpenError::ReadOnly(_)
        | OpenError::Corrupt { .. }
        | OpenError::Newer { .. }
        | OpenError::WrongSecret(_)
        | OpenError::Incomplete(_)
        | OpenError::Nothing(_)
        | OpenError::Database { .. }) => BackupError::Unwritable { file: directory.to_owned(), why: error.to_string() },
    }
}

fn copy(file: &Path, part: &Part, total: u64, watch: &Watch) -> Result<(), BackupError> {
    let mut source = File::open(file).map_err(|error| BackupError::reading(file, &error))?;
    let (mut target, mut piece, mut done) = (part.file(), vec![0; PIECE], 0);
    loop {
        let read = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(BackupError::reading(file, &error)),
        };
        target.write_all(&piece[..read]).map_err(|error| BackupError::writing(part.path(), &error))?;
        done += read as u64;
        if watch(Progress::Copying { done, total }).is_break() {
            return Err(BackupError::BrokenOff);
        }
    }
    if done == total { Ok(()) } else { Err(BackupError::corrupt(file, "it was changed while it was copied")) }
}

/// Gives a file to the directory's owner, when that is somebody else. Only the superuser may, and only then it is needed.
fn hand_over(directory: &Path, file: &Path) -> Result<(), BackupError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(directory).map_err(|error| BackupError::reading(directory, &error))?;
    let given = std::os::unix::fs::chown(file, Some(owner.uid()), Some(owner.gid()));
    given.map_err(|error| BackupError::writing(file, &error))
}
