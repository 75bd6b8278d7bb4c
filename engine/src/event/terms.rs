//! The terms of one event, by the plan of its shape.

use std::borrow::Cow;

use super::batch::{NO_LEAF, Term};
use super::plan::{DimensionPlan, SourcePlan, TermPlan};
use super::scan::Leaf;
use super::schema::{Pick, Take};
use super::time::{read_epoch, read_time};
use super::unescape::unescape;
use crate::codec::checksum::hash64;
use crate::id::Timestamp;
use crate::limits::{EVENT_TERMS_MAX, TERM_BYTES_MAX};

/// The event's time: of the first leaf that can be read as one.
pub(crate) fn event_time(plan: &TermPlan, text: &str, leaves: &[Leaf]) -> Option<Timestamp> {
    plan.time_leaves.iter().filter_map(|i| leaf_value(*i, text, leaves)).find_map(|value| match value {
        Value::Text(text) => read_time(&text),
        Value::Literal(literal) => read_epoch(literal),
    })
}

/// Appends the event's terms; returns the hash of its id, if it has one.
pub(crate) fn collect(plan: &TermPlan, text: &str, leaves: &[Leaf], terms: &mut Vec<Term>, term_text: &mut Vec<u8>) -> Option<u64> {
    let mut out = Terms { first: terms.len(), terms, text: term_text };
    let id = plan.id_leaves.iter().filter_map(|i| id_value(leaf_value(*i, text, leaves)?)).next();
    let id_hash = id.as_ref().map(|id| hash64(id.as_bytes()));
    if let (Some(id), Some(dimension)) = (&id, plan.id_dimension) {
        out.push(dimension, id, NO_LEAF);
    }
    for dimension in &plan.dimensions {
        collect_dimension(dimension, text, leaves, &mut out);
    }
    id_hash
}

fn collect_dimension(plan: &DimensionPlan, text: &str, leaves: &[Leaf], out: &mut Terms<'_>) {
    for source in &plan.sources {
        let before = out.terms.len();
        for key in &source.keys {
            out.push(plan.dimension, replaced(source, key), NO_LEAF);
        }
        for (leaf, value) in source.leaves.iter().filter_map(|i| Some((*i, leaf_value(*i, text, leaves)?))) {
            collect_value(source, plan.dimension, leaf, value.term(), out);
        }
        if plan.pick == Pick::First && out.terms.len() > before {
            return;
        }
    }
}

fn collect_value(source: &SourcePlan, dimension: u16, leaf: u32, value: &str, out: &mut Terms<'_>) {
    match &source.take {
        Take::Value if source.replace.is_empty() => out.push(dimension, value, leaf),
        Take::Value | Take::Keys => out.push(dimension, replaced(source, value), NO_LEAF),
        Take::Constant(term) => out.push(dimension, term, NO_LEAF),
        Take::Split(separators) => {
            for part in value.split(|c| separators.contains(&c)) {
                out.push(dimension, replaced(source, part.trim()), NO_LEAF);
            }
        }
        Take::AfterLast(separator) => {
            if let Some((_, part)) = value.rsplit_once(*separator) {
                out.push(dimension, replaced(source, part), NO_LEAF);
            }
        }
    }
}

fn replaced<'a>(source: &'a SourcePlan, term: &'a str) -> &'a str {
    let found = source.replace.iter().find(|(from, _)| from == term || from == "*");
    found.map_or(term, |(_, to)| to.as_str())
}

/// The terms of one event: no empty ones, no long ones, none twice in a dimension, and not too many.
struct Terms<'a> {
    first: usize,
    terms: &'a mut Vec<Term>,
    text: &'a mut Vec<u8>,
}

impl Terms<'_> {
    fn push(&mut self, dimension: u16, term: &str, leaf: u32) {
        if term.is_empty() || term.len() > TERM_BYTES_MAX {
            return;
        }
        let so_far = self.terms.get(self.first..).unwrap_or_default();
        // The terms of one dimension mostly stand together; one that comes again later is passed over by the index.
        let same = |t: &Term| self.text.get(t.start as usize..t.end as usize) == Some(term.as_bytes());
        let together = so_far.iter().rev().take_while(|t| t.dimension == dimension);
        if so_far.len() >= EVENT_TERMS_MAX || together.into_iter().any(same) {
            return;
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(term.as_bytes());
        self.terms.push(Term { dimension, start, end: self.text.len() as u32, leaf });
    }
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

fn leaf_value<'a>(index: u32, text: &'a str, leaves: &[Leaf]) -> Option<Value<'a>> {
    let leaf = *leaves.get(index as usize)?;
    let raw = text.get(leaf.start as usize..leaf.end as usize)?;
    // A string's leaf is the text between its quotes; a literal's leaf has no quote before it.
    let is_string = leaf.start > 0 && text.as_bytes().get(leaf.start as usize - 1) == Some(&b'"');
    match is_string {
        true if raw.is_empty() => None,
        true if memchr::memchr(b'\\', raw.as_bytes()).is_none() => Some(Value::Text(Cow::Borrowed(raw))),
        true => Some(Value::Text(unescape(raw.as_bytes()))),
        false => (raw != "null").then_some(Value::Literal(raw)),
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
