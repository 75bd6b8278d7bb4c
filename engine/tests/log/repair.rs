//! Repair: whatever kind of file is damaged, afterwards everything that could be read is answered with its sequences, nothing else is, the log
//! opens without a complaint, and a second repair finds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trail_engine::budget::Cancel;
use trail_engine::query::Selection;
use trail_engine::status::Repaired;
use trail_engine::{AuditLog, ErrorKind, Options};

use crate::support::log::{all_events, append, everything, open, options};
use trail_sim::clock::{Hands, START};
use trail_sim::disk::{Disk, Failure, Fault, Kind};

type Files = BTreeMap<String, Vec<u8>>;

/// In segments, 2,500 each: two blocks a segment. The rest is in the journal.
const FLUSHED: u64 = 5_000;
const EVENTS: u64 = 5_600;

fn event(i: u64) -> String {
    let (minute, second) = (i / 60 % 60, i % 60);
    format!(
        r#"{{"eventVersion":1,"eventId":"id-{i}","eventTime":"2026-11-20T0{}:{minute:02}:{second:02}Z","eventName":"N{}","note":"{:x}"}}"#,
        i / 3_600,
        i % 3,
        i.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    )
}

/// The files of a log that was killed.
fn files() -> Files {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    for i in 1..=EVENTS {
        if i % 100 == 1 {
            append(&log, &(i..i + 100).map(event).collect::<Vec<_>>()).unwrap();
        }
        if i == FLUSHED / 2 || i == FLUSHED {
            log.flush().unwrap();
        }
    }
    memory.files()
}

fn names(files: &Files, start: &str) -> Vec<String> {
    files.keys().filter(|name| name.starts_with(start)).cloned().collect()
}

/// The journal file with the first events that are in no segment. Damage to the last group of all cannot be told from one that was never
/// finished, so it is not the last file.
fn journal(files: &Files) -> String {
    let live: Vec<String> = names(files, "journal-").into_iter().filter(|name| !name.contains("spare")).collect();
    assert!(live.len() > 1, "{live:?}");
    live[0].clone()
}

fn repair(disk: &Disk, rehearsal: bool) -> Repaired {
    AuditLog::repair_storage(Arc::new(disk.clone()), &options(), Hands::at(START), rehearsal, &Cancel::default(), Arc::new(|_| ())).unwrap()
}

fn try_repair(disk: &Disk) -> trail_engine::Result<Repaired> {
    AuditLog::repair_storage(Arc::new(disk.clone()), &options(), Hands::at(START), false, &Cancel::default(), Arc::new(|_| ()))
}

/// The sequences that a log gives; every event is what was sent.
fn readable(log: &AuditLog) -> BTreeSet<u64> {
    let events = all_events(log).unwrap();
    for stored in &events {
        assert_eq!(String::from_utf8_lossy(&stored.text), event(stored.sequence.0));
    }
    events.into_iter().map(|stored| stored.sequence.0).collect()
}

/// Repairs a directory; gives the sequences that are there afterwards and what was said.
fn mended(damaged: Files, what: &str) -> (BTreeSet<u64>, Repaired) {
    let disk = Disk::of(damaged.clone());
    let before = open(&Disk::of(damaged.clone()), Options { read_only: true, ..options() }, &Hands::at(START)).map(|log| readable(&log));
    let rehearsed = repair(&disk, true);
    assert_eq!(disk.files(), damaged, "{what}: a rehearsal has written");
    let done = repair(&disk, false);
    assert_eq!((&rehearsed.found, &rehearsed.done), (&done.found, &Vec::new()), "{what}");
    assert!(!done.found.is_empty(), "{what}: nothing was found");
    let kept = disk.files();
    for (name, bytes) in damaged.iter().filter(|(name, _)| name.starts_with("segment-") || name.as_str() == "catalog") {
        let changed = kept.get(name) != Some(bytes);
        let aside = kept.iter().any(|(other, there)| other.starts_with(name.as_str()) && other.contains(".aside") && there == bytes);
        assert!(
            !changed || aside || name == "catalog" && done.done.iter().all(|line| !line.contains("catalog.aside")),
            "{what}: {name} is gone"
        );
    }
    assert_eq!(repair(&disk, false), Repaired::default(), "{what}: the second repair found something");
    let log = open(&disk, options(), &Hands::at(START)).unwrap();
    assert_eq!(log.health().problems, Vec::<String>::new(), "{what}");
    assert_eq!(log.verify(&Cancel::default()).unwrap().len(), 0, "{what}");
    let there = readable(&log);
    if let Ok(before) = before {
        assert!(before.is_subset(&there), "{what}: {} events could be read before and not after", before.difference(&there).count());
    }
    for i in 0..3 {
        let wanted = Selection { q: format!("event_name:N{i}"), ..everything() };
        let expected = there.iter().filter(|n| *n % 3 == i).count() as u64;
        let count = log.count(&wanted, &Cancel::default()).unwrap();
        assert_eq!((count.count, count.incomplete.len()), (expected, 0), "{what}");
    }
    let again: Vec<String> = there.iter().take(50).map(|n| event(*n)).collect();
    assert_eq!(append(&log, &again).unwrap().accepted, 0, "{what}: a retry was stored again");
    let next = append(&log, &[event(9_999)]).unwrap().first_sequence.unwrap().0;
    assert!(next > there.last().copied().unwrap_or(0) && next > EVENTS, "{what}: sequence {next} was given again");
    (there, done)
}

fn all() -> BTreeSet<u64> {
    (1..=EVENTS).collect()
}

#[test]
fn a_log_that_is_whole_is_not_touched() {
    let files = files();
    let disk = Disk::of(files.clone());
    assert_eq!(repair(&disk, false), Repaired::default());
    assert_eq!(disk.files(), files);
}

#[test]
fn of_a_damaged_segment_everything_is_kept_that_can_be_read() {
    let files = files();
    let segment = names(&files, "segment-")[0].clone();
    let length = files[&segment].len();
    let (mut partly, mut wholly) = (0, 0);
    for at in (0..length).step_by(length / 40) {
        let mut damaged = files.clone();
        damaged.get_mut(&segment).unwrap()[at] ^= 4;
        let (there, done) = mended(damaged, &format!("byte {at} of {length}"));
        let missing = all().difference(&there).count();
        assert_eq!(missing == 0, done.lost.is_empty(), "{:?}", done.lost);
        assert!(all().difference(&there).all(|lost| *lost <= FLUSHED / 2), "byte {at}: another segment lost something");
        partly += u32::from(missing == 2_048 || missing == 452);
        wholly += u32::from(missing == 0);
    }
    assert!(partly > 3 && wholly > 3, "{partly} with a block lost, {wholly} with nothing lost");
}

#[test]
fn a_segment_that_is_gone_is_let_go_and_said() {
    let mut damaged = files();
    let segment = names(&damaged, "segment-")[0].clone();
    damaged.remove(&segment);
    let (there, done) = mended(damaged, "a segment is gone");
    assert_eq!(there, (FLUSHED / 2 + 1..=EVENTS).collect());
    assert_eq!(done.lost, [format!("{segment}: 2500 events, sequences 1 to 2500")]);
}

#[test]
fn a_catalog_is_made_from_the_segments() {
    let files = files();
    for (what, bytes) in [("cut", Some(&files["catalog"][..50])), ("no catalog", Some(&b"nonsense"[..])), ("gone", None)] {
        let mut damaged = files.clone();
        damaged.remove("catalog");
        damaged.extend(bytes.map(|bytes| ("catalog".to_owned(), bytes.to_vec())));
        let opened = open(&Disk::of(damaged.clone()), options(), &Hands::at(START));
        assert_eq!(opened.err().map(|e| e.kind()), Some(ErrorKind::Corrupt));
        let (there, done) = mended(damaged, what);
        assert_eq!((there, done.lost), (all(), Vec::<String>::new()), "{what}");
    }
}

#[test]
fn a_catalog_and_a_segment_and_the_journal_at_once() {
    let mut damaged = files();
    let (segment, journal) = (names(&damaged, "segment-")[1].clone(), journal(&damaged));
    damaged.get_mut("catalog").unwrap()[20] ^= 1;
    damaged.get_mut(&segment).unwrap()[9] ^= 1;
    damaged.get_mut(&journal).unwrap()[200] ^= 1;
    let (there, done) = mended(damaged, "three files");
    assert!((1..=FLUSHED / 2).all(|n| there.contains(&n)) && there.contains(&EVENTS), "{done:?}");
    assert!(!there.contains(&(FLUSHED / 2 + 1)) && !there.contains(&(FLUSHED + 1)) && !done.lost.is_empty(), "{done:?}");
}

#[test]
fn of_a_damaged_journal_every_other_frame_is_kept() {
    let files = files();
    let journal = journal(&files);
    let mut lossy = 0;
    for at in (0..3_000).step_by(150) {
        let mut damaged = files.clone();
        damaged.get_mut(&journal).unwrap()[at] ^= 1;
        let disk = Disk::of(damaged.clone());
        if repair(&disk, true).found.is_empty() {
            continue;
        }
        let (there, done) = mended(damaged, &format!("byte {at} of the journal"));
        let missing: Vec<u64> = all().difference(&there).copied().collect();
        assert!(missing.len() <= 100 && missing.iter().all(|n| *n > FLUSHED), "byte {at}: {missing:?}");
        assert!(done.done.iter().any(|line| line.starts_with("journal-quarantined-")), "{done:?}");
        lossy += u32::from(!missing.is_empty());
    }
    assert!(lossy > 5, "{lossy}");
}

#[test]
fn where_there_is_no_log_none_is_made() {
    let disk = Disk::default();
    let error = try_repair(&disk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(disk.files().is_empty());
}

/// The process is killed, or the power goes, after any operation of a repair: another one does the rest.
#[test]
fn a_repair_that_is_cut_off_is_repeated() {
    let changes = &[Kind::Create, Kind::Write, Kind::Rename, Kind::Remove, Kind::Sync, Kind::SyncDirectory, Kind::Allocate];
    every_call_fails_once(changes, 15, true);
}

/// A file that cannot be read in this moment is not damaged for that.
#[test]
fn what_cannot_be_read_now_is_not_taken_for_damage() {
    for bad_catalog in [true, false] {
        every_call_fails_once(&[Kind::Open, Kind::Read, Kind::View], 5, bad_catalog);
    }
}

/// Repairs a directory with a damaged segment, and a damaged catalog or a good one, again and again, with one more call going well each time, and then once more
/// without an error: the end is the one of a repair that nothing disturbed.
fn every_call_fails_once(changes: &'static [Kind], least: u64, bad_catalog: bool) {
    let mut damaged = files();
    let segment = names(&damaged, "segment-")[0].clone();
    let middle = damaged[&segment].len() / 3;
    damaged.get_mut(&segment).unwrap()[middle] ^= 4;
    damaged.get_mut("catalog").unwrap()[20] ^= u8::from(bad_catalog);
    let (whole, _) = mended(damaged.clone(), "undisturbed");
    for after in 0.. {
        let disk = Disk::of(damaged.clone());
        disk.arm(Fault::once(changes, after, Failure::EIO));
        let result = try_repair(&disk);
        if disk.disarm() {
            assert!(after > least, "only {after} operations");
            return;
        }
        let what = format!("cut off after {after} operations: {result:?}");
        let left = Disk::of(disk.files());
        repair(&left, false);
        assert_eq!(repair(&left, false), Repaired::default(), "{what}");
        let log = open(&left, options(), &Hands::at(START)).unwrap();
        assert_eq!(readable(&log), whole, "{what}");
    }
}
