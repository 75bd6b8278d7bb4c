//! Frames that other threads unfold come out as if there were none: the same batches in the same order, the same report, the same errors, and
//! the disk is asked for the same things.

use std::sync::Arc;

use super::disk::{Disk, Failure, Fault, Kind};
use super::log::{append, frames, open, text};
use crate::error::{Error, Result};
use crate::id::{Sequence, Timestamp};
use crate::journal::ReplayedFrame;
use crate::journal::ahead::Reach;
use crate::journal::frame::FrameHeader;
use crate::journal::replay::replay_ahead;

/// Every frame goes to a thread, few or many at a time.
const NEAR: Reach = Reach { parcel_bytes: 1, parcels: 2, bytes: usize::MAX, threads: 2 };
const FAR: Reach = Reach { parcel_bytes: 1, parcels: 100, bytes: usize::MAX, threads: 3 };
/// A parcel of some frames, and then nothing more until one is taken.
const TIGHT: Reach = Reach { parcel_bytes: 8_000, parcels: 100, bytes: 1, threads: 1 };

/// Three files of 61 batches.
fn journal() -> Disk {
    let disk = Disk::default();
    let mut writer = open(&disk);
    for file in 0..3 {
        append(&mut writer, &[3], 0).unwrap();
        for group in 0..10 {
            append(&mut writer, &[group + 1, 5], 0).unwrap();
        }
        writer.rotate(Timestamp(file)).unwrap();
    }
    append(&mut writer, &[4], 0).unwrap();
    disk
}

/// The first sequence of every batch that was taken, and what the replay said: everything in words.
fn told(disk: &Disk, reach: Reach, refused: (u64, u64)) -> (Vec<u64>, String) {
    let prepare = move |frame: ReplayedFrame<'_>| -> Result<(u64, Vec<Vec<u8>>)> {
        let texts = frame.events.iter().map(|range| frame.text[range.clone()].to_vec()).collect();
        let first = frame.first_sequence.0;
        if first == refused.0 { Err(Error::invalid(format!("{first} is not prepared"))) } else { Ok((first, texts)) }
    };
    let mut taken = Vec::new();
    let take = &mut |(first, texts): (u64, Vec<Vec<u8>>)| {
        assert!(texts.iter().zip(first..).all(|(found, sequence)| *found == text(sequence, 0)), "{first}");
        if first == refused.1 {
            return Err(Error::invalid(format!("{first} is not taken")));
        }
        taken.push(first);
        Ok(())
    };
    let said = format!("{:?}", replay_ahead(disk, Sequence(4), reach, Arc::new(prepare), take));
    (taken, said)
}

/// Demands the same of every reach; returns it.
fn same(disk: &Disk, refused: (u64, u64), what: &str) -> (Vec<u64>, String) {
    let here = told(disk, Reach::HERE, refused);
    assert!(here.0.is_sorted(), "{what}: {here:?}");
    for reach in [NEAR, FAR, TIGHT] {
        assert_eq!(told(disk, reach, refused), here, "{what}, {reach:?}");
    }
    here
}

/// Makes the payload of a frame one that is intact and cannot be unfolded.
fn unreadable(content: &mut [u8], at: usize) {
    let mut header = FrameHeader::decode(&content[at..at + 64]).unwrap();
    header.events -= 1;
    header.raw_bytes += 1;
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    content[at..at + 64].copy_from_slice(&bytes);
}

#[test]
fn an_intact_journal_is_read_alike() {
    let disk = journal();
    let (taken, said) = same(&disk, (0, 0), "intact");
    assert_eq!(taken.len(), 3 * 21 + 1 - 1, "the first batch is below the sequence that was asked for");
    assert!(said.contains("damage: []"), "{said}");
}

#[test]
fn damage_is_told_alike_and_in_order() {
    let disk = journal();
    for name in disk.names() {
        let content = disk.content(&name);
        for (n, at) in frames(&content).into_iter().enumerate() {
            let mut bad = content.clone();
            bad[at + 70] ^= 1;
            disk.put(&name, &bad);
            let what = format!("{name}: payload of frame {n}");
            same(&disk, (0, 0), &what);
            // Damage that is found by reading, before or behind damage that is found by unfolding.
            if n > 1 {
                unreadable(&mut bad, frames(&content)[n - 2]);
                disk.put(&name, &bad);
                let (_, said) = same(&disk, (0, 0), &format!("{what}, and one before"));
                assert!(said.contains("Damage {"), "{said}");
            }
            bad[at..at + 64].fill(0);
            disk.put(&name, &bad);
            same(&disk, (0, 0), &format!("{what} without a header"));
        }
        for length in (0..content.len()).step_by(97) {
            disk.put(&name, &content[..length]);
            same(&disk, (0, 0), &format!("{name} cut to {length}"));
        }
        disk.put(&name, &content);
    }
}

#[test]
fn the_first_error_in_the_journal_counts() {
    let disk = journal();
    let (all, _) = same(&disk, (0, 0), "intact");
    for (place, first) in all.iter().enumerate() {
        let later = all.get(place + 3).copied().unwrap_or_default();
        for (refused, why) in [((*first, later), "prepared"), ((later, *first), "taken")] {
            let (taken, said) = same(&disk, refused, why);
            assert_eq!(taken, all[..place], "{said}");
            assert!(said.contains(&format!("{first} is not {why}")), "{said}");
        }
    }
}

#[test]
fn the_disk_is_asked_for_the_same_and_its_errors_come_alike() {
    let disk = journal();
    let calls = |reach| {
        let before = Kind::ALL.map(|kind| disk.calls(&[kind]));
        told(&disk, reach, (0, 0));
        let after = Kind::ALL.map(|kind| disk.calls(&[kind]));
        std::array::from_fn::<u64, 13, _>(|i| after[i] - before[i])
    };
    let here = calls(Reach::HERE);
    for reach in [NEAR, FAR, TIGHT] {
        assert_eq!(calls(reach), here, "{reach:?}");
    }
    for after in 0..here.iter().sum() {
        let failing = |reach| {
            disk.arm(Fault::once(&Kind::ALL, after, Failure::EIO));
            let told = told(&disk, reach, (0, 0));
            assert!(!disk.disarm(), "call {after} was not reached");
            told
        };
        let here = failing(Reach::HERE);
        for reach in [NEAR, FAR, TIGHT] {
            assert_eq!(failing(reach), here, "call {after}, {reach:?}");
        }
    }
}
