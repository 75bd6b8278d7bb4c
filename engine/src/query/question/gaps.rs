//! What an answer lacks: parts of the log that are known to be unreadable, and those that turn out to be.
//!
//! Damage never fails a question: the part is passed over, and the answer says so. Where a part can tell which of its events are
//! damaged it does so itself.

use std::ops::Range;

use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Sequence;
use crate::index::{Extent, TimeRange};
use crate::query::question::context::Context;
use crate::status::Gap;

/// Goes on without a part, and notes that; errors that are no damage come back.
pub(crate) fn pass_over(extent: &Extent, error: Error, budget: &Budget) -> Result<()> {
    if error.kind() != ErrorKind::Corrupt {
        return Err(error);
    }
    budget.miss(Gap {
        part: extent.part.to_string(),
        first_sequence: extent.first_sequence,
        last_sequence: Sequence(extent.first_sequence.plus(u64::from(extent.documents)).0.saturating_sub(1)),
        events: u64::from(extent.documents),
        reason: format!("{error:?}"),
    });
    Ok(())
}

/// Notes the known gaps that can have events of these times and sequences.
pub(crate) fn note_known(context: &Context<'_>, range: &TimeRange, sequences: &Range<u64>) {
    for (times, gap) in context.missing {
        let in_time = times.from < range.to && range.from < times.to;
        if in_time && gap.first_sequence.0 < sequences.end && sequences.start <= gap.last_sequence.0 {
            context.budget.miss(gap.clone());
        }
    }
}
