//! A plain evaluator of dimension schemas over `serde_json` trees: slow, short, and written from the schema's documentation
//! alone, so that the dialects can be tested without the engine's extraction.

use serde_json::Value;
use trail_engine::event::path::{Path, Step};
use trail_engine::event::schema::{DimensionSchema, EventKind, Mapping, Pick, Source, Take};
use trail_engine::event::{read_epoch, read_time};
use trail_engine::id::Timestamp;

/// The first kind that recognises the event.
pub(super) fn kind_of<'s>(schema: &'s DimensionSchema, event: &Value) -> Option<&'s EventKind> {
    schema.kinds.iter().find(|kind| kind.recognise.iter().all(|path| !present(event, path).is_empty()))
}

/// All terms of a dimension, each once, in the order of the sources.
pub(super) fn terms(kind: &EventKind, event: &Value, dimension: &str) -> Vec<String> {
    let mut all = Vec::new();
    for mapping in kind.mappings.iter().filter(|m| m.dimension == dimension) {
        for term in mapping_terms(mapping, event) {
            if !all.contains(&term) {
                all.push(term);
            }
        }
    }
    all
}

/// The event's id.
pub(super) fn event_id(kind: &EventKind, event: &Value) -> Option<String> {
    let scalar = |v: &&Value| v.is_string() || v.is_number();
    kind.event_id.iter().flat_map(|path| present(event, path)).filter(scalar).filter_map(text).next()
}

/// The event's time.
pub(super) fn event_time(kind: &EventKind, event: &Value) -> Option<Timestamp> {
    let read = |v: &Value| match v {
        Value::String(text) => read_time(text),
        Value::Number(number) => read_epoch(&number.to_string()),
        _ => None,
    };
    kind.event_time.iter().flat_map(|path| present(event, path)).find_map(read)
}

fn mapping_terms(mapping: &Mapping, event: &Value) -> Vec<String> {
    let mut each = mapping.sources.iter().map(|source| source_terms(source, event));
    match mapping.pick {
        Pick::First => each.find(|terms| !terms.is_empty()).unwrap_or_default(),
        Pick::All => each.flatten().collect(),
    }
}

fn source_terms(source: &Source, event: &Value) -> Vec<String> {
    let mut taken = Vec::new();
    for value in present(event, &source.path) {
        take(&source.take, value, &mut taken);
    }
    // A replacement by nothing takes the term away.
    taken.into_iter().map(|term| replace(source, term)).filter(|term| !term.is_empty()).collect()
}

fn take(take: &Take, value: &Value, into: &mut Vec<String>) {
    match (take, value) {
        (Take::Keys, Value::Object(members)) => into.extend(members.keys().cloned()),
        (Take::Constant(term), value) if !value.is_null() && value != "" => into.push(term.clone()),
        (Take::Value, value) => into.extend(text(value)),
        (Take::Split(at), Value::String(joined)) => into.extend(joined.split(at.as_slice()).map(|part| part.trim().to_owned())),
        (Take::AfterLast(last), Value::String(whole)) => into.extend(whole.rsplit_once(*last).map(|(_, after)| after.to_owned())),
        _ => {}
    }
}

fn replace(source: &Source, term: String) -> String {
    let other = source.replace.iter().find(|(from, _)| from == "*");
    source.replace.iter().find(|(from, _)| *from == term).or(other).map_or(term, |(_, to)| to.clone())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The values at a path; arrays on the way and at the end are walked through, unless the path ends at one that is empty.
fn present<'e>(event: &'e Value, path: &Path) -> Vec<&'e Value> {
    let mut found = vec![event];
    for step in &path.steps {
        found = found.into_iter().flat_map(elements).flat_map(|value| members(value, step)).collect();
    }
    found.into_iter().flat_map(elements).collect()
}

fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(elements).collect(),
        other => vec![other],
    }
}

fn members<'e>(value: &'e Value, step: &Step) -> Vec<&'e Value> {
    match (value, step) {
        (Value::Object(members), Step::Key(key)) => members.get(key).into_iter().collect(),
        (Value::Object(members), Step::Any) => members.values().collect(),
        _ => Vec::new(),
    }
}
