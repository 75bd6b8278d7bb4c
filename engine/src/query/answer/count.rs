//! How many events are selected.

use crate::error::Result;
use crate::query::plan::part::for_each_selected;
use crate::query::question::asked::Question;
use crate::query::question::context::Context;
use crate::query::question::request::{Count, Selection};

/// How many events are selected. No event is read; without a filter, not even postings are.
///
/// # Errors
/// [`crate::ErrorKind::Invalid`] for a bad filter or time range, and what the parts and the budget give.
pub fn count(context: &Context<'_>, selection: &Selection) -> Result<Count> {
    let question = Question::of(context, selection)?;
    let mut count = 0;
    for_each_selected(context, &question, |_, selected| {
        count += selected.len();
        Ok(())
    })?;
    Ok(Count { count, incomplete: context.budget.gaps() })
}
