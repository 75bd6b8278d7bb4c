//! What a log says about itself, as plain data.

use std::fmt;
use std::sync::Arc;

use crate::event::Dimension;
use crate::id::{Day, SegmentId, Sequence, Timestamp};

/// A stretch of the log that cannot be read: what an answer may lack.
///
/// What cannot be read is not evaluated either, so that a count may be off by as many events, in either direction where the filter
/// negates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The file that held the events.
    pub part: String,
    /// The first sequence among them.
    pub first_sequence: Sequence,
    /// The last sequence among them; those between are not all of them.
    pub last_sequence: Sequence,
    /// How many events there are.
    pub events: u64,
    /// What is wrong, and where.
    pub reason: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gap { part, first_sequence, last_sequence, events, reason } = self;
        write!(f, "{part}: {events} events of the sequences {first_sequence} to {last_sequence} cannot be read: {reason}")
    }
}

/// Something that an operator should hear of when it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// Something is wrong.
    Problem(&'a str),
    /// A problem that was told of is over.
    Over(&'a str),
    /// Nothing is wrong, but it is out of the ordinary.
    Note(&'a str),
}

/// A segment as `segments()` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its id.
    pub id: SegmentId,
    /// The UTC day on which its events were received.
    pub day: Day,
    /// Its first sequence.
    pub first_sequence: Sequence,
    /// Its last sequence.
    pub last_sequence: Sequence,
    /// Its smallest event time.
    pub time_min: Timestamp,
    /// Its largest event time.
    pub time_max: Timestamp,
    /// How many events it has.
    pub events: u64,
    /// The length of the events' text, in bytes.
    pub event_bytes: u64,
    /// The length of the file, in bytes.
    pub file_bytes: u64,
    /// Whether it is final.
    pub sealed: bool,
    /// Whether its file could be opened; its events are missing from answers otherwise.
    pub readable: bool,
    /// CRC-32 (ISO-HDLC) of the whole file.
    pub crc32: u32,
}

/// What the log holds and has done since it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Events that can be queried now.
    pub events: u64,
    /// The bytes of their text.
    pub event_bytes: u64,
    /// The first sequence that is still kept, and the last that is durable.
    pub first_sequence: Option<Sequence>,
    /// The last durable sequence.
    pub last_sequence: Option<Sequence>,
    /// How many segments there are.
    pub segments: u64,
    /// The bytes of the segment files.
    pub segment_bytes: u64,
    /// The bytes of the journal files.
    pub journal_bytes: u64,
    /// Events in the heads.
    pub head_events: u64,
    /// The memory of the heads, in bytes.
    pub head_bytes: u64,
    /// Since the log was opened: events appended.
    pub appended_events: u64,
    /// Since the log was opened: bytes of events appended.
    pub appended_bytes: u64,
    /// Since the log was opened: exact copies that were not stored again.
    pub duplicate_events: u64,
    /// Since the log was opened: groups of batches that were synced together.
    pub commits: u64,
    /// Since the log was opened: segments flushed.
    pub flushes: u64,
    /// Since the log was opened: segments merged away.
    pub compacted_segments: u64,
    /// Since the log was opened: segments dropped because their day was over the retention.
    pub expired_segments: u64,
    /// The bytes of segment files that are over the retention and wait: see [`crate::AuditLog::hold`].
    pub held_bytes: u64,
    /// Since the log was opened: events that were to wait and were dropped, because more waited than may.
    pub let_go_events: u64,
    /// Parts of the log that were found damaged and set aside.
    pub quarantined: u64,
}

/// How far reading a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// The file that is being read; empty at the end.
    pub about: &'a str,
    /// So many bytes were read. What is read twice counts twice.
    pub done: u64,
    /// So many are to be read, as far as it is known.
    pub total: u64,
}

/// What is told how far it is; called often, on the thread that reads.
pub type OnStep = Arc<dyn Fn(Step<'_>) + Send + Sync>;

/// What a look at a directory has found, in words; each line begins with the file that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspected {
    /// What is wrong, and how many events of a damaged segment can still be read.
    pub found: Vec<String>,
    /// What the operating system did not let be read, with the place and its reason: a bad sector, a file that may not be opened.
    pub unread: Vec<String>,
    /// What needs nobody.
    pub notes: Vec<String>,
    /// How many segments there are.
    pub segments: u64,
    /// How many events there are, in segments and journal.
    pub events: u64,
}

/// What a repair has found and done, in words; each line begins with the file that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repaired {
    /// What is wrong. Empty: nothing is, and nothing was done.
    pub found: Vec<String>,
    /// What the operating system did not let be read. As long as there is any, nothing is done: it may be readable on another machine, or
    /// from a copy, and is not damaged for that.
    pub unread: Vec<String>,
    /// What was done about it. Empty in a rehearsal.
    pub done: Vec<String>,
    /// The events that could not be read anywhere, and are in no answer from now on. Empty in a rehearsal.
    pub lost: Vec<String>,
}

/// Whether the log takes writes, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Whether appends are taken.
    pub writable: bool,
    /// Whether the last attempt to write something found no space. The log goes on by itself once there is some.
    pub disk_full: bool,
    /// In words: why they are not, and anything else that needs an operator.
    pub problems: Vec<String>,
}

/// A dimension with the number of its distinct terms (an upper bound: terms are counted in each part apart).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DimensionInfo {
    /// Name and kind.
    pub dimension: Dimension,
    /// The paths at which its terms stand, in their written form, without repetition.
    pub paths: Vec<String>,
    /// Distinct terms.
    pub distinct_terms: u64,
}
