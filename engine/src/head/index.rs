//! [`HeadIndex`]: a head as an [`Index`], up to the document that was the last when a question began.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;

use super::documents::{Passing, by_turns, passing_at_path, passing_text};
use super::state::{DimensionState, Entries, Head, State};
use crate::budget::Budget;
use crate::codec::checksum::hash64;
use crate::error::Result;
use crate::event::path::Path;
use crate::id::{Sequence, Timestamp};
use crate::index::{Extent, Index, Key, PartId, Postings, StoredEvent, TermVisitor, TimeRange, ValueVisitor};
use crate::matcher::{Lookup, Matcher, TextMatcher};
use crate::shred::select::CodeSet;
use crate::shred::whole::{hashes_of_matching, holds_value};

/// A head as it was at one moment.
#[derive(Debug, Clone)]
pub(crate) struct HeadIndex {
    head: Arc<Head>,
    extent: Extent,
    searches: Searches,
}

/// Which codes passed the tests of this question: a page asks them again for every window.
#[derive(Debug, Clone, Default)]
struct Searches(Arc<Mutex<Vec<Search>>>);

/// A test, and the codes that passed.
type Search = (String, Arc<Passing>);

impl Searches {
    fn passing(&self, test: String, search: impl FnOnce() -> Result<Passing>) -> Result<Arc<Passing>> {
        let found = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, passing)) = found().iter().find(|(of, _)| *of == test) {
            return Ok(passing.clone());
        }
        let passing = Arc::new(search()?);
        found().push((test, passing.clone()));
        Ok(passing)
    }
}

impl HeadIndex {
    pub(crate) fn new(head: Arc<Head>) -> HeadIndex {
        let state = head.read();
        let extent = Extent {
            part: PartId::Head(head.first_sequence),
            documents: state.documents(),
            first_sequence: head.first_sequence,
            time_min: state.time_min,
            time_max: state.time_max,
            time_ordered: false,
        };
        drop(state);
        HeadIndex { head, extent, searches: Searches::default() }
    }
}

fn dimension<'a>(state: &'a State, name: &str) -> Option<(u32, &'a DimensionState)> {
    (0u32..).zip(&state.dimensions).find(|(_, d)| d.name == name)
}

/// The codes of a keyword dimension's terms that match.
fn codes_matching(state: &State, ordinal: u32, matcher: &Matcher) -> CodeSet {
    match matcher.lookup() {
        Lookup::Exact(term) => state.terms.find(ordinal, term.as_bytes()).into_iter().collect(),
        _ => (0..).zip(state.terms.values(ordinal)).filter(|(_, term)| is_match(matcher, term)).map(|(code, _)| code).collect(),
    }
}

/// The terms of a keyword dimension that start with `prefix`, in byte order, with their codes.
fn sorted_terms<'a>(state: &'a State, ordinal: u32, prefix: &str) -> Vec<(&'a str, u32)> {
    let terms = state.terms.values(ordinal).zip(0u32..).filter(|(term, _)| term.starts_with(prefix.as_bytes()));
    let mut terms: Vec<(&str, u32)> = terms.filter_map(|(term, code)| Some((std::str::from_utf8(term).ok()?, code))).collect();
    terms.sort_unstable();
    terms
}

fn is_match(matcher: &Matcher, term: &[u8]) -> bool {
    std::str::from_utf8(term).is_ok_and(|term| matcher.matches(term))
}

impl HeadIndex {
    /// Of the candidates, those of which a term of the unique dimension matches.
    fn with_unique_terms(
        &self,
        ordinal: u32,
        paths: &[Path],
        matcher: &Matcher,
        candidates: &RoaringBitmap,
        budget: &Budget,
    ) -> Result<RoaringBitmap> {
        let mut at_paths = RoaringBitmap::new();
        for path in paths {
            at_paths |= self.path_documents(path, matcher, candidates, budget)?;
        }
        let state = self.head.read();
        let Some(DimensionState { entries: Entries::Unique(table), .. }) = state.dimensions.get(ordinal as usize) else {
            return Ok(RoaringBitmap::new());
        };
        let mut text = Vec::new();
        let has_term = |document: &u32| {
            text.clear();
            state.shreds.text(*document, &mut text);
            let is_term = |hash: &u64| table.iter_hash(*hash).any(|entry| *entry == (*hash, *document));
            hashes_of_matching(&text, paths, matcher).iter().any(is_term)
        };
        Ok(RoaringBitmap::from_sorted_iter(at_paths.iter().filter(has_term)).unwrap_or_default())
    }
}

impl Index for HeadIndex {
    fn extent(&self) -> Extent {
        self.extent
    }

    fn documents_between(&self, range: &TimeRange) -> Result<Range<u32>> {
        Ok(if self.extent.overlaps(range) { 0..self.extent.documents } else { 0..0 })
    }

    fn keys(&self, documents: &mut dyn Iterator<Item = u32>, keys: &mut Vec<Key>) -> Result<()> {
        let state = self.head.read();
        let first = self.extent.first_sequence;
        keys.extend(documents.filter_map(|d| Some(Key { time: *state.times.get(d as usize)?, sequence: first.plus(u64::from(d)) })));
        Ok(())
    }

    fn received_at(&self, documents: &[u32], budget: &Budget, times: &mut Vec<Timestamp>) -> Result<()> {
        budget.check()?;
        let state = self.head.read();
        times.extend(documents.iter().map(|document| state.received_at(*document)));
        Ok(())
    }

    fn document_of(&self, sequence: Sequence) -> Result<Option<u32>> {
        let offset = sequence.0.checked_sub(self.extent.first_sequence.0);
        Ok(offset.and_then(|o| u32::try_from(o).ok()).filter(|d| *d < self.extent.documents))
    }

    fn has_dimension(&self, name: &str) -> bool {
        dimension(&self.head.read(), name).is_some()
    }

    fn estimate(&self, name: &str, matcher: &Matcher) -> Result<Option<u64>> {
        let state = self.head.read();
        Ok(match (dimension(&state, name), matcher.lookup()) {
            (None, _) => Some(0),
            (Some((ordinal, DimensionState { entries: Entries::Keyword(rows), .. })), Lookup::Exact(term)) => {
                Some(state.terms.find(ordinal, term.as_bytes()).map_or(0, |code| u64::from(rows.count(code))))
            }
            (Some((_, DimensionState { entries: Entries::Unique(table), .. })), Lookup::Exact(value)) => {
                Some(table.iter_hash(hash64(value.as_bytes())).count() as u64)
            }
            _ => None,
        })
    }

    fn term_documents(&self, name: &str, matcher: &Matcher, within: Range<u32>, budget: &Budget) -> Result<RoaringBitmap> {
        budget.check()?;
        let within = within.start..within.end.min(self.extent.documents);
        let state = self.head.read();
        let Some((ordinal, dimension)) = dimension(&state, name) else {
            return Ok(RoaringBitmap::new());
        };
        let mut found = RoaringBitmap::new();
        match &dimension.entries {
            Entries::Keyword(rows) => rows.for_each_with(&codes_matching(&state, ordinal, matcher), within, |document| {
                found.insert(document);
            }),
            Entries::Unique(table) => match matcher.lookup() {
                Lookup::Exact(value) => {
                    let hash = hash64(value.as_bytes());
                    let mut text = Vec::new();
                    for (_, document) in table.iter_hash(hash).filter(|(h, d)| *h == hash && within.contains(d)) {
                        text.clear();
                        state.shreds.text(*document, &mut text);
                        if holds_value(&text, value) {
                            found.insert(*document);
                        }
                    }
                }
                lookup => {
                    let with_terms: RoaringBitmap = table.iter().map(|(_, document)| *document).filter(|d| within.contains(d)).collect();
                    if lookup == Lookup::All {
                        return Ok(with_terms);
                    }
                    let paths = dimension.paths.clone();
                    drop(state);
                    return self.with_unique_terms(ordinal, &paths, matcher, &with_terms, budget);
                }
            },
        }
        Ok(found)
    }

    fn for_each_term(&self, name: &str, prefix: &str, budget: &Budget, visit: &mut TermVisitor<'_>) -> Result<()> {
        let state = self.head.read();
        let Some((ordinal, DimensionState { entries: Entries::Keyword(rows), .. })) = dimension(&state, name) else {
            return Ok(());
        };
        let groups = rows.grouped(0..self.extent.documents);
        for (term, code) in sorted_terms(&state, ordinal, prefix) {
            let documents = groups.of(code);
            if !documents.is_empty() {
                visit(term, Postings::Sorted(documents))?;
            }
        }
        budget.check()
    }

    fn for_each_term_count(&self, name: &str, prefix: &str, budget: &Budget, visit: &mut ValueVisitor<'_>) -> Result<()> {
        let state = self.head.read();
        if state.documents() > self.extent.documents {
            drop(state);
            return self.for_each_term(name, prefix, budget, &mut |term, postings| visit(term, postings.count()));
        }
        let Some((ordinal, DimensionState { entries: Entries::Keyword(rows), .. })) = dimension(&state, name) else {
            return Ok(());
        };
        for (term, code) in sorted_terms(&state, ordinal, prefix) {
            visit(term, u64::from(rows.count(code)))?;
        }
        budget.check()
    }

    fn path_documents(&self, path: &Path, matcher: &Matcher, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
        budget.block()?;
        let of = format!("path {path:?} {}", matcher.identity());
        let passing = self.searches.passing(of, || passing_at_path(&self.head, path, matcher, budget))?;
        by_turns(&self.head, candidates, budget, |state, some| state.at_path(path, matcher, &passing, some))
    }

    fn for_each_value(&self, path: &Path, candidates: &RoaringBitmap, budget: &Budget, visit: &mut ValueVisitor<'_>) -> Result<()> {
        budget.block()?;
        self.head.read().count_values(path, candidates, visit)
    }

    fn text_documents(&self, text: &TextMatcher, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
        budget.block()?;
        let passing = self.searches.passing(format!("text {}", text.needle()), || passing_text(&self.head, text, budget))?;
        by_turns(&self.head, candidates, budget, |state, some| state.with_text(text, &passing, some))
    }

    fn fetch(&self, documents: &[u32], budget: &Budget, events: &mut Vec<Option<StoredEvent>>) -> Result<()> {
        budget.check()?;
        let state = self.head.read();
        for document in documents {
            let mut text = Vec::new();
            state.shreds.text(*document, &mut text);
            events.push(Some(StoredEvent {
                sequence: self.extent.first_sequence.plus(u64::from(*document)),
                received_at: state.received_at(*document),
                event_time: state.times.get(*document as usize).copied().unwrap_or_default(),
                time_is_received: state.without_time.contains(*document),
                text,
            }));
        }
        Ok(())
    }
}
