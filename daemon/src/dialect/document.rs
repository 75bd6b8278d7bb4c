//! One dialect's TOML file, as it is written.
//!
//! The file says *what* in a few words; [`Document::kinds`] spells it out for the engine: several ways to recognise an
//! event become several kinds with the same mappings, and a table of resources becomes sources of `resource_name` (the
//! values) and `resource_type` (a constant wherever there is a value).

use std::collections::BTreeMap;

use serde::Deserialize;
use trail_engine::Result;
use trail_engine::event::path::Path;
use trail_engine::event::schema::{EventKind, Mapping, Pick, Source, Take};

const RESOURCE_TYPE: &str = "resource_type";
const RESOURCE_NAME: &str = "resource_name";

/// A dialect's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    name: String,
    /// Any of these sets of paths recognises an event; an empty set recognises every event.
    recognise: Vec<Vec<String>>,
    event_id: Vec<String>,
    event_time: Vec<String>,
    dimensions: BTreeMap<String, DimensionText>,
    #[serde(default)]
    resources: Vec<ResourceText>,
}

/// How a dimension is filled: a list of sources, of which the first with a term counts, or a table that says `pick`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum DimensionText {
    First(Vec<SourceText>),
    Picked { pick: PickText, from: Vec<SourceText> },
}

#[derive(Debug, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum PickText {
    First,
    All,
}

/// A source: a path, whose value is taken, or a table.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum SourceText {
    Value(String),
    Table(SourceTable),
}

/// At most one of `keys`, `split`, `after_last` and `constant` says what to take; none of them means the value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    path: String,
    #[serde(default)]
    keys: bool,
    split: Option<String>,
    after_last: Option<char>,
    constant: Option<String>,
    #[serde(default)]
    replace: BTreeMap<String, String>,
}

/// Paths that name a resource, and the type they give it, when it follows from the path alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceText {
    r#type: Option<String>,
    /// The whole value is a name.
    names: Vec<String>,
    /// The part after the last such character is a second, bare name, for values that may be ARNs.
    bare_after: Option<char>,
}

impl Document {
    /// The kinds that this file describes.
    pub(super) fn kinds(&self) -> Result<Vec<EventKind>> {
        let event_id = paths(&self.event_id)?;
        let event_time = paths(&self.event_time)?;
        let mappings = self.mappings()?;
        let one = |recognise: &Vec<String>| {
            Ok(EventKind {
                name: self.name.clone(),
                recognise: paths(recognise)?,
                event_id: event_id.clone(),
                event_time: event_time.clone(),
                mappings: mappings.clone(),
            })
        };
        self.recognise.iter().map(one).collect()
    }

    fn mappings(&self) -> Result<Vec<Mapping>> {
        let mut mappings = Vec::with_capacity(self.dimensions.len());
        for (dimension, text) in &self.dimensions {
            let (pick, from) = match text {
                DimensionText::First(from) => (PickText::First, from),
                DimensionText::Picked { pick, from } => (*pick, from),
            };
            let pick = match pick {
                PickText::First => Pick::First,
                PickText::All => Pick::All,
            };
            let mut sources = from.iter().map(source).collect::<Result<Vec<_>>>()?;
            match dimension.as_str() {
                RESOURCE_TYPE => sources.extend(self.resource_types()?),
                RESOURCE_NAME => sources.extend(self.resource_names()?),
                _ => {}
            }
            mappings.push(Mapping { dimension: dimension.clone(), pick, sources });
        }
        Ok(mappings)
    }

    fn resource_types(&self) -> Result<Vec<Source>> {
        let mut sources = Vec::new();
        for resource in &self.resources {
            let Some(name) = &resource.r#type else { continue };
            for path in paths(&resource.names)? {
                sources.push(Source { path, take: Take::Constant(name.clone()), replace: Vec::new() });
            }
        }
        Ok(sources)
    }

    fn resource_names(&self) -> Result<Vec<Source>> {
        let mut sources = Vec::new();
        for resource in &self.resources {
            for path in paths(&resource.names)? {
                if let Some(last) = resource.bare_after {
                    sources.push(Source { path: path.clone(), take: Take::AfterLast(last), replace: Vec::new() });
                }
                sources.push(Source::value(path));
            }
        }
        Ok(sources)
    }
}

fn paths(texts: &[String]) -> Result<Vec<Path>> {
    texts.iter().map(|text| Path::parse(text)).collect()
}

fn source(text: &SourceText) -> Result<Source> {
    match text {
        SourceText::Value(path) => Ok(Source::value(Path::parse(path)?)),
        SourceText::Table(table) => {
            Ok(Source { path: Path::parse(&table.path)?, take: take(table), replace: replacements(&table.replace) })
        }
    }
}

fn take(table: &SourceTable) -> Take {
    match (table.keys, &table.split, table.after_last, &table.constant) {
        (true, ..) => Take::Keys,
        (_, Some(split), ..) => Take::Split(split.chars().collect()),
        (_, _, Some(last), _) => Take::AfterLast(last),
        (_, _, _, Some(constant)) => Take::Constant(constant.clone()),
        _ => Take::Value,
    }
}

/// `*` goes last: it stands for every term that none of the others names.
fn replacements(table: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let owned = |(from, to): (&String, &String)| (from.clone(), to.clone());
    let named = table.iter().filter(|(from, _)| *from != "*").map(owned);
    named.chain(table.get_key_value("*").map(owned)).collect()
}
