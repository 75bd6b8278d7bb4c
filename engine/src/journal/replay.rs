//! [`replay`]: every batch of the journal in order, and an honest account of what could not be read.
//!
//! Files are read in the order of their ids, frames in the order of their sequences, as far ahead of what takes them as [`Reach`] says. A
//! file's header says where it begins; that is also where the file before it ends: whatever lies behind there was cut off by an earlier recovery,
//! and is not read again.
//!
//! Where the next frame cannot be read, the question is up to which sequence the log was once durable. The next file's header says
//! it, or, in the last file, the intact frame headers behind that place. If nothing beyond the place was durable, the log ends
//! there: a clean end, or a torn tail. Otherwise it is damage: it is reported with the sequences that are lost, and reading goes on
//! at the next intact frame.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::checksum::check_crc32;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Sequence, Timestamp};
use crate::journal::ahead::{Ahead, Done, Outcome, Prepare, Reach};
use crate::journal::file_header::FILE_HEADER_BYTES;
use crate::journal::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader};
use crate::journal::listing::{LiveFile, list};
use crate::journal::outcome::{Damage, KeptFile, Replay, ReplayedFrame, TornTail, Unsettled};
use crate::journal::window::Window;
use crate::mutants;
use crate::storage::Storage;

/// What takes the batches.
pub(crate) type Sink<'a> = dyn FnMut(ReplayedFrame<'_>) -> Result<()> + 'a;

/// Reads the journal and gives `sink` every batch that has an event at or above `from`, one after the other on this thread. Writes nothing.
///
/// # Errors
/// As [`replay_ahead`], with the sink for both.
pub(crate) fn replay(storage: &dyn Storage, from: Sequence, sink: &mut Sink<'_>) -> Result<Replay> {
    replay_ahead(storage, from, Reach::HERE, Arc::new(|frame: ReplayedFrame<'_>| Ok(Kept::of(&frame))), &mut |kept| sink(kept.frame()))
}

/// A frame with its bytes.
struct Kept {
    first_sequence: Sequence,
    received_at: Timestamp,
    events: Vec<Range<usize>>,
    text: Vec<u8>,
}

impl Kept {
    fn of(frame: &ReplayedFrame<'_>) -> Kept {
        let (events, text) = (frame.events.to_vec(), frame.text.to_vec());
        Kept { first_sequence: frame.first_sequence, received_at: frame.received_at, events, text }
    }

    fn frame(&self) -> ReplayedFrame<'_> {
        let Kept { first_sequence, received_at, events, text } = self;
        ReplayedFrame { first_sequence: *first_sequence, received_at: *received_at, events, text }
    }
}

/// Reads the journal, has every batch prepared that has an event at or above `from`, on any thread and in any order, and gives what comes out
/// to `take`, on this thread and in order. Writes nothing.
///
/// Frames below `from` are checked but not unfolded.
///
/// # Errors
/// What `prepare` and `take` say; what the operating system says (a place that cannot be read is not the same as one that holds wrong
/// bytes: it may be readable again tomorrow); [`ErrorKind::Unsupported`] for an intact file or frame of another version. Of several the one
/// that comes first in the journal, and nothing behind it is taken. Damage is no error: see [`Replay::damage`].
pub(crate) fn replay_ahead<P: Send + 'static>(
    storage: &dyn Storage,
    from: Sequence,
    reach: Reach,
    prepare: Arc<Prepare<P>>,
    take: &mut dyn FnMut(P) -> Result<()>,
) -> Result<Replay> {
    let listing = list(storage)?;
    let found = Replay {
        next_sequence: from,
        next_id: listing.next_id,
        files: Vec::new(),
        torn_tail: None,
        damage: Vec::new(),
        from,
        spares: listing.spares,
        unsettled: None,
    };
    let mut log = Log { from, expected: None, found, ahead: Ahead::new(prepare, reach), take };
    for (index, file) in listing.live.iter().enumerate() {
        let fence = listing.live.iter().skip(index + 1).find_map(|later| later.first_sequence);
        log.read_file(storage, file, fence)?;
    }
    log.found.next_sequence = log.expected.map_or(from, |expected| expected.max(from));
    Ok(log.found)
}

/// The log as far as it has been read.
struct Log<'a, P> {
    from: Sequence,
    /// The sequence of the next frame; unknown before the first file.
    expected: Option<Sequence>,
    found: Replay,
    /// Frames that were read and not taken: of one file only.
    ahead: Ahead<P>,
    take: &'a mut dyn FnMut(P) -> Result<()>,
}

impl<P: Send + 'static> Log<'_, P> {
    fn expected(&self) -> Sequence {
        self.expected.unwrap_or(self.from)
    }

    fn read_file(&mut self, storage: &dyn Storage, file: &LiveFile, fence: Option<Sequence>) -> Result<()> {
        let damage_before = self.found.damage.len();
        self.enter(file);
        let first_sequence = self.expected();
        let mut reading = Reading::new(file.open(storage)?, file.id, fence);
        let read = self.read_frames(&mut reading);
        // What was read before something went wrong comes before it.
        self.take_all(reading.window.name())?;
        let offset = read?;
        self.found.unsettled = reading.unsettled(offset);
        if fence.is_none() && !mutants::is("short_journal_accepted") {
            self.look_at_length(file, &reading, offset);
        }
        self.found.files.push(KeptFile {
            id: file.id,
            first_sequence,
            end_sequence: self.expected(),
            bytes: reading.window.length(),
            damaged: self.found.damage.len() > damage_before,
        });
        Ok(())
    }

    /// Reads the frames of a file; returns where they end.
    fn read_frames(&mut self, reading: &mut Reading) -> Result<u64> {
        let mut offset = FILE_HEADER_BYTES as u64;
        loop {
            offset = match reading.frame_at(offset, self.expected())? {
                Found::Frame(header) => {
                    reading.note(offset, &header);
                    self.deliver(&mut reading.window, offset, &header)?;
                    offset + header.frame_bytes()
                }
                Found::Unreadable(place) => {
                    // So that damage is reported in order.
                    self.take_all(reading.window.name())?;
                    match self.resume(reading, place)? {
                        Some(next) => next,
                        None => return Ok(offset),
                    }
                }
            };
        }
    }

    /// The last file has all the room that it was given, or the mark of the close that took it back; else its end is lost.
    fn look_at_length(&mut self, file: &LiveFile, reading: &Reading, offset: u64) {
        let length = reading.window.length();
        if reading.closed || length >= file.reserved {
            return;
        }
        self.found.torn_tail = None;
        let reason = Error::corrupt("the file is shorter than it was made, and no close has shortened it").expected(file.reserved, length);
        let reason = reason.in_file(file.name()).at(offset);
        self.found.damage.push(Damage { file: file.name(), offset, reason, lost: None, is_gap: false, is_open: true });
    }

    /// Takes note of what the file's header says.
    fn enter(&mut self, file: &LiveFile) {
        if let Some(error) = &file.header_damage {
            self.found.damage.push(Damage {
                file: file.name(),
                offset: 0,
                reason: error.duplicate(),
                lost: None,
                is_gap: false,
                is_open: false,
            });
        }
        let Some(first) = file.first_sequence else { return };
        let expected = self.expected();
        if first > expected {
            self.lose(&file.name(), 0, None, expected..first);
        }
        if self.expected.is_none_or(|expected| expected < first) {
            self.expected = Some(first);
        }
    }

    /// Reports unreadable bytes. Without a `reason` of their own they count only if events are lost with them.
    fn lose(&mut self, file: &str, offset: u64, reason: Option<Error>, sequences: Range<Sequence>) {
        let lost = Some(sequences.start.max(self.from)..sequences.end).filter(|lost| lost.start < lost.end);
        if lost.is_none() && reason.is_none() {
            return;
        }
        let is_gap = reason.is_none();
        let reason = reason.unwrap_or_else(|| Error::corrupt("frames are missing that had been durable")).in_file(file).at(offset);
        self.found.damage.push(Damage { file: file.to_owned(), offset, reason, lost, is_gap, is_open: false });
    }

    /// Has a frame prepared, and takes those before it that there is no more room for.
    fn deliver(&mut self, window: &mut Window, offset: u64, header: &FrameHeader) -> Result<()> {
        self.expected = Some(header.end_sequence());
        if header.mark || header.end_sequence() <= self.from {
            return Ok(());
        }
        let stored = window.bytes(offset + FRAME_HEADER_BYTES as u64, header.stored_bytes as usize)?;
        self.ahead.push(offset, *header, stored);
        while self.ahead.is_full() {
            self.take_some(window.name())?;
        }
        Ok(())
    }

    /// Takes all that was read of a file.
    fn take_all(&mut self, file: &str) -> Result<()> {
        while self.take_some(file)? {}
        Ok(())
    }

    /// Takes the oldest frames of those that were read; whether there were any.
    fn take_some(&mut self, file: &str) -> Result<bool> {
        let Some(oldest) = self.ahead.next() else { return Ok(false) };
        let taken = oldest.and_then(|frames| frames.into_iter().try_for_each(|frame| self.take_one(frame, file)));
        if taken.is_err() {
            self.ahead.forget();
        }
        taken.map(|()| true)
    }

    /// A payload that is intact and still cannot be unfolded is damage, never a torn tail.
    fn take_one(&mut self, frame: Done<P>, file: &str) -> Result<()> {
        match frame.outcome {
            Outcome::Prepared(prepared) => (self.take)(prepared?),
            Outcome::Unreadable(error) if error.kind() == ErrorKind::Corrupt => {
                self.lose(file, frame.offset, Some(error), frame.header.first_sequence..frame.header.end_sequence());
                Ok(())
            }
            Outcome::Unreadable(error) => Err(error.in_file(file)),
        }
    }

    /// Decides what an unreadable place is, and says where to go on; `None` when the file has no more.
    fn resume(&mut self, reading: &mut Reading, place: Place) -> Result<Option<u64>> {
        let expected = self.expected();
        let durable = reading.durable_before(place.offset, expected)?;
        if durable <= expected || mutants::is("damage_taken_for_torn_tail") {
            if let (Some(reason), true) = (place.reason, reading.may_be_torn()) {
                self.tear(reading, place.offset, expected, reason);
            }
            return Ok(None);
        }
        // All of it is in segments, and nothing in this file says that it was durable: the torn end of a file that was gone on from. The next file
        // is not the one that said so then: that was let go of already, and of this one the name came back.
        if durable <= self.from && reading.proven(place.offset)? <= expected {
            return Ok(None);
        }
        let next = reading.next_frame(place.search, expected)?;
        let resumed = next.map_or(durable, |(_, first)| first.min(durable));
        self.lose(reading.window.name(), place.offset, place.reason, expected..resumed);
        self.expected = Some(resumed);
        match next {
            Some((offset, first)) if first == resumed => Ok(Some(offset)),
            Some((offset, _)) if reading.may_be_torn() => {
                self.tear(reading, offset, resumed, Error::corrupt("an earlier frame of the last group is missing"));
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn tear(&mut self, reading: &Reading, offset: u64, sequence: Sequence, reason: Error) {
        let file = reading.window.name().to_owned();
        let reason = reason.in_file(&file).at(offset);
        self.found.torn_tail = Some(TornTail { file, offset, sequence, reason });
    }
}

/// What is at a place of a file.
enum Found {
    Frame(FrameHeader),
    Unreadable(Place),
}

/// A place where the next frame should be and is not.
struct Place {
    offset: u64,
    /// Where the next frame may start at the earliest.
    search: u64,
    /// What is wrong; `None` where frames simply end.
    reason: Option<Error>,
}

/// One file, as far as it has been read.
struct Reading {
    window: Window,
    id: u64,
    /// Where the next file begins: all below was durable when that file was made, and nothing from there on belongs to this file.
    fence: Option<Sequence>,
    /// How far the headers in the unread rest prove the log to have been durable; searched for once.
    proven: Option<Sequence>,
    /// Whether the last frame was the mark of a closed log.
    closed: bool,
    /// What the frames so far say was durable, and where the first frame that said so starts: the start of the last group.
    durable: Sequence,
    group_at: Option<u64>,
}

impl Reading {
    fn new(window: Window, id: u64, fence: Option<Sequence>) -> Reading {
        Reading { window, id, fence, proven: None, closed: false, durable: Sequence::ZERO, group_at: None }
    }

    fn frame_at(&mut self, offset: u64, expected: Sequence) -> Result<Found> {
        let length = self.window.length();
        let bytes = self.window.bytes(offset, FRAME_HEADER_BYTES)?;
        let next = offset.saturating_add(ALIGNMENT as u64);
        let unreadable = |search, reason| Ok(Found::Unreadable(Place { offset, search, reason }));
        if bytes.iter().all(|byte| *byte == 0) {
            return unreadable(next, None);
        }
        let header = match FrameHeader::decode(bytes) {
            Ok(header) => header,
            Err(error) if error.kind() == ErrorKind::Corrupt => return unreadable(next, Some(error)),
            Err(error) => return Err(error.in_file(self.window.name()).at(offset)),
        };
        if header.journal_id != self.id && !mutants::is("stale_journal_id_accepted") {
            return unreadable(next, Some(Error::corrupt("the frame is of another journal").expected(self.id, header.journal_id)));
        }
        if self.fence.is_some_and(|fence| header.first_sequence >= fence && !header.mark) {
            return unreadable(next, None);
        }
        if header.first_sequence != expected || self.fence.is_some_and(|fence| header.end_sequence() > fence) {
            let search = if header.first_sequence > expected { offset } else { next };
            return unreadable(search, Some(Error::corrupt("the frame is out of sequence").expected(expected, header.first_sequence)));
        }
        let payload_end = offset + FRAME_HEADER_BYTES as u64 + u64::from(header.stored_bytes);
        if payload_end > length {
            return unreadable(next, Some(Error::corrupt("the frame ends beyond its file").expected(payload_end, length)));
        }
        let payload = self.window.bytes(offset + FRAME_HEADER_BYTES as u64, header.stored_bytes as usize)?;
        match check_crc32(payload, header.payload_crc) {
            Err(_) if mutants::is("frame_payload_crc_unchecked") => Ok(Found::Frame(header)),
            Ok(()) => Ok(Found::Frame(header)),
            Err(error) => unreadable(offset + header.frame_bytes(), Some(error.in_component("payload"))),
        }
    }

    fn note(&mut self, offset: u64, header: &FrameHeader) {
        self.closed = header.mark;
        if self.group_at.is_none() || header.durable_before > self.durable {
            self.durable = header.durable_before;
            self.group_at = Some(offset);
        }
    }

    /// A file that was gone on from, or closed, has no unacknowledged end.
    fn may_be_torn(&self) -> bool {
        self.fence.is_none() && !self.closed
    }

    /// Everything below was once durable, as far as anything from `offset` on tells.
    fn durable_before(&mut self, offset: u64, expected: Sequence) -> Result<Sequence> {
        if self.closed && self.fence.is_none() {
            return Ok(expected);
        }
        match self.fence {
            Some(fence) => Ok(fence),
            None => self.proven(offset),
        }
    }

    /// The same, as far as the file itself tells.
    fn proven(&mut self, offset: u64) -> Result<Sequence> {
        if let Some(known) = self.proven {
            return Ok(known);
        }
        let (id, mut proven) = (self.id, Sequence::ZERO);
        self.window.find_header(offset, |_, header| {
            if header.journal_id == id {
                proven = proven.max(header.durable_before);
            }
            false
        })?;
        self.proven = Some(proven);
        Ok(proven)
    }

    /// The next intact header of this file that can follow `expected`: its offset and its sequence.
    fn next_frame(&mut self, from: u64, expected: Sequence) -> Result<Option<(u64, Sequence)>> {
        let (id, fence) = (self.id, self.fence);
        let follows = |header: &FrameHeader| {
            header.journal_id == id && header.first_sequence >= expected && fence.is_none_or(|fence| header.end_sequence() <= fence)
        };
        Ok(self.window.find_header(from, |_, header| follows(header))?.map(|(offset, header)| (offset, header.first_sequence)))
    }

    /// From the start of the last group to the end of what was read.
    fn unsettled(&self, end: u64) -> Option<Unsettled> {
        let start = self.group_at?;
        Some(Unsettled { file: self.window.name().to_owned(), bytes: start..end.min(self.window.length()) })
    }
}
