//! Disks that fail, fill up or hang, and directories that somebody else has open.

use std::path::PathBuf;
use std::sync::mpsc::channel;

use trail_engine::budget::Cancel;
use trail_engine::{AuditLog, ErrorKind, Options};

use crate::support::log::{all_events, append, everything, open, options, pause};
use trail_sim::clock::{Hands, START};
use trail_sim::disk::{Disk, Failure, Fault, Kind};
use trail_sim::random::Random;

fn event(i: usize) -> String {
    format!(r#"{{"eventVersion":1,"eventId":"id-{i}","padding":"{}"}}"#, "p".repeat(i % 50))
}

/// Text that does not compress.
fn noise(seed: usize) -> String {
    let mut random = Random::new(seed as u64);
    (0..1_000).map(|_| format!("{:016x}", random.next())).collect()
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_nothing_acknowledged_is_lost() {
    for syncs in 0..6 {
        let (memory, clock) = (Disk::default(), Hands::at(START));
        let log = open(&memory, options(), &clock).unwrap();
        append(&log, &[event(0)]).unwrap();
        memory.arm(Fault::sticky(&[Kind::Sync], syncs, Failure::EIO));
        let results: Vec<_> = (1..12).map(|i| append(&log, &[event(i)])).collect();
        let good = results.iter().take_while(|r| r.is_ok()).count();
        assert!(good < 11 && results[good..].iter().all(Result::is_err), "an append after a failed sync was acknowledged");
        for result in &results[good..] {
            assert_eq!(result.as_ref().unwrap_err().kind(), ErrorKind::Poisoned);
        }
        assert!(!log.health().writable && !log.health().problems.is_empty());
        assert_eq!(log.count(&everything(), &Cancel::default()).unwrap().count, good as u64 + 1, "reads go on");
        assert_eq!(log.flush().unwrap_err().kind(), ErrorKind::Poisoned);
        let files = memory.files();
        assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
        let again = open(&Disk::of(files), options(), &clock).unwrap();
        let found = all_events(&again).unwrap();
        assert!(found.len() > good, "{} of {} acknowledged events are left", found.len(), good + 1);
        for (i, stored) in found.iter().enumerate() {
            assert_eq!(stored.text, event(i).as_bytes());
        }
        append(&again, &[event(99)]).unwrap();
    }
}

#[test]
fn a_full_disk_is_said_and_writing_goes_on_once_there_is_room() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { journal_bytes: 16 << 10, ..options() };
    let log = open(&memory, options.clone(), &clock).unwrap();
    let used = |memory: &Disk| memory.files().values().map(|f| f.len() as u64).sum::<u64>();
    memory.limit(Some(used(&memory) + 100));
    let mut stored = Vec::new();
    let mut refused = 0;
    for i in 0..3_000 {
        match append(&log, &[event(i)]) {
            Ok(_) => stored.push(event(i)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
                refused += 1;
                if refused == 3 {
                    assert_eq!(all_events(&log).unwrap().len(), stored.len(), "reads go on");
                    memory.limit(None);
                }
            }
        }
    }
    assert_eq!(refused, 3);
    let texts = |log: &AuditLog| all_events(log).unwrap().into_iter().map(|e| String::from_utf8(e.text).unwrap()).collect::<Vec<_>>();
    assert_eq!(texts(&log), stored);
    let killed = open(&Disk::of(memory.files()), options.clone(), &clock).unwrap();
    assert_eq!(texts(&killed), stored);
    assert_eq!(killed.health().problems, Vec::<String>::new());
}

#[test]
fn little_space_is_used_to_its_end_and_a_full_disk_is_a_state_that_ends_by_itself() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { journal_bytes: 8 << 20, ..options() };
    let log = open(&memory, options, &clock).unwrap();
    let used = |memory: &Disk| memory.files().values().map(|f| f.len() as u64).sum::<u64>();
    memory.limit(Some(used(&memory) + (300 << 10)));
    append(&log, &[event(0)]).unwrap();
    assert!(!log.health().disk_full && log.health().problems.is_empty(), "a journal file shorter than usual: {:?}", log.health());
    let long = |i: usize| format!(r#"{{"eventVersion":1,"eventId":"long-{i}","x":"{}"}}"#, noise(i));
    let (mut stored, mut next) = (1, 1);
    let full = loop {
        match append(&log, &[long(next)]) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        next += 1;
    };
    assert!(full.kind() == ErrorKind::Full && full.message().starts_with("the disk is full"), "{full:?}");
    assert!(stored > 5, "only {stored} events found room in 300 KiB");
    let health = log.health();
    assert!(health.disk_full && health.problems.len() == 1 && health.problems[0].starts_with("the disk is full"), "{health:?}");
    assert_eq!(all_events(&log).unwrap().len(), stored, "reads go on");
    memory.limit(None);
    crate::support::log::eventually("nobody writes, and it is noticed", || !log.health().disk_full);
    assert_eq!(log.health().problems, Vec::<String>::new());
    append(&log, &[long(next)]).unwrap();
    assert_eq!(all_events(&open(&Disk::of(memory.files()), self::options(), &clock).unwrap()).unwrap().len(), stored + 1);
}

#[test]
fn a_flush_that_finds_no_room_is_tried_again() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { head_bytes_max: 32 << 10, ..options() };
    let log = open(&memory, options, &clock).unwrap();
    append(&log, &(0..20).map(event).collect::<Vec<_>>()).unwrap();
    memory.limit(Some(memory.files().values().map(|f| f.len() as u64).sum::<u64>() + 50));
    append(&log, &(20..400).map(event).collect::<Vec<_>>()).unwrap();
    pause(1_000);
    assert_eq!(all_events(&log).unwrap().len(), 400);
    assert_eq!(log.segments().len(), 0);
    let problems = log.health().problems;
    assert!(log.health().disk_full && problems.iter().all(|p| p.starts_with("the disk is full")), "{problems:?}");
    memory.limit(None);
    crate::support::log::eventually("the flush went well", || !log.segments().is_empty());
    crate::support::log::eventually("what is over is listed no more", || log.health().problems.is_empty());
    assert!(!log.health().disk_full);
    assert_eq!(all_events(&log).unwrap().len(), 400);
    let killed = open(&Disk::of(memory.files()), crate::support::log::options(), &clock).unwrap();
    assert_eq!(all_events(&killed).unwrap().len(), 400);
}

#[test]
fn a_disk_that_hangs_makes_callers_wait_and_then_turns_them_away() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let options = Options { pending_bytes_max: 4_000, ..options() };
    let log = open(&memory, options, &clock).unwrap();
    memory.hold_syncs(true);
    let (sender, receiver) = channel();
    let (mut taken, mut busy) = (0, 0);
    for i in 0..500 {
        let text = event(i);
        let (batch, _) = log.prepare(&mut [text.as_bytes()].into_iter()).unwrap();
        let sender = sender.clone();
        match log.submit(batch, Box::new(move |receipt| sender.send(receipt).unwrap())) {
            Ok(()) => taken += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Busy);
                busy += 1;
            }
        }
    }
    assert!(taken > 10 && busy > 10, "{taken} taken, {busy} turned away");
    assert!(receiver.try_recv().is_err(), "acknowledged before the sync");
    assert_eq!(log.last_sequence().0, 0, "visible before the sync");
    memory.hold_syncs(false);
    let accepted: u64 = (0..taken).map(|_| receiver.recv().unwrap().unwrap().accepted).sum();
    assert_eq!((accepted, all_events(&log).unwrap().len() as u64), (taken, taken));
    append(&log, &[event(1_000)]).unwrap();
}

#[test]
fn a_place_before_the_writer_counts_until_it_is_given_back_or_used() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, Options { pending_bytes_max: 4_000, ..options() }, &clock).unwrap();
    let place = log.place(3_000).unwrap();
    assert_eq!(log.place(1_001).unwrap_err().kind(), ErrorKind::Busy);
    let small = log.place(1_000).unwrap();
    drop(place);
    drop(small);
    // More than all of it: only where nothing else waits.
    let whole = log.place(1 << 20).unwrap();
    assert_eq!(log.place(1).unwrap_err().kind(), ErrorKind::Busy);
    // Handed over, it counts for what it is, and for nothing once it is written.
    let text = event(1);
    let (batch, _) = log.prepare(&mut [text.as_bytes()].into_iter()).unwrap();
    let (sender, receiver) = channel();
    log.submit_at(whole, batch, Box::new(move |receipt| sender.send(receipt).unwrap())).unwrap();
    assert_eq!(receiver.recv().unwrap().unwrap().accepted, 1);
    let again = log.place(4_000).unwrap();
    log.close().unwrap();
    assert_eq!(log.place(1).unwrap_err().kind(), ErrorKind::Closed);
    let (batch, _) = log.prepare(&mut [event(2).as_bytes()].into_iter()).unwrap();
    assert_eq!(log.submit_at(again, batch, Box::new(|_| panic!("handed over to a closed log"))).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_closed_log_takes_nothing_and_still_answers() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    append(&log, &[event(1)]).unwrap();
    log.close().unwrap();
    log.close().unwrap();
    assert_eq!(append(&log, &[event(2)]).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(log.flush().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(all_events(&log).unwrap().len(), 1);
}

fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _fresh = std::fs::remove_dir_all(&path);
    path
}

#[test]
fn a_directory_has_one_writer_and_any_number_of_readers() {
    let path = directory("lock");
    let log = AuditLog::open(&path, options()).unwrap();
    append(&log, &[event(1)]).unwrap();
    log.flush().unwrap();
    append(&log, &[event(2)]).unwrap();
    assert_eq!(AuditLog::open(&path, options()).unwrap_err().kind(), ErrorKind::Locked);
    let read_only = Options { read_only: true, ..options() };
    let reader = AuditLog::open(&path, read_only.clone()).unwrap();
    assert_eq!(all_events(&reader).unwrap().len(), 2);
    assert!(!reader.health().writable);
    assert_eq!(append(&reader, &[event(3)]).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(reader.flush().unwrap_err().kind(), ErrorKind::Closed);
    drop(log);
    let log = AuditLog::open(&path, options()).unwrap();
    assert_eq!(all_events(&log).unwrap().len(), 2);
    drop(log);
    let empty = directory("empty");
    assert_eq!(AuditLog::open(&empty, read_only.clone()).unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::create_dir_all(&empty).unwrap();
    assert_eq!(AuditLog::open(&empty, read_only).unwrap_err().kind(), ErrorKind::NotFound);
    for used in [path, empty] {
        std::fs::remove_dir_all(used).unwrap();
    }
}

#[test]
fn a_journal_file_that_the_catalog_names_stays() {
    // Which file the failed call was to make, another thread of the log decides too.
    let tripped: u64 = std::thread::scope(|scope| {
        let rounds: Vec<_> = (0..8).map(|round| scope.spawn(move || kept_when_a_file_cannot_be_made(round % 4))).collect();
        rounds.into_iter().map(|round| round.join().unwrap()).sum()
    });
    assert!(tripped >= 2, "{tripped} calls of 8 failed");
}

/// Flushes what one journal file has where the `nth` new file from then on cannot be made; how often that failed.
fn kept_when_a_file_cannot_be_made(nth: u64) -> u64 {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    append(&log, &[event(0)]).unwrap();
    let memory = memory.next_life();
    drop(log);
    let log = open(&memory, options(), &clock).unwrap();
    // The flush cannot go on in a new file; the one before has nothing any more that is needed, but it is the newest.
    memory.arm(Fault::once(&[Kind::Create], nth, Failure::EIO));
    log.flush().unwrap();
    trail_sim::subject::settle(&log);
    let again = open(&memory.next_life(), options(), &clock).unwrap();
    assert_eq!(again.health().problems, Vec::<String>::new(), "file {nth} from then on");
    assert_eq!(all_events(&again).unwrap().len(), 1);
    memory.tripped()
}

#[test]
fn a_newest_journal_file_that_is_gone_is_reported() {
    let (memory, clock) = (Disk::default(), Hands::at(START));
    let log = open(&memory, options(), &clock).unwrap();
    append(&log, &[event(0)]).unwrap();
    let memory = memory.next_life();
    drop(log);
    let journal = memory.names().into_iter().find(|name| name.starts_with("journal-0")).unwrap();
    memory.delete(&journal);
    // Until something is appended every start says so; then there is a newest file again.
    for _ in 0..2 {
        let log = open(&memory, options(), &clock).unwrap();
        assert!(log.health().problems.iter().any(|problem| problem.contains(&journal)), "{:?}", log.health());
    }
    let log = open(&memory, options(), &clock).unwrap();
    append(&log, &[event(1)]).unwrap();
    log.close().unwrap();
    assert!(!memory.names().contains(&journal), "the file that is gone lends its id to another");
    assert_eq!(open(&memory, options(), &clock).unwrap().health().problems, Vec::<String>::new());
}
