//! Segment files that the catalog does not name: an older catalog, a directory that was copied while it was in use, a kill between two
//! steps. No event is lost, none comes twice, and no file goes that could be the last to hold an event.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use trail_engine::budget::Cancel;
use trail_engine::id::Sequence;
use trail_engine::{AuditLog, Notice, Options};

use crate::support::log::{all_events, append, eventually, open, options, pause};
use trail_sim::clock::{DAY, Hands, START};
use trail_sim::disk::Disk;

type Files = BTreeMap<String, Vec<u8>>;

fn event(i: u64) -> String {
    format!(r#"{{"eventVersion":1,"eventId":"id-{i}","padding":"{}"}}"#, "p".repeat(i as usize % 50))
}

fn events(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(event).collect()
}

fn segment(id: u64) -> String {
    format!("segment-{id:016x}")
}

/// The files of a log after each step: 50 events, flushed, 50 more, flushed, closed.
struct History {
    fresh: Files,
    written: Files,
    flushed: Files,
    written_again: Files,
    flushed_again: Files,
    closed: Files,
}

fn history() -> History {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    let fresh = memory.files();
    append(&log, &events(1..51)).unwrap();
    let written = memory.files();
    log.flush().unwrap();
    let flushed = memory.files();
    append(&log, &events(51..101)).unwrap();
    let written_again = memory.files();
    log.flush().unwrap();
    let flushed_again = memory.files();
    log.close().unwrap();
    History { fresh, written, flushed, written_again, flushed_again, closed: memory.files() }
}

/// The log has exactly the events up to `last`, once each, now, after more were appended, and after another start.
fn check(files: &Files, last: u64, what: &str) -> AuditLog {
    let clock = Hands::at(START);
    let reader = open(&Disk::of(files.clone()), Options { read_only: true, ..options() }, &clock).unwrap();
    check_events(&reader, last, &format!("{what}, read only"));
    drop(reader);
    let memory = Disk::of(files.clone());
    let log = open(&memory, options(), &clock).unwrap();
    check_events(&log, last, what);
    let receipt = append(&log, &events(last + 1..last + 4)).unwrap();
    assert_eq!(receipt.first_sequence, Some(Sequence(last + 1)), "{what}");
    let killed = memory.files();
    check_events(&open(&Disk::of(killed), options(), &clock).unwrap(), last + 3, &format!("{what}, killed"));
    log.flush().unwrap();
    drop(log);
    let log = open(&memory, options(), &clock).unwrap();
    check_events(&log, last + 3, &format!("{what}, opened again"));
    assert_eq!(notes(&log), [""; 0], "{what}: it is named now");
    log
}

/// What opening found that needs nobody.
fn notes(log: &AuditLog) -> Vec<String> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    log.on_notice(Box::new(move |notice| {
        if let Notice::Note(note) = notice {
            ear.lock().unwrap().push(note.to_owned());
        }
    }));
    heard.lock().unwrap().clone()
}

fn check_events(log: &AuditLog, last: u64, what: &str) {
    let found = all_events(log).unwrap();
    let sequences: Vec<u64> = found.iter().map(|e| e.sequence.0).collect();
    assert_eq!(sequences, (1..=last).collect::<Vec<_>>(), "{what}: {:?}", log.health());
    for stored in found {
        assert_eq!(stored.text, event(stored.sequence.0).as_bytes(), "{what}");
    }
    assert_eq!(log.health().problems, Vec::<String>::new(), "{what}");
}

fn with(files: &Files, names: impl Fn(&str) -> bool, of: &Files) -> Files {
    let mut all: Files = files.clone();
    all.retain(|name, _| !names(name));
    all.extend(of.iter().filter(|(name, _)| names(name)).map(|(name, bytes)| (name.clone(), bytes.clone())));
    all
}

#[test]
fn an_older_catalog_loses_nothing() {
    let h = history();
    for (old, what) in [(&h.fresh, "from the beginning"), (&h.flushed, "from the middle"), (&h.closed, "as it was")] {
        check(&with(&h.closed, |name| name == "catalog", old), 100, &format!("the catalog {what}"));
        check(&with(&h.closed, |name| !name.starts_with("segment"), old), 100, &format!("catalog and journals {what}"));
    }
    let memory = Disk::of(with(&h.closed, |name| name == "catalog", &h.flushed));
    let log = open(&memory, options(), &Hands::at(START)).unwrap();
    assert!(notes(&log)[0].contains(&segment(2)), "{:?}", notes(&log));
}

#[test]
fn killed_between_the_segment_and_the_catalog_nothing_comes_twice() {
    let h = history();
    let after_first = with(&h.written, |name| name == segment(1), &h.flushed);
    check(&after_first, 50, "the first flush");
    let after_second = with(&h.written_again, |name| name == segment(2), &h.flushed_again);
    check(&after_second, 100, "the second flush");
}

#[test]
fn what_lies_before_a_stray_comes_from_the_journal() {
    let h = history();
    let log = check(&with(&h.written, |name| name == segment(2), &h.flushed_again), 100, "a hole");
    log.flush().unwrap();
    assert!(log.segments().windows(2).all(|pair| pair[0].last_sequence < pair[1].first_sequence), "{:?}", log.segments());
    // The journal that had it is gone too: that is a loss, and said.
    let log = open(&Disk::of(with(&h.fresh, |name| name == segment(2), &h.flushed_again)), options(), &Hands::at(START)).unwrap();
    assert!(log.health().problems.iter().any(|p| p.contains("from sequence 1 to 50")), "{:?}", log.health());
    assert_eq!(append(&log, &events(101..102)).unwrap().first_sequence, Some(Sequence(101)));
    assert_eq!(all_events(&log).unwrap().len(), 51);
}

#[test]
fn a_stray_that_is_damaged_or_of_another_life_is_kept_aside_and_reported() {
    let h = history();
    let mut damaged = with(&h.closed, |name| name == "catalog", &h.flushed);
    let bytes = damaged.get_mut(&segment(2)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // Another life: the same sequences, other events, acknowledged and in the journal.
    let memory = Disk::of(h.flushed.clone());
    append(&open(&memory, options(), &Hands::at(START)).unwrap(), &events(201..231)).unwrap();
    let other_life = with(&memory.files(), |name| name == segment(2), &h.flushed_again);
    for (files, count, what) in [(damaged, 50, "damaged"), (other_life, 80, "another life")] {
        let read_only = open(&Disk::of(files.clone()), Options { read_only: true, ..options() }, &Hands::at(START)).unwrap();
        assert_eq!(all_events(&read_only).unwrap().len(), count, "{what}: {:?}", read_only.health());
        assert!(read_only.health().problems[0].contains(&segment(2)));
        let memory = Disk::of(files.clone());
        let log = open(&memory, options(), &Hands::at(START)).unwrap();
        assert_eq!(all_events(&log).unwrap().len(), count, "{what}: {:?}", log.health());
        let problems = log.health().problems;
        assert!(problems[0].contains(&segment(2)), "{what}: {problems:?}");
        // Where the journal had let go of them, it says so as well.
        assert_eq!(problems.iter().any(|p| p.contains("from sequence 51 to 100 are lost")), what == "damaged", "{problems:?}");
        let aside = format!("{}.aside", segment(2));
        assert_eq!(memory.files()[&aside], files[&segment(2)], "{what}");
        log.flush().unwrap();
        drop(log);
        // A file of that name comes again: the first one is not written over.
        let mut again = memory.files();
        again.insert(segment(9), b"no segment".to_vec());
        again.insert(format!("{}.aside", segment(9)), b"an earlier one".to_vec());
        let memory = Disk::of(again);
        drop(open(&memory, options(), &Hands::at(START)).unwrap());
        assert_eq!(memory.files()[&format!("{}.aside", segment(9))], b"an earlier one");
        assert_eq!(memory.files()[&format!("{}.aside-2", segment(9))], b"no segment");
    }
}

#[test]
fn what_provably_holds_nothing_is_removed() {
    let h = history();
    // One segment with all hundred events; the second of two stands beside it.
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    append(&log, &events(1..101)).unwrap();
    log.flush().unwrap();
    log.close().unwrap();
    let mut files = with(&memory.files(), |name| name == segment(2), &h.flushed_again);
    files.insert(format!("{}.partial", segment(7)), vec![1, 2, 3]);
    let memory = Disk::of(files.clone());
    check_events(&open(&memory, options(), &clock).unwrap(), 100, "merged");
    let names: Vec<String> = memory.files().into_keys().filter(|name| name.starts_with("segment")).collect();
    assert_eq!(names, [segment(1)]);
    // The segment that holds its events is damaged: then it may be the last to hold them.
    files.get_mut(&segment(1)).unwrap().truncate(100);
    let memory = Disk::of(files);
    let log = open(&memory, options(), &clock).unwrap();
    assert_eq!(log.health().problems.len(), 2, "{:?}", log.health());
    assert!(memory.files().contains_key(&format!("{}.aside", segment(2))));
}

#[test]
fn a_day_that_was_dropped_does_not_come_back() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { retention: 3 * DAY, ..options() };
    let log = open(&memory, options.clone(), &clock).unwrap();
    append(&log, &events(1..51)).unwrap();
    log.flush().unwrap();
    let first = memory.files()[&segment(1)].clone();
    clock.pass(5 * DAY);
    append(&log, &events(51..61)).unwrap();
    eventually("the first day is dropped", || !memory.files().contains_key(&segment(1)));
    log.close().unwrap();
    let mut files = memory.files();
    files.insert(segment(1), first);
    let memory = Disk::of(files);
    let log = open(&memory, options, &clock).unwrap();
    assert_eq!(all_events(&log).unwrap().len(), 10);
    assert_eq!((log.health().problems.len(), memory.files().contains_key(&segment(1))), (0, false));
}

#[test]
fn a_segment_that_was_merged_stands_for_those_that_it_was_merged_from() {
    let h = history();
    // A segment with all events and a later id: two flushes find no room before it.
    let merged = segment_with_id(3);
    let mut files = h.closed.clone();
    files.remove(&segment(1));
    files.remove(&segment(2));
    files.insert(segment(3), merged);
    check(&files, 100, "both are gone");
    files.insert(segment(1), h.closed[&segment(1)].clone());
    check(&files, 100, "one is gone");
}

#[test]
fn an_id_that_a_stray_had_is_not_given_again() {
    let h = history();
    // What a merge had written when the process died: it is compared with its inputs, which puts parts of it into caches, and goes.
    let mut files = h.closed.clone();
    files.insert(segment(3), segment_with_id(3));
    let memory = Disk::of(files);
    let log = open(&memory, Options { merge_cpu_percent: 0, ..options() }, &Hands::at(START)).unwrap();
    assert!(!memory.files().contains_key(&segment(3)), "{:?}", log.health());
    append(&log, &events(101..111)).unwrap();
    log.flush().unwrap();
    assert_eq!(log.verify(&Cancel::default()).unwrap().len(), 0, "the new segment is read with the former one's parts");
    assert!(memory.files().contains_key(&segment(4)) && !memory.files().contains_key(&segment(3)));
    check_events(&log, 110, "gone on");
    assert_eq!(append(&log, &events(101..111)).unwrap().duplicates, 10);
}

/// The file of a segment with the hundred events and this id.
fn segment_with_id(id: u64) -> Vec<u8> {
    let memory = Disk::default();
    let log = open(&memory, options(), &Hands::at(START)).unwrap();
    append(&log, &events(1..101)).unwrap();
    memory.limit(Some(0));
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| log.flush());
        // Every try takes an id; the next is two seconds later.
        pause(2_000 * (id - 2) + 1_000);
        memory.limit(None);
        flush.join().unwrap().unwrap();
    });
    let files = memory.files();
    files.get(&segment(id)).unwrap_or_else(|| panic!("{:?}", files.keys())).clone()
}
