//! What a segment is written from.

use roaring::RoaringBitmap;

use crate::event::path::Path;
use crate::id::{Day, SegmentId, Sequence, Timestamp};
use crate::shred::{Columns, Shreds, TermRows};

/// What a segment is written from: a contiguous range of sequences, in sequence order.
#[derive(Debug)]
pub(crate) struct SegmentInput<'a> {
    pub(crate) id: SegmentId,
    /// The UTC day on which the events were received.
    pub(crate) day: Day,
    pub(crate) first_sequence: Sequence,
    pub(crate) shreds: &'a Shreds,
    /// The event time of every document.
    pub(crate) times: &'a [Timestamp],
    /// Where documents with another receive time begin, and that time.
    pub(crate) received: &'a [(u32, Timestamp)],
    /// Documents whose event time is their receive time.
    pub(crate) without_time: &'a RoaringBitmap,
    pub(crate) dimensions: Vec<DimensionInput<'a>>,
    /// The terms of the keyword dimensions: one column for each dimension.
    pub(crate) terms: &'a Columns,
    /// The length of the events' text.
    pub(crate) event_bytes: u64,
}

/// One dimension of a new segment.
#[derive(Debug)]
pub(crate) struct DimensionInput<'a> {
    pub(crate) name: &'a str,
    pub(crate) paths: &'a [Path],
    pub(crate) entries: EntriesInput<'a>,
}

/// What the terms of a dimension lead to.
#[derive(Debug)]
pub(crate) enum EntriesInput<'a> {
    /// For every document, its terms.
    Keyword(&'a TermRows),
    /// Pairs of term hash and document.
    Unique(Vec<(u64, u32)>),
}
