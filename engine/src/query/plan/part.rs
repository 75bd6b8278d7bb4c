//! [`Asked`]: one part of the log, made ready to answer a question; or the reason why it need not be asked.

use std::ops::Range;

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::error::Result;
use crate::index::{Extent, Index, TimeRange};
use crate::query::plan::evaluate::evaluate;
use crate::query::plan::explain::Trace;
use crate::query::plan::steps::Node;
use crate::query::question::asked::Question;
use crate::query::question::context::Context;
use crate::query::question::gaps::{note_known, pass_over};
use crate::query::question::sequences;

/// A part and what to ask it.
pub(crate) struct Asked<'q> {
    pub(crate) index: &'q dyn Index,
    pub(crate) extent: Extent,
    /// The documents that can match.
    pub(crate) documents: Range<u32>,
    /// What they must match, the question's time range and sequences included.
    pub(crate) node: Node<'q>,
}

/// What a part is needed for.
pub(crate) enum Prepared<'q> {
    Skipped(&'static str),
    Asked(Asked<'q>),
}

/// The selected documents of a part.
pub(crate) enum Selected {
    /// All of a range.
    Range(Range<u32>),
    /// A set.
    Set(RoaringBitmap),
}

/// Makes a part ready. `range` is the question's or narrower.
pub(crate) fn prepare<'q>(index: &'q dyn Index, question: &'q Question, range: &TimeRange) -> Result<Prepared<'q>> {
    let extent = index.extent();
    if extent.documents == 0 {
        return Ok(Prepared::Skipped("it is empty"));
    }
    if range.from >= range.to || !extent.overlaps(range) {
        return Ok(Prepared::Skipped("its event times are outside of the time range"));
    }
    if sequences::overlap(&extent, &question.sequences).is_empty() {
        return Ok(Prepared::Skipped("its sequences are not asked for or not visible yet"));
    }
    let node = Node::plan(&question.condition, index)?;
    if matches!(node, Node::Nothing) {
        return Ok(Prepared::Skipped("its dictionaries have none of the terms"));
    }
    let mut documents = index.documents_between(range)?;
    let mut all = vec![node];
    if extent.time_ordered {
        all.push(Node::leaf(&question.sequences_leaf, index)?);
    } else {
        let visible = sequences::documents_in_order(&extent, &question.sequences);
        documents = documents.start.max(visible.start)..documents.end.min(visible.end);
        all.push(Node::leaf(&question.range_leaf, index)?);
    }
    let node = Node::and(all);
    if documents.is_empty() || matches!(node, Node::Nothing) {
        return Ok(Prepared::Skipped("it has no events in the time range"));
    }
    Ok(Prepared::Asked(Asked { index, extent, documents, node }))
}

impl Asked<'_> {
    /// The matching documents of a window.
    pub(crate) fn matching(&self, window: Range<u32>, budget: &Budget, trace: &mut Trace) -> Result<RoaringBitmap> {
        trace.touched += window.len() as u64;
        let hits = evaluate(&self.node, self.index, &sequences::set_of(window), budget, trace)?;
        trace.matched += hits.len();
        Ok(hits)
    }

    /// All selected documents; nothing is read where the range says it all.
    pub(crate) fn selected(&self, question: &Question, budget: &Budget) -> Result<Selected> {
        budget.check()?;
        if matches!(self.node, Node::All) {
            return Ok(Selected::Range(self.documents.clone()));
        }
        self.matching(self.documents.clone(), budget, &mut Trace::of(question)).map(Selected::Set)
    }
}

impl Selected {
    /// How many documents there are.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Selected::Range(range) => range.len() as u64,
            Selected::Set(set) => set.len(),
        }
    }

    /// How many of them are in a range.
    pub(crate) fn count_in(&self, range: &Range<u32>) -> u64 {
        match self {
            Selected::Range(own) => range.end.min(own.end).saturating_sub(range.start.max(own.start)).into(),
            Selected::Set(set) => set.range_cardinality(range.clone()),
        }
    }

    /// Whether a document is among them.
    pub(crate) fn contains(&self, document: u32) -> bool {
        match self {
            Selected::Range(range) => range.contains(&document),
            Selected::Set(set) => set.contains(document),
        }
    }

    /// Those of a set that are selected.
    pub(crate) fn intersect(&self, mut set: RoaringBitmap) -> RoaringBitmap {
        match self {
            Selected::Range(range) => {
                set.remove_range(..range.start);
                set.remove_range(range.end..);
            }
            Selected::Set(own) => set &= own,
        }
        set
    }

    /// They as a set.
    pub(crate) fn into_set(self) -> RoaringBitmap {
        match self {
            Selected::Range(range) => sequences::set_of(range),
            Selected::Set(set) => set,
        }
    }
}

/// Calls `visit` for every part that has selected documents. A part that turns out to be damaged is passed over and noted; what was
/// counted of it before stays.
pub(crate) fn for_each_selected<'q>(
    context: &'q Context<'_>,
    question: &'q Question,
    mut visit: impl FnMut(&Asked<'q>, Selected) -> Result<()>,
) -> Result<()> {
    note_known(context, &question.range, &question.sequences);
    let mut look = |part: &'q dyn Index| {
        if let Prepared::Asked(asked) = prepare(part, question, &question.range)? {
            let selected = asked.selected(question, context.budget)?;
            if selected.len() > 0 {
                visit(&asked, selected)?;
            }
        }
        Ok(())
    };
    for part in context.parts {
        context.budget.check()?;
        if let Err(error) = look(&**part) {
            pass_over(&part.extent(), error, context.budget)?;
        }
    }
    Ok(())
}
