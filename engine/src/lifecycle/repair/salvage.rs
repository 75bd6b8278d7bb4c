//! What a damaged segment still gives: its readable events in the order of their sequences.
//!
//! Where its events are is said by two small components, sequences and receive times; when one of those is damaged, an event has no place in
//! the log any more and nothing is given. Everything else may be damaged: a block takes its own documents, a page of the dictionary those
//! documents that have a value in it, an index nothing, since events are indexed anew. Memory is bounded by reading a stretch at a time.

use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Sequence, Timestamp};
use crate::segment::Segment;
use crate::segment::documents::received::Received;
use crate::segment::documents::sequences::Sequences;
use crate::segment::read::fetch::{fetch_given, fetch_texts};

/// About as many bytes of events are held at a time.
const STRETCH_BYTES: u64 = 32 << 20;
/// At most so many events are held at a time.
const STRETCH_EVENTS: u64 = 1 << 16;

/// What takes the events: their sequence, receive time and text.
pub(crate) type Take<'a> = dyn FnMut(Sequence, Timestamp, Vec<u8>) -> Result<()> + 'a;

/// What becomes of events that the system does not let be read now: the medium, or a limit, says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// They are passed over, like damaged ones: for who only counts.
    PassedOver,
    /// They end the work: they may be readable elsewhere or tomorrow, so they must not be taken for lost.
    EndsIt,
}

/// Gives `take` every event of a segment that can be read.
///
/// # Errors
/// What `take` says; cancellation; what reading says, when that ends it. Damage is no error.
pub(crate) fn for_each_readable(segment: &Segment, budget: &Budget, on_refused: Refused, take: &mut Take<'_>) -> Result<()> {
    let mut own = segment.again();
    let (sequences, received) = match places(segment) {
        Ok(places) => places,
        Err(error) if error.kind() != ErrorKind::Corrupt && on_refused == Refused::EndsIt => return Err(error),
        Err(_) => return Ok(()),
    };
    let (first, documents) = (segment.meta().first_sequence, segment.meta().documents);
    let stretch = STRETCH_EVENTS.min(STRETCH_BYTES * u64::from(documents) / segment.meta().event_bytes.max(1)).max(1) as u32;
    for start in (0..documents).step_by(stretch as usize) {
        budget.check()?;
        let offsets = start..documents.min(start.saturating_add(stretch));
        let (offsets, numbers): (Vec<u32>, Vec<u32>) = offsets.filter_map(|offset| Some((offset, sequences.find(offset)?))).unzip();
        for (offset, text) in offsets.into_iter().zip(texts(own.as_ref().unwrap_or(segment), &numbers, budget, on_refused)?) {
            let Some(text) = text else { continue };
            let received_at = Timestamp::from_millis(received.at(offset)).unwrap_or_default();
            take(first.plus(u64::from(offset)), received_at, text)?;
        }
        own.iter_mut().for_each(Segment::forget_blocks);
    }
    Ok(())
}

/// How many events of a segment can be read.
///
/// # Errors
/// Cancellation.
pub(crate) fn count_readable(segment: &Segment, budget: &Budget) -> Result<u64> {
    let mut count = 0;
    for_each_readable(segment, budget, Refused::PassedOver, &mut |_, _, _| {
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

/// The texts of documents: of a block that is damaged, document by document.
fn texts(segment: &Segment, documents: &[u32], budget: &Budget, on_refused: Refused) -> Result<Vec<Option<Vec<u8>>>> {
    let (mut found, mut refused) = (Vec::with_capacity(documents.len()), None);
    let fetched = fetch_given(segment, documents, budget, &mut found, &mut refused);
    if fetched.is_err() || found.len() != documents.len() {
        found = vec![None; documents.len()];
    }
    let is_refusal = |error: &Error| error.kind() != ErrorKind::Corrupt;
    match (refused.or(fetched.err().filter(is_refusal)), on_refused) {
        (Some(error), Refused::EndsIt) => return Err(error),
        // What the system refuses it refuses for each document again.
        (Some(_), Refused::PassedOver) => return Ok(found),
        (None, _) => {}
    }
    for (document, text) in documents.iter().zip(&mut found).filter(|(_, text)| text.is_none()) {
        let mut alone = Vec::with_capacity(1);
        *text = fetch_texts(segment, &[*document], budget, &mut alone).ok().and_then(|()| alone.pop());
    }
    Ok(found)
}
