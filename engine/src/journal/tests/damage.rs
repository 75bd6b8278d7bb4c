//! Any byte may be wrong: every flip and every truncation of a small journal, and the cases that decide between torn and damaged.

use super::disk::Disk;
use super::log::{append, frames, open, read, read_from};
use crate::error::ErrorKind;
use crate::id::{Sequence, Timestamp};
use crate::journal::file_header::FileHeader;

const FIRST: &str = "journal-0000000000000001";
const SECOND: &str = "journal-0000000000000002";

/// Two files: groups 1-3, 4-8 + 9, 10-17 in the first; 18-19, 20-22 + 23-25 in the second.
fn journal() -> Disk {
    let disk = Disk::default();
    let mut writer = open(&disk);
    for group in [&[3u64] as &[u64], &[5, 1], &[8]] {
        append(&mut writer, group, 0).unwrap();
    }
    writer.rotate(Timestamp(5)).unwrap();
    append(&mut writer, &[2], 0).unwrap();
    append(&mut writer, &[3, 3], 0).unwrap();
    assert_eq!(disk.names(), [FIRST, SECOND]);
    disk
}

/// Where the frames of a file end.
fn used(content: &[u8]) -> usize {
    content.len() - content.iter().rev().take_while(|byte| **byte == 0).count()
}

/// Every event of the log is there, or in a reported loss, or in the torn tail; none is wrong.
fn accounts_for_all(disk: &Disk, what: &str) {
    let read = read(disk);
    let replay = &read.replay;
    for sequence in 1..26 {
        let lost = replay.damage.iter().filter_map(|d| d.lost.as_ref()).any(|lost| lost.contains(&Sequence(sequence)));
        let torn = replay.torn_tail.as_ref().is_some_and(|torn| Sequence(sequence) >= torn.sequence);
        match read.events.get(&sequence) {
            Some(_) => {
                read.has(sequence..sequence + 1, 0);
                assert!(!lost && !torn, "{what}: {sequence} is there and lost: {replay:?}");
            }
            None => assert!(lost || torn, "{what}: {sequence} is gone in silence: {replay:?}"),
        }
        // Only the last group can be torn: a later frame proves that the others had been durable.
        assert!(!torn || sequence > 19, "{what}: {sequence} was durable: {replay:?}");
    }
    assert!(read.events.keys().all(|sequence| *sequence < replay.next_sequence.0));
}

#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let clean = journal();
    for name in [FIRST, SECOND] {
        let content = clean.content(name);
        for at in 0..used(&content) + 80 {
            for mask in [0x01, 0x80, 0xff] {
                let mut bad = content.clone();
                bad[at] ^= mask;
                clean.put(name, &bad);
                accounts_for_all(&clean, &format!("{name} byte {at} ^ {mask:#x}"));
            }
        }
        clean.put(name, &content);
    }
    read(&clean).is_exactly(1..26, 0);
}

#[test]
fn every_truncation_is_found_or_harmless() {
    let disk = journal();
    for name in [FIRST, SECOND] {
        let content = disk.content(name);
        for length in 0..content.len() {
            disk.put(name, &content[..length]);
            let what = format!("{name} cut to {length}");
            let read = read(&disk);
            assert!(read.replay.damage.iter().all(|d| d.file == name), "{what}");
            read.has(1..if name == FIRST { 1 } else { 18 }, 0);
            if name == FIRST {
                read.has(18..26, 0);
                accounts_for_all(&disk, &what);
            } else if length < 64 {
                assert_eq!(read.replay.damage.len(), 1, "{what}: a header is whole before its file is live");
            }
        }
        disk.put(name, &content);
    }
}

#[test]
fn after_a_clean_close_nothing_is_torn() {
    let disk = journal();
    let mut writer = open(&disk);
    append(&mut writer, &[2, 2], 0).unwrap();
    writer.close_clean(Timestamp(3)).unwrap();
    read(&disk).is_exactly(1..30, 0);
    let name = "journal-0000000000000003";
    let content = disk.content(name);
    let starts = frames(&content);
    assert_eq!(starts.len(), 3);
    for at in starts[0]..starts[2] {
        let mut bad = content.clone();
        bad[at] ^= 0x10;
        disk.put(name, &bad);
        let read = read(&disk);
        assert!(read.replay.torn_tail.is_none(), "byte {at}");
        assert!(read.events.len() == 29 || read.replay.damage.iter().any(|d| d.lost.is_some()), "byte {at}");
        assert_eq!(read.replay.next_sequence, Sequence(30));
    }
}

#[test]
fn a_torn_group_is_no_damage_even_with_a_good_frame_behind() {
    let disk = journal();
    let content = disk.content(SECOND);
    let starts = frames(&content);
    let mut bad = content.clone();
    bad[starts[1] + 70] ^= 1;
    disk.put(SECOND, &bad);
    let found = read(&disk);
    assert!(found.replay.damage.is_empty(), "{:?}", found.replay);
    let torn = found.replay.torn_tail.as_ref().unwrap();
    assert_eq!((torn.file.as_str(), torn.offset, torn.sequence), (SECOND, starts[1] as u64, Sequence(20)));
    assert_eq!(found.replay.next_sequence, Sequence(20));
    // Going on gives the sequences anew; what lies behind the tear is never read again, whatever becomes of it.
    append(&mut open(&disk), &[4], 9).unwrap();
    for second in [&bad, &content] {
        disk.put(SECOND, second);
        let read = read(&disk);
        assert!(read.replay.damage.is_empty() && read.replay.torn_tail.is_none(), "{:?}", read.replay);
        read.has(1..20, 0);
        read.has(20..24, 9);
        assert_eq!(read.events.len(), 23);
    }
}

#[test]
fn damage_before_a_torn_group_is_told_from_it() {
    let disk = journal();
    let mut content = disk.content(SECOND);
    let starts = frames(&content);
    // The frame of 18-19 is damaged: the last group proves it. The last group's first frame is gone too: nothing proves that one.
    content[starts[0] + 3] ^= 1;
    content[starts[1] + 3] ^= 1;
    disk.put(SECOND, &content);
    let read = read(&disk);
    assert_eq!(read.replay.damage.len(), 1);
    assert_eq!(read.replay.damage[0].lost, Some(Sequence(18)..Sequence(20)));
    assert_eq!(read.replay.torn_tail.as_ref().map(|torn| torn.sequence), Some(Sequence(20)));
    assert_eq!(read.replay.next_sequence, Sequence(20));
}

#[test]
fn a_missing_file_is_damage_and_an_expired_one_is_not() {
    let disk = journal();
    let mut writer = open(&disk);
    append(&mut writer, &[1], 0).unwrap();
    disk.delete(SECOND);
    let found = read(&disk);
    assert_eq!(found.replay.damage.len(), 1);
    assert_eq!(found.replay.damage[0].lost, Some(Sequence(18)..Sequence(26)));
    found.has(1..18, 0);
    found.has(26..27, 0);
    assert!(read_from(&disk, 26).unwrap().replay.damage.is_empty());
}

#[test]
fn damage_to_what_segments_hold_loses_nothing_but_is_named() {
    let disk = journal();
    let mut content = disk.content(FIRST);
    let at = frames(&content)[1];
    content[at + 66] ^= 4;
    disk.put(FIRST, &content);
    let read = read_from(&disk, 18).unwrap();
    assert_eq!(read.replay.damage.len(), 1);
    let damage = &read.replay.damage[0];
    assert_eq!((damage.file.as_str(), damage.offset, damage.lost.clone()), (FIRST, at as u64, None));
    assert_eq!((damage.reason.kind(), damage.reason.component()), (ErrorKind::Corrupt, Some("payload")));
    read.has(18..26, 0);
    // The damaged file is not recycled: it is set aside.
    let mut writer = super::log::open_from(&disk, 18).unwrap();
    writer.release_all(Sequence(26)).unwrap();
    assert_eq!(disk.names(), ["journal-quarantined-0000000000000001", "journal-spare-0000000000000002"]);
}

#[test]
fn a_zeroed_stretch_is_no_end() {
    let disk = journal();
    let mut content = disk.content(SECOND);
    let starts = frames(&content);
    content[starts[0]..starts[1]].fill(0);
    disk.put(SECOND, &content);
    let read = read(&disk);
    assert_eq!(read.replay.damage[0].lost, Some(Sequence(18)..Sequence(20)));
    read.has(20..26, 0);
}

#[test]
fn frames_of_a_former_life_are_never_read_nor_proof_of_anything() {
    let disk = journal();
    let former = disk.content(FIRST);
    disk.delete(FIRST);
    disk.delete(SECOND);
    // The header of the new life is there, its end of frames is not: whole frames with the right sequences stand behind it.
    let header = FileHeader { id: 9, first_sequence: Sequence(1), created_at: Timestamp(1), reserved: 0 };
    let mut content = header.encode();
    content.extend_from_slice(&former[64..]);
    disk.put("journal-0000000000000009", &content);
    let read = read(&disk);
    assert!(read.events.is_empty() && read.replay.damage.is_empty(), "{:?}", read.replay);
    assert_eq!((read.replay.next_sequence, read.replay.next_id), (Sequence(1), 10));
    assert_eq!(read.replay.torn_tail.map(|torn| torn.offset), Some(64));
}

#[test]
fn a_last_file_that_was_cut_is_damage_at_every_length() {
    for closed in [false, true] {
        let disk = journal();
        let mut writer = open(&disk);
        append(&mut writer, &[3, 4], 0).unwrap();
        append(&mut writer, &[2], 0).unwrap();
        if closed {
            writer.close_clean(Timestamp(3)).unwrap();
        }
        let name = disk.names().into_iter().rfind(|name| !name.contains("spare")).unwrap();
        let content = disk.content(&name);
        let whole = read(&disk);
        assert!(whole.replay.damage.is_empty() && whole.replay.torn_tail.is_none(), "{:?}", whole.replay);
        // Behind the mark of a close stands an end of 64 zeros, which nothing needs.
        for length in 0..content.len() - if closed { 64 } else { 0 } {
            disk.put(&name, &content[..length]);
            let read = read(&disk);
            assert!(read.replay.damage.iter().any(|damage| damage.file == name), "cut to {length}: {:?}", read.replay);
        }
    }
}

#[test]
fn a_newest_file_that_is_gone_is_missed() {
    let disk = journal();
    let missing = |newest| {
        let mut found = read(&disk).replay;
        found.miss(newest);
        (found.damage.len(), found.next_id)
    };
    assert_eq!((missing(0), missing(1), missing(2)), ((0, 3), (0, 3), (0, 3)));
    assert_eq!(missing(3), (1, 4));
}

#[test]
fn a_torn_end_is_none_of_the_damage_when_the_file_behind_it_is_gone() {
    let disk = journal();
    let mut content = disk.content(SECOND);
    let last = *frames(&content).last().unwrap();
    content[last + 66] ^= 1;
    disk.put(SECOND, &content);
    let mut writer = open(&disk);
    append(&mut writer, &[3], 0).unwrap();
    writer.rotate(Timestamp(6)).unwrap();
    append(&mut writer, &[2], 0).unwrap();
    // All below 26 is in segments; of the names that were to go, the newest went alone.
    disk.delete("journal-0000000000000003");
    assert!(read_from(&disk, 26).unwrap().replay.damage.is_empty());
    // In front of the last group of a file its headers are proof enough.
    content[frames(&disk.content(SECOND))[0] + 66] ^= 1;
    disk.put(SECOND, &content);
    assert_eq!(read_from(&disk, 26).unwrap().replay.damage.len(), 1);
}
