//! Committed files of format version 1: today's code must write the plain one byte for byte, and read all of them.
//!
//! The compressed one is only read, since another zstd release may pack the same events into other bytes.

use std::path::PathBuf;

use super::disk::Disk;
use super::log::{append, open, read, text};
use crate::event::DimensionSchema;
use crate::event::extract::Extractor;
use crate::id::{Sequence, Timestamp};
use crate::journal::{GroupEntry, Payload};

const FILE: &str = "journal-0000000000000001";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/format").join(name)
}

/// A missing file fails: a golden file that nobody misses guards nothing.
fn committed(name: &str) -> Vec<u8> {
    let path = path(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Two groups of plain batches and the mark of a close.
fn plain() -> Vec<u8> {
    let disk = Disk::default();
    let mut writer = open(&disk);
    append(&mut writer, &[1], 1).unwrap();
    append(&mut writer, &[4, 2], 1).unwrap();
    writer.close_clean(Timestamp(1_700_000_000_000_000_000)).unwrap();
    disk.content(FILE)
}

fn disk_with(content: &[u8]) -> Disk {
    let disk = Disk::default();
    disk.put(FILE, content);
    disk
}

#[test]
fn the_plain_journal_is_written_byte_for_byte() {
    if std::env::var_os("TRAILD_BLESS").is_some() {
        std::fs::write(path("journal-v1"), plain()).unwrap();
    }
    assert!(plain() == committed("journal-v1"), "the journal format has changed: it needs another version");
}

#[test]
fn the_plain_journal_is_read() {
    let read = read(&disk_with(&committed("journal-v1")));
    read.is_exactly(1..8, 1);
    assert_eq!(read.replay.files.len(), 1);
}

#[test]
fn the_compressed_journal_is_read() {
    let content = committed("journal-v1-zstd");
    assert_eq!(content[64 + 5], 1, "the first frame is compressed");
    read(&disk_with(&content)).is_exactly(1..121, 1);
}

/// A batch as numbers, which are compressed, and the mark of a close.
fn numbered() -> Vec<u8> {
    let disk = Disk::default();
    let mut writer = open(&disk);
    let texts: Vec<Vec<u8>> = (1..201).map(|sequence| text(sequence, 1)).collect();
    let extractor = Extractor::new(DimensionSchema::default());
    let (batch, rejected) = extractor.prepare(&mut texts.iter().map(Vec::as_slice)).unwrap();
    assert_eq!(rejected, []);
    let payload = Payload::of_batch(&batch, Vec::new()).unwrap();
    writer.append_group(&[GroupEntry { payload: &payload, received_at: Timestamp(1) }]).unwrap();
    writer.close_clean(Timestamp(1_700_000_000_000_000_000)).unwrap();
    disk.content(FILE)
}

#[test]
fn the_numbered_journal_is_read() {
    const NAME: &str = "journal-v1-numbered";
    if std::env::var_os("TRAILD_BLESS").is_some() {
        std::fs::write(path(NAME), numbered()).unwrap();
    }
    for content in [committed(NAME), numbered()] {
        assert_eq!(content[64 + 5], 3, "the first frame holds compressed numbers");
        read(&disk_with(&content)).is_exactly(1..201, 1);
    }
}

#[test]
fn the_damaged_journal_is_refused_where_it_is_damaged() {
    let read = read(&disk_with(&committed("journal-v1-damaged")));
    assert_eq!(read.replay.damage.len(), 1);
    let damage = &read.replay.damage[0];
    assert_eq!((damage.file.as_str(), damage.lost.clone()), (FILE, Some(Sequence(2)..Sequence(6))));
    assert_eq!(damage.reason.component(), Some("payload"));
    read.has(1..2, 1);
    read.has(6..8, 1);
    assert!(read.replay.torn_tail.is_none());
}
