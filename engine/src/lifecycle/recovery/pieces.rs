//! [`Piece`]: what the head is still to get of a frame of the journal, read and indexed.
//!
//! Made on whatever thread there is, while frames before it are appended: it goes by the catalog as it was when the replay began. What the
//! replay itself flushes meanwhile is all of earlier frames.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Batch;
use crate::event::extract::Extractor;
use crate::id::{Sequence, Timestamp};
use crate::journal::ReplayedFrame;
use crate::lifecycle::live::catalog::Catalog;
use crate::lifecycle::recovery::strays::not_in_segments;

/// Events of one frame with sequences that follow each other.
pub(super) struct Piece {
    pub(super) first: Sequence,
    pub(super) received_at: Timestamp,
    pub(super) batch: Batch,
}

/// Makes pieces of frames.
pub(super) struct Pieces {
    pub(super) extractor: Arc<Extractor>,
    pub(super) catalog: Catalog,
    /// Everything below is in segments.
    pub(super) from: Sequence,
}

impl Pieces {
    /// What is in no segment of a frame.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an event that this build refuses.
    pub(super) fn of(&self, frame: &ReplayedFrame<'_>) -> Result<Vec<Piece>> {
        let end = frame.first_sequence.plus(frame.events.len() as u64);
        let wanted = frame.first_sequence.max(self.from)..end;
        not_in_segments(&self.catalog, wanted).into_iter().map(|sequences| self.piece(frame, sequences)).collect()
    }

    fn piece(&self, frame: &ReplayedFrame<'_>, sequences: Range<Sequence>) -> Result<Piece> {
        let place = |sequence: Sequence| usize::try_from(sequence.0.saturating_sub(frame.first_sequence.0)).unwrap_or(usize::MAX);
        let first = sequences.start;
        let ranges = frame.events.get(place(first)..place(sequences.end)).unwrap_or_default();
        let mut events = ranges.iter().map(|range| frame.text.get(range.clone()).unwrap_or_default());
        let (batch, rejections) = self.extractor.prepare(&mut events)?;
        if let Some(rejection) = rejections.first() {
            // It was valid when it was taken in, and its checksum is right: only another build's rules can refuse it.
            let message = format!("an event of the journal is refused by this build: {}", rejection.message);
            return Err(Error::new(ErrorKind::Unsupported, message).expected("a valid event", format_args!("sequence {first}")));
        }
        Ok(Piece { first, received_at: frame.received_at, batch })
    }
}
