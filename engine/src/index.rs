//! [`Index`]: the seam between `query` and the places where events are: the head and the segments.
//!
//! An index numbers its documents from 0. Sets of documents are roaring bitmaps. In a time-ordered index document order is
//! (event time, sequence) order, so that a time range is a range of documents and the newest come last; the head numbers
//! its documents in sequence order instead.

use std::fmt;
use std::ops::Range;

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::event::path::Path;
use crate::id::{SegmentId, Sequence, Timestamp};
use crate::matcher::{Matcher, TextMatcher};

/// A half-open range of event times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first moment inside.
    pub from: Timestamp,
    /// The first moment after.
    pub to: Timestamp,
}

impl TimeRange {
    /// All time.
    pub const ALL: TimeRange = TimeRange { from: Timestamp::MIN, to: Timestamp::MAX };

    /// Whether a moment is inside.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }
}

/// Which part of the log an index covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartId {
    /// Events that are in the journal but in no segment yet; numbered by their first sequence.
    Head(Sequence),
    /// A segment file.
    Segment(SegmentId),
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartId::Head(first) => write!(f, "head-{first}"),
            PartId::Segment(id) => write!(f, "segment-{id}"),
        }
    }
}

/// What an index covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Which part it is.
    pub part: PartId,
    /// How many documents it has: numbers `0..documents`.
    pub documents: u32,
    /// Its first sequence. Its sequences are `first_sequence..first_sequence + documents`, in some order.
    pub first_sequence: Sequence,
    /// The smallest event time; meaningless when it has no documents.
    pub time_min: Timestamp,
    /// The largest event time; meaningless when it has no documents.
    pub time_max: Timestamp,
    /// Whether document order is (event time, sequence) order.
    pub time_ordered: bool,
}

impl Extent {
    /// Whether any event time of the part can lie in the range.
    #[must_use]
    pub fn overlaps(&self, range: &TimeRange) -> bool {
        self.documents > 0 && self.time_min < range.to && range.from <= self.time_max
    }
}

/// The order key of a document; keys are unique in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The event time.
    pub time: Timestamp,
    /// The sequence.
    pub sequence: Sequence,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its position in the log.
    pub sequence: Sequence,
    /// When it was received, to the millisecond.
    pub received_at: Timestamp,
    /// Its event time: read from the event, or else the receive time.
    pub event_time: Timestamp,
    /// Whether the event time is the receive time for want of a readable one.
    pub time_is_received: bool,
    /// The event, byte for byte as it came.
    pub text: Vec<u8>,
}

/// The documents of one term, as an index hands them out while it walks its terms.
#[derive(Debug, Clone, Copy)]
pub enum Postings<'a> {
    /// Ascending document numbers.
    Sorted(&'a [u32]),
    /// A bitmap in roaring's portable format, already checksummed, with its cardinality.
    Roaring {
        /// The serialised bitmap.
        bytes: &'a [u8],
        /// How many documents are in it.
        count: u32,
    },
}

impl Postings<'_> {
    /// How many documents there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Postings::Sorted(docs) => docs.len() as u64,
            Postings::Roaring { count, .. } => u64::from(*count),
        }
    }

    /// The documents as a bitmap.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] when the stored bitmap cannot be read.
    pub fn to_bitmap(&self) -> Result<RoaringBitmap> {
        match self {
            Postings::Sorted(docs) => RoaringBitmap::from_sorted_iter(docs.iter().copied())
                .map_err(|_| Error::corrupt("document numbers of a term are not ascending")),
            Postings::Roaring { bytes, .. } => {
                RoaringBitmap::deserialize_from(*bytes).map_err(|e| Error::corrupt("cannot read the bitmap of a term").because(e))
            }
        }
    }

    /// How many of the documents are in `filter`.
    ///
    /// # Errors
    /// As [`Postings::to_bitmap`].
    pub fn count_in(&self, filter: &RoaringBitmap) -> Result<u64> {
        match self {
            Postings::Sorted(docs) => Ok(docs.iter().filter(|d| filter.contains(**d)).count() as u64),
            Postings::Roaring { .. } => Ok(self.to_bitmap()?.intersection_len(filter)),
        }
    }
}

/// What [`Index::for_each_term`] calls for every term.
pub type TermVisitor<'a> = dyn FnMut(&str, Postings<'_>) -> Result<()> + 'a;
/// What [`Index::for_each_value`] and [`Index::for_each_term_count`] call: a value and how many documents have it.
pub type ValueVisitor<'a> = dyn FnMut(&str, u64) -> Result<()> + 'a;

/// A part of the log that can be asked. Every method that reads blocks checks the budget.
///
/// Damage to single blocks is no error: their events are left out, and noted by [`Budget::miss`]. Errors of all methods:
/// [`crate::ErrorKind::Corrupt`] for damaged bytes without which the part has no answer, and what [`Budget::check`] gives.
pub trait Index: Send + Sync {
    /// What it covers.
    fn extent(&self) -> Extent;

    /// The documents whose event time can be in the range. In a time-ordered index exactly these; elsewhere a superset that
    /// the caller narrows by [`Index::keys`].
    fn documents_between(&self, range: &TimeRange) -> Result<Range<u32>>;

    /// Appends the keys of ascending documents to `keys`, in their order.
    fn keys(&self, documents: &mut dyn Iterator<Item = u32>, keys: &mut Vec<Key>) -> Result<()>;

    /// The document with a sequence, if it is in this part.
    fn document_of(&self, sequence: Sequence) -> Result<Option<u32>>;

    /// Whether the part has indexed the dimension; events that were stored before a dimension was declared have not.
    fn has_dimension(&self, dimension: &str) -> bool;

    /// How many documents at most match, without reading postings; `None` where that costs as much as the answer.
    fn estimate(&self, dimension: &str, matcher: &Matcher) -> Result<Option<u64>>;

    /// The documents within a range that have a term of the dimension that matches. No such dimension: none.
    fn term_documents(&self, dimension: &str, matcher: &Matcher, within: Range<u32>, budget: &Budget) -> Result<RoaringBitmap>;

    /// Walks the terms of a keyword dimension that start with `prefix`, in byte order.
    fn for_each_term(&self, dimension: &str, prefix: &str, budget: &Budget, visit: &mut TermVisitor<'_>) -> Result<()>;

    /// Walks the terms of a keyword dimension that start with `prefix` with the number of their documents, in byte order. An index that
    /// knows the numbers without reading postings should say so here.
    fn for_each_term_count(&self, dimension: &str, prefix: &str, budget: &Budget, visit: &mut ValueVisitor<'_>) -> Result<()> {
        self.for_each_term(dimension, prefix, budget, &mut |term, postings| visit(term, postings.count()))
    }

    /// Walks the terms of a keyword dimension that start with `prefix` and that some of these documents have, with the number of those, in
    /// byte order. An index that knows the terms of a document without reading the postings of all terms should say so here.
    fn for_each_term_count_in(
        &self,
        dimension: &str,
        prefix: &str,
        documents: &RoaringBitmap,
        budget: &Budget,
        visit: &mut ValueVisitor<'_>,
    ) -> Result<()> {
        count_by_postings(self, (dimension, prefix), documents, budget, visit)
    }

    /// Of the candidates, those that have a value at the path that matches. For [`Matcher::any`] a value beneath the path
    /// counts as well: an object or array that holds a value other than `null` exists.
    fn path_documents(&self, path: &Path, matcher: &Matcher, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap>;

    /// For each distinct value at the path (strings decoded, literals as written, no `null`): how many of the candidates have it. A
    /// value may be visited more than once; the counts add up.
    fn for_each_value(&self, path: &Path, candidates: &RoaringBitmap, budget: &Budget, visit: &mut ValueVisitor<'_>) -> Result<()>;

    /// Of the candidates, those that hold the text.
    fn text_documents(&self, text: &TextMatcher, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap>;

    /// Appends the events of these documents, in the order given, to `events`: `None` for one whose bytes are damaged, which is noted in
    /// the budget.
    fn fetch(&self, documents: &[u32], budget: &Budget, events: &mut Vec<Option<StoredEvent>>) -> Result<()>;

    /// Appends the receive times of these documents (ascending, a few hundred at a time) to `times`, in their order. An index that keeps
    /// them apart from the events should say so here: this reads whole events.
    fn received_at(&self, documents: &[u32], budget: &Budget, times: &mut Vec<Timestamp>) -> Result<()> {
        let mut events = Vec::new();
        self.fetch(documents, budget, &mut events)?;
        for event in events {
            times.push(event.ok_or_else(|| Error::corrupt("an event cannot be read"))?.received_at);
        }
        Ok(())
    }
}

/// Counts how many of the documents have each term of a dimension that starts with a prefix, by reading all postings.
///
/// # Errors
/// As [`Index::for_each_term`].
pub(crate) fn count_by_postings<I: Index + ?Sized>(
    index: &I,
    (dimension, prefix): (&str, &str),
    documents: &RoaringBitmap,
    budget: &Budget,
    visit: &mut ValueVisitor<'_>,
) -> Result<()> {
    let flat = FlatSet::new(documents);
    index.for_each_term(dimension, prefix, budget, &mut |term, postings| match flat.count_of(&postings)? {
        0 => Ok(()),
        count => visit(term, count),
    })
}

/// A set of documents with a bit for each: a look-up costs a nanosecond, and every term asks for all of its documents.
struct FlatSet<'a> {
    set: &'a RoaringBitmap,
    words: Vec<u64>,
}

impl<'a> FlatSet<'a> {
    fn new(set: &'a RoaringBitmap) -> FlatSet<'a> {
        let mut words = vec![0u64; set.max().map_or(0, |max| max as usize / 64 + 1)];
        set.iter().for_each(|document| {
            if let Some(word) = words.get_mut(document as usize / 64) {
                *word |= 1 << (document % 64);
            }
        });
        FlatSet { set, words }
    }

    fn count_of(&self, postings: &Postings<'_>) -> Result<u64> {
        match postings {
            Postings::Sorted(documents) => {
                let bit = |d: &u32| self.words.get(*d as usize / 64).map_or(0, |word| word >> (d % 64) & 1);
                Ok(documents.iter().map(bit).sum())
            }
            Postings::Roaring { .. } => postings.count_in(self.set),
        }
    }
}
