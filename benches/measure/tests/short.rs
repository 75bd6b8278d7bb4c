//! A short run of the whole command: every answer is asserted (by the command itself, which ends with 1 for a wrong one), no time is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::process::{Command, Output};

use trail_tests::binary::{binary, clean};
use trail_tests::server::Server;

fn measure(arguments: &[&str]) -> (bool, String, String) {
    let mut command = clean(Command::new(env!("CARGO_BIN_EXE_measure")));
    command
        .args(["--events", "20000", "--runs", "2", "--binary"])
        .arg(binary())
        .args(["--set", "head_age_max=1s", "--rest", "0"])
        .args(arguments);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_table_is_whole_and_its_answers_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("log");
    let (good, table, told) = measure(&["--data-dir", data.to_str().unwrap()]);
    assert!(good, "{table}\n{told}");
    assert_eq!(table.lines().filter(|line| line.starts_with("| Q")).count(), 19, "{table}");
    for title in ["## Flushing and merging", "## Ingest of 20,000 events", "## Queries (warm", "## In process", "## Memory and restarts"] {
        assert!(table.contains(title), "{title}: {table}");
    }
    for row in [
        "flushing, 20,000 events",
        "merging, 20,000 events",
        "CPU s / M events, with all work",
        "multiple of zstd -3 |",
        "Q1 event id, in process",
        "disk, everything flushed",
        "start after `kill -9`, 20,000 events later",
    ] {
        assert!(table.contains(&format!("| {row}")), "{row}: {table}");
    }
    assert!(told.contains("asking Q9") && told.contains("starting a server"), "{told}");
    let server = Server::start(&data, &[]);
    assert_eq!(server.client().json("/v1/count?from=0&to=4102444800000")["count"], 40_000);
    server.stop();

    // The same events are asked for again in what was kept; others are not in it.
    let again = ["--only-queries", "--data-dir", data.to_str().unwrap()];
    let (good, table, told) = measure(&again);
    assert!(good && table.contains("| Q9"), "{table}\n{told}");
    let (good, _, told) = measure(&[&again[..], &["--seed", "2"]].concat());
    assert!(!good && told.contains("Q1"), "{told}");

    // Others are stored and found beside them, and found again while more arrive, as often as one likes.
    let server = Server::start(&data, &[]);
    let beside = ["--events", "3000", "--seed", "3", "--url", &server.url()];
    let (good, table, told) = measure(&beside);
    assert!(good && told.contains("other events of these days"), "{table}\n{told}");
    for _ in 0..2 {
        let (good, table, told) = measure(&[&beside[..], &["--only-queries", "--under-ingest"]].concat());
        assert!(good, "{table}\n{told}");
        assert_eq!(table.lines().filter(|line| line.starts_with("| Q")).count(), 36, "{table}");
    }
    server.stop();
}

#[test]
fn several_sizes_are_compared() {
    let (good, table, told) = measure(&["--events", "2000,4000"]);
    assert!(good, "{table}\n{told}");
    let row = table.lines().find(|line| line.starts_with("| Q8 ")).unwrap_or_default();
    assert!(table.contains("| | 2,000 events, median ms | 4,000 events, median ms | last / first |"), "{table}");
    assert_eq!(table.lines().filter(|line| line.starts_with("| Q8 ")).count(), 3, "{row}");
    // What was stored after the restart is among them.
    for title in ["## The same log when its days are over, 4,000 events", "## The same log when its days are over, 8,000 events"] {
        assert!(table.contains(title), "{title}: {table}");
    }
    for row in ["disk, sealed: all files", "the last merges", "CPU s / M events, from the request", "multiple of zstd -3, all of that"] {
        assert_eq!(table.lines().filter(|line| line.starts_with(&format!("| {row}"))).count(), 2, "{row}: {table}");
    }
}

#[test]
fn flushing_and_merging_can_be_all() {
    let (good, table, told) = measure(&["--only-alone", "--events", "5000"]);
    assert!(good && table.contains("| merging, 5,000 events") && !table.contains("Ingest"), "{table}\n{told}");
}
