//! What a data directory must be, and what is said when it is not.

mod ground;

use std::path::Path;

use ground::{keyring, options};
use hookyard_model::{DisableReason, EndpointStatus};
use hookyard_ports::Store as _;
use hookyard_ports::store::StatusChange;
use hookyard_ports::testkit::build;
use hookyard_sqlite::{OpenError, Options, SqliteStore};
use tempfile::TempDir;

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

fn refused(directory: &Path) -> OpenError {
    SqliteStore::open(options(directory)).expect_err("it must not open")
}

async fn made_and_closed(directory: &Path) {
    let store = SqliteStore::open(options(directory)).expect("the directory is free");
    store.close().await;
}

fn database(directory: &Path) -> std::path::PathBuf {
    directory.join("hookyard.sqlite")
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_made_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = directory();
    let data = parent.path().join("a/b");
    made_and_closed(&data).await;
    for (path, mode) in [(&*data, 0o700), (&*database(&data), 0o600)] {
        let found = std::fs::metadata(path).expect("it is there").permissions().mode();
        assert_eq!(found & 0o777, mode, "{}", path.display());
    }
}

#[tokio::test]
async fn a_directory_in_use_is_refused_until_the_other_is_closed() {
    let data = directory();
    let first = SqliteStore::open(options(data.path())).expect("the directory is free");
    let error = refused(data.path());
    assert!(matches!(&error, OpenError::InUse(named) if named == data.path()), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("data directory `{}` is in use", data.path().display())), "{text}");
    first.close().await;
    made_and_closed(data.path()).await;
}

#[tokio::test]
async fn a_dropped_store_frees_its_directory() {
    let data = directory();
    drop(SqliteStore::open(options(data.path())).expect("the directory is free"));
    made_and_closed(data.path()).await;
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let data = directory();
    std::fs::write(database(data.path()), "not a database at all, only text ".repeat(500)).expect("writes");
    let error = refused(data.path());
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_that_was_cut_short_is_refused() {
    let data = directory();
    made_and_closed(data.path()).await;
    let file = std::fs::OpenOptions::new().write(true).open(database(data.path())).expect("opens");
    let length = file.metadata().expect("it is there").len();
    file.set_len(length / 2).expect("cuts");
    let error = refused(data.path());
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[test]
fn another_programs_database_is_refused() {
    let data = directory();
    let other = rusqlite::Connection::open(database(data.path())).expect("opens");
    other.execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 1").expect("writes");
    drop(other);
    let error = refused(data.path());
    assert!(matches!(&error, OpenError::Corrupt { why, .. } if why.contains("another program")), "{error:?}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let data = directory();
    made_and_closed(data.path()).await;
    let newer = rusqlite::Connection::open(database(data.path())).expect("opens");
    newer.execute_batch("PRAGMA user_version = 99").expect("writes");
    drop(newer);
    let error = refused(data.path());
    assert!(matches!(error, OpenError::Newer { found: 99, known: 2, .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_from_before_it_remembered_what_files_switch_off_is_brought_up_to_date() {
    let data = directory();
    let import = |disabled| {
        let mut application = build::import_application(1, &[1]);
        application.endpoints[0].disabled = disabled;
        build::import(vec![application])
    };
    let store = SqliteStore::open(options(data.path())).expect("the directory is free");
    store.import(import(false)).await.expect("imports").expect("nobody else has the uid");
    store.close().await;
    let older = rusqlite::Connection::open(database(data.path())).expect("opens");
    older.execute_batch("ALTER TABLE endpoint DROP COLUMN declared_disabled; PRAGMA user_version = 1").expect("writes");
    drop(older);

    let store = SqliteStore::open(options(data.path())).expect("the older form is no obstacle");
    let by_hand = StatusChange::Disable(DisableReason::Manual);
    store.change_status(build::endpoint_id(1), by_hand, build::at(5)).await.expect("works").expect("it is there");
    let off = async |disabled| {
        store.import(import(disabled)).await.expect("imports").expect("nobody else has the uid");
        let endpoint = store.endpoint(build::endpoint_id(1)).await.expect("works").expect("it is there");
        matches!(endpoint.status, EndpointStatus::Disabled { .. })
    };
    assert!(off(false).await, "nobody knows what the file said before, so it says nothing new");
    assert!(off(true).await);
    assert!(!off(false).await, "from here on it is known");
    store.close().await;
}

#[tokio::test]
async fn another_main_secret_is_refused_and_a_rotated_one_is_not() {
    let data = directory();
    made_and_closed(data.path()).await;
    let with = |secrets: &[&str]| Options { keyring: keyring(secrets), ..options(data.path()) };
    let error = SqliteStore::open(with(&["other"])).expect_err("it must not open");
    assert!(matches!(error, OpenError::WrongSecret(_)), "{error:?}");
    SqliteStore::open(with(&["other", "main"])).expect("the old secret is listed").close().await;
    SqliteStore::open(with(&["other"])).expect("it was sealed again").close().await;
}

#[test]
fn a_directory_that_cannot_be_written_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = directory();
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o500)).expect("sets");
    let binds_everybody = std::fs::write(data.path().join("probe"), "").is_err();
    let opened = SqliteStore::open(options(data.path()));
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700)).expect("sets");
    // The superuser may write anywhere; then it must simply work.
    match opened {
        Ok(_) => assert!(!binds_everybody, "it opened what cannot be written to"),
        Err(error) => assert!(matches!(error, OpenError::ReadOnly(_)) && binds_everybody, "{error:?}"),
    }
}

#[test]
fn a_path_that_is_a_file_is_refused() {
    let parent = directory();
    let path = parent.path().join("file");
    std::fs::write(&path, "").expect("writes");
    let error = refused(&path);
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
}
