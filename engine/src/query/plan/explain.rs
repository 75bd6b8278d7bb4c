//! [`Trace`]: what was done with one part, gathered while it is done.

use crate::query::question::asked::{Leaf, Question};
use crate::query::question::request::PartExplanation;

/// The steps of an evaluation. A step that is made in several windows counts once, with the sum of what it left.
pub(crate) struct Trace {
    /// For each leaf, by number: the place of its step.
    steps_of: Vec<Option<usize>>,
    steps: Vec<(String, u64)>,
    /// How many documents passed the filter.
    pub(crate) matched: u64,
    /// How many documents were in the ranges that were evaluated.
    pub(crate) touched: u64,
}

impl Trace {
    pub(crate) fn of(question: &Question) -> Trace {
        Trace { steps_of: vec![None; question.leaves], steps: Vec::new(), matched: 0, touched: 0 }
    }

    /// A comparison was made and left so many documents.
    pub(crate) fn step(&mut self, leaf: &Leaf, negated: bool, left: u64) {
        let Some(place) = self.steps_of.get_mut(leaf.number) else {
            return;
        };
        let place = *place.get_or_insert_with(|| {
            self.steps.push((format!("{}{}", if negated { "-" } else { "" }, leaf.label), 0));
            self.steps.len() - 1
        });
        if let Some((_, sum)) = self.steps.get_mut(place) {
            *sum += left;
        }
    }

    /// Writes down what was done.
    pub(crate) fn into_explanation(self, part: &mut PartExplanation) {
        part.steps = self.steps.into_iter().map(|(label, left)| format!("{label}: {left} documents left")).collect();
        part.matched = self.matched;
        part.touched = self.touched;
    }
}
