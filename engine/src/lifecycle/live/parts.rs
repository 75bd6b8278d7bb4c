//! [`Parts`]: which heads and segments make up the log at this moment.

use std::sync::Arc;

use crate::head::{Head, HeadIndex};
use crate::id::{Day, Sequence};
use crate::index::Index;
use crate::lifecycle::live::catalog::CatalogEntry;
use crate::segment::Segment;
use crate::status::Gap;

/// A head with the day on which its events were received.
#[derive(Debug, Clone)]
pub(crate) struct DayHead {
    pub(crate) head: Arc<Head>,
    pub(crate) day: Day,
}

/// A segment with its entry in the catalog.
#[derive(Debug, Clone)]
pub(crate) struct LiveSegment {
    pub(crate) entry: CatalogEntry,
    /// `None` when the file is damaged or missing: its sequences are taken, its events cannot be read.
    pub(crate) segment: Option<Arc<Segment>>,
    /// The number of the change that brought it in.
    pub(crate) change: u64,
}

impl LiveSegment {
    /// What answers lack without it, when it cannot be read.
    pub(crate) fn gap(&self) -> Option<Gap> {
        let entry = &self.entry;
        self.segment.is_none().then(|| Gap {
            part: entry.file_name(),
            first_sequence: entry.first_sequence,
            last_sequence: Sequence(entry.end_sequence().0.saturating_sub(1)),
            events: u64::from(entry.documents),
            reason: "the segment could not be opened".to_owned(),
        })
    }
}

/// The log at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// In the order of their sequences.
    pub(crate) segments: Vec<LiveSegment>,
    /// Full heads that wait to be flushed, oldest first.
    pub(crate) frozen: Vec<DayHead>,
    /// The head that grows; none before the first event.
    pub(crate) active: Option<DayHead>,
    /// Counts the changes to the segments.
    pub(crate) change: u64,
}

impl Parts {
    /// The heads, oldest first.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &DayHead> {
        self.frozen.iter().chain(&self.active)
    }

    /// The readable segments.
    pub(crate) fn readable(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.segments.iter().filter_map(|live| live.segment.as_ref())
    }

    /// Everything that can be asked, as it is now, and the last sequence in it.
    pub(crate) fn indexes(&self) -> (Vec<Arc<dyn Index>>, Sequence) {
        let mut upper = self.segments.last().map_or(Sequence::ZERO, |live| Sequence(live.entry.end_sequence().0.saturating_sub(1)));
        let mut indexes: Vec<Arc<dyn Index>> = self.readable().map(|segment| Arc::clone(segment) as Arc<dyn Index>).collect();
        for head in self.heads() {
            let index = HeadIndex::new(head.head.clone());
            let extent = index.extent();
            if extent.documents > 0 {
                upper = upper.max(Sequence((extent.first_sequence.0 + u64::from(extent.documents)).saturating_sub(1)));
                indexes.push(Arc::new(index));
            }
        }
        (indexes, upper)
    }
}
