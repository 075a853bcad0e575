//! Copies of a store: taken while it is used, checked, refused, put in place.

#[path = "../ground/mod.rs"]
mod ground;
mod restoring;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ground::{keyring, options};
use hookyard_model::{Message, Payload};
use hookyard_ports::store::{FirstState, MessageRef};
use hookyard_ports::testkit::build;
use hookyard_ports::{Clock as _, Store as _, SystemClock};
use hookyard_sqlite::backup::{self, BackupError, Checked, Progress, Request, Restoration, Watch};
use hookyard_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

/// A store's directory and a place for its copies.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a directory") }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn other(&self) -> PathBuf {
        self.folder.path().join("other")
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy.sqlite")
    }

    async fn open(&self) -> SqliteStore {
        opened(options(&self.data())).await
    }

    /// A copy of a store with this many messages, which is closed again.
    async fn with_copy(messages: u64) -> Self {
        let place = Self::new();
        let store = place.open().await;
        for n in 1..=messages {
            accept(&store, n, build::pending(n)).await;
        }
        store.close().await;
        take(&place.data(), &place.copy()).expect("copied");
        place
    }

    /// What is beside the directories, by name.
    fn files(&self) -> Vec<String> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("readable").file_name();
        let names = std::fs::read_dir(self.folder.path()).expect("readable").map(name);
        let mut names: Vec<String> = names.map(|name| name.into_string().expect("text")).collect();
        names.sort();
        names
    }
}

async fn opened(options: Options) -> SqliteStore {
    let store = SqliteStore::open(options).expect("the directory is free");
    let import = build::import(vec![build::import_application(1, &[1])]);
    store.import(import).await.expect("imports").expect("nobody else has the uid");
    store
}

async fn accept(store: &SqliteStore, n: u64, first: FirstState) {
    accept_long(store, n, 100, first).await;
}

async fn accept_long(store: &SqliteStore, n: u64, bytes: usize, first: FirstState) {
    let payload = Payload::Kept(Bytes::from(vec![b'x'; bytes]));
    let message = Message { payload, ..build::message(n) };
    store.accept(vec![build::accept(message, &[(1, first)])]).await.expect("accepts");
}

async fn is_stored(store: &SqliteStore, n: u64) -> bool {
    let reference = MessageRef::Id(build::message_id(n));
    store.message(build::application_id(1), &reference).await.expect("reads").is_some()
}

fn unwatched() -> Watch {
    Arc::new(|_| ControlFlow::Continue(()))
}

/// A watch that ends what it watches at the first sight of this.
fn ending_at(stage: fn(Progress) -> bool) -> Watch {
    Arc::new(move |progress| if stage(progress) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
}

fn request<'a>(directory: &'a Path, file: &'a Path) -> Request<'a> {
    Request { directory, file, replace: false, free_disk_share: 0, watch: unwatched() }
}

fn take(directory: &Path, file: &Path) -> Result<(), BackupError> {
    backup::take(&request(directory, file))?.place()
}

fn check(file: &Path) -> Result<Checked, BackupError> {
    backup::check(file, &unwatched())
}

fn restore(file: &Path, directory: &Path) -> Result<Restoration, BackupError> {
    backup::refuse_occupied(directory)?;
    backup::restore(check(file)?, directory, &unwatched())
}

#[tokio::test]
async fn a_copy_of_a_store_in_use_has_what_was_acknowledged_before_and_nothing_after() {
    let place = Place::new();
    let store = place.open().await;
    for n in 1..=20 {
        accept(&store, n, if n <= 3 { FirstState::Leased } else { build::pending(n) }).await;
    }
    let taken = backup::take(&request(&place.data(), &place.copy())).expect("copied");
    accept(&store, 21, build::pending(21)).await;
    let contents = taken.contents().clone();
    assert_eq!((contents.applications, contents.endpoints), (1, 1));
    assert_eq!((contents.messages, contents.deliveries, contents.attempts), (20, 20, 0));
    assert_eq!((contents.pending, contents.in_flight), (17, 3));
    assert!(contents.is_opened_by(&keyring(&["main"])) && !contents.is_opened_by(&keyring(&["other"])));
    taken.place().expect("placed");
    assert_eq!(place.files(), ["copy.sqlite", "data"]);
    store.close().await;

    restore(&place.copy(), &place.other()).expect("restored").place().expect("placed");
    let restored = SqliteStore::open(options(&place.other())).expect("it is a store");
    for n in 1..=20 {
        assert!(is_stored(&restored, n).await, "message {n}");
    }
    assert!(!is_stored(&restored, 21).await);
    accept(&restored, 22, build::pending(0)).await;
    restored.close().await;
}

#[tokio::test]
async fn what_is_written_while_pages_are_copied_is_not_in_the_copy() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    for n in 1..=40 {
        accept_long(&store, n, 200_000, build::pending(n)).await;
    }
    let (runtime, writer) = (tokio::runtime::Handle::current(), Arc::clone(&store));
    let next = std::sync::atomic::AtomicU64::new(41);
    let watch: Watch = Arc::new(move |progress| {
        if let Progress::Copying { done, total } = progress
            && done < total
        {
            let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            runtime.block_on(accept(&writer, n, build::pending(n)));
        }
        ControlFlow::Continue(())
    });
    let (data, copy) = (place.data(), place.copy());
    let copied = tokio::task::spawn_blocking(move || {
        let taken = backup::take(&Request { watch, ..request(&data, &copy) }).expect("copied");
        taken.contents().clone()
    });
    let contents = copied.await.expect("no panic");
    assert!(is_stored(&store, 41).await, "the writer was not held up");
    assert_eq!((contents.messages, contents.pending), (40, 40), "every page is of one moment");
    store.close().await;
}

#[tokio::test]
async fn a_copy_needs_no_server_and_takes_what_a_crash_left_in_the_log() {
    let place = Place::with_copy(3).await;
    assert_eq!(check(&place.copy()).expect("whole").contents().messages, 3);

    let store = SqliteStore::open(options(&place.data())).expect("the directory is free");
    accept(&store, 4, build::pending(0)).await;
    // As a crash leaves it: the last message is in the log alone.
    std::fs::create_dir(place.other()).expect("made");
    for name in ["hookyard.sqlite", "hookyard.sqlite-wal"] {
        std::fs::copy(place.data().join(name), place.other().join(name)).expect("copies");
    }
    store.close().await;
    let second = place.folder.path().join("second");
    take(&place.other(), &second).expect("copied");
    assert_eq!(check(&second).expect("whole").contents().messages, 4);
}

#[tokio::test]
async fn a_copy_is_for_its_owner_alone_and_opens_where_nothing_can_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::with_copy(2).await;
    let mode = std::fs::metadata(place.copy()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let copy = rusqlite::Connection::open(place.copy()).expect("opens");
    let journal: String = copy.pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("reads");
    assert_eq!(journal, "delete", "a log of its own would have to be written beside it");
}

#[tokio::test]
async fn a_copy_that_is_broken_off_leaves_nothing() {
    let place = Place::with_copy(5).await;
    std::fs::remove_file(place.copy()).expect("removed");
    for stage in [(|progress| matches!(progress, Progress::Copying { .. })) as fn(Progress) -> bool, |progress| {
        progress == Progress::Checking
    }] {
        let (data, copy) = (place.data(), place.copy());
        let broken_off = backup::take(&Request { watch: ending_at(stage), ..request(&data, &copy) });
        assert!(matches!(broken_off, Err(BackupError::BrokenOff)), "{broken_off:?}");
        assert_eq!(place.files(), ["data"]);
    }
    take(&place.data(), &place.copy()).expect("copied");
    backup::restore(check(&place.copy()).expect("whole"), &place.other(), &ending_at(|_| true))
        .expect_err("broken off");
    assert_eq!(place.files(), ["copy.sqlite", "data"], "the directory that was made for it is gone, too");
}

#[tokio::test]
async fn a_file_that_exists_is_replaced_only_when_asked() {
    let place = Place::with_copy(1).await;
    let before = std::fs::read(place.copy()).expect("readable");
    let refused = take(&place.data(), &place.copy()).expect_err("it exists");
    assert!(matches!(refused, BackupError::Exists(_)), "{refused:?}");
    assert_eq!(std::fs::read(place.copy()).expect("readable"), before);
    let (data, copy) = (place.data(), place.copy());
    backup::take(&Request { replace: true, ..request(&data, &copy) }).expect("copied").place().expect("placed");
    assert_eq!(place.files(), ["copy.sqlite", "data"]);
}

#[tokio::test]
async fn a_copy_beside_its_original_is_refused() {
    let place = Place::with_copy(1).await;
    for name in ["copy.sqlite", "hookyard.sqlite"] {
        let replace = place.data().join("..").join("data").join(name);
        let refused = backup::take(&Request { replace: true, ..request(&place.data(), &replace) });
        assert!(matches!(refused, Err(BackupError::InsideData(_))), "{refused:?}");
    }
    assert!(SqliteStore::open(options(&place.data())).is_ok(), "it is what it was");
}

#[tokio::test]
async fn a_disk_without_room_is_refused_before_a_byte_is_written() {
    let place = Place::with_copy(1).await;
    std::fs::remove_file(place.copy()).expect("removed");
    // No disk has all of itself free and room for a copy besides.
    let refused = backup::take(&Request { free_disk_share: 1, ..request(&place.data(), &place.copy()) });
    assert!(matches!(refused, Err(BackupError::NoRoom { .. })), "{refused:?}");
    assert_eq!(place.files(), ["data"]);
}

#[tokio::test]
async fn a_disk_that_becomes_full_meanwhile_is_told_and_nothing_is_left_on_it() {
    let place = Place::new();
    let store = place.open().await;
    for n in 1..=60 {
        accept_long(&store, n, 200_000, build::pending(n)).await;
    }
    store.close().await;
    let Some(disk) = SmallDisk::mount(place.folder.path().join("disk")) else {
        eprintln!("passed over: a small disk can only be mounted by root");
        return;
    };
    let filler = disk.0.join("filler");
    let filling = filler.clone();
    let fills: Watch = Arc::new(move |_| {
        // Ends with the error that is wanted here: no space is left.
        let _ = std::fs::write(&filling, vec![0; 32 * 1024 * 1024]);
        ControlFlow::Continue(())
    });
    let (data, copy) = (place.data(), disk.0.join("copy"));
    let full = backup::take(&Request { watch: Arc::clone(&fills), ..request(&data, &copy) });
    assert!(matches!(full, Err(BackupError::Full(_))), "{full:?}");
    assert_eq!(std::fs::read_dir(&disk.0).expect("readable").count(), 1, "the filler alone");

    std::fs::remove_file(&filler).expect("removed");
    take(&data, &place.copy()).expect("copied");
    let checked = check(&place.copy()).expect("whole");
    let full = backup::restore(checked, &disk.0.join("new"), &fills);
    assert!(matches!(full, Err(BackupError::Full(_))), "{full:?}");
    assert_eq!(std::fs::read_dir(&disk.0).expect("readable").count(), 1, "the filler alone");
}

/// A file system of 32 MiB in memory; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).expect("a directory");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs"]).arg(&at);
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_directory_without_a_store_and_a_store_of_another_program_are_refused() {
    let place = Place::new();
    let refused = take(&place.data(), &place.copy()).expect_err("nothing there");
    assert!(matches!(refused, BackupError::NoStore(_)), "{refused:?}");
    std::fs::create_dir(place.data()).expect("made");
    let database = place.data().join("hookyard.sqlite");
    let theirs = rusqlite::Connection::open(&database).expect("opens");
    theirs.execute_batch("CREATE TABLE theirs (x)").expect("writes");
    drop(theirs);
    let refused = take(&place.data(), &place.copy()).expect_err("it is theirs");
    assert!(matches!(refused, BackupError::Corrupt { .. }), "{refused:?}");
    std::fs::write(&database, "no database at all ".repeat(1_000)).expect("writes");
    let refused = take(&place.data(), &place.copy()).expect_err("it is none");
    assert!(matches!(refused, BackupError::Corrupt { .. }), "{refused:?}");
    assert_eq!(place.files(), ["data"]);
}

#[tokio::test]
async fn a_damaged_store_is_named_as_what_is_damaged() {
    let place = Place::with_copy(50).await;
    std::fs::remove_file(place.copy()).expect("removed");
    let database = place.data().join("hookyard.sqlite");
    let mut bytes = std::fs::read(&database).expect("readable");
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 4_096].fill(0xa5);
    std::fs::write(&database, bytes).expect("writes");
    let refused = take(&place.data(), &place.copy()).expect_err("it would be of no use");
    assert!(matches!(&refused, BackupError::Damaged { file, .. } if *file == database), "{refused:?}");
    assert_eq!(place.files(), ["data"]);
}

#[tokio::test]
async fn somebody_who_reads_for_long_does_not_hold_the_writer_up() {
    let place = Place::new();
    let small = Options { checkpoint_bytes: 64 * 1024, wal_limit: 256 * 1024, ..options(&place.data()) };
    let store = opened(small).await;
    let reader = rusqlite::Connection::open(place.data().join("hookyard.sqlite")).expect("opens");
    reader.execute_batch("BEGIN; SELECT count(*) FROM message").expect("reads");
    let clock = SystemClock::new();
    let began = clock.monotonic();
    for n in 1..=60 {
        accept_long(&store, n, 30_000, build::pending(n)).await;
    }
    let took = clock.monotonic().saturating_sub(began);
    // Each of the last fifty would have waited for as long as a connection waits for another: two seconds.
    assert!(took.as_secs() < 20, "{took:?}");
    reader.execute_batch("COMMIT").expect("reads");
    for n in 61..=90 {
        accept_long(&store, n, 30_000, build::pending(n)).await;
    }
    let log = std::fs::metadata(place.data().join("hookyard.sqlite-wal")).expect("it is there").len();
    let pages = store_log_pages(&place.data());
    assert!(pages * 4_096 < 1024 * 1024, "once nobody reads, the log starts over: {pages} pages in {log} bytes");
    store.close().await;
}

/// Pages of log that are not moved into the database yet.
fn store_log_pages(data: &Path) -> i64 {
    let asker = rusqlite::Connection::open(data.join("hookyard.sqlite")).expect("opens");
    asker.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1)).expect("answers")
}
