//! The simulated disk forgets what it should, and nothing else.

use trail_engine::storage::Storage as _;
use trail_sim::disk::{Disk, Failure, Fault, Fill, Image, Kind, Lost, cut};

/// What is left when the power goes and nothing that was pending arrives.
fn cut_off(disk: &Disk) -> Image {
    cut::crash(&disk.medium(), &mut |_| false, 0, Fill::Zeros)
}

fn content(image: &Image, name: &str) -> Option<Vec<u8>> {
    image.files().remove(name)
}

#[test]
fn bytes_need_a_sync_of_the_file_and_names_one_of_the_directory() {
    let disk = Disk::default();
    let file = disk.create("a").unwrap();
    file.write_at(b"one", 0).unwrap();
    assert_eq!(content(&disk.image(), "a").unwrap(), b"one");
    assert!(cut_off(&disk).files().is_empty());
    file.sync().unwrap();
    assert!(cut_off(&disk).files().is_empty(), "the name is not durable yet");
    disk.sync_directory().unwrap();
    assert_eq!(content(&cut_off(&disk), "a").unwrap(), b"one");
    file.write_at(b"TWO", 0).unwrap();
    disk.rename("a", "b").unwrap();
    assert_eq!(content(&cut_off(&disk), "a").unwrap(), b"one");
    assert_eq!(content(&cut_off(&disk), "b"), None);
    disk.sync_directory().unwrap();
    assert_eq!(content(&cut_off(&disk), "b").unwrap(), b"one");
    disk.remove("b").unwrap();
    assert_eq!(content(&cut_off(&disk), "b").unwrap(), b"one");
}

#[test]
fn a_rename_leaves_the_old_file_or_the_new_one() {
    let disk = Disk::of([("a".to_owned(), b"old".to_vec())]);
    let file = disk.create("a.next").unwrap();
    file.write_at(b"new", 0).unwrap();
    file.sync().unwrap();
    disk.rename("a.next", "a").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut luck = 0;
    let mut next = || {
        luck += 1;
        luck
    };
    cut::crashes(&disk.medium(), &mut next, &mut |image| {
        seen.insert(content(&image, "a").unwrap());
    });
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [b"new".to_vec(), b"old".to_vec()]);
}

#[test]
fn a_write_is_torn_and_what_was_never_written_is_anything() {
    let disk = Disk::of([("a".to_owned(), Vec::new())]);
    disk.open("a").unwrap().write_at(&[7; 2_000], 100).unwrap();
    let mut at = 0;
    let mut second_only = |_: usize| {
        at += 1;
        at == 2
    };
    let torn = cut::crash(&disk.medium(), &mut second_only, 512, Fill::Noise(1));
    let bytes = content(&torn, "a").unwrap();
    assert_eq!((bytes.len(), &bytes[512..1_024]), (1_024, &[7; 512][..]));
    assert!(bytes[..512].iter().any(|byte| *byte != 0 && *byte != 7), "a hole is filled with noise");
}

#[test]
fn a_sync_that_fails_keeps_cleans_or_reverts() {
    for (lost, seen, written_again) in [(Lost::Kept, b"new", true), (Lost::Clean, b"new", false), (Lost::Reverted, b"old", false)] {
        let disk = Disk::of([("a".to_owned(), b"old".to_vec())]);
        let file = disk.open("a").unwrap();
        // Which of the pages arrive is left to luck: here, none does, or the case says nothing.
        file.write_at(b"new", 0).unwrap();
        disk.arm(Fault::once(&[Kind::Sync], 0, Failure { lost, ..Failure::EIO }));
        file.sync().unwrap_err();
        if lost != Lost::Kept && content(&cut_off(&disk), "a").unwrap() == b"new" {
            continue;
        }
        assert_eq!(disk.content("a"), seen, "{lost:?}");
        file.sync().unwrap();
        assert_eq!(content(&cut_off(&disk), "a").unwrap() == b"new", written_again, "{lost:?}");
    }
}

#[test]
fn a_dead_process_leaves_no_trace() {
    let disk = Disk::default();
    disk.create("a").unwrap();
    let next = disk.next_life();
    assert_eq!(disk.create("b").unwrap_err().raw_os_error(), Some(5));
    assert_eq!(next.names(), ["a"]);
    next.create("c").unwrap();
    assert_eq!(next.names(), ["a", "c"]);
}

#[test]
fn a_full_disk_takes_what_needs_no_more_room() {
    let disk = Disk::of([("a".to_owned(), vec![0; 10])]);
    disk.limit(Some(12));
    let file = disk.open("a").unwrap();
    file.write_at(b"within", 0).unwrap();
    assert_eq!(file.write_at(&[1; 10], 5).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    file.write_at(&[1; 2], 10).unwrap();
    assert_eq!(disk.bytes(), 12);
}
