//! Counting the terms of selected documents.
//!
//! By the terms of each document where they are known, or are worth gathering; else by the postings of all terms. Gathering costs as much as
//! counting once by postings, and later rankings of any filter count their own documents alone.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::error::Result;
use crate::event::DimensionKind;
use crate::index::{ValueVisitor, count_by_postings};
use crate::segment::meta::DimensionEntry;
use crate::segment::postings::by_document::TermNumbers;
use crate::segment::read::opened::Segment;

/// With fewer terms than this share of all, they are looked up one by one.
const FEW_TERMS: usize = 16;

/// Walks the terms of a dimension that start with a prefix and that some of the documents have, with the number of those.
pub(crate) fn count(
    segment: &Segment,
    (name, prefix): (&str, &str),
    documents: &RoaringBitmap,
    budget: &Budget,
    visit: &mut ValueVisitor<'_>,
) -> Result<()> {
    let Some((ordinal, dimension)) = segment.dimension(name).filter(|(_, d)| d.kind == DimensionKind::Keyword) else {
        return Ok(());
    };
    let numbers = numbers(segment, ordinal, prefix.is_empty())?;
    let Some(counts) = numbers.as_deref().and_then(Option::as_ref).map(|numbers| numbers.count(documents)) else {
        return count_by_postings(segment, (name, prefix), documents, budget, visit);
    };
    budget.check()?;
    if counts.iter().filter(|count| **count > 0).count() < counts.len() / FEW_TERMS {
        return visit_few(segment, dimension, prefix, &counts, visit);
    }
    segment.walk_terms(name, prefix, budget, &mut |_, ordinal, term| match counts.get(ordinal as usize) {
        Some(count) if *count > 0 => visit(term, u64::from(*count)),
        _ => Ok(()),
    })
}

/// The terms of all documents; `None` where they are not known and not to be gathered.
fn numbers(segment: &Segment, ordinal: u16, gather: bool) -> Result<Option<Arc<Option<TermNumbers>>>> {
    let (cache, documents) = (&segment.caches().terms, segment.meta().documents);
    let known = cache.get(segment.id(), u64::from(ordinal));
    if known.is_some() || !gather {
        return Ok(known);
    }
    let postings = segment.postings(ordinal)?;
    // What takes more than half would only push out what other questions want.
    if TermNumbers::bytes_for(documents, postings.len()) > cache.bytes_max() / 2 {
        return Ok(None);
    }
    cache.get_or(segment.id(), u64::from(ordinal), || TermNumbers::gather(&postings, documents)).map(Some)
}

fn visit_few(segment: &Segment, dimension: &DimensionEntry, prefix: &str, counts: &[u32], visit: &mut ValueVisitor<'_>) -> Result<()> {
    let mut terms = segment.dictionary()?.cursor();
    for (ordinal, count) in dimension.terms.clone().zip(counts).filter(|(_, count)| **count > 0) {
        terms.with(ordinal, |term| match std::str::from_utf8(term) {
            Ok(term) if term.starts_with(prefix) => visit(term, u64::from(*count)),
            _ => Ok(()),
        })??;
    }
    Ok(())
}
