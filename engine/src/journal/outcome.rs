//! What a replay hands out and reports: [`ReplayedFrame`], [`Replay`], [`Damage`], [`TornTail`], [`KeptFile`].

use std::ops::Range;

use crate::error::Error;
use crate::id::{Sequence, Timestamp};
use crate::journal::name::JournalName;

/// One batch, as it was appended.
#[derive(Debug)]
pub(crate) struct ReplayedFrame<'a> {
    /// The sequence of its first event. The frame may begin below the sequence that replay was asked to start from.
    pub(crate) first_sequence: Sequence,
    /// When the batch was received.
    pub(crate) received_at: Timestamp,
    /// Where its events are in `text`.
    pub(crate) events: &'a [Range<usize>],
    /// The bytes that hold the events.
    pub(crate) text: &'a [u8],
}

/// What a replay found, and from where to go on.
#[derive(Debug)]
pub(crate) struct Replay {
    /// The sequence of the next event to be appended.
    pub(crate) next_sequence: Sequence,
    /// The id of the next file; higher than any that was ever used.
    pub(crate) next_id: u64,
    /// The live files, in order.
    pub(crate) files: Vec<KeptFile>,
    /// The unacknowledged end of the last file, when a crash left one.
    pub(crate) torn_tail: Option<TornTail>,
    /// Every place where bytes are not what was written.
    pub(crate) damage: Vec<Damage>,
    /// The sequence that replay started from: everything below is in segments.
    pub(super) from: Sequence,
    /// The ids of spare files.
    pub(super) spares: Vec<u64>,
    /// The bytes of the last file that may have been written but not synced: see `settle`.
    pub(super) unsettled: Option<Unsettled>,
}

impl Replay {
    /// Whether opening lets go of a file and of all after it, since their events are in segments.
    pub(crate) fn lets_go_of(&self, id: u64) -> bool {
        self.files.last().is_some_and(|file| file.id >= id && file.end_sequence <= self.from)
    }

    /// The end of the log is lost when this file, which was there once, is not, and none after it. A new file comes behind it in any case.
    pub(crate) fn miss(&mut self, newest: u64) {
        self.next_id = self.next_id.max(newest.saturating_add(1));
        if self.files.last().is_some_and(|file| file.id >= newest) || newest == 0 {
            return;
        }
        let file = JournalName::live(newest).to_string();
        let reason = Error::corrupt("the newest journal file is missing, which the catalog names").in_file(&file);
        self.damage.push(Damage { file, offset: 0, reason, lost: None, is_gap: false, is_open: true });
    }
}

/// A live file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptFile {
    /// Its id.
    pub(crate) id: u64,
    /// The sequence of its first event.
    pub(crate) first_sequence: Sequence,
    /// The sequence after its last event; the same as the first when it has none.
    pub(crate) end_sequence: Sequence,
    /// Its length.
    pub(crate) bytes: u64,
    /// Whether any of it was found damaged. Such a file is set aside instead of recycled.
    pub(crate) damaged: bool,
}

/// Bytes at the end of the log that a crash cut short. They were never acknowledged.
#[derive(Debug)]
pub(crate) struct TornTail {
    /// The file.
    pub(crate) file: String,
    /// Where the first unreadable frame starts.
    pub(crate) offset: u64,
    /// The sequence that it would have had.
    pub(crate) sequence: Sequence,
    /// What is wrong with it.
    pub(crate) reason: Error,
}

/// Bytes that are not what was written, although they had been durable.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The file.
    pub(crate) file: String,
    /// Where the unreadable bytes start.
    pub(crate) offset: u64,
    /// What is wrong with them.
    pub(crate) reason: Error,
    /// The events that are lost by it; `None` when there are none, or all of them are in segments.
    pub(crate) lost: Option<Range<Sequence>>,
    /// Whether no byte is wrong, and frames are merely missing.
    pub(crate) is_gap: bool,
    /// Whether the end of the log is lost, and nothing says how many events that is.
    pub(crate) is_open: bool,
}

/// A stretch of the last file whose durability is not proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unsettled {
    pub(super) file: String,
    pub(super) bytes: Range<u64>,
}
