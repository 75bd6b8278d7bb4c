//! A whole data directory of format version 1, committed: today's code must read it, and find the damage in its damaged twin.
//!
//! `TRAILD_BLESS=1 cargo test -p trail-engine --test log golden` writes both again, after a change of the format. Compressed bytes may
//! differ from one zstd release to the next, so that the files are read and not compared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use trail_engine::budget::Cancel;
use trail_engine::id::Sequence;
use trail_engine::query::Selection;
use trail_engine::{AuditLog, Options};

use crate::support::log::{all_events, append, everything, open, options};
use trail_sim::clock::{Hands, START};
use trail_sim::disk::Disk;
use trail_sim::released::{BATCHES_V1, event_v1 as event};

const EVENTS: u64 = 45;

fn options_of_golden() -> Options {
    Options { journal_bytes: 8 << 10, ..options() }
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/format").join(name)
}

/// The files of a committed directory. A missing one fails: a golden file that nobody misses guards nothing.
fn committed(name: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = folder(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap());
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

/// Writes the golden directory: two segments and a journal, closed.
fn write() -> BTreeMap<String, Vec<u8>> {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options_of_golden(), &clock).unwrap();
    for range in BATCHES_V1 {
        append(&log, &range.clone().map(event).collect::<Vec<_>>()).unwrap();
        if range.end < 40 {
            log.flush().unwrap();
        }
    }
    log.close().unwrap();
    let mut files = memory.files();
    files.retain(|name, _| !name.contains("spare") && name != "reserve");
    files
}

/// A bit in the middle of the second segment.
fn damage(files: &mut BTreeMap<String, Vec<u8>>) {
    let segment = files.iter_mut().filter(|(name, _)| name.starts_with("segment-")).nth(1).unwrap().1;
    let middle = segment.len() / 2;
    segment[middle] ^= 0x10;
}

fn bless(name: &str, files: &BTreeMap<String, Vec<u8>>) {
    let folder = folder(name);
    let _fresh = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

fn blessed(name: &str, damaged: bool) -> BTreeMap<String, Vec<u8>> {
    if std::env::var_os("TRAILD_BLESS").is_some() {
        let mut files = write();
        if damaged {
            damage(&mut files);
        }
        bless(name, &files);
    }
    committed(name)
}

fn ask(log: &AuditLog, q: &str) -> trail_engine::Result<u64> {
    log.count(&Selection { q: q.into(), ..everything() }, &Cancel::default()).map(|count| count.count)
}

#[test]
fn a_directory_of_version_1_is_read() {
    let files = blessed("log-v1", false);
    assert_eq!(files.keys().filter(|name| name.starts_with("segment-")).count(), 2);
    assert!(files.contains_key("catalog") && files.keys().any(|name| name.starts_with("journal-")));
    let memory = Disk::of(files);
    let log = open(&memory, options_of_golden(), &Hands::at(START)).unwrap();
    assert_eq!(log.health().problems, Vec::<String>::new());
    assert_eq!((log.segments().len(), log.stats().head_events), (2, 10));
    let events = all_events(&log).unwrap();
    assert_eq!(events.len() as u64, EVENTS);
    for (i, stored) in (1..).zip(&events) {
        assert_eq!((stored.sequence, stored.text.as_slice(), stored.received_at), (Sequence(i), event(i).as_bytes(), START));
        assert_eq!(stored.time_is_received, !event(i).contains("eventTime"));
    }
    let expected = |holds: &dyn Fn(&str) -> bool| (1..=EVENTS).filter(|i| holds(&event(*i))).count() as u64;
    assert_eq!(ask(&log, "event_name:N1").unwrap(), expected(&|e| e.contains(r#""N1""#)));
    assert_eq!(ask(&log, "\"GOLDEN golden\"").unwrap(), expected(&|e| e.contains("golden")));
    assert_eq!(ask(&log, "source_ip:10.0.0.0/19").unwrap(), (1..32).filter(|i| event(*i).contains("sourceIp")).count() as u64);
    assert_eq!(ask(&log, "\"n\":>=400").unwrap(), (20..=EVENTS).filter(|i| event(*i).contains("sourceIp")).count() as u64);
    assert_eq!(log.events_by_id("whole-13", &Cancel::default()).unwrap().events.len(), 1);
    assert_eq!(append(&log, &[event(1), event(30), event(44)]).unwrap().duplicates, 3);
}

#[test]
fn the_damaged_twin_says_where_it_is_damaged() {
    let memory = Disk::of(blessed("log-v1-damaged", true));
    let log = open(&memory, options_of_golden(), &Hands::at(START)).unwrap();
    let problems = log.health().problems.join("\n");
    match all_events(&log) {
        Ok(events) => assert!(problems.contains("segment-0000000000000002") && events.len() < EVENTS as usize, "{problems}"),
        Err(error) => {
            assert_eq!(error.kind(), trail_engine::ErrorKind::Corrupt);
            assert_eq!(error.path(), Some("segment-0000000000000002"));
            assert!(error.component().is_some() && error.offset().is_some(), "{error:?}");
        }
    }
    let first = log.event_at(Sequence(7), &Cancel::default()).unwrap().unwrap();
    assert_eq!(first.text, event(7).as_bytes(), "the other segment is as good as ever");
}
