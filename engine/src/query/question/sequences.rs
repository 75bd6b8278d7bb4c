//! From sequences to documents, and the order keys of documents.

use std::ops::Range;

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::id::Sequence;
use crate::index::{Extent, Index, Key};

/// How many keys are held at once.
const KEYS_AT_ONCE: usize = 8_192;

/// Looking up one sequence costs about as much as reading this many keys in a row.
const LOOKUP_COST: u64 = 8;

/// The sequences of a part.
pub(crate) fn of(extent: &Extent) -> Range<u64> {
    extent.first_sequence.0..extent.first_sequence.0.saturating_add(u64::from(extent.documents))
}

/// The sequences of a part that are in a range.
pub(crate) fn overlap(extent: &Extent, range: &Range<u64>) -> Range<u64> {
    let own = of(extent);
    let start = own.start.max(range.start);
    start..own.end.min(range.end).max(start)
}

/// The documents of a range as a set.
pub(crate) fn set_of(documents: Range<u32>) -> RoaringBitmap {
    let mut set = RoaringBitmap::new();
    set.insert_range(documents);
    set
}

/// In a part in sequence order: the documents with these sequences.
pub(crate) fn documents_in_order(extent: &Extent, range: &Range<u64>) -> Range<u32> {
    let inside = overlap(extent, range);
    let document = |sequence: u64| u32::try_from(sequence.saturating_sub(extent.first_sequence.0)).unwrap_or(extent.documents);
    document(inside.start)..document(inside.end)
}

/// The candidates that have their sequence in a range.
pub(crate) fn documents(index: &dyn Index, range: &Range<u64>, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
    let extent = index.extent();
    let inside = overlap(&extent, range);
    if inside == of(&extent) {
        return Ok(candidates.clone());
    }
    if !extent.time_ordered {
        return Ok(candidates & set_of(documents_in_order(&extent, range)));
    }
    let wanted = inside.end - inside.start;
    let cost = |count: u64| count.saturating_mul(LOOKUP_COST);
    if cost(wanted) <= candidates.len() {
        return Ok(candidates & look_up(index, inside, budget)?);
    }
    if cost(u64::from(extent.documents) - wanted) <= candidates.len() {
        let own = of(&extent);
        let before = look_up(index, own.start..inside.start, budget)?;
        let after = look_up(index, inside.end..own.end, budget)?;
        return Ok(candidates - (before | after));
    }
    let mut found = RoaringBitmap::new();
    for_each_key(index, candidates.iter(), budget, |document, key| {
        if inside.contains(&key.sequence.0) {
            found.insert(document);
        }
        Ok(())
    })?;
    Ok(found)
}

fn look_up(index: &dyn Index, range: Range<u64>, budget: &Budget) -> Result<RoaringBitmap> {
    let mut found = RoaringBitmap::new();
    for (i, sequence) in range.enumerate() {
        if i % 1_024 == 0 {
            budget.check()?;
        }
        found.extend(index.document_of(Sequence(sequence))?);
    }
    Ok(found)
}

/// Calls `visit` with the key of each of these ascending documents.
pub(crate) fn for_each_key(
    index: &dyn Index,
    documents: impl Iterator<Item = u32>,
    budget: &Budget,
    mut visit: impl FnMut(u32, Key) -> Result<()>,
) -> Result<()> {
    let mut documents = documents.peekable();
    let (mut chunk, mut keys) = (Vec::new(), Vec::new());
    while documents.peek().is_some() {
        budget.check()?;
        chunk.clear();
        keys.clear();
        chunk.extend(documents.by_ref().take(KEYS_AT_ONCE));
        index.keys(&mut chunk.iter().copied(), &mut keys)?;
        if keys.len() != chunk.len() {
            return Err(Error::corrupt("documents without a key")
                .in_file(index.extent().part.to_string())
                .expected(chunk.len(), keys.len()));
        }
        for (document, key) in chunk.iter().zip(&keys) {
            visit(*document, *key)?;
        }
    }
    Ok(())
}
