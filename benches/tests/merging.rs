//! What a merge takes from everything else: memory that does not grow with what the events say, and no more than its share of a core.
//!
//! Each merge has a process of its own, which is this program again: so neither what another test has allocated nor its threads are counted.
//! Memory is compared between two sizes, since what a merge holds for a document is far less than the document. The share is that of the thread
//! that merges in the time from its first to its last step, both by the kernel's account; a busy machine only makes it smaller.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use trail_corpus::{Corpus, Generator, Parameters};
use trail_engine::clock::ForwardClock;
use trail_engine::{AuditLog, Options};
use trail_rig::{Process, now};

/// After so long the day is over.
const OVER: Duration = Duration::from_secs(36 * 3_600);

const SEGMENTS: u64 = 6;
const FEW: u64 = 8_000;
const MANY: u64 = 40_000;
/// What a merge may hold for one more document: 5 bytes for its place, 8 for its keys, twice some fifteen entries of lists, 4 for each
/// new term of an input. Its text has 1,270.
const BYTES_A_DOCUMENT: u64 = 160;
/// What the allocator may keep in one run and not in the other.
const SLACK_BYTES: u64 = 6 << 20;
const DIRECTORY: &str = "TRAIL_MERGING_DIRECTORY";
const PERCENT: &str = "TRAIL_MERGING_PERCENT";

fn options(merge_cpu_percent: u32) -> Options {
    // What is kept to be quick is a constant, and would hide what grows.
    Options { schema: traild::dialect::default_schema().unwrap(), merge_cpu_percent, work_bytes_max: 4 << 20, ..Options::default() }
}

/// A log of so many events in segments of the same size, all of today.
fn log_of(events: u64) -> TempDir {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = AuditLog::open(directory.path(), options(0)).unwrap();
    let corpus = Corpus::real().unwrap();
    let mut generator = Generator::new(&corpus, &Parameters { events, ..Parameters::default() }).unwrap();
    let mut event = Vec::new();
    for _ in 0..SEGMENTS {
        let mut batch = Vec::new();
        while batch.len() as u64 * SEGMENTS < events && generator.next_event(&mut event).is_some() {
            batch.push(std::mem::take(&mut event));
        }
        for events in batch.chunks(1_000) {
            let (prepared, rejected) = log.prepare(&mut events.iter().map(Vec::as_slice)).unwrap();
            assert!(rejected.is_empty(), "{rejected:?}");
            log.append(prepared).unwrap();
        }
        log.flush().unwrap();
    }
    assert_eq!(log.stats().segments, SEGMENTS);
    log.close().unwrap();
    directory
}

/// What a merge took.
#[derive(Debug)]
struct Taken {
    /// The most memory, but for what there was before.
    bytes: u64,
    /// Of a core.
    share: f64,
}

/// Merges a log in a process of its own.
fn merge(events: u64, percent: u32) -> Taken {
    let directory = log_of(events);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "merging_in_a_process_of_its_own", "--ignored", "--nocapture"]);
    let out = command.env(DIRECTORY, directory.path()).env(PERCENT, percent.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    let line = said.lines().find_map(|line| line.split_once("took ")).unwrap().1;
    let (bytes, share) = line.split_once(" bytes and ").unwrap();
    Taken { bytes: bytes.parse().unwrap(), share: share.parse().unwrap() }
}

#[test]
#[ignore = "started by the tests below, each time in a process of its own"]
fn merging_in_a_process_of_its_own() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let clock = Arc::new(ForwardClock::default());
    let log =
        AuditLog::open_with_clock(Path::new(&variable(DIRECTORY)), options(variable(PERCENT).parse().unwrap()), clock.clone()).unwrap();
    let memory = || Process::this().anonymous_memory().unwrap();
    let spent = || Process::this().thread_cpu_seconds("trail-merge").unwrap();
    let (before, mut most, start) = (memory(), memory(), now());
    assert_eq!(log.stats().segments, SEGMENTS);
    clock.pass(OVER);
    log.look_at_the_clock();
    while log.stats().segments > 1 {
        most = most.max(memory());
        std::thread::sleep(Duration::from_millis(1));
    }
    let share = spent() / start.elapsed().as_secs_f64();
    println!("took {} bytes and {share}", most - before);
    log.close().unwrap();
}

#[test]
fn memory_grows_with_the_number_of_documents_and_not_with_what_they_say() {
    let [few, many] = [FEW, MANY].map(|events| merge(events, 100));
    println!("{FEW} events: {few:?}, {MANY} events: {many:?}");
    let (few, many) = (few.bytes, many.bytes);
    let bound = few + (MANY - FEW) * BYTES_A_DOCUMENT + SLACK_BYTES;
    assert!(many <= bound, "merging {FEW} events took {few} bytes, {MANY} took {many}, not {bound} at most");
}

#[test]
fn the_share_of_a_core_is_kept() {
    let share = merge(FEW, 20).share;
    println!("{share:.2} of a core");
    assert!(share > 0.0 && share < 0.4, "merging took {share:.2} of a core, where 0.2 is its share");
}
