//! A journal whose content follows from its sequences, so that every replayed event can be checked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::disk::Disk;
use crate::error::Result;
use crate::id::{Sequence, Timestamp};
use crate::journal::{GroupEntry, JournalSettings, JournalWriter, Payload, Replay, replay};

pub(super) const SETTINGS: JournalSettings = JournalSettings { journal_bytes: 4_096, spare_max: 1 };

/// The text of an event: long enough now and then for a batch to be compressed.
pub(super) fn text(sequence: u64, salt: u64) -> Vec<u8> {
    let filler = "filler ".repeat((sequence % 4) as usize * 10);
    format!("{{\"event\":{sequence},\"salt\":{salt},\"filler\":\"{filler}\"}}").into_bytes()
}

pub(super) fn payload(first: u64, events: u64, salt: u64) -> Payload {
    let events: Vec<Vec<u8>> = (first..first + events).map(|sequence| text(sequence, salt)).collect();
    Payload::encode(events.iter().map(Vec::as_slice)).unwrap()
}

/// Appends one group of batches of the given sizes.
pub(super) fn append(writer: &mut JournalWriter, sizes: &[u64], salt: u64) -> Result<Range<Sequence>> {
    let mut first = writer.next_sequence().0;
    let mut payloads = Vec::new();
    for size in sizes {
        payloads.push((payload(first, *size, salt), Timestamp(first as i64)));
        first += size;
    }
    let group: Vec<GroupEntry<'_>> =
        payloads.iter().map(|(payload, received_at)| GroupEntry { payload, received_at: *received_at }).collect();
    writer.append_group(&group)
}

/// What a replay gave, event by event.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) events: BTreeMap<u64, Vec<u8>>,
    pub(super) replay: Replay,
}

pub(super) fn read_from(disk: &Disk, from: u64) -> Result<Read> {
    let mut events = BTreeMap::new();
    let replay = replay(disk, Sequence(from), &mut |frame| {
        assert_eq!(frame.received_at.0, frame.first_sequence.0 as i64);
        for (index, range) in frame.events.iter().enumerate() {
            let before = events.insert(frame.first_sequence.0 + index as u64, frame.text[range.clone()].to_vec());
            assert_eq!(before, None, "an event came twice");
        }
        Ok(())
    })?;
    Ok(Read { events, replay })
}

pub(super) fn read(disk: &Disk) -> Read {
    read_from(disk, 1).unwrap()
}

impl Read {
    /// Demands exactly the events of a range, none wrong, nothing torn or damaged.
    pub(super) fn is_exactly(&self, sequences: Range<u64>, salt: u64) {
        assert!(self.replay.damage.is_empty() && self.replay.torn_tail.is_none(), "{:?}", self.replay);
        self.has(sequences.clone(), salt);
        assert_eq!(self.events.len() as u64, sequences.end - sequences.start);
        assert_eq!(self.replay.next_sequence, Sequence(sequences.end));
    }

    pub(super) fn has(&self, sequences: Range<u64>, salt: u64) {
        for sequence in sequences {
            assert_eq!(self.events.get(&sequence), Some(&text(sequence, salt)), "event {sequence}");
        }
    }
}

/// Opens the journal for appending, after a replay.
pub(super) fn open_from(disk: &Disk, from: u64) -> Result<JournalWriter> {
    let read = read_from(disk, from)?;
    JournalWriter::open(Arc::new(disk.clone()), SETTINGS, &read.replay)
}

pub(super) fn open(disk: &Disk) -> JournalWriter {
    open_from(disk, 1).unwrap()
}

/// The offsets of the frames of a file, by their magic number.
pub(super) fn frames(content: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(content, b"TJF\x01").collect()
}
