//! [`Fields`]: the columns of a table, read from events by the dimension schema or by JSON paths.
//!
//! The server answers with events as they came, so that the client looks up what a dimension means in each kind of
//! event, by the same schema. It shows a table to a person; what is indexed is decided by the engine alone.

use serde_json::Value;
use trail_engine::event::{DimensionSchema, EventKind, Path, Pick, Source, Step, Take};

use crate::cli::exit::Failure;
use crate::cli::terminal::table::Align;
use crate::nearest::nearest;

/// Columns when none are asked for.
pub const DEFAULT: [&str; 6] = ["event_time", "user", "event_name", "source_ip", "resource_name", "error_code"];

/// The most terms of one column that are shown for one event.
const TERMS_MAX: usize = 100;

/// One event of a page, as far as columns need it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its position; 0 when the server did not say.
    pub sequence: u64,
    /// When the server received it; empty when the server did not say.
    pub received_at: &'a str,
    /// Its event time, as the server reads it; empty when the server did not say.
    pub event_time: &'a str,
    /// What it says.
    pub event: &'a Value,
}

#[derive(Debug, Clone)]
enum Field {
    Sequence,
    ReceivedAt,
    EventTime,
    Dimension(String),
    Path(Path),
}

/// Named columns.
#[derive(Debug, Clone)]
pub struct Fields {
    schema: DimensionSchema,
    fields: Vec<(String, Field)>,
}

impl Fields {
    /// Reads names: `sequence`, `received_at`, `event_time`, a dimension of the schema, or a JSON path. A plain name that is no
    /// dimension is a key at the top of the event.
    ///
    /// # Errors
    /// When a name is neither, or a plain one that a dimension's was probably meant by.
    pub fn parse<S: AsRef<str>>(names: &[S], schema: DimensionSchema) -> Result<Fields, Failure> {
        let mut fields = Vec::new();
        for name in names.iter().map(|name| name.as_ref().trim()) {
            let field = match name {
                "sequence" => Field::Sequence,
                "received_at" => Field::ReceivedAt,
                "event_time" => Field::EventTime,
                name if schema.ordinal(name).is_some() => Field::Dimension(name.to_owned()),
                name => {
                    refuse_typo(name, &schema)?;
                    Field::Path(Path::parse(name).map_err(|e| Failure::usage(format!("field `{name}`: {e}")))?)
                }
            };
            fields.push((name.to_owned(), field));
        }
        Ok(Fields { schema, fields })
    }

    /// Names and how their columns stand, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&str, Align)> {
        self.fields.iter().map(|(name, field)| match field {
            Field::Sequence => (name.as_str(), Align::Right),
            Field::ReceivedAt | Field::EventTime => (name.as_str(), Align::Whole),
            Field::Dimension(_) | Field::Path(_) => (name.as_str(), Align::Left),
        })
    }

    /// The cells of an event; several terms of one are joined by a comma.
    #[must_use]
    pub fn cells(&self, row: Row<'_>) -> Vec<String> {
        self.evaluate(row).into_iter().map(|terms| terms.iter().map(as_text).collect::<Vec<_>>().join(", ")).collect()
    }

    /// The fields of an event as a JSON object: `null` for none, an array for several.
    #[must_use]
    pub fn object(&self, row: Row<'_>) -> Value {
        let values = self.evaluate(row).into_iter().map(|mut terms| match terms.len() {
            0 => Value::Null,
            1 => terms.remove(0),
            _ => Value::Array(terms),
        });
        Value::Object(self.fields.iter().map(|(name, _)| name.clone()).zip(values).collect())
    }

    fn evaluate(&self, row: Row<'_>) -> Vec<Vec<Value>> {
        let kind = kind_of(&self.schema, row.event);
        let read = |field: &Field| match field {
            // A stream has events without their envelope: nothing is better than a made-up number.
            Field::Sequence if row.sequence == 0 => vec![],
            Field::ReceivedAt if row.received_at.is_empty() => vec![],
            Field::Sequence => vec![row.sequence.into()],
            Field::ReceivedAt => vec![row.received_at.into()],
            Field::EventTime if !row.event_time.is_empty() => vec![row.event_time.into()],
            Field::EventTime => {
                let received = (!row.received_at.is_empty()).then(|| row.received_at.into());
                kind.and_then(|kind| event_time(kind, row.event)).or(received).into_iter().collect()
            }
            Field::Dimension(name) => kind.map(|kind| dimension(kind, name, row.event)).unwrap_or_default(),
            Field::Path(path) => found(row.event, path).into_iter().take(TERMS_MAX).cloned().collect(),
        };
        self.fields.iter().map(|(_, field)| read(field)).collect()
    }
}

/// As in a query: `usr` is a mistake and no key that happens to be missing. A key of that name is still found in quotes.
fn refuse_typo(name: &str, schema: &DimensionSchema) -> Result<(), Failure> {
    if name.is_empty() {
        return Err(Failure::usage("a field has no name: write --fields event_time,user"));
    }
    let known = schema.dimensions.iter().map(|d| d.name.as_str()).chain(["event_time", "received_at", "sequence"]);
    // A real key may be a dimension's name and something more, such as `awsRegion`: a slip changes no more than a letter or two.
    let letters = |text: &str| text.chars().filter(|c| *c != '_').count();
    let slip = |meant: &&str| letters(name).abs_diff(letters(meant)) <= 1;
    match nearest(name, known).filter(slip).filter(|_| !name.contains(['.', '"', '[', '*'])) {
        Some(meant) => {
            let quoted = format!("'\"{name}\"'");
            Err(Failure::usage(format!("unknown field `{name}`; did you mean `{meant}`? The key `{name}` of an event is written {quoted}")))
        }
        None => Ok(()),
    }
}

/// The kind of an event: the first whose paths are all there.
fn kind_of<'s>(schema: &'s DimensionSchema, event: &Value) -> Option<&'s EventKind> {
    schema.kinds.iter().find(|kind| kind.recognise.iter().all(|path| !found(event, path).is_empty()))
}

fn event_time(kind: &EventKind, event: &Value) -> Option<Value> {
    let values = kind.event_time.iter().flat_map(|path| found(event, path));
    values.filter_map(term).find_map(|text| trail_engine::event::read_time(&text)).map(|time| time.to_string().into())
}

/// The terms of a dimension; each once, as in the index.
fn dimension(kind: &EventKind, name: &str, event: &Value) -> Vec<Value> {
    let mut terms: Vec<String> = Vec::new();
    for mapping in kind.mappings.iter().filter(|mapping| mapping.dimension == name) {
        for source in &mapping.sources {
            let taken = take(source, event);
            let enough = mapping.pick == Pick::First && !taken.is_empty();
            for term in taken {
                if terms.len() < TERMS_MAX && !terms.contains(&term) {
                    terms.push(term);
                }
            }
            if enough {
                break;
            }
        }
    }
    terms.into_iter().map(Value::String).collect()
}

fn take(source: &Source, event: &Value) -> Vec<String> {
    let mut terms = Vec::new();
    for value in found(event, &source.path) {
        match (&source.take, value) {
            (Take::Keys, Value::Object(members)) => terms.extend(members.keys().cloned()),
            (Take::Keys, _) => {}
            (Take::Value, value) => terms.extend(term(value)),
            (Take::Split(at), Value::String(text)) => terms.extend(text.split(at.as_slice()).map(|part| part.trim().to_owned())),
            (Take::AfterLast(at), Value::String(text)) => terms.extend(text.rsplit_once(*at).map(|(_, last)| last.to_owned())),
            (Take::Split(_) | Take::AfterLast(_), _) => {}
            (Take::Constant(fixed), value) => {
                let nothing = value.is_null() || value.as_str() == Some("");
                terms.extend((!nothing).then(|| fixed.clone()));
            }
        }
    }
    terms.retain(|term| !term.is_empty());
    terms.into_iter().map(|term| replaced(source, term)).collect()
}

fn replaced(source: &Source, term: String) -> String {
    let exact = source.replace.iter().find(|(taken, _)| *taken == term);
    let rule = exact.or_else(|| source.replace.iter().find(|(taken, _)| taken == "*"));
    rule.map_or(term, |(_, indexed)| indexed.clone())
}

/// A value as a term; `null`, the empty string and what has parts is none.
fn term(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The values at a path; arrays on the way and at its end are walked through.
fn found<'v>(event: &'v Value, path: &Path) -> Vec<&'v Value> {
    let mut here = vec![event];
    for step in &path.steps {
        here = here.into_iter().flat_map(|value| members(value, step)).collect();
    }
    here.into_iter().flat_map(elements).collect()
}

fn members<'v>(value: &'v Value, step: &Step) -> Vec<&'v Value> {
    let objects = elements(value).into_iter().filter_map(Value::as_object);
    match step {
        Step::Key(key) => objects.filter_map(|members| members.get(key)).collect(),
        Step::Any => objects.flat_map(|members| members.values()).collect(),
    }
}

/// The value, or in place of an array its elements, at any depth. Depth is bounded by the parser of the value.
fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(elements).collect(),
        value => vec![value],
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
