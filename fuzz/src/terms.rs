//! The id, the time and the terms that an event must give, evaluated over its tree: slow, short, and from the documentation of schemas alone.

use trail_engine::event::path::{Path, Step};
use trail_engine::event::schema::{DimensionSchema, Mapping, Pick, Source, Take};
use trail_engine::event::{read_epoch, read_time};

use crate::reference::Node;

/// Longer terms are not indexed (`TERM_BYTES_MAX`).
const TERM_BYTES_MAX: usize = 4_096;

/// The event's time, in nanoseconds: of the first value that is one.
pub fn time(schema: &DimensionSchema, event: &Node<'_>) -> Option<i64> {
    let values = schema.kinds[0].event_time.iter().flat_map(|path| at(event, path));
    let read = |value: &Node<'_>| match value {
        Node::Text(text) => read_time(text),
        Node::Literal(literal) => read_epoch(literal),
        _ => None,
    };
    values.into_iter().find_map(read).map(|time| time.0)
}

/// The terms of all dimensions, by their ordinals, each once, in order.
pub fn terms(schema: &DimensionSchema, event: &Node<'_>) -> Vec<(u16, Vec<u8>)> {
    let id = id(schema, event).into_iter().map(|id| (0, id.into_bytes()));
    let mut all: Vec<(u16, Vec<u8>)> = id.collect();
    for mapping in &schema.kinds[0].mappings {
        let ordinal = schema.dimensions.iter().position(|d| d.name == mapping.dimension).expect("a dimension") as u16;
        all.extend(of_mapping(mapping, event).into_iter().map(|term| (ordinal, term.into_bytes())));
    }
    all.sort();
    all.dedup();
    all
}

/// The first value that is a string, neither empty nor long, or a number.
fn id(schema: &DimensionSchema, event: &Node<'_>) -> Option<String> {
    let is_id = |value: &&Node<'_>| match value {
        Node::Text(text) => !text.is_empty() && text.len() <= TERM_BYTES_MAX,
        Node::Literal(literal) => literal.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']),
        _ => false,
    };
    schema.kinds[0].event_id.iter().flat_map(|path| at(event, path)).find(is_id).and_then(text)
}

fn of_mapping(mapping: &Mapping, event: &Node<'_>) -> Vec<String> {
    let mut each = mapping.sources.iter().map(|source| of_source(source, event));
    match mapping.pick {
        Pick::First => each.find(|terms| !terms.is_empty()).unwrap_or_default(),
        Pick::All => each.flatten().collect(),
    }
}

fn of_source(source: &Source, event: &Node<'_>) -> Vec<String> {
    let mut taken = Vec::new();
    for value in at(event, &source.path) {
        match (&source.take, value) {
            (Take::Keys, Node::Object(members)) => taken.extend(members.iter().map(|(key, _)| key.clone()).filter(|key| !key.is_empty())),
            (Take::Keys, _) => {}
            (take, value) => taken.extend(text(value).into_iter().flat_map(|text| cut(take, text))),
        }
    }
    let replaced = |term: String| {
        let found = source.replace.iter().find(|(from, _)| *from == term || from == "*");
        found.filter(|_| !matches!(source.take, Take::Constant(_))).map_or(term, |(_, to)| to.clone())
    };
    taken.into_iter().map(replaced).filter(|term| (1..=TERM_BYTES_MAX).contains(&term.len())).collect()
}

fn cut(take: &Take, text: String) -> Vec<String> {
    match take {
        Take::Value | Take::Keys => vec![text],
        Take::Constant(term) => vec![term.clone()],
        Take::Split(separators) => text.split(&separators[..]).map(|part| part.trim().to_owned()).collect(),
        Take::AfterLast(separator) => text.rsplit_once(*separator).map(|(_, part)| part.to_owned()).into_iter().collect(),
    }
}

/// What a value says: nothing for `null`, `""`, objects and arrays.
fn text(value: &Node<'_>) -> Option<String> {
    match value {
        Node::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Node::Literal(literal) => Some((*literal).to_owned()).filter(|literal| literal != "null"),
        _ => None,
    }
}

/// The values at a path, in the order of the text. Arrays on the way and at the end are walked through.
fn at<'e, 'a>(event: &'e Node<'a>, path: &Path) -> Vec<&'e Node<'a>> {
    let mut found = vec![event];
    for step in &path.steps {
        let members = |node: &'e Node<'a>| match node {
            Node::Object(members) => members.as_slice(),
            _ => &[],
        };
        let is_named = |key: &str| matches!(step, Step::Any) || *step == Step::Key(key.to_owned());
        let inner = found.into_iter().flat_map(members).filter(|(key, _)| is_named(key)).map(|(_, value)| value);
        found = inner.flat_map(unfolded).collect();
    }
    found
}

fn unfolded<'e, 'a>(node: &'e Node<'a>) -> Vec<&'e Node<'a>> {
    match node {
        Node::Array(items) => items.iter().flat_map(unfolded).collect(),
        other => vec![other],
    }
}
