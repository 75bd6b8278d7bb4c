//! What a damaged segment still gives: its readable events in the order of their sequences.
//!
//! Where its events are is said by two small components, sequences and receive times; when one of those is damaged, an event has no place in
//! the log any more and nothing is given. Everything else may be damaged: a block takes its own documents, a page of the dictionary those
//! documents that have a value in it, an index nothing, since events are indexed anew. Memory is bounded by reading a stretch at a time.

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::id::{Sequence, Timestamp};
use crate::segment::Segment;
use crate::segment::documents::received::Received;
use crate::segment::documents::sequences::Sequences;
use crate::segment::read::fetch::{fetch_readable, fetch_texts};

/// About as many bytes of events are held at a time.
const STRETCH_BYTES: u64 = 32 << 20;
/// At most so many events are held at a time.
const STRETCH_EVENTS: u64 = 1 << 16;

/// What takes the events: their sequence, receive time and text.
pub(crate) type Take<'a> = dyn FnMut(Sequence, Timestamp, Vec<u8>) -> Result<()> + 'a;

/// Gives `take` every event of a segment that can be read.
///
/// # Errors
/// What `take` says; cancellation. Damage is no error.
pub(crate) fn for_each_readable(segment: &Segment, budget: &Budget, take: &mut Take<'_>) -> Result<()> {
    let Ok((sequences, received)) = places(segment) else { return Ok(()) };
    let (first, documents) = (segment.meta().first_sequence, segment.meta().documents);
    let stretch = STRETCH_EVENTS.min(STRETCH_BYTES * u64::from(documents) / segment.meta().event_bytes.max(1)).max(1) as u32;
    for start in (0..documents).step_by(stretch as usize) {
        budget.check()?;
        let offsets = start..documents.min(start.saturating_add(stretch));
        let (offsets, numbers): (Vec<u32>, Vec<u32>) = offsets.filter_map(|offset| Some((offset, sequences.find(offset)?))).unzip();
        for (offset, text) in offsets.into_iter().zip(texts(segment, &numbers, budget)) {
            let Some(text) = text else { continue };
            let received_at = Timestamp::from_millis(received.at(offset)).unwrap_or_default();
            take(first.plus(u64::from(offset)), received_at, text)?;
        }
    }
    Ok(())
}

/// How many events of a segment can be read.
///
/// # Errors
/// Cancellation.
pub(crate) fn count_readable(segment: &Segment, budget: &Budget) -> Result<u64> {
    let mut count = 0;
    for_each_readable(segment, budget, &mut |_, _, _| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// The components that say which sequence and receive time a document has, when they can be relied on.
fn places(segment: &Segment) -> Result<(Sequences<'_>, Received<'_>)> {
    let (sequences, received) = (segment.sequences()?, segment.received()?);
    sequences.check()?;
    received.check(segment.meta().documents)?;
    match sequences.len() == segment.meta().documents {
        true => Ok((sequences, received)),
        false => Err(Error::corrupt("wrong number of sequences")),
    }
}

/// The texts of documents: of a block that cannot be read as a whole, document by document.
fn texts(segment: &Segment, documents: &[u32], budget: &Budget) -> Vec<Option<Vec<u8>>> {
    let mut found = Vec::with_capacity(documents.len());
    if fetch_readable(segment, documents, budget, &mut found).is_err() || found.len() != documents.len() {
        found = vec![None; documents.len()];
    }
    for (document, text) in documents.iter().zip(&mut found).filter(|(_, text)| text.is_none()) {
        let mut alone = Vec::with_capacity(1);
        *text = fetch_texts(segment, &[*document], budget, &mut alone).ok().and_then(|()| alone.pop());
    }
    found
}
