//! Evaluates a plan on candidates of one part.
//!
//! Every node is given candidates and gives back those of them that match, so that a comparison never looks at a document that
//! an earlier one has already decided.

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::index::{Index, TimeRange};
use crate::query::plan::explain::Trace;
use crate::query::plan::steps::Node;
use crate::query::question::asked::{Leaf, LeafTest};
use crate::query::question::sequences;

/// How many events are asked for their receive times at once.
const RECEIVED_AT_ONCE: usize = 256;

/// The candidates that match a plan.
pub(crate) fn evaluate(
    node: &Node<'_>,
    index: &dyn Index,
    candidates: &RoaringBitmap,
    budget: &Budget,
    trace: &mut Trace,
) -> Result<RoaringBitmap> {
    budget.check()?;
    match node {
        Node::All => Ok(candidates.clone()),
        Node::Nothing => Ok(RoaringBitmap::new()),
        Node::And(all, _) => {
            let mut left = candidates.clone();
            for node in all {
                if left.is_empty() {
                    break;
                }
                left = evaluate(node, index, &left, budget, trace)?;
            }
            Ok(left)
        }
        Node::Or(any, _) => {
            let (mut found, mut left) = (RoaringBitmap::new(), candidates.clone());
            for node in any {
                if left.is_empty() {
                    break;
                }
                let hits = evaluate(node, index, &left, budget, trace)?;
                left -= &hits;
                found |= hits;
            }
            Ok(found)
        }
        Node::Not(inner, _) => match &**inner {
            Node::Leaf(leaf, _) => {
                let left = candidates - compare(leaf, index, candidates, budget)?;
                trace.step(leaf, true, left.len());
                Ok(left)
            }
            inner => Ok(candidates - evaluate(inner, index, candidates, budget, trace)?),
        },
        Node::Leaf(leaf, _) => {
            let left = compare(leaf, index, candidates, budget)?;
            trace.step(leaf, false, left.len());
            Ok(left)
        }
    }
}

fn compare(leaf: &Leaf, index: &dyn Index, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
    let (Some(first), Some(last)) = (candidates.min(), candidates.max()) else {
        return Ok(RoaringBitmap::new());
    };
    match &leaf.test {
        LeafTest::Dimension(name, matcher) => {
            let within = first..last.saturating_add(1);
            // The first comparison is given all documents of a range: nothing is left to take away.
            let are_all = candidates.len() == u64::from(last - first) + 1;
            let found = index.term_documents(name, matcher, within, budget)?;
            Ok(if are_all { found } else { found & candidates })
        }
        LeafTest::Path(path, matcher) => index.path_documents(path, matcher, candidates, budget),
        LeafTest::Text(text) => index.text_documents(text, candidates, budget),
        LeafTest::EventTime(range) => at_times(index, range, candidates, budget),
        LeafTest::Sequences(range) => sequences::documents(index, range, candidates, budget),
        LeafTest::ReceivedAt(range) => received_at(index, range, candidates, budget),
    }
}

fn at_times(index: &dyn Index, range: &TimeRange, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
    let mut left = sequences::set_of(index.documents_between(range)?);
    left &= candidates;
    if index.extent().time_ordered {
        return Ok(left);
    }
    let mut found = RoaringBitmap::new();
    sequences::for_each_key(index, left.iter(), budget, |document, key| {
        if range.contains(key.time) {
            found.insert(document);
        }
        Ok(())
    })?;
    Ok(found)
}

fn received_at(index: &dyn Index, range: &TimeRange, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
    let mut found = RoaringBitmap::new();
    let (mut documents, mut times) = (candidates.iter().peekable(), Vec::new());
    while documents.peek().is_some() {
        budget.check()?;
        times.clear();
        let chunk: Vec<u32> = documents.by_ref().take(RECEIVED_AT_ONCE).collect();
        index.received_at(&chunk, budget, &mut times)?;
        if times.len() != chunk.len() {
            return Err(Error::corrupt("documents without a receive time").in_file(index.extent().part.to_string()));
        }
        found.extend(chunk.iter().zip(&times).filter(|(_, time)| range.contains(**time)).map(|(document, _)| *document));
    }
    Ok(found)
}
