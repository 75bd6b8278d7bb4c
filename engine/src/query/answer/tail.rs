//! Following the log in sequence order.
//!
//! A page looks at windows of sequences that grow while little matches, so that following the end of the log costs what is new, and
//! walking all of it costs a fixed number of looks at each event. In a part in time order, a small window is looked up sequence by
//! sequence; a window over most of the part is evaluated whole and sorted by sequence. Several filters are followed at once: each is
//! evaluated by the indexes, and an event that several of them select is read once.

use std::ops::Range;

use roaring::RoaringBitmap;

use crate::error::{Error, ErrorKind, Result};
use crate::id::Sequence;
use crate::index::{Index, TimeRange};
use crate::limits::{FILTERS_MAX, PAGE_EVENTS_MAX};
use crate::query::answer::fetch::fetch_some;
use crate::query::plan::evaluate::evaluate;
use crate::query::plan::explain::Trace;
use crate::query::plan::steps::Node;
use crate::query::question::asked::Question;
use crate::query::question::context::Context;
use crate::query::question::gaps::{note_known, pass_over};
use crate::query::question::request::{FollowPage, Followed, TailPage};
use crate::query::question::sequences;

/// The smallest first window.
const WINDOW_SEQUENCES: u64 = 1_024;
const WINDOW_GROWTH: u64 = 4;

/// Matching events are fetched in steps of this many, so that a page that is out of memory can end early; from parts in blocks in larger ones
/// where there is room for them, since each step opens the blocks that it needs anew.
const EVENTS_AT_ONCE: usize = 256;
/// So many events as the ones before must fit into what memory is left, for a step of half as many.
const ROOM: u64 = 2;

/// Matching events after a position, in sequence order, of any event time: at most `events_max` of them, from at most `scan_max` events,
/// so that a page may be empty while its position moves on. When the page's memory runs out it ends early.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a bad filter or `events_max`, and what the parts and the budget give.
pub fn tail(context: &Context<'_>, q: &str, after: Sequence, events_max: usize, scan_max: u64) -> Result<TailPage> {
    let page = follow(context, &[q], after, events_max, scan_max)?;
    let events = page.events.into_iter().map(|followed| followed.event).collect();
    Ok(TailPage { events, position: page.position, incomplete: page.incomplete })
}

/// The same for several filters at once: events that at least one of them selects, each with which of them do.
///
/// # Errors
/// As [`tail`], and [`ErrorKind::Invalid`] for no filter or more than [`FILTERS_MAX`].
pub fn follow(context: &Context<'_>, filters: &[&str], after: Sequence, events_max: usize, scan_max: u64) -> Result<FollowPage> {
    if events_max == 0 || events_max > PAGE_EVENTS_MAX {
        return Err(Error::invalid("the number of events is out of range").expected(format!("1 to {PAGE_EVENTS_MAX}"), events_max));
    }
    if filters.is_empty() || filters.len() > FILTERS_MAX {
        return Err(Error::invalid("the number of filters is out of range").expected(format!("1 to {FILTERS_MAX}"), filters.len()));
    }
    let questions = filters.iter().map(|q| Question::within(context, q, TimeRange::ALL, context.now, context.upper));
    let questions = questions.collect::<Result<Vec<_>>>()?;
    let page = FollowPage { position: after, ..FollowPage::default() };
    let mut tail =
        Tail { context, questions: &questions, events_max, scan_left: scan_max.max(1), page, memory: context.budget.memory_left() };
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

/// What one filter asks of one part.
struct Wanted<'q> {
    question: &'q Question,
    node: Node<'q>,
    sequences: Range<u64>,
    /// The bit of the filter.
    mark: u64,
}

struct Tail<'a> {
    context: &'a Context<'a>,
    questions: &'a [Question],
    events_max: usize,
    scan_left: u64,
    page: FollowPage,
    /// What memory there was at the start.
    memory: u64,
}

impl<'a> Tail<'a> {
    /// The page, with what it lacks of what it passed.
    fn finish(mut self, after: Sequence) -> FollowPage {
        note_known(self.context, &TimeRange::ALL, &(after.0.saturating_add(1)..self.page.position.0.saturating_add(1)));
        self.page.incomplete = self.context.budget.gaps();
        self.page
    }

    /// What the filters ask of a part; those that nothing in it can match are left out.
    fn wanted(&self, part: &dyn Index) -> Result<Vec<Wanted<'a>>> {
        let mut wanted = Vec::new();
        for (number, question) in self.questions.iter().enumerate() {
            let sequences = sequences::overlap(&part.extent(), &question.sequences);
            let condition = Node::plan(&question.condition, part)?;
            let node = Node::and(vec![condition, Node::leaf(&question.range_leaf, part)?]);
            if !matches!(node, Node::Nothing) && !sequences.is_empty() {
                wanted.push(Wanted { question, node, sequences, mark: 1 << number });
            }
        }
        Ok(wanted)
    }

    /// Walks the sequences of one part; false when the page ends within it.
    fn walk(&mut self, part: &dyn Index, stretch: Range<u64>) -> Result<bool> {
        let wanted = self.wanted(part)?;
        if wanted.is_empty() {
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
            if !self.look(part, &wanted, &window)? {
                return Ok(false);
            }
            self.page.position = Sequence(window.end - 1);
            size = size.saturating_mul(WINDOW_GROWTH);
        }
        Ok(true)
    }

    /// The documents of a window that one filter selects.
    fn matching(&self, part: &dyn Index, wanted: &Wanted<'_>, window: &Range<u64>) -> Result<RoaringBitmap> {
        let inside = window.start.max(wanted.sequences.start)..window.end.min(wanted.sequences.end);
        if inside.is_empty() {
            return Ok(RoaringBitmap::new());
        }
        let (extent, budget) = (part.extent(), self.context.budget);
        let candidates = if extent.time_ordered {
            sequences::documents(part, &inside, &sequences::set_of(0..extent.documents), budget)?
        } else {
            sequences::set_of(sequences::documents_in_order(&extent, &inside))
        };
        evaluate(&wanted.node, part, &candidates, budget, &mut Trace::of(wanted.question))
    }

    /// Adds the matching events of a window; false when the page is full, with its position at its last event.
    fn look(&mut self, part: &dyn Index, wanted: &[Wanted<'_>], window: &Range<u64>) -> Result<bool> {
        let budget = self.context.budget;
        let marked = wanted.iter().map(|wanted| Ok((self.matching(part, wanted, window)?, wanted.mark))).collect::<Result<Vec<_>>>()?;
        let matching = marked.iter().fold(RoaringBitmap::new(), |all, (documents, _)| all | documents);
        let mut hits = Vec::new();
        sequences::for_each_key(part, matching.iter(), budget, |document, key| {
            let marks = marked.iter().filter(|(documents, _)| documents.contains(document)).fold(0, |marks, (_, mark)| marks | mark);
            hits.push(Hit { sequence: key.sequence, document, marks });
            Ok(())
        })?;
        hits.sort_unstable_by_key(|hit| hit.sequence);
        let full = hits.len() >= self.events_max - self.page.events.len();
        hits.truncate(self.events_max - self.page.events.len());
        let (mut rest, mut step_max) = (hits.as_slice(), usize::MAX);
        while !rest.is_empty() {
            let (step, later) = rest.split_at(self.step(part).min(step_max).min(rest.len()));
            match self.take(part, step) {
                Err(e) if e.kind() == ErrorKind::Limit && budget.check().is_ok() => {
                    if step.len() > EVENTS_AT_ONCE {
                        // They are larger than those before them.
                        step_max = EVENTS_AT_ONCE;
                        continue;
                    }
                    if self.page.events.is_empty() {
                        return Err(e);
                    }
                    return Ok(false);
                }
                other => other?,
            }
            rest = later;
        }
        Ok(!full)
    }

    /// How many events to fetch at once: as many as there is room for if they are like those that the page has.
    fn step(&self, part: &dyn Index) -> usize {
        let (events, taken) = (self.page.events.len() as u64, self.memory.saturating_sub(self.context.budget.memory_left()));
        if events == 0 || !part.extent().time_ordered {
            return EVENTS_AT_ONCE;
        }
        let each = (taken / events).max(1);
        usize::try_from(self.context.budget.memory_left() / each / ROOM).unwrap_or(usize::MAX).max(EVENTS_AT_ONCE)
    }

    fn take(&mut self, part: &dyn Index, step: &[Hit]) -> Result<()> {
        let mut hits = step.to_vec();
        hits.sort_unstable_by_key(|hit| hit.document);
        let documents: Vec<u32> = hits.iter().map(|hit| hit.document).collect();
        let events = fetch_some(self.context, part, &documents)?;
        let marked = events.into_iter().zip(&hits);
        let mut followed: Vec<Followed> = marked.filter_map(|(event, hit)| Some(Followed { event: event?, filters: hit.marks })).collect();
        followed.sort_unstable_by_key(|followed| followed.event.sequence);
        if let Some(last) = step.last() {
            self.page.position = last.sequence;
        }
        self.page.events.append(&mut followed);
        Ok(())
    }
}

/// A document that at least one filter selects.
#[derive(Debug, Clone, Copy)]
struct Hit {
    sequence: Sequence,
    document: u32,
    marks: u64,
}
