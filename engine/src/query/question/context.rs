//! [`Context`]: the snapshot of a log against which a question is answered.

use std::fmt;
use std::sync::Arc;

use crate::budget::Budget;
use crate::clock::Clock;
use crate::event::schema::Dimension;
use crate::id::{Sequence, Timestamp};
use crate::index::{Index, TimeRange};
use crate::status::Gap;

/// What every question needs: the parts of the log as they are now, and the bounds of the work.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The parts of the log, in any order. They cover disjoint ranges of sequences.
    pub parts: &'a [Arc<dyn Index>],
    /// What is known to be missing from the log: the event times that it can have had, and the rest that is known of it.
    pub missing: &'a [(TimeRange, Gap)],
    /// The declared dimensions: which names a filter may use.
    pub dimensions: &'a [Dimension],
    /// The present moment: what `now` means in a filter and in a time range.
    pub now: Timestamp,
    /// The last sequence that is visible; later events of a part are passed over.
    pub upper: Sequence,
    /// How much time and memory the answer may take.
    pub budget: &'a Budget,
    /// Where the times of an explanation come from.
    pub clock: &'a dyn Clock,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("parts", &self.parts.len()).field("now", &self.now).field("upper", &self.upper).finish()
    }
}
