//! What a deed works with: the write connection, its hot statements, and what the writer knows without asking.
//!
//! Held by the writer thread alone. What is remembered here is either immutable once committed or only ever changed by
//! this writer, so it cannot be stale; after a rollback everything is forgotten and read again.
//!
//! **Invariant:** `marks` are what the rows say once the transaction is committed, and what they said before it when it
//! is rolled back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{
    Application, ApplicationId, Attempt, DeliveryKey, EndpointId, EndpointStatus, MessageId, RawId, Revision, Timestamp,
};
use hookyard_ports::StoreError;
use hookyard_record::Counts;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::column::int;
use crate::configuration;
use crate::fault::{Attempted, Fault};
use crate::hot::Hot;
use crate::marks::Marks;
use crate::shared::Shared;

/// Applications, endpoints and leases that are remembered; forgetting them costs a lookup each.
const REMEMBERED: usize = 100_000;
/// How long what was asked about the disk counts.
const DISK_ASKED: Duration = Duration::from_secs(1);

/// What was found out about the disk.
#[derive(Debug, Clone, Copy)]
enum Disk {
    Fine,
    /// Too little of it is free.
    Low,
    /// The database is no longer where it was: what is written goes to a file that nobody finds again.
    Gone,
}

/// What the writer knows of an application.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApplicationMark {
    pub(crate) row: i64,
    pub(crate) revision: Revision,
    pub(crate) is_archived: bool,
}

/// What the writer knows of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct EndpointMark {
    pub(crate) id: EndpointId,
    pub(crate) row: i64,
    pub(crate) application: ApplicationId,
    pub(crate) revision: Revision,
    pub(crate) status: EndpointStatus,
    pub(crate) failing_since: Option<Timestamp>,
}

impl EndpointMark {
    pub(crate) fn is_enabled(&self) -> bool {
        self.status == EndpointStatus::Enabled
    }

    pub(crate) fn is_archived(&self) -> bool {
        matches!(self.status, EndpointStatus::Archived { .. })
    }
}

/// A delivery that this incarnation holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) message: i64,
    pub(crate) order_key: Option<i64>,
    /// Pending before it was leased; else delivered, with an extra attempt.
    pub(crate) is_open: bool,
}

/// The bounds that accepting keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) pending: u64,
    pub(crate) free_disk_share: u64,
}

/// Everything that a deed can reach.
pub(crate) struct Books<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) hot: Hot<'c>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) marks: Marks,
    pub(crate) leases: HashMap<DeliveryKey, Lease>,
    /// Endpoints to say that they changed, once it is committed.
    pub(crate) changed: Vec<EndpointId>,
    /// Where the last step of pruning stopped, so that what cannot go yet is not looked at by every step.
    pub(crate) pruned_to: (i64, i64),
    /// The last transaction failed; that is logged once, not for every deed until the disk has room again.
    pub(crate) is_failing: bool,
    /// The store is being closed, and nothing follows.
    pub(crate) is_closing: bool,
    before: Marks,
    bounds: Bounds,
    applications: HashMap<ApplicationId, ApplicationMark>,
    endpoints: HashMap<EndpointId, EndpointMark>,
    rollups: HashMap<(i64, i64), Counts>,
    disk: Option<(Duration, Disk)>,
}

impl<'c> Books<'c> {
    pub(crate) fn open(
        connection: &'c Connection,
        shared: Arc<Shared>,
        marks: Marks,
        bounds: Bounds,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            hot: Hot::prepare(connection)?,
            shared,
            marks,
            leases: HashMap::new(),
            changed: Vec::new(),
            pruned_to: (i64::MIN, i64::MIN),
            is_failing: false,
            is_closing: false,
            before: marks,
            bounds,
            applications: HashMap::new(),
            endpoints: HashMap::new(),
            rollups: HashMap::new(),
            disk: None,
        })
    }

    // ---- transactions ----------------------------------------------------------------------------------------------

    /// Begins a transaction.
    pub(crate) fn begin(&mut self) -> Attempted<()> {
        self.before = self.marks;
        self.hot.begin.execute([])?;
        Ok(())
    }

    /// Commits what was written since [`Books::begin`] and tells everybody.
    pub(crate) fn commit(&mut self) -> Attempted<()> {
        self.write_rollups()?;
        if self.marks.are_due() {
            self.marks.keep(self.connection)?;
        }
        self.hot.commit.execute([])?;
        self.marks.publish(&self.shared.tally);
        if !self.changed.is_empty() {
            self.shared.changed.say(self.changed.drain(..));
        }
        Ok(())
    }

    /// Undoes what was written since [`Books::begin`].
    pub(crate) fn roll_back(&mut self) {
        // A failed statement may have rolled back by itself; there is nothing to undo then.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
        self.marks = self.before;
        self.changed.clear();
        self.rollups.clear();
        self.forget();
        self.shared.settings.forget();
    }

    /// Forgets what can be read again.
    fn forget(&mut self) {
        self.pruned_to = (i64::MIN, i64::MIN);
        self.applications.clear();
        self.endpoints.clear();
        self.leases.clear();
    }

    // ---- what is known ---------------------------------------------------------------------------------------------

    /// An application, archived ones included.
    pub(crate) fn application(&mut self, id: ApplicationId) -> Attempted<Option<ApplicationMark>> {
        if let Some(mark) = self.applications.get(&id) {
            return Ok(Some(*mark));
        }
        let query = configuration::APPLICATION_BY_ID;
        let found = configuration::application(self.connection, query, [id.raw().as_bytes()])?;
        let Some((row, application)) = found else { return Ok(None) };
        Ok(Some(self.know_application(row, &application)))
    }

    /// Remembers an application as it was just read or written.
    pub(crate) fn know_application(&mut self, row: i64, application: &Application) -> ApplicationMark {
        let is_archived = application.archived.is_some();
        let mark = ApplicationMark { row, revision: application.revision, is_archived };
        if self.applications.len() >= REMEMBERED {
            self.applications.clear();
        }
        self.applications.insert(application.id, mark);
        mark
    }

    /// Forgets an application that was just written to.
    pub(crate) fn forget_application(&mut self, id: ApplicationId) {
        self.applications.remove(&id);
    }

    /// An endpoint, archived ones included.
    pub(crate) fn endpoint(&mut self, id: EndpointId) -> Attempted<Option<EndpointMark>> {
        if let Some(mark) = self.endpoints.get(&id) {
            return Ok(Some(mark.clone()));
        }
        let Some((row, endpoint)) = configuration::endpoint(self.connection, &self.shared, id)? else {
            return Ok(None);
        };
        let mark = EndpointMark {
            id,
            row,
            application: endpoint.application,
            revision: endpoint.revision,
            status: endpoint.status.clone(),
            failing_since: endpoint.failing_since,
        };
        if self.endpoints.len() >= REMEMBERED {
            self.endpoints.clear();
        }
        self.endpoints.insert(id, mark.clone());
        Ok(Some(mark))
    }

    /// Forgets an endpoint that was just written to, and says that it changed once it is committed.
    pub(crate) fn endpoint_changed(&mut self, id: EndpointId) {
        self.endpoints.remove(&id);
        self.changed.push(id);
    }

    /// Forgets an endpoint of which something changed that nobody waits for.
    pub(crate) fn forget_endpoint(&mut self, id: EndpointId) {
        self.endpoints.remove(&id);
    }

    /// A message's place in the order.
    pub(crate) fn seq(&mut self, application: i64, id: MessageId) -> Attempted<Option<i64>> {
        let found = self.hot.seq.query_row(params![application, id.raw().as_bytes()], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// The place in the order of the message of a delivery.
    pub(crate) fn seq_of(&mut self, endpoint: &EndpointMark, id: MessageId) -> Attempted<Option<i64>> {
        match self.application(endpoint.application)? {
            None => Ok(None),
            Some(application) => self.seq(application.row, id),
        }
    }

    /// Remembers a lease of this incarnation.
    pub(crate) fn know_lease(&mut self, key: DeliveryKey, lease: Lease) {
        if self.leases.len() >= REMEMBERED {
            self.leases.clear();
        }
        self.leases.insert(key, lease);
    }

    /// The lease of this incarnation on a delivery.
    pub(crate) fn lease(&mut self, key: &DeliveryKey, endpoint: &EndpointMark) -> Attempted<Option<Lease>> {
        if let Some(lease) = self.leases.get(key) {
            return Ok(Some(*lease));
        }
        let Some(message) = self.seq_of(endpoint, key.message)? else { return Ok(None) };
        let found = self
            .hot
            .held
            .query_row(params![message, endpoint.row, int(self.shared.incarnation.0)], |row| {
                Ok((row.get::<_, i16>(0)?, row.get(1)?))
            })
            .optional()?;
        Ok(found.map(|(state, order_key)| Lease { message, order_key, is_open: state == crate::delivery::OPEN }))
    }

    // ---- what several deeds do -------------------------------------------------------------------------------------

    /// Whether there is room for `deliveries` more.
    pub(crate) fn room_for(&mut self, deliveries: u64) -> Result<(), StoreError> {
        let open = self.marks.pending.saturating_add(self.marks.leased);
        if open.saturating_add(deliveries) > self.bounds.pending {
            let limit = self.bounds.pending;
            return Err(StoreError::Full(format!("{open} deliveries are pending or leased, at most {limit} may be")));
        }
        let now = self.shared.clock.monotonic();
        let disk = match self.disk {
            Some((asked, disk)) if now.saturating_sub(asked) < DISK_ASKED => disk,
            Some(_) | None => {
                let disk = self.ask_disk();
                self.disk = Some((now, disk));
                disk
            }
        };
        match disk {
            Disk::Fine => Ok(()),
            Disk::Low => {
                let share = self.bounds.free_disk_share;
                Err(StoreError::Full(format!("less than one part in {share} of the disk is free")))
            }
            Disk::Gone => Err(StoreError::Unavailable("its file was removed or replaced while it is open".to_owned())),
        }
    }

    fn ask_disk(&self) -> Disk {
        let (database, share) = (&self.shared.database, self.bounds.free_disk_share);
        if crate::disk::file_at(database) != self.shared.file {
            if !matches!(self.disk, Some((_, Disk::Gone))) {
                tracing::error!(
                    database = %database.display(),
                    "the database file was removed or replaced while it is open; nothing is accepted until it is back: \
                     stop, put the file back and start again"
                );
            }
            return Disk::Gone;
        }
        if share > 0 && crate::disk::is_low(database, share) { Disk::Low } else { Disk::Fine }
    }

    /// Remembers that an id is taken.
    pub(crate) fn remember(&mut self, id: RawId) {
        self.marks.highest = self.marks.highest.max(id);
    }

    /// Writes an attempt into the log and into the rollup of its minute. `false`: it is in the log already.
    ///
    /// `message` is `None` when the message was pruned meanwhile; its log is gone with it, and the rollup alone grows.
    pub(crate) fn log(&mut self, message: Option<i64>, endpoint: i64, attempt: &Attempt) -> Attempted<bool> {
        if let Some(message) = message
            && !crate::attempt::insert(&mut self.hot.insert_attempt, message, endpoint, attempt)?
        {
            return Ok(false);
        }
        self.remember(attempt.id.raw());
        self.marks.attempts_since_kept += 1;
        let minute = attempt.started.as_seconds().div_euclid(60);
        self.rollups.entry((endpoint, minute)).or_default().add(&attempt.outcome, attempt.timings.total);
        Ok(true)
    }

    fn write_rollups(&mut self) -> Attempted<()> {
        if self.rollups.is_empty() {
            return Ok(());
        }
        let mut read =
            self.connection.prepare_cached("SELECT counts FROM rollup WHERE endpoint = ?1 AND minute = ?2")?;
        let mut write = self
            .connection
            .prepare_cached("INSERT OR REPLACE INTO rollup (endpoint, minute, counts) VALUES (?1, ?2, ?3)")?;
        for ((endpoint, minute), mut counts) in self.rollups.drain() {
            let kept = read.query_row([endpoint, minute], |row| row.get::<_, Vec<u8>>(0)).optional()?;
            if let Some(kept) = kept {
                counts.merge(&Counts::from_bytes(&kept).ok_or_else(|| Fault::corrupt("rollup", "counts", endpoint))?);
            }
            write.execute(params![endpoint, minute, counts.to_bytes()])?;
        }
        Ok(())
    }
}
