//! [`DimensionSchema`]: which properties of an event are indexed, and where they stand in each kind of event.
//!
//! The engine knows no vendor. A caller brings the schema as data: dimensions, and for every kind of event how it is told
//! from the others and which paths fill which dimension.

use crate::error::{Error, Result};
use crate::event::path::Path;
use crate::limits::{DIMENSIONS_MAX, EVENT_KINDS_MAX};

/// What an index keeps of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DimensionKind {
    /// Terms that recur: a dictionary and a bitmap of documents for each term.
    Keyword,
    /// Terms that are (nearly) unique, such as ids: a hash index from term to documents.
    Unique,
}

/// A named, indexed property of events. An event may have no term of it, one, or many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    /// Its name in queries: `[a-z][a-z0-9_]*`, at most 64 bytes.
    pub name: String,
    /// What the index keeps of it.
    pub kind: DimensionKind,
}

/// What to take from the place that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// The value: a string decoded, a number, `true` or `false` as written. `null` and `""` are no term.
    Value,
    /// The keys of the object at the path, not its values.
    Keys,
    /// The parts of the value between any of these characters, trimmed; empty parts are no terms.
    Split(Vec<char>),
    /// The part of the value after the last such character; nothing when the character is not in it.
    AfterLast(char),
    /// A fixed term, whenever there is a value other than `null` and `""` at the path.
    Constant(String),
}

/// One place where a dimension's term can be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where.
    pub path: Path,
    /// What to take from there.
    pub take: Take,
    /// Terms to be replaced: (as taken, as indexed). `*` as the left side stands for every other term.
    pub replace: Vec<(String, String)>,
}

impl Source {
    /// The plain value at a path.
    #[must_use]
    pub fn value(path: Path) -> Source {
        Source { path, take: Take::Value, replace: Vec::new() }
    }
}

/// Which of a mapping's sources count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pick {
    /// The first source, in the order given, that yields a term; all terms of that source.
    First,
    /// Every source.
    All,
}

/// How one dimension is filled for one kind of event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The dimension's name.
    pub dimension: String,
    /// Which sources count.
    pub pick: Pick,
    /// Where its terms are, by priority.
    pub sources: Vec<Source>,
}

/// A kind of event: how it is recognised, and where its properties are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKind {
    /// Its name, for explanations.
    pub name: String,
    /// An event is of this kind when every one of these paths is present. Empty: any event.
    pub recognise: Vec<Path>,
    /// Where its id is, by priority. The first non-empty string or number counts.
    pub event_id: Vec<Path>,
    /// Where its time is, by priority. The first value that can be read as a time counts.
    pub event_time: Vec<Path>,
    /// Where its dimensions are.
    pub mappings: Vec<Mapping>,
}

/// Dimensions and kinds of events. The first kind that recognises an event is its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DimensionSchema {
    /// The dimensions, in the order of their ordinals.
    pub dimensions: Vec<Dimension>,
    /// The kinds, in the order in which they are tried.
    pub kinds: Vec<EventKind>,
}

/// The name of the dimension that holds event ids; when a schema has it, it must be [`DimensionKind::Unique`].
pub const EVENT_ID: &str = "event_id";

impl DimensionSchema {
    /// The ordinal of a dimension.
    #[must_use]
    pub fn ordinal(&self, name: &str) -> Option<u16> {
        self.dimensions.iter().position(|d| d.name == name).and_then(|i| u16::try_from(i).ok())
    }

    /// All paths that decide about a dimension's terms, without repetition.
    #[must_use]
    pub fn paths_of(&self, name: &str) -> Vec<Path> {
        self.paths_where(name, |_| true)
    }

    /// All paths at which a dimension's terms stand, without repetition: those whose value only decides about a constant are left out.
    #[must_use]
    pub fn term_paths_of(&self, name: &str) -> Vec<Path> {
        self.paths_where(name, |source| !matches!(source.take, Take::Constant(_)))
    }

    fn paths_where(&self, name: &str, counts: impl Fn(&Source) -> bool) -> Vec<Path> {
        let mut paths: Vec<Path> = Vec::new();
        for kind in &self.kinds {
            let sources = kind.mappings.iter().filter(|m| m.dimension == name).flat_map(|m| &m.sources);
            let mapped = sources.filter(|source| counts(source)).map(|source| &source.path);
            let ids = kind.event_id.iter().filter(|_| name == EVENT_ID);
            for path in mapped.chain(ids) {
                if !paths.contains(path) {
                    paths.push(path.clone());
                }
            }
        }
        paths
    }

    /// Checks names, counts and references.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] with the name that is wrong.
    pub fn check(&self) -> Result<()> {
        if self.dimensions.len() > DIMENSIONS_MAX || self.kinds.len() > EVENT_KINDS_MAX {
            return Err(Error::invalid("the dimension schema is too large").expected(
                format!("at most {DIMENSIONS_MAX} dimensions and {EVENT_KINDS_MAX} kinds"),
                format!("{} and {}", self.dimensions.len(), self.kinds.len()),
            ));
        }
        for (i, dimension) in self.dimensions.iter().enumerate() {
            if !is_name(&dimension.name) {
                return Err(Error::invalid(format!("`{}` cannot name a dimension: use [a-z][a-z0-9_]*", dimension.name)));
            }
            if self.dimensions.iter().take(i).any(|d| d.name == dimension.name) {
                return Err(Error::invalid(format!("dimension `{}` is declared twice", dimension.name)));
            }
            if dimension.name == EVENT_ID && dimension.kind != DimensionKind::Unique {
                return Err(Error::invalid("dimension `event_id` must be of the unique kind"));
            }
        }
        for kind in &self.kinds {
            if let Some(unknown) = kind.mappings.iter().find(|m| self.ordinal(&m.dimension).is_none()) {
                return Err(Error::invalid(format!("event kind `{}` maps the unknown dimension `{}`", kind.name, unknown.dimension)));
            }
        }
        self.kinds.iter().try_for_each(|kind| self.check_unique(kind))
    }

    /// A term of a unique dimension is verified against the values of the event, so it must be one of them.
    fn check_unique(&self, kind: &EventKind) -> Result<()> {
        let unique = |m: &&Mapping| self.dimensions.iter().any(|d| d.name == m.dimension && d.kind == DimensionKind::Unique);
        let plain = |s: &Source| s.take == Take::Value && s.replace.is_empty();
        match kind.mappings.iter().filter(unique).find(|m| !m.sources.iter().all(plain)) {
            Some(m) => {
                Err(Error::invalid(format!("unique dimension `{}` of event kind `{}` must take plain values", m.dimension, kind.name)))
            }
            None => Ok(()),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(name: &str, kind: DimensionKind) -> Dimension {
        Dimension { name: name.into(), kind }
    }

    #[test]
    fn refuses_bad_names_and_unknown_references() {
        let mut schema = DimensionSchema { dimensions: vec![dimension("user", DimensionKind::Keyword)], kinds: vec![] };
        assert!(schema.check().is_ok());
        schema.dimensions.push(dimension("user", DimensionKind::Keyword));
        assert!(schema.check().is_err());
        schema.dimensions[1].name = "User".into();
        assert!(schema.check().is_err());
        schema.dimensions[1] = dimension(EVENT_ID, DimensionKind::Keyword);
        assert!(schema.check().is_err());
        schema.dimensions[1].kind = DimensionKind::Unique;
        assert!(schema.check().is_ok());
        schema.kinds.push(EventKind {
            name: "k".into(),
            recognise: vec![],
            event_id: vec![],
            event_time: vec![],
            mappings: vec![Mapping { dimension: "region".into(), pick: Pick::All, sources: vec![] }],
        });
        assert!(schema.check().unwrap_err().to_string().contains("region"));
    }
}
