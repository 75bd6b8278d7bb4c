//! [`Contents`]: what the life of a log came to contain; [`Seen`] counts it.
//!
//! Problem: a fault at every call of a life shows something only where something happens in it. A script that no longer merges, seals or drops anything,
//! because a default has changed or background work does not come by, would pass every class. Mechanism: what the log says of itself is
//! added up over its starts, and held against the least that the life must contain. Limit: what happens after the last look, or at the end of a start,
//! is not counted.

use std::collections::HashSet;

use trail_engine::AuditLog;
use trail_engine::id::SegmentId;

/// What a life contained, or must at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// Segments that were flushed.
    pub flushed: u64,
    /// Segments that were merged into others.
    pub merged: u64,
    /// Segments that were sealed.
    pub sealed: u64,
    /// Segments that were dropped because their day was over.
    pub dropped: u64,
}

impl Contents {
    fn plus(self, other: Contents) -> Contents {
        Contents {
            flushed: self.flushed + other.flushed,
            merged: self.merged + other.merged,
            sealed: self.sealed + other.sealed,
            dropped: self.dropped + other.dropped,
        }
    }

    /// So many lives together.
    #[must_use]
    pub fn times(self, lives: u64) -> Contents {
        let Contents { flushed, merged, sealed, dropped } = self;
        Contents { flushed: flushed * lives, merged: merged * lives, sealed: sealed * lives, dropped: dropped * lives }
    }

    /// Whether there is as much of everything as there must be.
    #[must_use]
    pub fn has(self, least: Contents) -> bool {
        let of = |contents: Contents| [contents.flushed, contents.merged, contents.sealed, contents.dropped];
        of(self).iter().zip(of(least)).all(|(found, least)| *found >= least)
    }
}

impl std::iter::Sum for Contents {
    fn sum<I: Iterator<Item = Contents>>(all: I) -> Contents {
        all.fold(Contents::default(), Contents::plus)
    }
}

/// What was seen of a life so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Of the starts before this one.
    before: Contents,
    /// Of this one.
    now: Contents,
    sealed: HashSet<SegmentId>,
}

impl Seen {
    /// Looks at the log.
    pub fn look(&mut self, log: &AuditLog) {
        let stats = log.stats();
        self.sealed.extend(log.segments().iter().filter(|segment| segment.sealed).map(|segment| segment.id));
        let sealed = self.sealed.len() as u64;
        self.now = Contents { flushed: stats.flushes, merged: stats.compacted_segments, sealed, dropped: stats.expired_segments };
    }

    /// The log is opened again: it counts from the beginning.
    pub fn again(&mut self) {
        // Ids are not given twice, so that what is sealed is counted over all starts.
        self.before = self.before.plus(Contents { sealed: 0, ..std::mem::take(&mut self.now) });
    }

    /// All of it.
    #[must_use]
    pub fn contents(&self) -> Contents {
        Contents { sealed: self.sealed.len() as u64, ..self.before.plus(self.now) }
    }
}
