//! What can be asked, and what comes back, as plain data.

use std::time::Duration;

use crate::id::{Sequence, Timestamp};
use crate::index::StoredEvent;
use crate::status::Gap;

/// Which events a question is about, in the words of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The filter in the query language; empty for every event.
    pub q: String,
    /// The first event time: RFC 3339, epoch milliseconds, or `now-30d`. Default `now-30d`.
    pub from: Option<String>,
    /// The first event time after. Default `now`, inclusive of the present moment.
    pub to: Option<String>,
}

/// The order of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// Newest event time first, ties by descending sequence.
    #[default]
    Descending,
    /// Oldest event time first, ties by ascending sequence.
    Ascending,
}

/// Which page of the selected events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The order.
    pub order: Order,
    /// The most events on the page: 1 to [`crate::limits::PAGE_EVENTS_MAX`].
    pub limit: usize,
    /// Where the page before ended: its [`Page::next_cursor`].
    pub cursor: Option<String>,
    /// Whether to say how the answer was found.
    pub explain: bool,
}

impl Default for PageRequest {
    fn default() -> PageRequest {
        PageRequest { order: Order::Descending, limit: 50, cursor: None, explain: false }
    }
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The events, in the order asked for.
    pub events: Vec<StoredEvent>,
    /// Where the next page starts; `None` when there is none.
    pub next_cursor: Option<String>,
    /// How the answer was found, when asked for.
    pub explanation: Option<Explanation>,
    /// What could not be read.
    pub incomplete: Vec<Gap>,
}

/// How many events are selected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Count {
    /// The number.
    pub count: u64,
    /// What could not be read.
    pub incomplete: Vec<Gap>,
}

/// Counts over time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// The buckets in order of time, empty ones included.
    pub buckets: Vec<Bucket>,
    /// What could not be read.
    pub incomplete: Vec<Gap>,
}

/// How an answer was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// The filter as it was understood.
    pub filter: String,
    /// Every part of the log, asked or skipped.
    pub parts: Vec<PartExplanation>,
    /// How many blocks were decoded.
    pub blocks_decoded: u64,
    /// The whole time.
    pub elapsed: Duration,
}

/// What was done with one part of the log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartExplanation {
    /// The part: `head-SEQUENCE` or `segment-ID`.
    pub part: String,
    /// How many documents it has.
    pub documents: u32,
    /// Why it was not asked, if it was not.
    pub skipped: Option<&'static str>,
    /// The comparisons in the order in which they were made.
    pub steps: Vec<String>,
    /// How many documents passed the filter where it was evaluated.
    pub matched: u64,
    /// How many documents were in the ranges on which the filter was evaluated.
    pub touched: u64,
    /// The time it took.
    pub elapsed: Duration,
}

/// What the terms of an answer are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facet {
    /// A dimension, by name.
    Dimension(String),
    /// Any path into the events, in its written form.
    Path(String),
}

/// A question for the most frequent terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsRequest {
    /// Terms of what.
    pub facet: Facet,
    /// How many terms to name: 1 to [`crate::limits::TERMS_MAX`].
    pub limit: usize,
    /// Only terms that start with this.
    pub prefix: String,
}

/// A term and the number of events that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermCount {
    /// The term.
    pub term: String,
    /// How many events have it.
    pub count: u64,
}

/// The most frequent terms: most first, ties in byte order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// How many events were selected, with or without a term.
    pub total: u64,
    /// The most frequent terms.
    pub terms: Vec<TermCount>,
    /// The sum of the counts of the terms that are not named.
    pub other: u64,
    /// How many distinct terms there are.
    pub distinct: u64,
    /// What could not be read.
    pub incomplete: Vec<Gap>,
}

/// A question for counts over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramRequest {
    /// The width of a bucket: `15m`, `1h`, `1d`. Buckets start at multiples of it since the epoch.
    pub interval: String,
    /// Also the most frequent terms of this dimension in each bucket.
    pub dimension: Option<String>,
    /// How many terms in each bucket.
    pub limit: usize,
}

/// One bucket of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its first moment.
    pub start: Timestamp,
    /// How many events are in it.
    pub count: u64,
    /// Its most frequent terms, when a dimension was asked for.
    pub terms: Vec<TermCount>,
}

/// Events in the order of their sequences.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TailPage {
    /// The events that match.
    pub events: Vec<StoredEvent>,
    /// Every event up to this sequence was looked at: where to go on.
    pub position: Sequence,
    /// What could not be read on the way.
    pub incomplete: Vec<Gap>,
}

/// An event that at least one of several filters selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The event.
    pub event: StoredEvent,
    /// Which filters select it: a bit for each, the first one's the lowest.
    pub filters: u64,
}

/// Events of several filters in the order of their sequences.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FollowPage {
    /// The events that match.
    pub events: Vec<Followed>,
    /// Every event up to this sequence was looked at: where to go on.
    pub position: Sequence,
    /// What could not be read on the way.
    pub incomplete: Vec<Gap>,
}
