//! Copies that are put in place, and what is refused as one.

use hookyard_ports::Store as _;
use hookyard_sqlite::SqliteStore;
use hookyard_sqlite::backup::BackupError;

use crate::ground::options;
use crate::{Place, check, is_stored, restore};

#[tokio::test]
async fn a_file_that_is_no_whole_copy_is_refused_with_what_is_wrong() {
    let place = Place::with_copy(50).await;
    let whole = std::fs::read(place.copy()).expect("readable");
    let mut of_another = whole.clone();
    of_another[68..72].copy_from_slice(b"Fram");
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    // The middle of the file: some page of a table or an index.
    let mut damaged = whole.clone();
    let middle = whole.len() / 2 / 4_096 * 4_096;
    damaged[middle..middle + 4_096].fill(0xa5);
    for (bytes, says) in [
        (&b""[..], "it is not a database"),
        (&b"only text, and not much of it"[..], "it is not a database"),
        (&whole[..60], "not even a whole header"),
        (&whole[..whole.len() - 1], "and should have"),
        (&whole[..whole.len() / 2], "and should have"),
        (&of_another, "belongs to another program"),
        (&newer, "schema version 99"),
        (&damaged, "is damaged"),
    ] {
        let file = place.folder.path().join("wrong");
        std::fs::write(&file, bytes).expect("writes");
        let refused = restore(&file, &place.other()).expect_err("it is refused").to_string();
        assert!(refused.contains(says), "{says} in {refused}");
        assert!(!place.other().exists(), "{says}");
        assert_eq!(place.files(), ["copy.sqlite", "data", "wrong"], "{says}");
    }
    let beside = place.folder.path().join("copy.sqlite-wal");
    std::fs::write(&beside, "a part").expect("writes");
    let refused = check(&place.copy()).expect_err("a part is elsewhere").to_string();
    assert!(refused.contains("copied from a running server"), "{refused}");
}

#[tokio::test]
async fn only_an_empty_directory_that_nobody_uses_is_restored_to() {
    let place = Place::with_copy(2).await;
    let refused = restore(&place.copy(), &place.data()).expect_err("there is a store");
    assert!(matches!(&refused, BackupError::NotEmpty { found, .. } if found == "hookyard.sqlite"), "{refused:?}");
    std::fs::create_dir(place.other()).expect("made");
    std::fs::write(place.other().join("hookyard.sqlite-wal"), "").expect("writes");
    let refused = restore(&place.copy(), &place.other()).expect_err("a log would be taken for its own");
    assert!(matches!(&refused, BackupError::NotEmpty { .. }), "{refused:?}");
    std::fs::remove_file(place.other().join("hookyard.sqlite-wal")).expect("removed");

    let store = SqliteStore::open(options(&place.data())).expect("the directory is free");
    let refused = restore(&place.copy(), &place.data()).expect_err("somebody has it");
    assert!(matches!(refused, BackupError::InUse(_)), "{refused:?}");
    store.close().await;

    // Keys may be there, and what a killed restore left.
    for name in ["main_secret", "jwt_secret", "lock", "hookyard.sqlite.part"] {
        std::fs::write(place.other().join(name), "kept").expect("writes");
    }
    let restoration = restore(&place.copy(), &place.other()).expect("restored");
    let refused = SqliteStore::open(options(&place.other())).expect_err("half of a store is not opened");
    assert!(refused.to_string().contains("is in use"), "{refused}");
    restoration.place().expect("placed");
    let store = SqliteStore::open(options(&place.other())).expect("it is a store");
    assert!(is_stored(&store, 2).await);
    store.close().await;
}

#[tokio::test]
async fn what_the_superuser_restores_belongs_to_the_owner_of_the_directory() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let place = Place::with_copy(1).await;
    std::fs::create_dir(place.other()).expect("made");
    if chown(place.other(), Some(12_345), Some(12_346)).is_err() {
        eprintln!("passed over: only root restores for others");
        return;
    }
    let restoration = restore(&place.copy(), &place.other()).expect("restored");
    let key = place.other().join("main_secret");
    std::fs::write(&key, "kept").expect("writes");
    restoration.hand_over(&key).expect("handed over");
    restoration.place().expect("placed");
    for name in ["hookyard.sqlite", "lock", "main_secret"] {
        let file = std::fs::metadata(place.other().join(name)).expect("it is there");
        assert_eq!((file.uid(), file.gid()), (12_345, 12_346), "{name}");
    }
}

#[tokio::test]
async fn a_copy_that_an_older_version_made_is_restored_and_brought_up_to_date() {
    let place = Place::with_copy(3).await;
    let older = rusqlite::Connection::open(place.copy()).expect("opens");
    older.execute_batch("ALTER TABLE endpoint DROP COLUMN declared_disabled; PRAGMA user_version = 1").expect("writes");
    drop(older);
    assert_eq!(check(&place.copy()).expect("whole").contents().schema, 1);
    restore(&place.copy(), &place.other()).expect("restored").place().expect("placed");
    let store = SqliteStore::open(options(&place.other())).expect("it is a store");
    assert!(is_stored(&store, 3).await);
    store.close().await;
}
