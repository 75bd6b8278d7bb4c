//! The right answers to questions, counted by hand.

use std::collections::{BTreeMap, BTreeSet};

use trail_engine::event::Path;
use trail_engine::id::Timestamp;
use trail_engine::query::{Bucket, TermCount, Terms};

use crate::support::oracle::{Known, leaves_at};

/// Terms by frequency.
pub(crate) fn ranked(counts: BTreeMap<String, u64>) -> Vec<TermCount> {
    let mut terms: Vec<TermCount> = counts.into_iter().map(|(term, count)| TermCount { term, count }).collect();
    terms.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.term.cmp(&b.term)));
    terms
}

fn answer(total: usize, counts: BTreeMap<String, u64>, limit: usize) -> Terms {
    let distinct = counts.len() as u64;
    let mut terms = ranked(counts);
    let other = terms.iter().skip(limit).map(|t| t.count).sum();
    terms.truncate(limit);
    Terms { total: total as u64, terms, other, distinct, incomplete: Vec::new() }
}

/// Terms of a dimension.
pub(crate) fn of_dimension(selected: &[&Known], dimension: &str, prefix: &str, limit: usize) -> Terms {
    let mut counts = BTreeMap::new();
    for event in selected {
        for term in event.terms_of(dimension).filter(|t| t.starts_with(prefix)) {
            *counts.entry(term.to_owned()).or_insert(0) += 1;
        }
    }
    answer(selected.len(), counts, limit)
}

/// Values at a path: an event counts once for a value, however often and in whatever dress it holds it.
pub(crate) fn of_path(selected: &[&Known], path: &Path, prefix: &str, limit: usize) -> Terms {
    let mut counts = BTreeMap::new();
    for event in selected {
        let leaves = leaves_at(&event.json, path).into_iter().filter(|(value, literal)| !(*literal && value == "null"));
        let values: BTreeSet<String> = leaves.map(|(value, _)| value).collect();
        for value in values.into_iter().filter(|v| v.starts_with(prefix)) {
            *counts.entry(value).or_insert(0) += 1;
        }
    }
    answer(selected.len(), counts, limit)
}

/// A histogram over `from..to`.
pub(crate) fn histogram(
    selected: &[&Known],
    from: Timestamp,
    to: Timestamp,
    width: i64,
    dimension: Option<&str>,
    limit: usize,
) -> Vec<Bucket> {
    let (first, last) = (from.0.div_euclid(width), (to.0 - 1).div_euclid(width));
    let bucket = |number: i64| {
        let inside: Vec<&Known> = selected.iter().copied().filter(|e| e.event_time.0.div_euclid(width) == number).collect();
        let terms = dimension.map_or(vec![], |d| of_dimension(&inside, d, "", limit).terms);
        Bucket { start: Timestamp(number * width), count: inside.len() as u64, terms }
    };
    if from >= to { vec![] } else { (first..=last).map(bucket).collect() }
}
