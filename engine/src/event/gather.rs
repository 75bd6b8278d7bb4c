//! The time, the id and the terms of one event, by the plan of its shape.
//!
//! What a value says to a dimension depends on the value alone, so it is worked out once for each value of a batch and kept with it.

use std::borrow::Cow;

use hashbrown::HashTable;

use super::plan::{DimensionPlan, SourcePlan, Step, TermPlan};
use super::scan::Leaf;
use super::schema::{Pick, Take};
use super::terms::Terms;
use super::time::{read_epoch, read_time};
use super::unescape::unescape;
use super::values::{NONE, Value as Numbered};
use crate::codec::checksum::hash64;
use crate::id::Timestamp;
use crate::limits::{EVENT_TERMS_MAX, TERM_BYTES_MAX};

/// An event as far as it has been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) text: &'a str,
    pub(crate) leaves: &'a [Leaf],
}

/// The event's time: of the first leaf that can be read as one.
pub(crate) fn event_time(plan: &TermPlan, event: Event<'_>) -> Option<Timestamp> {
    plan.time_leaves.iter().filter_map(|i| event.leaf_value(*i)).find_map(|value| match value {
        Value::Text(text) => read_time(&text),
        Value::Literal(literal) => read_epoch(literal),
    })
}

/// A dimension's ordinal, and whether its terms hardly recur.
type Dimension = (u16, bool);

/// The terms of one event: no empty ones, no long ones, none twice in a dimension, and not too many.
pub(super) struct Gathering<'a> {
    pub(super) event: Event<'a>,
    /// The number of each leaf's value; empty for an event that is not numbered.
    pub(super) numbers: &'a [u32],
    pub(super) values: &'a mut [Numbered],
    pub(super) terms: &'a mut Terms,
    /// The numbers of the terms that may recur.
    pub(super) table: &'a mut HashTable<u32>,
    /// The terms of all events; those of this one begin at `first`.
    pub(super) found: &'a mut Vec<u32>,
    pub(super) first: usize,
}

impl Gathering<'_> {
    /// Appends the event's terms; returns the hash of its id, if it has one.
    pub(super) fn run(&mut self, plan: &TermPlan) -> Option<u64> {
        let event = self.event;
        let id = plan.id_leaves.iter().filter_map(|i| id_value(event.leaf_value(*i)?)).next();
        if let (Some(id), Some(dimension)) = (&id, plan.id_dimension) {
            self.push_unique(dimension, id);
        }
        for step in &plan.steps {
            match step {
                Step::Leaves { dimension, unique, pick, leaves } => {
                    self.leaves((*dimension, *unique), *pick, plan.leaves_of(leaves));
                }
                Step::Dimension(number) => plan.dimension(*number).into_iter().for_each(|dimension| self.dimension(dimension)),
            }
        }
        id.map(|id| hash64(id.as_bytes()))
    }

    /// The values of leaves as they are: of all, or of the first that has one.
    fn leaves(&mut self, dimension: Dimension, pick: Pick, leaves: &[u32]) {
        let before = self.found.len();
        for leaf in leaves {
            self.plain_leaf(dimension, *leaf);
            if pick == Pick::First && self.found.len() > before {
                return;
            }
        }
    }

    fn dimension(&mut self, plan: &DimensionPlan) {
        let dimension = (plan.dimension, plan.unique);
        for source in &plan.sources {
            let before = self.found.len();
            for key in &source.keys {
                self.push(dimension, replaced(source, key));
            }
            for leaf in &source.leaves {
                self.leaf(dimension, source, *leaf);
            }
            if plan.pick == Pick::First && self.found.len() > before {
                return;
            }
        }
    }

    fn leaf(&mut self, dimension: Dimension, source: &SourcePlan, leaf: u32) {
        if source.is_plain() {
            return self.plain_leaf(dimension, leaf);
        }
        let Some(value) = self.event.leaf_value(leaf) else { return };
        self.taken(dimension, source, value.term());
    }

    fn plain_leaf(&mut self, dimension: Dimension, leaf: u32) {
        let number = self.numbers.get(leaf as usize).copied().unwrap_or(NONE);
        let parity = usize::from(dimension.0 % 2);
        let known = self.values.get(number as usize).and_then(|value| value.terms.get(parity).copied());
        if let Some(term) = known.filter(|term| self.terms.dimension(*term) == Some(dimension.0)) {
            return self.add(dimension.0, term);
        }
        let Some(value) = self.event.leaf_value(leaf) else { return };
        let term = self.push(dimension, value.term());
        if let Some(slot) = self.values.get_mut(number as usize).and_then(|value| value.terms.get_mut(parity)) {
            *slot = term;
        }
    }

    fn taken(&mut self, dimension: Dimension, source: &SourcePlan, value: &str) {
        match &source.take {
            Take::Value | Take::Keys => {
                self.push(dimension, replaced(source, value));
            }
            Take::Constant(term) => {
                self.push(dimension, term);
            }
            Take::Split(separators) => value.split(|c| separators.contains(&c)).for_each(|part| {
                self.push(dimension, replaced(source, part.trim()));
            }),
            Take::AfterLast(separator) => {
                if let Some((_, part)) = value.rsplit_once(*separator) {
                    self.push(dimension, replaced(source, part));
                }
            }
        }
    }

    /// Adds a term, if it is one; returns its number or [`NONE`].
    fn push(&mut self, (dimension, unique): Dimension, term: &str) -> u32 {
        match () {
            () if term.is_empty() || term.len() > TERM_BYTES_MAX => return NONE,
            () if unique => self.push_unique(dimension, term),
            () => {
                let number = self.terms.number(dimension, term, self.table);
                self.add(dimension, number);
                return number;
            }
        }
        NONE
    }

    fn push_unique(&mut self, dimension: u16, term: &str) {
        if !term.is_empty() && !self.together(dimension).any(|n| self.terms.get(n).is_some_and(|(_, text)| text == term.as_bytes())) {
            let number = self.terms.unique(dimension, term);
            self.add(dimension, number);
        }
    }

    fn add(&mut self, dimension: u16, number: u32) {
        let is_full = self.found.len() - self.first >= EVENT_TERMS_MAX;
        if !is_full && !self.together(dimension).any(|n| n == number) {
            self.found.push(number);
        }
    }

    /// The terms of the dimension that came last: they mostly stand together. One that comes again later is passed over by the index.
    fn together(&self, dimension: u16) -> impl Iterator<Item = u32> {
        let so_far = self.found.get(self.first..).unwrap_or_default();
        so_far.iter().rev().copied().take_while(move |n| self.terms.dimension(*n) == Some(dimension))
    }
}

fn replaced<'a>(source: &'a SourcePlan, term: &'a str) -> &'a str {
    let found = source.replace.iter().find(|(from, _)| from == term || from == "*");
    found.map_or(term, |(_, to)| to.as_str())
}

/// A leaf that says something: neither `null` nor `""`.
enum Value<'a> {
    Text(Cow<'a, str>),
    Literal(&'a str),
}

impl Value<'_> {
    fn term(&self) -> &str {
        match self {
            Value::Text(text) => text,
            Value::Literal(literal) => literal,
        }
    }
}

impl<'a> Event<'a> {
    fn leaf_value(self, index: u32) -> Option<Value<'a>> {
        let leaf = *self.leaves.get(index as usize)?;
        let raw = self.text.get(leaf.start as usize..leaf.end as usize)?;
        // A string's leaf is the text between its quotes; a literal's leaf has no quote before it.
        let is_string = leaf.start > 0 && self.text.as_bytes().get(leaf.start as usize - 1) == Some(&b'"');
        match is_string {
            true if raw.is_empty() => None,
            true if memchr::memchr(b'\\', raw.as_bytes()).is_none() => Some(Value::Text(Cow::Borrowed(raw))),
            true => Some(Value::Text(unescape(raw.as_bytes()))),
            false => (raw != "null").then_some(Value::Literal(raw)),
        }
    }
}

/// An id is a string or a number; `true`, objects and arrays are none.
fn id_value(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => (text.len() <= TERM_BYTES_MAX).then_some(text),
        Value::Literal("true" | "false") => None,
        Value::Literal(number) => Some(Cow::Borrowed(number)),
    }
}
