//! Damage within a segment: which events it takes from an answer.
//!
//! A damaged block costs its own events. Damage to anything else that an answer needs costs all events of the segment.

use std::ops::Range;

use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Sequence;
use crate::segment::read::opened::Segment;
use crate::status::Gap;

/// Goes on without these documents, and notes that; errors that are no damage come back.
pub(crate) fn pass_over(segment: &Segment, documents: Range<u32>, error: Error, budget: &Budget) -> Result<()> {
    let error = segment.locate(error);
    if error.kind() != ErrorKind::Corrupt {
        return Err(error);
    }
    budget.miss(gap(segment, documents, &error));
    Ok(())
}

/// Goes on without the whole segment, and notes that; errors that are no damage come back.
pub(crate) fn pass_over_all(segment: &Segment, error: Error, budget: &Budget) -> Result<()> {
    pass_over(segment, 0..segment.meta().documents, error, budget)
}

fn gap(segment: &Segment, documents: Range<u32>, error: &Error) -> Gap {
    let meta = segment.meta();
    let (mut first, mut last) = (u32::MAX, 0);
    if let Ok(sequences) = segment.sequences() {
        sequences.for_range(documents.clone(), |_, offset| (first, last) = (first.min(offset), last.max(offset)));
    }
    if first > last {
        (first, last) = (0, meta.documents.saturating_sub(1));
    }
    let at = |offset: u32| Sequence(meta.first_sequence.plus(u64::from(offset)).0);
    Gap {
        part: segment.file().name().to_owned(),
        first_sequence: at(first),
        last_sequence: at(last),
        events: documents.len() as u64,
        reason: format!("{error:?}"),
    }
}
