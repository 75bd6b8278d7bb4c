//! Pages: the first events of a selection in (event time, sequence) order, found without looking at the rest.
//!
//! Parts are asked best first, and passed over once the page is full of better keys. In a part in time order, documents are evaluated from
//! the end where the page starts, in windows that grow when the evaluation has to scan; the first document that does not make the page
//! ends the part. In other parts a bounded heap keeps the best, and the part ends as soon as it says that no document of what is left can
//! be better; events arrive nearly in time order, so that this is soon.

use std::cmp::Reverse;
use std::ops::Range;

use roaring::RoaringBitmap;

use crate::error::{Error, Result};
use crate::id::Sequence;
use crate::index::{Extent, Index, Key, TimeRange};
use crate::limits::{BLOCK_DOCUMENTS, PAGE_EVENTS_MAX};
use crate::query::answer::fetch::fetch;
use crate::query::answer::top::{Hit, Top};
use crate::query::plan::explain::Trace;
use crate::query::plan::part::{Asked, Prepared, prepare};
use crate::query::question::asked::{Question, read_range};
use crate::query::question::context::Context;
use crate::query::question::cursor::{Cursor, query_hash};
use crate::query::question::gaps::{note_known, pass_over};
use crate::query::question::request::{Explanation, Order, Page, PageRequest, PartExplanation, Selection};
use crate::query::question::sequences;

/// The first window of a scan, in documents. Rare hits cost at most a third more documents than one pass would.
const WINDOW_DOCUMENTS: u32 = 4_096;
const WINDOW_GROWTH: u32 = 4;

/// A page of the selected events. Events that cannot be read are left out of it, so that it may have fewer than its limit.
///
/// # Errors
/// [`crate::ErrorKind::Invalid`] for a bad filter, time range, limit or cursor, and what the parts and the budget give.
pub fn search(context: &Context<'_>, selection: &Selection, request: &PageRequest) -> Result<Page> {
    let started = context.clock.elapsed();
    if request.limit == 0 || request.limit > PAGE_EVENTS_MAX {
        return Err(Error::invalid("`limit` is out of range").expected(format!("1 to {PAGE_EVENTS_MAX}"), request.limit));
    }
    let last = request.cursor.as_deref().map(|text| Cursor::read(text, &selection.q, request.order)).transpose()?;
    let mut cursor = match last {
        Some(last) => Cursor { upper: last.upper.min(context.upper), ..last },
        None => first_cursor(context, selection, request.order)?,
    };
    let question = Question::within(context, &selection.q, cursor.range, cursor.now, cursor.upper)?;
    let after = last.map(|last| last.last);
    note_known(context, &question.range, &question.sequences);
    let mut search =
        Search { context, question: &question, order: request.order, after, top: Top::new(request.order, after, request.limit + 1) };
    let parts = search.run()?;
    let mut hits = search.top.into_hits();
    let more = hits.len() > request.limit;
    hits.truncate(request.limit);
    let next_cursor = hits.last().filter(|_| more).map(|hit| {
        cursor.last = hit.key;
        cursor.write()
    });
    let events = fetch(context, &hits.iter().map(|hit: &Hit| (hit.part, hit.document)).collect::<Vec<_>>())?;
    let explanation = request.explain.then(|| Explanation {
        filter: question.filter.to_string(),
        parts,
        blocks_decoded: context.budget.blocks_decoded(),
        elapsed: context.clock.elapsed().saturating_sub(started),
    });
    Ok(Page { events, next_cursor, explanation, incomplete: context.budget.gaps() })
}

fn first_cursor(context: &Context<'_>, selection: &Selection, order: Order) -> Result<Cursor> {
    let range = read_range(selection, context.now)?;
    let nowhere = Key { time: range.from, sequence: Sequence::ZERO };
    Ok(Cursor { order, now: context.now, range, upper: context.upper, last: nowhere, query: query_hash(&selection.q) })
}

struct Search<'a> {
    context: &'a Context<'a>,
    question: &'a Question,
    order: Order,
    /// The last key of the page before.
    after: Option<Key>,
    top: Top,
}

impl Search<'_> {
    /// Asks every part that can have events of the page.
    fn run(&mut self) -> Result<Vec<PartExplanation>> {
        let mut parts: Vec<(usize, Extent)> = self.context.parts.iter().map(|part| part.extent()).enumerate().collect();
        match self.order {
            Order::Descending => parts.sort_by_key(|(_, e)| Reverse((e.time_max, e.first_sequence))),
            Order::Ascending => parts.sort_by_key(|(_, e)| (e.time_min, e.first_sequence)),
        }
        let mut explanations = Vec::with_capacity(parts.len());
        for (number, extent) in parts {
            self.context.budget.check()?;
            let started = self.context.clock.elapsed();
            let mut explanation =
                PartExplanation { part: extent.part.to_string(), documents: extent.documents, ..PartExplanation::default() };
            if let Err(error) = self.ask(number, &extent, &mut explanation) {
                pass_over(&extent, error, self.context.budget)?;
                explanation.skipped = Some("it is damaged");
            }
            explanation.elapsed = self.context.clock.elapsed().saturating_sub(started);
            explanations.push(explanation);
        }
        Ok(explanations)
    }

    fn ask(&mut self, number: usize, extent: &Extent, explanation: &mut PartExplanation) -> Result<()> {
        let Some(part) = self.context.parts.get(number) else {
            return Ok(());
        };
        if extent.documents > 0 && !self.top.takes(self.best_key(extent)) {
            explanation.skipped = Some("the page is full of events before all of its own");
            return Ok(());
        }
        let range = self.page_range();
        let asked = match prepare(&**part, self.question, &range)? {
            Prepared::Skipped(reason) => {
                let passed = self.after.is_some() && extent.overlaps(&self.question.range) && !extent.overlaps(&range);
                explanation.skipped = Some(if passed { "all of its events are on earlier pages" } else { reason });
                return Ok(());
            }
            Prepared::Asked(asked) => asked,
        };
        let mut trace = Trace::of(self.question);
        self.walk(number, &asked, &mut trace)?;
        trace.into_explanation(explanation);
        Ok(())
    }

    /// No document of the part has a better key than this.
    fn best_key(&self, extent: &Extent) -> Key {
        match self.order {
            Order::Descending => Key { time: extent.time_max, sequence: Sequence(sequences::of(extent).end.saturating_sub(1)) },
            Order::Ascending => Key { time: extent.time_min, sequence: extent.first_sequence },
        }
    }

    /// The event times that the page can have: not before the page before, and not beyond the worst event held.
    fn page_range(&self) -> TimeRange {
        let mut range = self.question.range;
        let (first, last) = (self.after, self.top.worst());
        let (low, high) = if self.order == Order::Descending { (last, first) } else { (first, last) };
        if let Some(low) = low {
            range.from = range.from.max(low.time);
        }
        if let Some(high) = high {
            range.to = range.to.min(high.time.shift(1));
        }
        range
    }

    /// Evaluates windows of a part, from the end where the page starts, until nothing that is left can make the page.
    fn walk(&mut self, number: usize, asked: &Asked<'_>, trace: &mut Trace) -> Result<()> {
        let ordered = asked.extent.time_ordered;
        let mut rest = if ordered { self.without_earlier_pages(asked)? } else { asked.documents.clone() };
        let mut size = if !ordered || asked.node.scans_more_than(WINDOW_DOCUMENTS) { WINDOW_DOCUMENTS } else { u32::MAX };
        while !rest.is_empty() {
            let window = take_window(&mut rest, size, self.order);
            let hits = asked.matching(window, self.context.budget, trace)?;
            if ordered {
                if !self.offer_ordered(number, asked, &hits)? {
                    return Ok(());
                }
            } else {
                self.offer_all(number, asked, &hits)?;
            }
            if self.top.worst().is_some() {
                let better = asked.index.documents_between(&self.page_range())?;
                rest = rest.start.max(better.start)..rest.end.min(better.end);
            }
            size = size.saturating_mul(WINDOW_GROWTH);
        }
        Ok(())
    }

    /// Offers hits of a window whose documents are not in time order.
    fn offer_all(&mut self, number: usize, asked: &Asked<'_>, hits: &RoaringBitmap) -> Result<()> {
        sequences::for_each_key(asked.index, hits.iter(), self.context.budget, |document, key| {
            self.top.offer(key, number, document);
            Ok(())
        })
    }

    /// The documents of a part after the page before: those with the very time at which it ended are told apart by their sequence.
    fn without_earlier_pages(&self, asked: &Asked<'_>) -> Result<Range<u32>> {
        let documents = asked.documents.clone();
        let Some(after) = self.after else {
            return Ok(documents);
        };
        let same_time = asked.index.documents_between(&TimeRange { from: after.time, to: after.time.shift(1) })?;
        Ok(match self.order {
            Order::Descending => documents.start..documents.end.min(first_where(asked.index, same_time, |key| key >= after)?),
            Order::Ascending => documents.start.max(first_where(asked.index, same_time, |key| key > after)?)..documents.end,
        })
    }

    /// Offers hits of a window, best first; false when one did not make the page.
    fn offer_ordered(&mut self, number: usize, asked: &Asked<'_>, hits: &RoaringBitmap) -> Result<bool> {
        let most = self.top.capacity();
        let best: RoaringBitmap = match self.order {
            Order::Descending => hits.iter().rev().take(most).collect(),
            Order::Ascending => hits.iter().take(most).collect(),
        };
        let mut keys = Vec::new();
        sequences::for_each_key(asked.index, best.iter(), self.context.budget, |document, key| {
            keys.push((document, key));
            Ok(())
        })?;
        if self.order == Order::Descending {
            keys.reverse();
        }
        let all_taken = keys.iter().all(|(document, key)| self.top.offer(*key, number, *document));
        Ok(all_taken && keys.len() < most)
    }
}

/// Takes a window off the end of `rest` where the page starts, cut where a block ends.
fn take_window(rest: &mut Range<u32>, size: u32, order: Order) -> Range<u32> {
    let block = BLOCK_DOCUMENTS as u32;
    match order {
        Order::Descending => {
            let cut = rest.end.saturating_sub(size).next_multiple_of(block).clamp(rest.start, rest.end.saturating_sub(1));
            let window = cut..rest.end;
            rest.end = cut;
            window
        }
        Order::Ascending => {
            let cut = (rest.start.saturating_add(size) / block * block).clamp(rest.start.saturating_add(1), rest.end);
            let window = rest.start..cut;
            rest.start = cut;
            window
        }
    }
}

/// The first document of an ordered range whose key is in the upper part; its end when there is none.
fn first_where(index: &dyn Index, range: Range<u32>, upper: impl Fn(Key) -> bool) -> Result<u32> {
    let (mut low, mut high) = (range.start, range.end);
    let mut keys = Vec::with_capacity(1);
    while low < high {
        let middle = low + (high - low) / 2;
        keys.clear();
        index.keys(&mut std::iter::once(middle), &mut keys)?;
        let key = *keys.first().ok_or_else(|| Error::corrupt("a document without a key").in_file(index.extent().part.to_string()))?;
        if upper(key) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_a_range_once_from_either_end() {
        for order in [Order::Descending, Order::Ascending] {
            for range in [0..1, 5..9_000, 2_048..4_096, 1..100_001] {
                let (mut rest, mut size, mut seen) = (range.clone(), 4_096u32, RoaringBitmap::new());
                while !rest.is_empty() {
                    let window = take_window(&mut rest, size, order);
                    assert!(!window.is_empty() && window.len() as u32 <= size.max(2_048));
                    assert_eq!(seen.insert_range(window.clone()), window.len() as u64);
                    size = size.saturating_mul(4);
                }
                assert_eq!(seen, sequences::set_of(range));
            }
        }
        let mut rest = 3..5_000_000;
        assert_eq!((take_window(&mut rest, u32::MAX, Order::Ascending), rest.is_empty()), (3..5_000_000, true));
        let mut rest = 3..5_000_000;
        assert_eq!((take_window(&mut rest, u32::MAX, Order::Descending), rest.is_empty()), (3..5_000_000, true));
    }
}
