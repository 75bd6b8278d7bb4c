//! [`Segment`] as an [`Index`].

use std::ops::Range;

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::codec::checksum::hash64;
use crate::error::Result;
use crate::event::DimensionKind;
use crate::event::path::Path;
use crate::id::{Sequence, Timestamp};
use crate::index::{Extent, Index, Key, PartId, StoredEvent, TermVisitor, TimeRange, ValueVisitor};
use crate::limits::BLOCK_DOCUMENTS;
use crate::matcher::{Lookup, Matcher, TextMatcher};
use crate::segment::documents::event_ids::Places;
use crate::segment::meta::DimensionEntry;
use crate::segment::postings::lists::PostingsReader;
use crate::segment::read::fetch::fetch_readable;
use crate::segment::read::keys::Wanted;
use crate::segment::read::opened::Segment;
use crate::segment::read::{keys, search, terms, values};
use crate::shred::whole::{hashes_of_matching, holds_value, value_with_hash};

/// What a walk over terms calls: the postings of all terms, the number of one and its text.
type WalkedTerm<'a> = dyn FnMut(&PostingsReader<'_>, u32, &str) -> Result<()> + 'a;

impl Segment {
    /// Calls `visit` with the ordinal of each term of a dimension that matches, counted from the dimension's first.
    fn matching_terms(&self, dimension: &DimensionEntry, matcher: &Matcher, visit: &mut dyn FnMut(u32) -> Result<()>) -> Result<()> {
        let (dictionary, first) = (self.dictionary()?, dimension.terms.start);
        match matcher.lookup() {
            Lookup::Exact(term) => match dictionary.find_in(dimension.terms.clone(), term.as_bytes())? {
                Some(ordinal) => visit(ordinal - first),
                None => Ok(()),
            },
            Lookup::All => dimension.terms.clone().try_for_each(|ordinal| visit(ordinal - first)),
            Lookup::Prefix(prefix) => {
                let range = dictionary.prefix_in(dimension.terms.clone(), prefix.as_bytes())?;
                dictionary.for_each(range, |ordinal, term| match std::str::from_utf8(term) {
                    Ok(term) if matcher.matches(term) => visit(ordinal.saturating_sub(first)),
                    _ => Ok(()),
                })
            }
        }
    }

    /// Calls `visit` with the postings of a keyword dimension, and number and text of each term that starts with `prefix`.
    pub(super) fn walk_terms(&self, name: &str, prefix: &str, budget: &Budget, visit: &mut WalkedTerm<'_>) -> Result<()> {
        let Some((ordinal, dimension)) = self.dimension(name).filter(|(_, d)| d.kind == DimensionKind::Keyword) else {
            return Ok(());
        };
        let (dictionary, postings) = (self.dictionary()?, self.postings(ordinal)?);
        let range = dictionary.prefix_in(dimension.terms.clone(), prefix.as_bytes())?;
        let mut walked = 0u32;
        dictionary.for_each(range, |term_ordinal, term| {
            walked += 1;
            if walked.is_multiple_of(1_024) {
                budget.check()?;
            }
            match std::str::from_utf8(term) {
                Ok(term) => visit(&postings, term_ordinal - dimension.terms.start, term),
                Err(_) => Ok(()),
            }
        })
    }

    /// The documents with a value of a unique dimension.
    fn unique_documents(
        &self,
        (ordinal, dimension): (u16, &DimensionEntry),
        value: &str,
        within: &Range<u32>,
        budget: &Budget,
    ) -> Result<RoaringBitmap> {
        let (index, mut candidates) = (self.unique_index(ordinal)?, Vec::new());
        index.candidates(hash64(value.as_bytes()), &mut candidates)?;
        if index.places() == Places::Blocks {
            let wanted = candidates.into_iter().map(|block| Wanted { block, value: value.as_bytes().to_vec(), tag: 0 });
            let found = keys::find(self, &dimension.paths, wanted.collect(), budget)?;
            return Ok(found.into_iter().map(|(document, _)| document).filter(|document| within.contains(document)).collect());
        }
        candidates.retain(|document| within.contains(document));
        let mut texts = Vec::new();
        fetch_readable(self, &candidates, budget, &mut texts)?;
        let holds = |text: &Option<Vec<u8>>| text.as_ref().is_some_and(|text| holds_value(text, value));
        Ok(candidates.iter().zip(&texts).filter(|(_, text)| holds(text)).map(|(document, _)| *document).collect())
    }

    /// The documents with a term of a unique dimension that matches, where that is no look-up.
    fn unique_matching(
        &self,
        (ordinal, dimension): (u16, &DimensionEntry),
        matcher: &Matcher,
        within: &Range<u32>,
        budget: &Budget,
    ) -> Result<RoaringBitmap> {
        let index = self.unique_index(ordinal)?;
        let with_terms: RoaringBitmap = match index.places() {
            Places::Documents => index.all().filter(|d| !matches!(d, Ok(d) if !within.contains(d))).collect::<Result<_>>()?,
            Places::Blocks => keys::with_keys(self, &dimension.paths, within, budget)?,
        };
        if matcher.lookup() == Lookup::All {
            return Ok(with_terms);
        }
        let mut at_paths = RoaringBitmap::new();
        for path in &dimension.paths {
            at_paths |= search::at_path(self, path, matcher, &with_terms, budget)?;
        }
        if index.places() == Places::Blocks {
            return Ok(at_paths);
        }
        let (mut found, mut texts, mut holders) = (RoaringBitmap::new(), Vec::new(), Vec::new());
        for documents in at_paths.iter().collect::<Vec<u32>>().chunks(BLOCK_DOCUMENTS) {
            texts.clear();
            fetch_readable(self, documents, budget, &mut texts)?;
            for (document, text) in documents.iter().zip(&texts) {
                let Some(text) = text else { continue };
                holders.clear();
                for hash in hashes_of_matching(text, &dimension.paths, matcher) {
                    index.candidates(hash, &mut holders)?;
                }
                if holders.contains(document) {
                    found.insert(*document);
                }
            }
        }
        Ok(found)
    }

    /// For each (hash, tag) the texts of the documents whose event id may have the hash, as far as they can be read; `text_of` is the event
    /// whose id has the hash.
    pub(crate) fn with_id_hashes<'t>(
        &self,
        hashes: &[(u64, usize)],
        text_of: impl Fn(usize) -> &'t [u8],
        budget: &Budget,
    ) -> Result<Vec<(usize, Vec<u8>)>> {
        let Some((ordinal, dimension)) = self.dimension(crate::event::schema::EVENT_ID).filter(|(_, d)| d.kind == DimensionKind::Unique)
        else {
            return Ok(Vec::new());
        };
        let (index, mut documents, mut tags, mut wanted) = (self.unique_index(ordinal)?, Vec::new(), Vec::new(), Vec::new());
        for (hash, tag) in hashes {
            index.candidates(*hash, &mut documents)?;
            if index.places() == Places::Blocks && !documents.is_empty() {
                let value = value_with_hash(text_of(*tag), *hash);
                let in_block = |(block, value)| Wanted { block, value, tag: *tag };
                wanted.extend(documents.drain(..).zip(value.into_iter().cycle()).map(in_block));
            }
            tags.resize(documents.len(), *tag);
        }
        for (document, tag) in keys::find(self, &dimension.paths, wanted, budget)? {
            documents.push(document);
            tags.push(tag);
        }
        let mut texts = Vec::new();
        fetch_readable(self, &documents, budget, &mut texts)?;
        Ok(tags.into_iter().zip(texts).filter_map(|(tag, text)| Some((tag, text?))).collect())
    }
}

impl Index for Segment {
    fn extent(&self) -> Extent {
        let meta = self.meta();
        Extent {
            part: PartId::Segment(self.id()),
            documents: meta.documents,
            first_sequence: meta.first_sequence,
            time_min: meta.time_min,
            time_max: meta.time_max,
            time_ordered: true,
        }
    }

    fn documents_between(&self, range: &TimeRange) -> Result<Range<u32>> {
        let meta = self.meta();
        // The ends are known without a look at the times.
        let start = if range.from <= meta.time_min { 0 } else { self.timestamps()?.lower_bound(range.from.0) };
        let end = if range.to > meta.time_max { meta.documents } else { self.timestamps()?.lower_bound(range.to.0) };
        Ok(start..end.max(start))
    }

    fn keys(&self, documents: &mut dyn Iterator<Item = u32>, keys: &mut Vec<Key>) -> Result<()> {
        let (times, sequences, first) = (self.timestamps()?, self.sequences()?, self.meta().first_sequence);
        keys.extend(
            documents
                .map(|document| Key { time: Timestamp(times.get(document)), sequence: first.plus(u64::from(sequences.get(document))) }),
        );
        Ok(())
    }

    fn received_at(&self, documents: &[u32], budget: &Budget, times: &mut Vec<Timestamp>) -> Result<()> {
        budget.check()?;
        let (sequences, received) = (self.sequences()?, self.received()?);
        let at = |document: &u32| Timestamp::from_millis(received.at(sequences.get(*document))).unwrap_or_default();
        times.extend(documents.iter().map(at));
        Ok(())
    }

    fn document_of(&self, sequence: Sequence) -> Result<Option<u32>> {
        let offset = sequence.0.checked_sub(self.meta().first_sequence.0).and_then(|offset| u32::try_from(offset).ok());
        match offset {
            Some(offset) if offset < self.meta().documents => Ok(self.sequences()?.find(offset)),
            _ => Ok(None),
        }
    }

    fn has_dimension(&self, name: &str) -> bool {
        self.dimension(name).is_some()
    }

    fn estimate(&self, name: &str, matcher: &Matcher) -> Result<Option<u64>> {
        let Some((ordinal, dimension)) = self.dimension(name) else {
            return Ok(Some(0));
        };
        let Lookup::Exact(value) = matcher.lookup() else {
            return Ok(None);
        };
        if dimension.kind == DimensionKind::Unique {
            let mut candidates = Vec::new();
            self.unique_index(ordinal)?.candidates(hash64(value.as_bytes()), &mut candidates)?;
            return Ok(Some(candidates.len() as u64));
        }
        let found = self.dictionary()?.find_in(dimension.terms.clone(), value.as_bytes())?;
        found.map_or(Ok(Some(0)), |term| Ok(Some(u64::from(self.postings(ordinal)?.count(term - dimension.terms.start)?))))
    }

    fn term_documents(&self, name: &str, matcher: &Matcher, within: Range<u32>, budget: &Budget) -> Result<RoaringBitmap> {
        budget.check()?;
        let mut found = RoaringBitmap::new();
        let Some((ordinal, dimension)) = self.dimension(name) else {
            return Ok(found);
        };
        if dimension.kind == DimensionKind::Unique {
            if let Lookup::Exact(value) = matcher.lookup() {
                return self.unique_documents((ordinal, dimension), value, &within, budget);
            }
            return self.unique_matching((ordinal, dimension), matcher, &within, budget);
        }
        let postings = self.postings(ordinal)?;
        self.matching_terms(dimension, matcher, &mut |term| postings.add_to(term, within.clone(), &mut found))?;
        Ok(found)
    }

    fn for_each_term(&self, name: &str, prefix: &str, budget: &Budget, visit: &mut TermVisitor<'_>) -> Result<()> {
        let mut scratch = Vec::new();
        self.walk_terms(name, prefix, budget, &mut |postings, ordinal, term| visit(term, postings.with(ordinal, &mut scratch)?))
    }

    fn for_each_term_count(&self, name: &str, prefix: &str, budget: &Budget, visit: &mut ValueVisitor<'_>) -> Result<()> {
        self.walk_terms(name, prefix, budget, &mut |postings, ordinal, term| visit(term, u64::from(postings.count(ordinal)?)))
    }

    fn for_each_term_count_in(
        &self,
        name: &str,
        prefix: &str,
        documents: &RoaringBitmap,
        budget: &Budget,
        visit: &mut ValueVisitor<'_>,
    ) -> Result<()> {
        terms::count(self, (name, prefix), documents, budget, visit)
    }

    fn path_documents(&self, path: &Path, matcher: &Matcher, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
        search::at_path(self, path, matcher, candidates, budget)
    }

    fn for_each_value(&self, path: &Path, candidates: &RoaringBitmap, budget: &Budget, visit: &mut ValueVisitor<'_>) -> Result<()> {
        values::count(self, path, candidates, budget, visit)
    }

    fn text_documents(&self, text: &TextMatcher, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
        search::with_text(self, text, candidates, budget)
    }

    fn fetch(&self, documents: &[u32], budget: &Budget, events: &mut Vec<Option<StoredEvent>>) -> Result<()> {
        let (times, sequences, received) = (self.timestamps()?, self.sequences()?, self.received()?);
        let mut texts = Vec::new();
        fetch_readable(self, documents, budget, &mut texts)?;
        events.extend(documents.iter().zip(texts).map(|(document, text)| {
            let offset = sequences.get(*document);
            Some(StoredEvent {
                sequence: self.meta().first_sequence.plus(u64::from(offset)),
                received_at: Timestamp::from_millis(received.at(offset)).unwrap_or_default(),
                event_time: Timestamp(times.get(*document)),
                time_is_received: self.meta().without_time.contains(*document),
                text: text?,
            })
        }));
        Ok(())
    }
}
