//! Backups of a store that is used, and what becomes of them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Child;
use tokio::sync::watch;

use crate::deployment::{Deployment, ONCE, endpoint, overwrite, party};
use crate::disk::SmallDisk;
use crate::receiver::{Manner, Receiver};
use crate::{pass_over, within};

const FILE: &str = "backup.sqlite";

fn file(deployment: &Deployment) -> PathBuf {
    deployment.folder().join(FILE)
}

/// Everything in a directory, by name.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it can be read");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("it can be read").file_name();
    let mut names: Vec<String> = entries.map(|entry| name(entry).into_string().expect("text")).collect();
    names.sort();
    names
}

/// Loses the data directory, as a broken disk would; gives where it went.
fn lose(deployment: &Deployment) -> PathBuf {
    let lost = deployment.folder().join("lost");
    std::fs::rename(deployment.data(), &lost).expect("it is there");
    lost
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A store with an endpoint and a message, and a backup of it with its keys.
async fn backed_up() -> Deployment {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), ONCE)]));
    let node = deployment.start().await;
    let message = node.publish("1").await;
    node.until_all(&message, "delivered").await;
    node.stop().await;
    deployment.run(&["backup", FILE, "--with-keys"]).await.output();
    deployment
}

/// A store of some megabytes, so that a backup takes long enough to be met while it is made.
async fn large() -> Deployment {
    let deployment = Deployment::new(&party(&[]));
    let node = deployment.start().await;
    let payload = format!("\"{}\"", "x".repeat(900_000));
    for _ in 0..40 {
        node.publish(&payload).await;
    }
    node.stop().await;
    deployment
}

/// Starts a backup and waits until it writes.
async fn writing(deployment: &Deployment) -> Child {
    let part = deployment.folder().join("backup.sqlite.part");
    let child = deployment.spawn(&["backup", FILE]);
    let begun = async {
        while std::fs::metadata(&part).map_or(0, |part| part.len()) == 0 && !file(deployment).exists() {
            tokio::task::yield_now().await;
        }
    };
    within("the backup to be written", begun).await;
    child
}

fn signal(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    kill_process(id.expect("it runs"), signal).expect("it can be signalled");
}

#[tokio::test]
async fn a_backup_under_load_has_everything_that_was_acknowledged_before_it_began() {
    let receiver = Receiver::start().await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "")]));
    let node = deployment.start().await;
    let (acknowledged, is_over) = (Mutex::new(Vec::new()), std::cell::Cell::new(false));
    let publishing = async {
        while !is_over.get() {
            let four = tokio::join!(node.publish("1"), node.publish("2"), node.publish("3"), node.publish("4"));
            acknowledged.lock().extend([four.0, four.1, four.2, four.3]);
        }
    };
    let backing_up = async {
        node.until("some messages", async || {
            let so_far = acknowledged.lock().len();
            if so_far >= 200 { Ok(()) } else { Err(Value::from(so_far)) }
        })
        .await;
        let before = acknowledged.lock().clone();
        let told = deployment.run(&["backup", FILE, "--with-keys", "--json"]).await.output();
        let after = acknowledged.lock().len();
        is_over.set(true);
        (before, told, after)
    };
    let ((before, told, after), ()) = tokio::join!(backing_up, publishing);
    assert!(after > before.len(), "it was published meanwhile");
    let told = json(&told);
    assert!(told["messages"].as_u64().expect("a count") >= before.len() as u64, "{told}");
    assert_eq!((&told["applications"], &told["endpoints"]), (&Value::from(1), &Value::from(1)), "{told}");
    assert_eq!(told["mainSecret"]["from"], "./hookyard-data/main_secret", "{told}");
    assert_eq!(told["mainSecret"]["opens"], true, "{told}");
    node.kill().await;

    let lost = lose(&deployment);
    deployment.run(&["restore", FILE]).await.output();
    for key in ["main_secret", "jwt_secret"] {
        let read = |folder: &Path| std::fs::read(folder.join(key)).expect("it is there");
        assert_eq!(read(&lost), read(&deployment.data()), "{key}");
    }
    let node = deployment.start().await;
    for message in &before {
        node.until_all(message, "delivered").await;
        assert_eq!(node.deliveries(message).await.len(), 1);
    }
    node.stop().await;
}

#[tokio::test]
async fn a_restored_store_goes_on_delivering_what_was_owed_when_it_was_copied() {
    let (gate, closed) = watch::channel(false);
    let receiver = Receiver::with(move |before, _| match before {
        0 => Manner::Hold(closed.clone()),
        _ => Manner::ok(),
    })
    .await;
    let deployment = Deployment::new(&party(&[&endpoint("crm", &receiver.url(), "concurrency = 1")]));
    let node = deployment.start().await;
    let mut messages = Vec::new();
    for n in 1..=4 {
        messages.push(node.publish(&n.to_string()).await);
    }
    receiver.first().await;
    let told = json(&deployment.run(&["backup", FILE, "--json"]).await.output());
    let (pending, in_flight) = (told["pending"].as_u64(), told["inFlight"].as_u64());
    assert_eq!(pending.zip(in_flight).map(|(pending, in_flight)| pending + in_flight), Some(4), "{told}");
    assert!(in_flight >= Some(1), "{told}");
    let late = node.publish("5").await;
    gate.send(true).expect("the receiver waits");
    for message in messages.iter().chain([&late]) {
        node.until_all(message, "delivered").await;
    }
    node.stop().await;
    assert_eq!(receiver.so_far().len(), 5);

    // The keys were not asked for, and are brought from elsewhere.
    let lost = lose(&deployment);
    std::fs::create_dir(deployment.data()).expect("a directory");
    for key in ["main_secret", "jwt_secret"] {
        std::fs::copy(lost.join(key), deployment.data().join(key)).expect("copied");
    }
    let told = deployment.run(&["restore", FILE]).await.output();
    assert!(told.contains("owed: 4 attempts") && told.contains("delivered once more"), "{told}");
    let node = deployment.start().await;
    for message in &messages {
        node.until_all(message, "delivered").await;
    }
    assert_eq!(node.outcomes(&messages[0]).await, ["interrupted", "delivered"]);
    assert_eq!(receiver.arrived(9).await.len(), 9, "what was delivered after the backup is delivered again");
    let after = node.publish("6").await;
    node.until_all(&after, "delivered").await;
    assert_eq!(node.get(&format!("/api/v1/app/party/msg/{late}")).await.status, 404, "it came after the backup");
    node.stop().await;
}

#[tokio::test]
async fn a_backup_says_what_is_in_it_and_what_it_needs() {
    let deployment = backed_up().await;
    for name in [FILE, "backup.sqlite.keys"] {
        let mode = std::fs::metadata(deployment.folder().join(name)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let ran = deployment.run(&["backup", "second.sqlite"]).await;
    assert_eq!(ran.err, "", "in a pipe there is no progress: {ran:?}");
    let told = ran.output();
    assert!(told.contains("1 message, 1 delivery (0 pending, 0 in flight), 1 attempt"), "{told}");
    assert!(told.contains("of no use without `./hookyard-data/main_secret`, which is not in it"), "{told}");
    assert!(!deployment.folder().join("second.sqlite.keys").exists());

    let other = deployment.set("HOOKYARD_MAIN_SECRET", "another");
    let ran = other.run(&["backup", "third.sqlite"]).await;
    assert!(ran.err.contains("does not open the secrets in the backup"), "{ran:?}");
    ran.output();
    let ran = other.run(&["backup", "fourth.sqlite", "--with-keys"]).await;
    assert!(ran.complaint(3).contains("is given (environment `HOOKYARD_MAIN_SECRET`)"));
    assert!(!other.folder().join("fourth.sqlite").exists());
}

#[tokio::test]
async fn a_backup_does_not_mind_what_else_is_wrong_with_the_configuration() {
    let deployment = backed_up().await;
    deployment.configure("listen = 5\nmain_secret = \"${NOT_HERE}\"\n[[application]]\nuid = 7\n");
    let ran = deployment.run(&["backup", "second.sqlite"]).await;
    assert!(ran.err.contains("NOT_HERE"), "that its key is not checked is said: {ran:?}");
    ran.output();
}

#[tokio::test]
async fn a_killed_backup_leaves_no_file_and_the_next_one_replaces_its_rest() {
    let deployment = large().await;
    let rest = deployment.folder().join("backup.sqlite.part");
    let mut was_met = false;
    for _ in 0..20 {
        let mut child = writing(&deployment).await;
        within("the backup to die", child.kill()).await.expect("it can be killed");
        // It may have been faster than we are.
        if !file(&deployment).exists() {
            was_met = true;
            break;
        }
        std::fs::remove_file(file(&deployment)).expect("it is there");
    }
    assert!(was_met, "no backup could be killed while it was written");
    assert!(rest.exists());
    deployment.run(&["backup", FILE]).await.output();
    assert!(!rest.exists());
    assert_eq!(names(deployment.folder()), [FILE, "hookyard-data", "hookyard.toml"]);
    lose(&deployment);
    std::fs::create_dir(deployment.data()).expect("a directory");
    std::fs::copy(deployment.folder().join("lost/main_secret"), deployment.data().join("main_secret")).expect("copied");
    let told = deployment.run(&["restore", FILE]).await.output();
    assert!(told.contains("40 messages"), "{told}");
    assert!(told.contains("`serve` makes a new one"), "the key of its tokens is not there: {told}");
    deployment.start().await.stop().await;
}

#[tokio::test]
async fn a_backup_that_is_told_to_stop_leaves_nothing() {
    let deployment = large().await;
    let mut was_met = false;
    for _ in 0..20 {
        let child = writing(&deployment).await;
        signal(&child, Signal::TERM);
        let output = within("the backup to end", child.wait_with_output()).await.expect("it ends");
        // It may have been faster than we are.
        if output.status.code() == Some(1) {
            assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was left behind"), "{output:?}");
            was_met = true;
            break;
        }
        std::fs::remove_file(file(&deployment)).expect("it is there");
    }
    assert!(was_met, "no backup could be stopped while it was written");
    assert_eq!(names(deployment.folder()), ["hookyard-data", "hookyard.toml"]);
}

#[tokio::test]
async fn a_backup_is_refused_where_it_would_do_harm_or_has_nothing_to_copy() {
    let deployment = backed_up().await;
    let before = std::fs::read(file(&deployment)).expect("it is there");
    let refused = deployment.run(&["backup", FILE]).await.complaint(1);
    assert!(
        refused.contains("`backup.sqlite` exists\nhint: name another file, or replace it with `--force`"),
        "{refused}"
    );
    assert_eq!(std::fs::read(file(&deployment)).expect("it is there"), before);
    deployment.run(&["backup", FILE, "--force", "--with-keys"]).await.output();

    for (arguments, says) in [
        (&["backup", "hookyard-data/copy.sqlite"][..], "is in the data directory"),
        (&["backup", "hookyard-data/hookyard.sqlite", "--force"], "is in the data directory"),
        (&["backup", "hookyard-data", "--force"], "is not a file"),
        (&["backup", "nowhere/copy.sqlite"], "cannot be written"),
        (&["backup", "copy.sqlite", "--data", "nowhere"], "there is no store in `nowhere`"),
    ] {
        let refused = deployment.run(arguments).await.complaint(1);
        assert!(refused.contains(says), "{arguments:?}: {refused}");
        assert!(!refused.contains("panic"), "{refused}");
    }
    let of_postgres = deployment.set("HOOKYARD_DATABASE", "postgres://u:secret@db/hookyard");
    let refused = of_postgres.run(&["backup", "copy.sqlite"]).await.complaint(3);
    assert!(refused.contains("pg_dump") && !refused.contains("secret@"), "{refused}");
    assert_eq!(
        names(of_postgres.folder()),
        [FILE, "backup.sqlite.keys", "hookyard-data", "hookyard.toml"],
        "nothing else was written"
    );
}

#[tokio::test]
async fn a_disk_without_room_for_a_backup_is_told_before_a_byte_is_written() {
    let deployment = large().await;
    let Some(_disk) = SmallDisk::mount(deployment.folder().join("disk"), "8m") else {
        return pass_over("a disk of eight megabytes can only be mounted by root");
    };
    let refused = deployment.run(&["backup", "disk/copy.sqlite"]).await.complaint(1);
    assert!(refused.contains("bytes free and the copy needs"), "{refused}");
    deployment.run(&["backup", FILE, "--with-keys"]).await.output();
    let refused = deployment.run(&["restore", FILE, "--data", "disk/data"]).await.complaint(1);
    assert!(refused.contains("bytes free and the copy needs"), "{refused}");
    assert!(names(&deployment.folder().join("disk")).is_empty(), "nothing is left on it");
}

#[tokio::test]
async fn a_restore_is_refused_where_there_is_a_store_or_a_server() {
    let deployment = backed_up().await;
    let refused = deployment.run(&["restore", FILE]).await.complaint(1);
    assert!(
        refused.contains("is not empty: it has `hookyard.sqlite`\nhint: move what is in it elsewhere"),
        "{refused}"
    );
    let node = deployment.start().await;
    let refused = deployment.run(&["restore", FILE]).await.complaint(1);
    assert!(refused.contains("is in use by another process\nhint: stop the server first"), "{refused}");
    node.stop().await;
}

#[tokio::test]
async fn a_restore_with_the_wrong_key_or_without_one_writes_nothing() {
    let deployment = backed_up().await;
    let keys = deployment.folder().join("backup.sqlite.keys");
    let kept = std::fs::read_to_string(&keys).expect("it is there");
    let restore = ["restore", FILE, "--data", "new"];

    std::fs::write(&keys, "main_secret = \"another-canary\"\n").expect("written");
    let refused = deployment.run(&restore).await.complaint(3);
    assert!(refused.contains("`backup.sqlite.keys` does not open the secrets in `backup.sqlite`"), "{refused}");
    std::fs::write(&keys, "main_secret another-canary\n").expect("written");
    let unreadable = deployment.run(&restore).await.complaint(1);
    assert!(unreadable.contains("does not hold the keys of a backup"), "{unreadable}");
    std::fs::remove_file(&keys).expect("it is there");
    let missing = deployment.run(&restore).await.complaint(3);
    assert!(missing.contains("there is no main secret") && missing.contains("hint: put the file"), "{missing}");
    for said in [refused, unreadable, missing] {
        assert!(!said.contains("canary"), "{said}");
    }
    assert!(!deployment.folder().join("new").exists());

    let secret = kept.lines().find_map(|line| line.strip_prefix("main_secret = ")).expect("it has one");
    let deployment = deployment.set("HOOKYARD_MAIN_SECRET", "another-canary");
    let refused = deployment.run(&restore).await.complaint(3);
    assert!(refused.contains("`main_secret` (environment `HOOKYARD_MAIN_SECRET`) does not open"), "{refused}");
    assert!(!deployment.folder().join("new").exists());
    let deployment = deployment.set("HOOKYARD_MAIN_SECRET", secret.trim_matches('"'));
    let told = deployment.run(&restore).await.output();
    assert!(told.contains("`serve` needs it, too"), "{told}");
    assert_eq!(names(&deployment.folder().join("new")), ["hookyard.sqlite", "lock"], "a setting is not kept as a file");
}

#[tokio::test]
async fn what_is_no_backup_is_refused_and_nothing_is_written() {
    let deployment = backed_up().await;
    let whole = std::fs::read(file(&deployment)).expect("it is there");
    let wrong = deployment.folder().join("wrong");
    let newer = 99_u32.to_be_bytes();
    for (length, at, bytes, says) in [
        (whole.len() / 2, 0, &b"S"[..], "bytes and should have"),
        (whole.len(), 0, b"Tar archive of old", "it is not a database"),
        (whole.len(), 68, b"Fram", "belongs to another program"),
        (whole.len(), 60, &newer, "this version of Hookyard knows at most"),
    ] {
        std::fs::write(&wrong, &whole[..length]).expect("written");
        let mut changed = whole[..length].to_vec();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        overwrite(&wrong, &changed);
        let refused = deployment.run(&["restore", "wrong", "--data", "new"]).await.complaint(1);
        assert!(refused.contains(says), "{says} in {refused}");
        assert!(!deployment.folder().join("new").exists(), "{says}");
    }
    let refused = deployment.run(&["restore", "nothing", "--data", "new"]).await.complaint(1);
    assert!(refused.contains("`nothing` cannot be read"), "{refused}");
}
