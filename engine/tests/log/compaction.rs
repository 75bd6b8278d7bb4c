//! Segments that are merged: whatever they hold and whatever happens meanwhile, the log says the same as before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use trail_engine::budget::Cancel;
use trail_engine::query::{Facet, Order, PageRequest, Selection, TermsRequest};
use trail_engine::{AuditLog, Options};

use crate::support::events::{mixed, trimmed};
use crate::support::log::{all_events, append, eventually, everything, open, options, pause};
use trail_sim::clock::{DAY, Hands, START};
use trail_sim::disk::{CHANGES, Disk, Failure, Fault, Lost};
use trail_sim::random::seed;

fn unmerged() -> Options {
    Options { merge_cpu_percent: 0, ..options() }
}

/// A log with a segment for each of these.
fn segments_of<T: AsRef<[u8]>>(memory: &Disk, clock: &Arc<Hands>, segments: &[Vec<T>]) -> AuditLog {
    let log = open(memory, unmerged(), clock).unwrap();
    for events in segments {
        append(&log, events).unwrap();
        log.flush().unwrap();
    }
    log
}

fn texts(log: &AuditLog) -> Vec<String> {
    all_events(log).unwrap().into_iter().map(|e| String::from_utf8(e.text).unwrap()).collect()
}

fn segment_files(memory: &Disk) -> Vec<String> {
    memory.files().into_keys().filter(|name| name.starts_with("segment-")).collect()
}

fn is_final(log: &AuditLog) -> bool {
    log.segments().iter().all(|s| s.sealed)
}

/// Everything but the places of the events.
fn answers(log: &AuditLog, paths: &[&str]) -> Vec<String> {
    let mut answers = vec![format!("{:?}", all_events(log).unwrap())];
    for dimension in ["user", "code", "key"] {
        let request = TermsRequest { facet: Facet::Dimension(dimension.into()), limit: 1_000, prefix: String::new() };
        answers.push(format!("{:?}", log.terms(&everything(), &request, &Cancel::default()).unwrap()));
    }
    for path in paths {
        let request = TermsRequest { facet: Facet::Path((*path).to_owned()), limit: 1_000, prefix: String::new() };
        answers.push(format!("{:?}", log.terms(&everything(), &request, &Cancel::default()).unwrap()));
    }
    for q in ["a", "request_id:*", "-event_id:*", "2026", "\"c\":*"] {
        answers.push(log.count(&Selection { q: q.into(), ..everything() }, &Cancel::default()).unwrap().count.to_string());
    }
    answers
}

/// One segment's dress for a column: the encoding that it leads to.
fn dressed(style: usize, i: usize) -> String {
    match style {
        0 => r#""always""#.into(),
        1 => format!(r#""code {}""#, i % 3),
        2 => format!(r#""2026-11-{:02}T0{}:00:{:02}Z""#, 1 + i % 20, i % 10, i % 60),
        3 => format!(r#""2026-11-20T10:00:{:02}.{:03}Z""#, i % 60, i),
        4 => format!(r#""0f0e0d0c-0b0a-4908-8706-{i:012x}""#),
        5 => format!(r#""0F0E0D0C-0B0A-4908-8706-{i:012X}""#),
        6 => format!(r#""free text number {i} é""#),
        7 => format!(r#""esc\u0061ped \"{i}\"""#),
        8 => format!("{}", i * 7_919),
        9 => format!("{}", i % 2),
        10 => format!("{}.5e{}", i, i % 9),
        11 => "null".into(),
        12 => "true".into(),
        13 => format!(r#"["x{i}",{i},"y",null]"#),
        14 => format!(r#"{{"deeper":"{i}"}}"#),
        _ => format!(r#""{}""#, "z".repeat(65 << 10)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    /// Each segment has the same columns in another dress, at interleaved or equal times.
    #[test]
    fn any_mix_of_encodings(
        segments in prop::collection::vec((0usize..16, 0usize..15, 0usize..15, 1usize..60, 0usize..4), 2..9),
    ) {
        let mut number = 0;
        let mut event = |(c, d, f, times): (usize, usize, usize, usize), i: usize| {
            number += 1;
            let time = match times {
                0 => String::new(),
                1 => r#","t":"2026-11-20T00:00:00Z""#.to_owned(),
                2 => format!(r#","t":"2026-11-20T00:00:{:02}Z""#, (i * 37) % 60),
                _ => format!(r#","t":"2026-11-2{}T00:00:{:02}.{:03}Z""#, number % 9, i % 60, number % 1_000),
            };
            format!(r#"{{"id":"n{number}","c":{},"a":{},"f":{}{time}}}"#, dressed(c, i), dressed(d, i), dressed(f, i))
        };
        let segments: Vec<Vec<String>> = segments
            .iter()
            .map(|(c, d, f, count, times)| (0..*count).map(|i| event((*c, *d, *f, *times), i)).collect())
            .collect();
        let (memory, clock) = (Disk::default(), Hands::at(START));
        let log = segments_of(&memory, &clock, &segments);
        let paths = ["c", "a", "f", "c.deeper", "t"];
        let before = answers(&log, &paths);
        drop(log);
        clock.pass(DAY);
        let log = open(&memory, options(), &clock).unwrap();
        eventually("the day is final", || is_final(&log));
        prop_assert_eq!((log.segments().len(), log.health().problems), (1, Vec::new()));
        prop_assert_eq!(answers(&log, &paths), before);
        prop_assert!(log.verify(&Cancel::default()).unwrap().is_empty());
        let all: Vec<&String> = segments.iter().flatten().collect();
        prop_assert_eq!(append(&log, &all).unwrap().duplicates, all.len() as u64);
        prop_assert_eq!(log.stats().compacted_segments, segments.len() as u64);
        prop_assert_eq!(segment_files(&memory).len(), 1);
    }
}

/// New to each small segment, and not to all of them together: written as text first, and as codes once they are merged.
#[test]
fn strings_that_recur_are_written_shorter() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let session = |i: usize| format!("{:016x}", (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let uuid = |i: usize| format!("0f0e0d0c-0b0a-4908-{:04x}-{:012x}", i % 7, i);
    let event = |s: usize, i: usize| {
        let (j, odd) = (i * (s + 1) % 3_001, if i.is_multiple_of(500) { "\\u0061lice" } else { "bob" });
        format!(r#"{{"id":"{s}-{i}","x":{{"session":"{}","uuid":"{}","text":"{odd} {}"}}}}"#, session(j), uuid(j), j % 2_500)
    };
    let segments: Vec<Vec<String>> = (0..7).map(|s| (0..3_000).map(|i| event(s, i)).collect()).collect();
    let log = segments_of(&memory, &clock, &segments);
    let paths = ["x.session", "x.uuid", "x.text"];
    let questions = [format!("x.session:{}", session(5)), "x.text:\"alice 500\"".into(), format!("x.uuid:{}*", &uuid(77)[..30])];
    let ask = |log: &AuditLog| {
        let count = |q: &String| log.count(&Selection { q: q.clone(), ..everything() }, &Cancel::default()).unwrap().count;
        (answers(log, &paths), questions.iter().map(count).collect::<Vec<u64>>())
    };
    let before = ask(&log);
    let bytes = |log: &AuditLog| log.segments().iter().map(|s| s.file_bytes).sum::<u64>();
    let apart = bytes(&log);
    drop(log);
    clock.pass(DAY);
    let log = open(&memory, options(), &clock).unwrap();
    eventually("the day is final", || is_final(&log));
    assert_eq!((log.segments().len(), log.health().problems), (1, Vec::new()));
    assert_eq!(ask(&log), before);
    assert!(before.1.iter().all(|count| *count > 0), "{:?}", before.1);
    assert!(log.verify(&Cancel::default()).unwrap().is_empty());
    // Without codes for them it would be about four fifths.
    assert!(bytes(&log) * 10 < apart * 6, "{} of {apart}", bytes(&log));
}

#[test]
fn sixteen_neighbours_are_merged_while_the_day_runs() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    for i in 0..15 {
        append(&log, &[format!(r#"{{"id":"{i}"}}"#)]).unwrap();
        log.flush().unwrap();
    }
    pause(300);
    assert_eq!(log.segments().len(), 15);
    append(&log, &[r#"{"id":"the sixteenth"}"#]).unwrap();
    log.flush().unwrap();
    eventually("they are one", || log.segments().len() == 1);
    assert!(!log.segments()[0].sealed);
    assert_eq!((texts(&log).len(), log.stats().compacted_segments, segment_files(&memory).len()), (16, 16, 1));
}

#[test]
fn segments_with_other_dimensions_stay_apart() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let event = |i: usize| format!(r#"{{"id":"{i}","a":"alice","f":"r{i}"}}"#);
    let mut without = unmerged();
    without.schema.dimensions.retain(|d| d.name != "key");
    without.schema.kinds.iter_mut().for_each(|k| k.mappings.retain(|m| m.dimension != "key"));
    for (round, options) in [unmerged(), without, unmerged()].into_iter().enumerate() {
        let log = open(&memory, options, &clock).unwrap();
        for i in 0..3 {
            append(&log, &[event(round * 3 + i)]).unwrap();
            log.flush().unwrap();
        }
    }
    clock.pass(DAY);
    let log = open(&memory, options(), &clock).unwrap();
    eventually("the day is final", || is_final(&log));
    assert_eq!(log.segments().iter().map(|s| s.events).collect::<Vec<_>>(), [3, 3, 3]);
    let count = log.count(&Selection { q: "user:alice".into(), ..everything() }, &Cancel::default()).unwrap().count;
    assert_eq!((count, texts(&log)), (9, (0..9).map(event).collect()));
}

#[test]
fn nothing_grows_past_the_largest_size() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let segments: Vec<Vec<String>> = (0..9).map(|s| (0..4).map(|i| format!(r#"{{"id":"{s}-{i}"}}"#)).collect()).collect();
    drop(segments_of(&memory, &clock, &segments));
    clock.pass(DAY);
    let log = open(&memory, Options { segment_events_max: 12, ..options() }, &clock).unwrap();
    eventually("the day is final", || is_final(&log));
    assert_eq!(log.segments().iter().map(|s| s.events).collect::<Vec<_>>(), [12, 12, 12]);
    assert_eq!(texts(&log), segments.concat());
}

#[test]
fn a_damaged_segment_stays_and_the_others_are_merged_without_it() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let segments: Vec<Vec<String>> = (0..5).map(|s| (0..300).map(|i| format!(r#"{{"id":"{s}-{i}","c":{i}}}"#)).collect()).collect();
    drop(segments_of(&memory, &clock, &segments));
    let mut files = memory.files();
    // Behind the header, where the blocks are.
    files.get_mut("segment-0000000000000002").unwrap()[100] ^= 4;
    let memory = Disk::of(files);
    clock.pass(DAY);
    let log = open(&memory, options(), &clock).unwrap();
    eventually("the day is final", || is_final(&log));
    assert_eq!(log.segments().iter().map(|s| s.events).collect::<Vec<_>>(), [300, 300, 900]);
    let problems = log.health().problems;
    assert!(problems.len() == 1 && problems[0].contains("segment-0000000000000002"), "{problems:?}");
    pause(300);
    assert_eq!(log.health().problems.len(), 1, "it is not tried again");
    assert_eq!(segment_files(&memory).len(), 3);
}

#[test]
fn a_crash_at_any_operation_loses_nothing_and_leaves_nothing_behind() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let segments: Vec<Vec<String>> = (0..4).map(|s| (0..5).map(|i| format!(r#"{{"id":"{s}-{i}","c":{i}}}"#)).collect()).collect();
    let log = segments_of(&memory, &clock, &segments);
    append(&log, &[r#"{"id":"in the journal"}"#]).unwrap();
    drop(log);
    clock.pass(DAY);
    let right: Vec<String> = segments.concat().into_iter().chain([r#"{"id":"in the journal"}"#.to_owned()]).collect();
    let (files, mut ended) = (memory.files(), false);
    let mut seen = BTreeSet::new();
    for operations in 0.. {
        let disk = Disk::of(files.clone());
        disk.arm(Fault::sticky(CHANGES, operations, Failure { lost: Lost::Kept, ..Failure::EIO }));
        if let Ok(log) = AuditLog::open_storage(Arc::new(disk.clone()), options(), clock.clone()) {
            eventually("it has stopped or is done", || disk.tripped() > 0 || (is_final(&log) && log.stats().head_events == 0));
            assert_eq!(texts(&log), right, "{operations} operations: while the disk has stopped");
            ended = disk.tripped() == 0;
            drop(log);
        }
        for power_lost in [false, true] {
            let left = Disk::holding(if power_lost { disk.medium().durable().clone() } else { disk.image() });
            // A clock of the running day, so that nothing is flushed meanwhile.
            let log = open(&left, unmerged(), &Hands::at(START)).unwrap();
            let when = format!("{operations} operations, power lost: {power_lost}");
            assert_eq!(texts(&log), right, "{when}");
            assert_eq!(log.health().problems, Vec::<String>::new(), "{when}");
            let named: Vec<String> = log.segments().iter().map(|s| format!("segment-{}", s.id)).collect();
            let mut held = segment_files(&left);
            held.sort_by_key(|name| named.iter().position(|n| n == name));
            assert_eq!(held, named, "{when}");
            seen.insert(named.len());
            assert_eq!(append(&log, &right).unwrap().duplicates, right.len() as u64, "{when}");
        }
        if ended {
            break;
        }
    }
    assert!(seen.contains(&4) && seen.contains(&1), "{seen:?}");
}

#[test]
fn queries_cursors_and_retries_beside_merges() {
    let seed = seed();
    let events: Vec<Vec<u8>> = mixed(seed, 1_500).into_iter().map(|e| trimmed(&e).to_vec()).collect::<BTreeSet<_>>().into_iter().collect();
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for batch in events.chunks(20) {
                assert_eq!(append(&log, batch).unwrap().accepted, batch.len() as u64, "seed {seed}");
                log.flush().unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::SeqCst) {
                let count = log.count(&everything(), &Cancel::default()).unwrap().count;
                assert!(count >= last, "seed {seed}: {count} after {last}");
                last = count;
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let mut page = PageRequest { order: Order::Descending, limit: 50, ..PageRequest::default() };
                let upper = log.last_sequence().0;
                let (mut found, mut keys) = (BTreeSet::new(), Vec::new());
                loop {
                    let answer = log.search(&everything(), &page, &Cancel::default()).unwrap();
                    found.extend(answer.events.iter().map(|e| e.sequence.0));
                    keys.extend(answer.events.iter().map(|e| (e.event_time, e.sequence)));
                    page.cursor = answer.next_cursor;
                    if page.cursor.is_none() {
                        break;
                    }
                }
                assert!(keys.is_sorted_by(|a, b| a > b), "seed {seed}: a page is out of order or has an event twice");
                assert!((1..=upper).all(|s| found.contains(&s)), "seed {seed}: an event is missing below {upper}");
            }
        });
        writer.join().unwrap();
    });
    eventually("sixteen became one", || log.stats().compacted_segments >= 16);
    let with_ids = append(&log, &events).unwrap().duplicates;
    let stored: Vec<Vec<u8>> = all_events(&log).unwrap().into_iter().map(|e| e.text).take(events.len()).collect();
    assert_eq!(stored, events, "seed {seed}");
    clock.pass(DAY);
    eventually("the day is final", || is_final(&log) && log.stats().head_events == 0);
    assert_eq!(append(&log, &events).unwrap().duplicates, with_ids, "seed {seed}");
}

#[test]
fn a_log_that_is_closed_does_not_wait_for_a_merge() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let segments: Vec<Vec<Vec<u8>>> = (0..6u64).map(|s| mixed(s, 3_000)).collect();
    drop(segments_of(&memory, &clock, &segments));
    clock.pass(DAY);
    let before = memory.files().len();
    for _ in 0..3 {
        let log = open(&memory, options(), &clock).unwrap();
        pause(20);
        log.close().unwrap();
        let files: Vec<String> = segment_files(&memory);
        assert!(files.iter().all(|name| !name.ends_with(".partial")), "{files:?}");
    }
    assert!(memory.files().len() <= before + 1);
}
