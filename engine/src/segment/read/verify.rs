//! Verifying a segment: everything is read again, whether it was compared before or not.
//!
//! Of a file that is read by calls, one component or block is held at a time, beside what unfolding events needs (its dictionary and shapes).

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::event::DimensionKind;
use crate::limits::BLOCK_DOCUMENTS;
use crate::segment::file::component::Component;
use crate::segment::read::fetch::fetch_texts;
use crate::segment::read::opened::Segment;

/// Everything that is wrong with a segment: damaged components first, then structures that do not hold together, then blocks whose
/// events do not come back. What the system did not let be read is among it, as an error of its kind.
pub(crate) fn verify(segment: &Segment, budget: &Budget) -> Result<Vec<Error>> {
    verify_with(segment, budget, &|_| ())
}

/// The same; `on_read` is told of so many bytes of the file after each block.
pub(crate) fn verify_with(segment: &Segment, budget: &Budget, on_read: &dyn Fn(u64)) -> Result<Vec<Error>> {
    let mut found: Vec<Error> = segment.file().parts().iter().filter_map(|part| part.verify().err()).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    found.extend(structures(segment).into_iter().filter_map(Result::err));
    let documents = segment.meta().documents;
    let mut own = segment.again();
    let mut texts = Vec::new();
    let mut event_bytes = 0;
    let bytes_a_block = segment.file_bytes() / u64::from(documents).div_ceil(BLOCK_DOCUMENTS as u64).max(1);
    for start in (0..documents).step_by(BLOCK_DOCUMENTS) {
        budget.check()?;
        on_read(bytes_a_block);
        let block: Vec<u32> = (start..documents.min(start.saturating_add(BLOCK_DOCUMENTS as u32))).collect();
        texts.clear();
        if let Err(error) = fetch_texts(own.as_ref().unwrap_or(segment), &block, budget, &mut texts) {
            found.push(error);
        }
        own.iter_mut().for_each(Segment::forget_blocks);
        event_bytes += texts.iter().map(|text| text.len() as u64).sum::<u64>();
    }
    if found.is_empty() && event_bytes != segment.meta().event_bytes {
        let error = Error::corrupt("the events have another length than they had").expected(segment.meta().event_bytes, event_bytes);
        found.push(segment.locate(error));
    }
    segment.release();
    Ok(found)
}

fn structures(segment: &Segment) -> Vec<Result<()>> {
    let documents = segment.meta().documents;
    let counted = |name: Component, count: u32| match count == documents {
        true => Ok(()),
        false => Err(segment.locate(Error::corrupt("wrong number of entries").in_component(name.label(0)).expected(documents, count))),
    };
    let mut results = vec![
        apart(segment, |s| s.dictionary().and_then(|d| d.check())),
        apart(segment, |s| s.timestamps().and_then(|t| t.check().and_then(|()| counted(Component::Timestamps, t.len())))),
        apart(segment, |s| s.sequences().and_then(|q| q.check().and_then(|()| counted(Component::Sequences, q.len())))),
        apart(segment, |s| s.received().and_then(|r| r.check(documents))),
        apart(segment, |s| s.layout().map(|_| ())),
        apart(segment, |s| s.predictions().map(|_| ())),
    ];
    for (ordinal, dimension) in (0u16..).zip(segment.dimensions()) {
        results.push(match dimension.kind {
            DimensionKind::Keyword => apart(segment, |s| s.postings(ordinal).and_then(|p| p.check())),
            DimensionKind::Unique => apart(segment, |s| s.unique_index(ordinal).and_then(|u| u.check())),
        });
    }
    results.into_iter().map(|r| r.map_err(|e| segment.locate(e))).collect()
}

/// Checks a part of a segment, and lets go of what was read for it.
fn apart(segment: &Segment, check: impl Fn(&Segment) -> Result<()>) -> Result<()> {
    let own = segment.again();
    check(own.as_ref().unwrap_or(segment))
}
