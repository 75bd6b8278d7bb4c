//! Following the log in sequence order.
//!
//! A page looks at windows of sequences that grow while little matches, so that following the end of the log costs what is new, and
//! walking all of it costs a fixed number of looks at each event. In a part in time order, a small window is looked up sequence by
//! sequence; a window over most of the part is evaluated whole and sorted by sequence.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::id::Sequence;
use crate::index::{Index, TimeRange};
use crate::limits::PAGE_EVENTS_MAX;
use crate::query::answer::fetch::fetch_some;
use crate::query::plan::evaluate::evaluate;
use crate::query::plan::explain::Trace;
use crate::query::plan::steps::Node;
use crate::query::question::asked::Question;
use crate::query::question::context::Context;
use crate::query::question::gaps::{note_known, pass_over};
use crate::query::question::request::TailPage;
use crate::query::question::sequences;

/// The smallest first window.
const WINDOW_SEQUENCES: u64 = 1_024;
const WINDOW_GROWTH: u64 = 4;

/// Matching events are fetched in steps of this many, so that a page that is out of memory can end early.
const EVENTS_AT_ONCE: usize = 256;

/// Matching events after a position, in sequence order, of any event time: at most `events_max` of them, from at most `scan_max` events,
/// so that a page may be empty while its position moves on. When the page's memory runs out it ends early.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a bad filter or `events_max`, and what the parts and the budget give.
pub fn tail(context: &Context<'_>, q: &str, after: Sequence, events_max: usize, scan_max: u64) -> Result<TailPage> {
    if events_max == 0 || events_max > PAGE_EVENTS_MAX {
        return Err(Error::invalid("the number of events is out of range").expected(format!("1 to {PAGE_EVENTS_MAX}"), events_max));
    }
    let question = Question::within(context, q, TimeRange::ALL, context.now, context.upper)?;
    let mut tail = Tail {
        context,
        question: &question,
        events_max,
        scan_left: scan_max.max(1),
        page: TailPage { position: after, ..TailPage::default() },
    };
    let mut parts: Vec<&dyn Index> = context.parts.iter().map(|part| &**part).collect();
    parts.sort_by_key(|part| part.extent().first_sequence);
    let visible = after.0.saturating_add(1)..context.upper.0.saturating_add(1);
    for part in parts {
        let stretch = sequences::overlap(&part.extent(), &visible);
        if stretch.is_empty() {
            continue;
        }
        let end = Sequence(stretch.end - 1);
        match tail.walk(part, stretch) {
            Ok(true) => {}
            Ok(false) => return Ok(tail.finish(after)),
            Err(error) => {
                pass_over(&part.extent(), error, context.budget)?;
                tail.page.position = end;
            }
        }
    }
    tail.page.position = after.max(context.upper);
    Ok(tail.finish(after))
}

struct Tail<'a> {
    context: &'a Context<'a>,
    question: &'a Question,
    events_max: usize,
    scan_left: u64,
    page: TailPage,
}

impl Tail<'_> {
    /// The page, with what it lacks of what it passed.
    fn finish(mut self, after: Sequence) -> TailPage {
        note_known(self.context, &TimeRange::ALL, &(after.0.saturating_add(1)..self.page.position.0.saturating_add(1)));
        self.page.incomplete = self.context.budget.gaps();
        self.page
    }

    /// Walks the sequences of one part; false when the page ends within it.
    fn walk(&mut self, part: &dyn Index, stretch: Range<u64>) -> Result<bool> {
        let extent = part.extent();
        let wanted = sequences::overlap(&extent, &self.question.sequences);
        let condition = Node::plan(&self.question.condition, part)?;
        let node = Node::and(vec![condition, Node::leaf(&self.question.range_leaf, part)?]);
        if matches!(node, Node::Nothing) || wanted.is_empty() {
            self.page.position = Sequence(stretch.end - 1);
            return Ok(true);
        }
        let mut next = stretch.start;
        let mut size = WINDOW_SEQUENCES.max(self.events_max as u64);
        while next < stretch.end {
            if self.scan_left == 0 {
                return Ok(false);
            }
            let window = next..stretch.end.min(next.saturating_add(size.min(self.scan_left)));
            self.scan_left -= window.end - window.start;
            next = window.end;
            let inside = window.start.max(wanted.start)..window.end.min(wanted.end);
            if !inside.is_empty() && !self.look(part, &node, &inside)? {
                return Ok(false);
            }
            self.page.position = Sequence(window.end - 1);
            size = size.saturating_mul(WINDOW_GROWTH);
        }
        Ok(true)
    }

    /// Adds the matching events of a window; false when the page is full, with its position at its last event.
    fn look(&mut self, part: &dyn Index, node: &Node<'_>, window: &Range<u64>) -> Result<bool> {
        let budget = self.context.budget;
        let extent = part.extent();
        let candidates = if extent.time_ordered {
            sequences::documents(part, window, &sequences::set_of(0..extent.documents), budget)?
        } else {
            sequences::set_of(sequences::documents_in_order(&extent, window))
        };
        let matching = evaluate(node, part, &candidates, budget, &mut Trace::of(self.question))?;
        let mut hits = Vec::new();
        sequences::for_each_key(part, matching.iter(), budget, |document, key| {
            hits.push((key.sequence, document));
            Ok(())
        })?;
        hits.sort_unstable();
        let full = hits.len() >= self.events_max - self.page.events.len();
        hits.truncate(self.events_max - self.page.events.len());
        for step in hits.chunks(EVENTS_AT_ONCE) {
            match self.take(part, step) {
                Err(e) if e.kind() == ErrorKind::Limit && !self.page.events.is_empty() && budget.check().is_ok() => return Ok(false),
                other => other?,
            }
        }
        Ok(!full)
    }

    fn take(&mut self, part: &dyn Index, step: &[(Sequence, u32)]) -> Result<()> {
        let mut documents: Vec<u32> = step.iter().map(|(_, document)| *document).collect();
        documents.sort_unstable();
        let mut events = fetch_some(self.context, part, &documents)?;
        events.sort_by_key(|event| event.as_ref().map(|event| event.sequence));
        if let Some((last, _)) = step.last() {
            self.page.position = *last;
        }
        self.page.events.extend(events.into_iter().flatten());
        Ok(())
    }
}
