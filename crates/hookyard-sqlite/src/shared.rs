//! What the writer, the readers and the store's handle have in common.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hookyard_model::{Incarnation, RawId};
use hookyard_ports::{Clock, Metrics, Rng};
use hookyard_record::{Keyring, OpenedSettings};
use parking_lot::Mutex;

use crate::changes::Changed;

/// What every part of an open store can reach.
pub(crate) struct Shared {
    pub(crate) database: PathBuf,
    /// Which file the database was when it was opened.
    pub(crate) file: Option<(u64, u64)>,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) incarnation: Incarnation,
    pub(crate) changed: Changed,
    pub(crate) tally: Tally,
    /// A write that is rolled back could leave a form that never was: it forgets them all.
    pub(crate) settings: OpenedSettings,
}

/// What is committed, counted by the writer and read by anybody.
pub(crate) struct Tally {
    pending: AtomicU64,
    leased: AtomicU64,
    highest: Mutex<RawId>,
}

impl Tally {
    pub(crate) fn publish(&self, pending: u64, leased: u64, highest: RawId) {
        self.pending.store(pending, Ordering::Relaxed);
        self.leased.store(leased, Ordering::Relaxed);
        *self.highest.lock() = highest;
    }

    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    pub(crate) fn leased(&self) -> u64 {
        self.leased.load(Ordering::Relaxed)
    }

    pub(crate) fn highest(&self) -> RawId {
        *self.highest.lock()
    }
}

impl Shared {
    pub(crate) fn new(options: crate::Options, database: PathBuf, incarnation: Incarnation) -> Self {
        let tally = Tally { pending: AtomicU64::new(0), leased: AtomicU64::new(0), highest: Mutex::new(RawId::MIN) };
        Self {
            file: crate::disk::file_at(&database),
            database,
            keyring: options.keyring,
            clock: options.clock,
            rng: options.rng,
            metrics: options.metrics,
            incarnation,
            changed: Changed::new(),
            tally,
            settings: OpenedSettings::default(),
        }
    }

    /// Bytes on disk: the database and its write-ahead log.
    pub(crate) fn bytes(&self) -> u64 {
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |file| file.len());
        size(&self.database) + size(&self.wal())
    }

    /// Where the write-ahead log is.
    pub(crate) fn wal(&self) -> PathBuf {
        let mut name = self.database.clone().into_os_string();
        name.push("-wal");
        name.into()
    }
}
