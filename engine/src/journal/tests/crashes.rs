//! Failing operations and power cuts at every moment: what was acknowledged is there, in one piece and once.

use super::disk::{CHANGES, Disk, Failure, Fault, Fill, Kind, Lost, cut};
use super::log::{append, open, open_from, read, read_from, text};
use crate::error::{ErrorKind, Result};
use crate::id::{Sequence, Timestamp};

/// What the outside knows: which salt each acknowledged event had.
type Ledger = Vec<u64>;

/// Appends, rotates, releases; stops at the first error that is not for want of space.
fn work(disk: &Disk, ledger: &mut Ledger, salt: u64, rounds: u64) -> Result<()> {
    let below = |ledger: &Ledger| Sequence((ledger.len() as u64 / 2).max(1));
    let mut writer = open_from(disk, below(ledger).0)?;
    for round in 0..rounds {
        let sizes = [1 + round % 5, 2, 20 * (round % 2) + 1];
        match append(&mut writer, &sizes, salt * 1_000 + round) {
            Ok(range) => {
                assert_eq!(range.start.0 as usize, ledger.len() + 1);
                ledger.resize(range.end.0 as usize - 1, salt * 1_000 + round);
            }
            Err(error) if matches!(error.kind(), ErrorKind::Full | ErrorKind::Io) => assert!(!writer.is_poisoned()),
            Err(error) => {
                if writer.is_poisoned() {
                    assert_eq!(append(&mut writer, &[1], 0).unwrap_err().kind(), ErrorKind::Poisoned);
                }
                return Err(error);
            }
        }
        if round % 4 == 3 {
            writer.release(below(ledger))?;
        }
    }
    writer.close_clean(Timestamp(0))
}

/// Every acknowledged event is there as acknowledged; the log may have more, but nothing damaged. The ledger takes over the rest.
fn check(disk: &Disk, ledger: &mut Ledger, what: &str) {
    let from = (ledger.len() as u64 / 4).max(1);
    let read = read_from(disk, from).unwrap();
    assert!(
        read.replay.damage.iter().all(|d| d.lost.as_ref().is_none_or(|l| l.end.0 <= ledger.len() as u64 / 2)),
        "{what}: {:?}",
        read.replay
    );
    let held = read.replay.files.first().map_or(read.replay.next_sequence.0, |file| file.first_sequence.0);
    assert!(held <= (ledger.len() as u64 / 2).max(1), "{what}: a file was released too early");
    // Of files that are let go, any part may be gone when the power goes before the directory was synced.
    let kept = |sequence: &u64| *sequence > ledger.len() as u64 / 2 || read.events.contains_key(sequence);
    for sequence in (held.max(from)..=ledger.len() as u64).filter(kept) {
        assert_eq!(read.events.get(&sequence), Some(&text(sequence, ledger[sequence as usize - 1])), "{what}: event {sequence}");
    }
    for sequence in ledger.len() as u64 + 1..read.replay.next_sequence.0 {
        let event = &read.events[&sequence];
        let salt = (0..1_000_000).find(|salt| text(sequence, *salt) == *event).unwrap();
        ledger.push(salt);
    }
}

/// No space, and pages that count as clean when it is a sync that finds none.
const FULL: Failure = Failure { lost: Lost::Clean, ..Failure::ENOSPC };

fn fail_after(disk: &Disk, others: u64, failure: Failure) {
    disk.arm(Fault::once(CHANGES, others, failure));
}

/// The directory after a power cut: what was synced, and of the rest what `keep` lets through, sector by sector.
fn power_cut(disk: &Disk, mut keep: impl FnMut() -> bool) -> Disk {
    Disk::holding(cut::crash(&disk.medium(), &mut |_| keep(), cut::TEARS[0], Fill::Zeros))
}

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 11
    }
}

#[test]
fn an_error_at_every_operation_loses_nothing_acknowledged() {
    let plain = Disk::default();
    work(&plain, &mut Ledger::new(), 1, 12).unwrap();
    let operations = plain.operations();
    assert!(operations > 40, "{operations}");
    for kind in [FULL, Failure::HALF] {
        for left in 0..operations {
            let what = format!("{kind:?} at operation {left}");
            let (disk, mut ledger) = (Disk::default(), Ledger::new());
            fail_after(&disk, left, kind);
            let result = work(&disk, &mut ledger, 1, 12);
            assert!(!disk.disarm(), "{what}: the failure was not reached");
            if let Err(error) = &result {
                assert!(matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Io | ErrorKind::Full), "{what}: {error:?}");
            }
            check(&disk, &mut ledger, &what);
            // The process starts again on the same cache, and the power goes right after the next start.
            work(&disk, &mut ledger, 2, 3).unwrap();
            let mut next = random(left);
            let after = power_cut(&disk, || next().is_multiple_of(2));
            check(&after, &mut ledger, &format!("{what}, then a power cut"));
        }
    }
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    for seed in 0..300 {
        let mut next = random(seed + 1);
        let (mut disk, mut ledger) = (Disk::default(), Ledger::new());
        for life in 0..6 {
            let what = format!("seed {seed}, life {life}");
            let kind = if next().is_multiple_of(4) { FULL } else { Failure::HALF };
            fail_after(&disk, next() % 60, kind);
            let _stopped = work(&disk, &mut ledger, life + 1, 10);
            disk.disarm();
            let odds = 1 + next() % 4;
            disk = power_cut(&disk, || next() % 4 < odds);
            check(&disk, &mut ledger, &what);
        }
    }
}

#[test]
fn what_a_start_has_shown_survives_a_power_cut() {
    let disk = Disk::default();
    let mut writer = open(&disk);
    append(&mut writer, &[2], 0).unwrap();
    // The write arrives in the cache, the sync fails: the pages are clean now, and on no disk.
    fail_after(&disk, 1, Failure::HALF);
    assert_eq!(append(&mut writer, &[3], 0).unwrap_err().kind(), ErrorKind::Poisoned);
    drop(writer);
    read(&disk).is_exactly(1..6, 0);
    drop(open(&disk));
    read(&power_cut(&disk, || false)).is_exactly(1..6, 0);
}

#[test]
fn a_full_disk_refuses_one_group_and_then_goes_on_in_a_new_file() {
    let disk = Disk::default();
    let mut writer = open(&disk);
    append(&mut writer, &[2], 0).unwrap();
    fail_after(&disk, 0, FULL);
    let error = append(&mut writer, &[3, 4, 5], 1).unwrap_err();
    assert_eq!((error.kind(), writer.is_poisoned(), writer.next_sequence()), (ErrorKind::Full, false, Sequence(3)));
    // There is no space for a new file either.
    fail_after(&disk, 1, FULL);
    assert_eq!(append(&mut writer, &[1], 2).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(append(&mut writer, &[3], 3).unwrap(), Sequence(3)..Sequence(6));
    let read = read(&disk);
    read.has(1..3, 0);
    read.has(3..6, 3);
    assert_eq!((read.events.len(), read.replay.damage.len(), read.replay.files.len()), (5, 0, 2));
}

/// A file that has its live name cuts off what goes on in the one before: nothing may fail between the name and the use of the file.
#[test]
fn a_new_file_that_cannot_be_used_is_not_there() {
    for after in 0..40 {
        let (disk, mut ledger) = (Disk::default(), Ledger::new());
        disk.arm(Fault::once(&[Kind::Length], after, Failure::EIO));
        if let Err(error) = work(&disk, &mut ledger, 1, 12) {
            assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
        }
        disk.disarm();
        // The caller goes on after the error, and again after a restart.
        check(&disk, &mut ledger, &format!("length {after}"));
    }
}

#[test]
fn a_close_after_a_refused_group_leaves_no_trace_of_it() {
    let disk = Disk::default();
    let mut writer = open(&disk);
    append(&mut writer, &[2], 0).unwrap();
    fail_after(&disk, 0, FULL);
    append(&mut writer, &[3, 4, 5], 1).unwrap_err();
    writer.close_clean(Timestamp(1)).unwrap();
    read(&power_cut(&disk, || false)).is_exactly(1..3, 0);
}
