//! What goes in comes out: batches, rotation, release, recycling, restarts.

use super::disk::Disk;
use super::log::{SETTINGS, append, frames, open, open_from, payload, read, read_from};
use crate::error::ErrorKind;
use crate::id::{Sequence, Timestamp};
use crate::journal::JournalWriter;
use proptest::prelude::*;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_appended_comes_back(groups in proptest::collection::vec(proptest::collection::vec(1u64..40, 1..5), 0..30), from in 1u64..200) {
        let disk = Disk::default();
        let mut writer = open(&disk);
        for group in &groups {
            append(&mut writer, group, 0).unwrap();
        }
        let end = writer.next_sequence().0;
        read(&disk).is_exactly(1..end, 0);
        let part = read_from(&disk, from).unwrap();
        part.has(from..end, 0);
        prop_assert!(part.replay.damage.is_empty());
        prop_assert_eq!(part.replay.next_sequence.0, end.max(from));
    }
}

#[test]
fn an_empty_directory_is_an_empty_log() {
    let read = read_from(&Disk::default(), 5).unwrap();
    assert_eq!((read.replay.next_sequence, read.replay.next_id), (Sequence(5), 1));
    assert!(read.events.is_empty() && read.replay.files.is_empty() && read.replay.damage.is_empty());
}

#[test]
fn large_batches_are_written_from_where_they_are() {
    let disk = Disk::default();
    let mut writer = open(&disk);
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let events: Vec<Vec<u8>> = (0..3).map(|_| (0..300_001).map(|_| noise()).collect()).collect();
    let payload = crate::journal::Payload::encode(events.iter().map(Vec::as_slice)).unwrap();
    let entry = crate::journal::GroupEntry { payload: &payload, received_at: Timestamp(1) };
    assert_eq!(writer.append_group(&[entry]).unwrap(), Sequence(1)..Sequence(4));
    append(&mut writer, &[3], 0).unwrap();
    let read = read(&disk);
    assert_eq!(read.events.values().take(3).cloned().collect::<Vec<_>>(), events);
    read.has(4..7, 0);
}

#[test]
fn files_are_rotated_recycled_and_released() {
    let disk = Disk::default();
    let mut writer = open(&disk);
    while writer.next_sequence().0 < 400 {
        append(&mut writer, &[7, 3], 0).unwrap();
    }
    let live = read(&disk).replay.files;
    assert!(live.len() > 3);
    assert!(live.iter().all(|file| file.bytes <= SETTINGS.journal_bytes));
    assert_eq!(writer.bytes(), live.iter().map(|file| file.bytes).sum::<u64>());
    writer.release(live[2].end_sequence).unwrap();
    assert_eq!(disk.names().iter().filter(|name| name.starts_with("journal-spare-")).count(), 1);
    assert_eq!(read_from(&disk, live[2].end_sequence.0).unwrap().replay.files[0].id, live[3].id);
    // The recycled file still holds whole frames of its former life behind the new ones; none of them may come back.
    let id = writer.rotate(Timestamp(9)).unwrap();
    assert!(disk.names().iter().all(|name| !name.starts_with("journal-spare-")));
    assert!(frames(&disk.content(&format!("journal-{id:016x}"))).len() > 1);
    append(&mut writer, &[1], 0).unwrap();
    let end = writer.next_sequence().0;
    read_from(&disk, live[3].first_sequence.0).unwrap().is_exactly(live[3].first_sequence.0..end, 0);
    assert_eq!(writer.rotate(Timestamp(9)).unwrap(), id + 1);
    assert_eq!(writer.rotate(Timestamp(9)).unwrap(), id + 1, "an empty file is not rotated");
}

#[test]
fn every_start_goes_on_in_a_new_file_and_frees_the_needless_ones() {
    let disk = Disk::default();
    for round in 0..6 {
        let from = (round * 4u64).max(1);
        let mut writer = open_from(&disk, from).unwrap();
        assert_eq!(writer.position(), 0);
        append(&mut writer, &[2, 3], 0).unwrap();
        let end = writer.next_sequence().0;
        assert_eq!(end, 1 + (round + 1) * 5);
        if round % 2 == 0 {
            writer.close_clean(Timestamp(1)).unwrap();
        }
        let read = read_from(&disk, from).unwrap();
        read.has(from..end, 0);
        assert!(read.replay.damage.is_empty() && read.replay.torn_tail.is_none());
    }
    assert!(disk.names().len() <= 4, "{:?}", disk.names());
}

#[test]
fn compressed_and_plain_batches_share_a_group() {
    let disk = Disk::default();
    let mut writer = open(&disk);
    append(&mut writer, &[400, 2, 700], 0).unwrap();
    append(&mut writer, &[300], 0).unwrap();
    assert!(writer.bytes() < 40_000, "about 200,000 bytes of text took {}", writer.bytes());
    read(&disk).is_exactly(1..1_403, 0);
    read_from(&disk, 402).unwrap().has(402..1_403, 0);
}

#[test]
fn an_empty_group_is_nothing() {
    let mut writer = open(&Disk::default());
    assert_eq!(writer.append_group(&[]).unwrap(), Sequence(1)..Sequence(1));
    assert_eq!(writer.bytes(), 0);
}

#[test]
fn the_error_of_a_sink_ends_the_replay() {
    let disk = Disk::default();
    append(&mut open(&disk), &[1], 0).unwrap();
    let result = crate::journal::replay(&disk, Sequence(1), &mut |_| Err(crate::Error::new(ErrorKind::Cancelled, "enough")));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_gap_between_segments_and_journal_is_reported() {
    let disk = Disk::default();
    let read_at_ten = {
        let replay = read_from(&disk, 10).unwrap().replay;
        let mut writer = JournalWriter::open(Arc::new(disk.clone()), SETTINGS, &replay).unwrap();
        append(&mut writer, &[2], 0).unwrap();
        read_from(&disk, 7).unwrap()
    };
    assert_eq!(read_at_ten.replay.damage.len(), 1);
    assert_eq!(read_at_ten.replay.damage[0].lost, Some(Sequence(7)..Sequence(10)));
    read_at_ten.has(10..12, 0);
    assert_eq!(payload(1, 2, 0).events(), 2);
}
