//! [`Node`]: the plan of a question for one part of the log.
//!
//! What the part's extent and dictionaries decide without reading postings is decided here; the rest is put in the order of
//! cost: dimensions by the number of documents they can match, then keys, then scans of columns, last whole texts.

use crate::error::Result;
use crate::index::Index;
use crate::query::question::asked::{Condition, Leaf, LeafTest};
use crate::query::question::sequences;

/// What an evaluation costs: first by the kind of work, then by how many documents can be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    work: Work,
    documents: u64,
}

/// Kinds of work, cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// A range of documents.
    Range,
    /// Postings of terms that were found.
    Postings,
    /// A walk over a dictionary.
    Dictionary,
    /// Order keys of the candidates.
    Keys,
    /// A column of the candidates.
    Column,
    /// Receive times, which an index may have to take from the events.
    Received,
    /// The candidates' texts.
    Text,
}

/// A condition in the order in which it is evaluated on one part.
pub(crate) enum Node<'q> {
    All,
    Nothing,
    And(Vec<Node<'q>>, Cost),
    Or(Vec<Node<'q>>, Cost),
    Not(Box<Node<'q>>, Cost),
    Leaf(&'q Leaf, Cost),
}

impl<'q> Node<'q> {
    /// Plans a condition for a part.
    pub(crate) fn plan(condition: &'q Condition, index: &dyn Index) -> Result<Node<'q>> {
        let each = |conditions: &'q [Condition]| conditions.iter().map(|c| Node::plan(c, index)).collect::<Result<Vec<_>>>();
        Ok(match condition {
            Condition::All => Node::All,
            Condition::Nothing => Node::Nothing,
            Condition::And(all) => Node::and(each(all)?),
            Condition::Or(any) => Node::or(each(any)?),
            Condition::Not(inner) => Node::not(Node::plan(inner, index)?, u64::from(index.extent().documents)),
            Condition::Leaf(leaf) => Node::leaf(leaf, index)?,
        })
    }

    /// Plans one comparison for a part.
    pub(crate) fn leaf(leaf: &'q Leaf, index: &dyn Index) -> Result<Node<'q>> {
        let extent = index.extent();
        let all = u64::from(extent.documents);
        let (work, documents) = match &leaf.test {
            LeafTest::Dimension(name, _) if !index.has_dimension(name) => return Ok(Node::Nothing),
            LeafTest::Dimension(name, matcher) => match index.estimate(name, matcher)? {
                Some(0) => return Ok(Node::Nothing),
                Some(documents) => (Work::Postings, documents.min(all)),
                None => (Work::Dictionary, all),
            },
            LeafTest::EventTime(range) if !extent.overlaps(range) => return Ok(Node::Nothing),
            LeafTest::EventTime(range) if range.contains(extent.time_min) && range.contains(extent.time_max) => return Ok(Node::All),
            LeafTest::EventTime(range) => {
                let documents = index.documents_between(range)?.len() as u64;
                (if extent.time_ordered { Work::Range } else { Work::Keys }, documents)
            }
            LeafTest::Sequences(range) => match sequences::overlap(&extent, range) {
                inside if inside.is_empty() => return Ok(Node::Nothing),
                inside if inside == sequences::of(&extent) => return Ok(Node::All),
                inside => (if extent.time_ordered { Work::Keys } else { Work::Range }, inside.end - inside.start),
            },
            LeafTest::Path(..) => (Work::Column, all),
            LeafTest::ReceivedAt(_) => (Work::Received, all),
            LeafTest::Text(_) => (Work::Text, all),
        };
        Ok(Node::Leaf(leaf, Cost { work, documents }))
    }

    /// All of these, cheapest first.
    pub(crate) fn and(nodes: Vec<Node<'q>>) -> Node<'q> {
        if nodes.iter().any(|n| matches!(n, Node::Nothing)) {
            return Node::Nothing;
        }
        let mut nodes: Vec<_> = nodes.into_iter().filter(|n| !matches!(n, Node::All)).collect();
        nodes.sort_by_key(Node::cost);
        match nodes.len() {
            0 => Node::All,
            1 => nodes.pop().unwrap_or(Node::All),
            _ => {
                let work = nodes.iter().map(|n| n.cost().work).max().unwrap_or(Work::Range);
                let documents = nodes.iter().map(|n| n.cost().documents).min().unwrap_or(0);
                Node::And(nodes, Cost { work, documents })
            }
        }
    }

    fn or(nodes: Vec<Node<'q>>) -> Node<'q> {
        if nodes.iter().any(|n| matches!(n, Node::All)) {
            return Node::All;
        }
        let mut nodes: Vec<_> = nodes.into_iter().filter(|n| !matches!(n, Node::Nothing)).collect();
        nodes.sort_by_key(Node::cost);
        match nodes.len() {
            0 => Node::Nothing,
            1 => nodes.pop().unwrap_or(Node::Nothing),
            _ => {
                let work = nodes.iter().map(|n| n.cost().work).max().unwrap_or(Work::Range);
                let documents = nodes.iter().map(|n| n.cost().documents).fold(0, u64::saturating_add);
                Node::Or(nodes, Cost { work, documents })
            }
        }
    }

    fn not(node: Node<'q>, documents: u64) -> Node<'q> {
        match node {
            Node::All => Node::Nothing,
            Node::Nothing => Node::All,
            other => {
                let Cost { work, documents: without } = other.cost();
                // A scan says nothing about how much it leaves.
                let left = if work < Work::Dictionary { documents.saturating_sub(without) } else { documents };
                Node::Not(Box::new(other), Cost { work, documents: left })
            }
        }
    }

    fn cost(&self) -> Cost {
        match self {
            Node::All | Node::Nothing => Cost { work: Work::Range, documents: 0 },
            Node::And(_, cost) | Node::Or(_, cost) | Node::Not(_, cost) | Node::Leaf(_, cost) => *cost,
        }
    }

    /// Whether the evaluation reads something of more than `documents` candidates, so that it pays to evaluate a page in windows.
    pub(crate) fn scans_more_than(&self, documents: u32) -> bool {
        let Node::And(all, _) = self else {
            return self.cost().work >= Work::Keys;
        };
        // In the order of evaluation: a scan that comes after a rare term has little left to look at.
        for node in all {
            if node.scans_more_than(documents) {
                return true;
            }
            if node.cost().documents <= u64::from(documents) {
                return false;
            }
        }
        false
    }
}
