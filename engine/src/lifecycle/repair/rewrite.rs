//! [`Rewriter`]: events that keep their sequences, receive times and day, as new segments.
//!
//! A segment is a stretch of sequences without a hole, so a new one begins behind every event that is missing. Events arrive nearly in the order
//! of their times, hence the events of a block follow each other nearly always and one lost block makes one hole.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::event::extract::Extractor;
use crate::head::Head;
use crate::id::{Day, SegmentId, Sequence, Timestamp};
use crate::lifecycle::flush::write_head;
use crate::lifecycle::live::catalog::CatalogEntry;
use crate::lifecycle::live::parts::DayHead;
use crate::storage::Storage;

/// So many events or bytes are indexed at a time.
const BATCH_EVENTS: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;

/// Makes segments of events that come in the order of their sequences.
pub(crate) struct Rewriter<'a> {
    storage: &'a dyn Storage,
    extractor: &'a Extractor,
    head_bytes_max: u64,
    day: Day,
    /// The id of the next file.
    next_id: SegmentId,
    head: Option<Arc<Head>>,
    /// Events that are still to be indexed, all received at one time.
    waiting: Vec<Vec<u8>>,
    waiting_bytes: usize,
    received_at: Timestamp,
    /// The sequence that goes on the stretch.
    next: Sequence,
    entries: Vec<CatalogEntry>,
}

impl<'a> Rewriter<'a> {
    /// For events of one receive day; files get ids from `next_id` on.
    pub(crate) fn new(
        storage: &'a dyn Storage,
        extractor: &'a Extractor,
        head_bytes_max: u64,
        day: Day,
        next_id: SegmentId,
    ) -> Rewriter<'a> {
        let (received_at, next) = (Timestamp::MIN, Sequence::ZERO);
        let (waiting, entries) = (Vec::new(), Vec::new());
        Rewriter { storage, extractor, head_bytes_max, day, next_id, head: None, waiting, waiting_bytes: 0, received_at, next, entries }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// As [`Rewriter::finish`].
    pub(crate) fn take(&mut self, sequence: Sequence, received_at: Timestamp, text: Vec<u8>) -> Result<()> {
        let goes_on = sequence == self.next && self.head.is_some();
        if !goes_on {
            self.end_stretch()?;
            self.head = Some(Arc::new(Head::new(sequence, self.extractor.schema(), self.head_bytes_max)));
        } else if received_at != self.received_at || self.waiting.len() >= BATCH_EVENTS || self.waiting_bytes >= BATCH_BYTES {
            self.index()?;
        }
        self.waiting_bytes += text.len();
        self.waiting.push(text);
        self.received_at = received_at;
        self.next = sequence.plus(1);
        match &self.head {
            Some(head) if head.read().bytes() as u64 >= self.head_bytes_max => self.end_stretch(),
            _ => Ok(()),
        }
    }

    /// Writes what is left; returns the segments, which are durable, and the id of the next file.
    ///
    /// # Errors
    /// What the disk says; [`ErrorKind::Unsupported`] when this build does not take an event that another took.
    pub(crate) fn finish(mut self) -> Result<(Vec<CatalogEntry>, SegmentId)> {
        self.end_stretch()?;
        Ok((self.entries, self.next_id))
    }

    fn index(&mut self) -> Result<()> {
        let Some(head) = &self.head else { return Ok(()) };
        let (batch, rejections) = self.extractor.prepare(&mut self.waiting.iter().map(Vec::as_slice))?;
        if let Some(rejection) = rejections.first() {
            let message = format!("a stored event is refused by this build: {}", rejection.message);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        head.append(&batch, self.received_at, &|_| true)?;
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    fn end_stretch(&mut self) -> Result<()> {
        self.index()?;
        if let Some(head) = self.head.take() {
            let id = self.next_id;
            self.next_id = SegmentId(id.0 + 1);
            self.entries.push(write_head(self.storage, &DayHead { head, day: self.day }, id)?);
        }
        Ok(())
    }
}
