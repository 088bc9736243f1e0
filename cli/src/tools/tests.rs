//! The tools from the command line down to a database of their own.

use clap::Parser as _;
use nemeses_protocol::{BatchKey, DeadLetter, DecodeError, DeviceId, Reason, Record};
use nemeses_store::history::{LetterFilter, LoginRole, Minutes, Part};

use super::*;
use crate::args::{Cli, Command};

const FRAME: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
const RECEIVED_AT_MS: u64 = 1_593_637_205_000;

/// A folder with a database in it.
struct Place(tempfile::TempDir);

impl Place {
    async fn with_tables() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        assert!(place.run("migrate").await.unwrap());
        place
    }

    /// Runs a command line; what it prints goes where tests print.
    async fn run(&self, line: &str) -> anyhow::Result<bool> {
        let folder = self.0.path().join("data").display().to_string();
        let line = ["nemeses"].into_iter().chain(line.split_whitespace());
        let line = line.chain(["--data-dir", folder.as_str()]);
        crate::run(Cli::try_parse_from(line)?.command).await
    }

    async fn open(&self) -> Database {
        let folder = self.0.path().join("data").display().to_string();
        let line = ["nemeses", "migrate", "--data-dir", folder.as_str()];
        match Cli::try_parse_from(line).unwrap().command {
            Command::Migrate(args) => open_database(&args.database).await.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Keeps dead letters as a node does, and returns their numbers, oldest first.
    async fn bury(&self, letters: Vec<(Reason, &str)>) -> Vec<u64> {
        let record = |(reason, bytes): (Reason, &str)| {
            Record::DeadLetter(Box::new(DeadLetter {
                topic: "/messenger".to_owned(),
                offset: 0,
                reason,
                device: None,
                received_at_ms: RECEIVED_AT_MS,
                bytes: hex::decode(bytes).unwrap(),
            }))
        };
        let part = Part {
            key: BatchKey { worker: "node".to_owned(), run: 1, sequence: 1 },
            tallies: Vec::new(),
            records: letters.into_iter().map(record).collect(),
        };
        let database = self.open().await;
        database.history().commit(&[part], "node").await.unwrap();
        let listed = database.dead_letters().list(&LetterFilter::default()).await.unwrap();
        listed.iter().rev().map(|letter| letter.id).collect()
    }

    async fn letters_left(&self) -> Vec<u64> {
        let letters = self.open().await.dead_letters();
        let listed = letters.list(&LetterFilter::default()).await.unwrap();
        listed.iter().rev().map(|letter| letter.id).collect()
    }
}

#[tokio::test]
async fn a_database_without_tables_is_refused_with_what_to_do() {
    let place = Place(tempfile::tempdir().unwrap());
    std::fs::create_dir(place.0.path().join("data")).unwrap();
    std::fs::write(place.0.path().join("data/nemeses.db"), "").unwrap();
    let error = format!("{:#}", place.run("device list").await.unwrap_err());
    assert!(error.contains("cannot be used") && error.contains("nemeses migrate"), "{error}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made_by_looking() {
    let place = Place(tempfile::tempdir().unwrap());
    let file = place.0.path().join("data/nemeses.db");
    std::fs::create_dir(place.0.path().join("data")).unwrap();
    let expected = format!(
        "there is no database at {}; say where with --data-dir or --database-url, or make it with `nemeses migrate`",
        file.display()
    );
    for line in [
        "user list",
        "user add ana@example.org",
        "device list",
        "device add 0A3F73",
        "audit",
        "dead-letters list",
    ] {
        assert_eq!(format!("{:#}", place.run(line).await.unwrap_err()), expected, "{line}");
        assert!(!file.exists(), "{line}");
    }
}

#[tokio::test]
async fn logins_from_the_first_day_to_the_last() {
    let place = Place::with_tables().await;
    place.run("device add 0a3f73").await.unwrap();
    place.run("device add depot --role gateway --json").await.unwrap();
    let error = format!("{:#}", place.run("device add 0A3F73").await.unwrap_err());
    assert!(error.contains("exists already"), "{error}");

    let logins = place.open().await.logins();
    let first = logins.find("0A3F73").await.unwrap().unwrap();
    assert_eq!(first.role, LoginRole::Device(DeviceId::new(0x0A_3F73)));
    assert_eq!(logins.find("depot").await.unwrap().unwrap().role, LoginRole::Gateway);

    place.run("device disable 0a3f73").await.unwrap();
    assert!(!logins.find("0A3F73").await.unwrap().unwrap().enabled);
    place.run("device enable 0A3F73 --json").await.unwrap();
    place.run("device rotate 0A3F73").await.unwrap();
    let rotated = logins.find("0A3F73").await.unwrap().unwrap();
    assert!(rotated.enabled && rotated.secret != first.secret);

    place.run("device remove depot").await.unwrap();
    assert_eq!(logins.find("depot").await.unwrap(), None);
    for command in ["disable", "enable", "rotate", "remove"] {
        let error = place.run(&format!("device {command} nobody")).await.unwrap_err().to_string();
        assert_eq!(error, "there is no login 'nobody'");
    }
    assert!(place.run("device list").await.unwrap());
}

#[tokio::test]
async fn dead_letters_are_retried_and_purged_and_the_books_still_balance() {
    let place = Place::with_tables().await;
    let ids = place
        .bury(vec![
            (Reason::Decode(DecodeError::BadFooter), FRAME),
            (Reason::Decode(DecodeError::BadHeader), "FFFF"),
            (Reason::IdentityMismatch, FRAME),
            (Reason::Decode(DecodeError::UnknownType), "50F70A3F730150494E4773C4FFFF"),
        ])
        .await;
    assert!(place.run(&format!("dead-letters show {}", ids[1])).await.unwrap());
    assert!(place.run("dead-letters list --reason bad_header --json").await.unwrap());
    assert!(place.run("audit").await.unwrap());

    place.run("dead-letters retry").await.unwrap();
    let left = place.letters_left().await;
    assert!(left.contains(&ids[1]) && left.contains(&ids[2]), "{left:?}");
    // The ping is counted; the rubbish behind it is a letter of its own.
    assert_eq!(left.len(), 3, "{left:?}");
    let totals = place.open().await.books().totals(Minutes::ALL).await.unwrap();
    assert_eq!((totals.received, totals.stored, totals.pings, totals.dead_letters), (7, 1, 1, 5));
    assert!(place.run("audit --json").await.unwrap());

    place.run(&format!("dead-letters purge {}", ids[1])).await.unwrap();
    assert!(!place.letters_left().await.contains(&ids[1]));
    place.run("dead-letters purge --before 2021-01-01T00:00:00Z").await.unwrap();
    assert!(place.letters_left().await.is_empty());
    assert!(place.run("audit").await.unwrap());

    for line in ["show 99999", "retry 99999", "purge 99999"] {
        let error = place.run(&format!("dead-letters {line}")).await.unwrap_err().to_string();
        assert_eq!(error, "there is no dead letter 99999", "{line}");
    }
    let error = place.run("dead-letters purge 99999 99998 --json").await.unwrap_err().to_string();
    assert_eq!(error, "there are no dead letters 99999, 99998");
    assert!(place.run("dead-letters list --reason bad_foter").await.is_err());
    assert!(place.run("dead-letters purge").await.is_err(), "purge wants to be told what");
}

#[test]
fn a_migration_says_what_it_did() {
    for (before, said) in [
        (0, "were made, schema version 3."),
        (1, "were upgraded from schema version 1 to 3."),
        (3, "were up to date, schema version 3."),
    ] {
        assert_eq!(what_was_done("X", before, 3), format!("The tables in X {said}\n"));
    }
}

#[test]
fn columns_line_up() {
    let rows = [vec!["0A3F73".to_owned(), "yes".to_owned()], vec!["ü".to_owned(), String::new()]];
    assert_eq!(columns(&["device", "on"], &rows), "device  on\n0A3F73  yes\nü\n");
}

#[test]
fn moments() {
    assert_eq!(moment(1_593_637_200_000), "2020-07-01T21:00:00Z");
    assert_eq!(moment(u64::MAX), "18446744073709551615 ms");
}
