//! [`JournalWriter`]: gives sequences, writes frames, syncs once a group.
//!
//! Every group ends with 64 zero bytes, which the next group overwrites: so the end of the log reads as an end even in a recycled
//! file. Errors: a group that was refused for want of space before its sync leaves the writer usable, but the file is not
//! written again (its leftovers could otherwise be read behind a later, shorter group); the next group begins a new file, and that
//! file's header cuts the leftovers off. Any other failed write or sync poisons the writer: what is on the disk is unknown.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::write::Write as _;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Sequence, Timestamp};
use crate::journal::file_header::FILE_HEADER_BYTES;
use crate::journal::files::{JournalFiles, JournalSettings, NewFile};
use crate::journal::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader, frame_bytes};
use crate::journal::outcome::{KeptFile, Replay};
use crate::journal::payload::Payload;
use crate::journal::settle::settle;
use crate::mutants;
use crate::storage::{File, Storage};

/// The end of frames: as many zero bytes as a header has.
const END: [u8; FRAME_HEADER_BYTES] = [0; FRAME_HEADER_BYTES];

/// Frames are gathered up to this many bytes for one write.
const GATHER_BYTES_MAX: usize = 1 << 20;

/// Payloads from this length on are written from where they are instead of being gathered.
const DIRECT_BYTES_MIN: usize = 256 << 10;

/// One batch of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupEntry<'a> {
    /// Its events.
    pub(crate) payload: &'a Payload,
    /// When it was received.
    pub(crate) received_at: Timestamp,
}

/// The one writer of a journal.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    files: JournalFiles,
    current: Option<Current>,
    next_sequence: Sequence,
    gathered: Vec<u8>,
    poisoned: bool,
}

/// The file that is written.
#[derive(Debug)]
struct Current {
    id: u64,
    name: String,
    file: Arc<dyn File>,
    first_sequence: Sequence,
    /// Where the next frame goes.
    position: u64,
    /// The length to which it is preallocated.
    length: u64,
    /// A group was refused in it: it is not written again, but for the mark of a close.
    spent: bool,
}

impl JournalWriter {
    /// Goes on after a replay: makes the end of the log durable, tidies spare files, lets go of files that segments have made
    /// needless. The first append begins a new file, so that a full disk does not keep a log from being opened.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn open(storage: Arc<dyn Storage>, settings: JournalSettings, replay: &Replay) -> Result<JournalWriter> {
        settle(&*storage, replay)?;
        let files = JournalFiles::open(storage, settings, replay)?;
        Ok(JournalWriter { files, current: None, next_sequence: replay.next_sequence, gathered: Vec::new(), poisoned: false })
    }

    /// Writes a group of batches and makes it durable; returns its sequences, in the order of the entries.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when there is no space: nothing is acknowledged, and a later append may succeed. (After a crash the group,
    /// or a part of it, may turn up all the same.) [`ErrorKind::Poisoned`] when the write or sync failed, and ever after. Anything
    /// else: a new file could not be made; the writer is as before.
    pub(crate) fn append_group(&mut self, group: &[GroupEntry<'_>]) -> Result<Range<Sequence>> {
        self.check_poison()?;
        if let (Some(current), true) = (&self.current, mutants::is("acknowledged_before_the_sync")) {
            // The sync of the group before, which was acknowledged without it.
            current.file.sync().map_err(|e| Error::io("too late", e))?;
        }
        let start = self.next_sequence;
        let Some(newest) = group.last() else { return Ok(start..start) };
        let bytes: u64 = group.iter().map(|entry| frame_bytes(entry.payload.stored().len())).sum();
        if !self.has_room(bytes) {
            self.begin_file(newest.received_at)?;
        }
        let Some(current) = &mut self.current else { return Err(Error::new(ErrorKind::Io, "no journal file is open")) };
        if let Err(error) = current.write_group(group, start, &mut self.gathered) {
            return Err(self.refuse(error));
        }
        if let Err(error) = make_durable(&*current.file) {
            return Err(self.poison(error));
        }
        current.position += bytes;
        self.next_sequence = start.plus(group.iter().map(|entry| u64::from(entry.payload.events())).sum());
        Ok(start..self.next_sequence)
    }

    /// Goes on in a new file, unless the current one is still empty; returns the id of the file that is written.
    ///
    /// # Errors
    /// [`ErrorKind::Poisoned`] when the names on disk are in doubt, and ever after; else the writer is as before.
    pub(crate) fn rotate(&mut self, now: Timestamp) -> Result<u64> {
        self.check_poison()?;
        match &self.current {
            Some(current) if current.is_empty() && !current.spent => Ok(current.id),
            _ => self.begin_file(now),
        }
    }

    /// Recycles or removes the files whose events are all below a sequence. The newest file stays, whatever it holds: the catalog may name it.
    ///
    /// # Errors
    /// What the operating system says; the call may be repeated.
    pub(crate) fn release(&mut self, below: Sequence) -> Result<()> {
        let newest = if mutants::is("newest_journal_released") { u64::MAX } else { self.newest() };
        self.files.release(below, newest)
    }

    /// The same with the newest file, where the catalog does not name it any more, unless it was made by this writer.
    ///
    /// # Errors
    /// What the operating system says; the call may be repeated.
    pub(crate) fn release_all(&mut self, below: Sequence) -> Result<()> {
        self.files.release(below, u64::MAX)
    }

    /// The id of the newest file; 0 where there is none.
    pub(crate) fn newest(&self) -> u64 {
        self.current.as_ref().map_or_else(|| self.files.newest(), |current| current.id)
    }

    /// Marks the log as closed: at the next start, nothing that cannot be read is taken for a torn tail.
    ///
    /// # Errors
    /// [`ErrorKind::Poisoned`], or what the operating system says. The log is whole without the mark.
    pub(crate) fn close_clean(mut self, now: Timestamp) -> Result<()> {
        self.check_poison()?;
        // At rest a log takes no more room than its events.
        self.files.drop_spares(0)?;
        let Some(current) = self.current else { return Ok(()) };
        let end = current.position + (FRAME_HEADER_BYTES + END.len()) as u64;
        let mut bytes = Vec::with_capacity(2 * FRAME_HEADER_BYTES);
        FrameHeader::mark(current.id, self.next_sequence, now).encode(&mut bytes);
        bytes.put_bytes(&END);
        let written = current.file.write_at(&bytes, current.position).and_then(|()| current.file.sync());
        written.map_err(|e| Error::io("cannot mark the journal as closed", e).in_file(&current.name))?;
        // Only now: a file that is shorter than was reserved, and has no mark, was damaged.
        current.file.truncate(end).map_err(|e| Error::io("cannot shorten the journal", e).in_file(&current.name))
    }

    /// The sequence of the next event.
    pub(crate) fn next_sequence(&self) -> Sequence {
        self.next_sequence
    }

    /// Where the next frame goes in the file that is written; 0 before the first append.
    #[cfg(test)]
    pub(crate) fn position(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.position)
    }

    /// The bytes of all journal files, spare ones included.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.bytes() + self.current.as_ref().map_or(0, Current::bytes)
    }

    /// Whether appends are refused for good.
    #[cfg(test)]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    fn check_poison(&self) -> Result<()> {
        if self.poisoned && !mutants::is("poison_check_left_out") {
            return Err(Error::new(ErrorKind::Poisoned, "the journal takes no writes since one could not be made durable"));
        }
        Ok(())
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.current.as_ref().is_some_and(|current| {
            let end = current.position + bytes + END.len() as u64;
            !current.spent && (current.is_empty() || end <= current.length)
        })
    }

    fn begin_file(&mut self, now: Timestamp) -> Result<u64> {
        let created = self.files.create(self.next_sequence, now);
        let NewFile { id, name, file, length } = match created {
            Ok(created) => created,
            Err(error) if self.files.in_doubt() => return Err(self.poison(error)),
            Err(error) => return Err(error),
        };
        let position = FILE_HEADER_BYTES as u64;
        let next = Current { id, name, file, first_sequence: self.next_sequence, position, length, spent: false };
        if let Some(finished) = self.current.replace(next) {
            self.files.finish(KeptFile {
                id: finished.id,
                first_sequence: finished.first_sequence,
                end_sequence: self.next_sequence,
                bytes: finished.bytes(),
                damaged: false,
            });
        }
        Ok(id)
    }

    /// A write failed before its sync. Without space the group is refused and the file not written again.
    fn refuse(&mut self, error: std::io::Error) -> Error {
        if !Error::is_full(&error) {
            return self.poison(Error::io("cannot write to the journal", error));
        }
        let full = Error::io("the disk is full: no space for the journal", error);
        if let Some(current) = &mut self.current {
            current.spent = !mutants::is("refused_file_written_again");
            // Best effort: a process that starts now would else read the refused group. A later file cuts it off in any case.
            let _left = current.file.write_at(&END, current.position);
            return full.in_file(&current.name).at(current.position);
        }
        full
    }

    fn poison(&mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.poisoned = true;
        let error = Error::new(ErrorKind::Poisoned, "a write to the journal could not be made durable").because(cause);
        match &self.current {
            Some(current) => error.in_file(&current.name).at(current.position),
            None => error,
        }
    }
}

/// The sync of a group: after it, and not before, its batches may be acknowledged.
fn make_durable(file: &dyn File) -> std::io::Result<()> {
    if mutants::is("journal_sync_left_out") || mutants::is("acknowledged_before_the_sync") {
        return Ok(());
    }
    match file.sync() {
        Err(_) if mutants::is("failed_sync_believed") => Ok(()),
        Err(_) if mutants::is("failed_sync_tried_again") => file.sync(),
        synced => synced,
    }
}

impl Current {
    fn is_empty(&self) -> bool {
        self.position == FILE_HEADER_BYTES as u64
    }

    fn bytes(&self) -> u64 {
        self.length.max(self.position + END.len() as u64)
    }

    /// Writes the frames of a group and the end behind them, in as few writes as is sensible.
    fn write_group(&self, group: &[GroupEntry<'_>], start: Sequence, gathered: &mut Vec<u8>) -> std::io::Result<()> {
        gathered.clear();
        let (mut at, mut first) = (self.position, start);
        for entry in group {
            let payload = entry.payload;
            let durable_before = if mutants::is("durable_before_too_high") { first } else { start };
            FrameHeader::of(payload, self.id, first, durable_before, entry.received_at).encode(gathered);
            if payload.stored().len() >= DIRECT_BYTES_MIN {
                at = self.flush(gathered, at)?;
                self.file.write_at(payload.stored(), at)?;
                at += payload.stored().len() as u64;
            } else {
                gathered.put_bytes(payload.stored());
            }
            let padding = (at as usize + gathered.len()).next_multiple_of(ALIGNMENT) - (at as usize + gathered.len());
            gathered.resize(gathered.len() + padding, 0);
            if gathered.len() >= GATHER_BYTES_MAX {
                at = self.flush(gathered, at)?;
            }
            first = first.plus(u64::from(payload.events()));
        }
        gathered.put_bytes(&END);
        self.flush(gathered, at).map(drop)
    }

    fn flush(&self, gathered: &mut Vec<u8>, at: u64) -> std::io::Result<u64> {
        self.file.write_at(gathered, at)?;
        let next = at + gathered.len() as u64;
        gathered.clear();
        Ok(next)
    }
}
