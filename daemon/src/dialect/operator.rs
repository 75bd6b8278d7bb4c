//! Dimensions that an operator adds in the configuration.

use serde::Deserialize;
use trail_engine::event::path::Path;
use trail_engine::event::schema::{Dimension, DimensionKind, DimensionSchema, Mapping, Pick, Source};
use trail_engine::{Error, Result};

/// What an index keeps of an operator's dimension; written `keyword` or `unique`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorKind {
    /// Terms that recur.
    #[default]
    Keyword,
    /// Terms that are (nearly) unique.
    Unique,
}

/// A dimension of the operator's own: indexed for every kind of event, from every one of its paths.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorDimension {
    /// Its name in queries: `[a-z][a-z0-9_]*`, at most 64 bytes, not the name of a default dimension.
    pub name: String,
    /// What the index keeps of it.
    #[serde(default)]
    pub kind: OperatorKind,
    /// Where its terms are, in the written form of [`Path`]; at least one.
    pub paths: Vec<String>,
}

/// Adds the operator's dimensions to every kind of event of a schema. Either all are added, or none.
///
/// # Errors
/// [`trail_engine::ErrorKind::Invalid`] with the dimension whose name is taken or not valid, that has no path, or whose path
/// cannot be read; or when the schema becomes too large.
pub fn extend(schema: &mut DimensionSchema, dimensions: &[OperatorDimension]) -> Result<()> {
    let mut extended = schema.clone();
    for dimension in dimensions {
        let sources = sources(dimension)?;
        let kind = match dimension.kind {
            OperatorKind::Keyword => DimensionKind::Keyword,
            OperatorKind::Unique => DimensionKind::Unique,
        };
        extended.dimensions.push(Dimension { name: dimension.name.clone(), kind });
        for kind in &mut extended.kinds {
            kind.mappings.push(Mapping { dimension: dimension.name.clone(), pick: Pick::All, sources: sources.clone() });
        }
    }
    extended.check()?;
    *schema = extended;
    Ok(())
}

fn sources(dimension: &OperatorDimension) -> Result<Vec<Source>> {
    if dimension.paths.is_empty() {
        return Err(Error::invalid(format!("dimension `{}` has no path", dimension.name)));
    }
    let read = |text: &String| {
        let path = Path::parse(text).map_err(|e| {
            Error::invalid(format!("dimension `{}` has the path `{text}`, which cannot be read", dimension.name)).because(e)
        })?;
        Ok(Source::value(path))
    };
    dimension.paths.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::load::default_schema;

    fn dimension(name: &str, paths: &[&str]) -> OperatorDimension {
        OperatorDimension { name: name.into(), kind: OperatorKind::Keyword, paths: paths.iter().map(|p| (*p).into()).collect() }
    }

    #[test]
    fn every_kind_gets_the_dimension() {
        let mut schema = default_schema().unwrap();
        extend(&mut schema, &[dimension("namespace", &["objectRef.namespace", "a.b"])]).unwrap();
        assert_eq!(schema.ordinal("namespace"), Some(18));
        for kind in &schema.kinds {
            let mapping = kind.mappings.iter().find(|m| m.dimension == "namespace").unwrap();
            assert_eq!((mapping.pick, mapping.sources.len()), (Pick::All, 2), "{}", kind.name);
        }
    }

    #[test]
    fn a_wrong_dimension_changes_nothing() {
        let before = default_schema().unwrap();
        for (wrong, word) in [
            (dimension("user", &["a"]), "user"),
            (dimension("Upper", &["a"]), "Upper"),
            (dimension("empty", &[]), "empty"),
            (dimension("path", &["a..b"]), "a..b"),
        ] {
            let mut schema = before.clone();
            let error = extend(&mut schema, &[dimension("good", &["a"]), wrong]).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(schema, before);
        }
    }

    #[test]
    fn reads_from_configuration() {
        let read: OperatorDimension = toml::from_str("name = \"job\"\nkind = \"unique\"\npaths = [\"job.id\"]").unwrap();
        assert_eq!(read, OperatorDimension { kind: OperatorKind::Unique, ..dimension("job", &["job.id"]) });
        let read: OperatorDimension = toml::from_str("name = \"job\"\npaths = [\"job.id\"]").unwrap();
        assert_eq!(read.kind, OperatorKind::Keyword);
        assert!(toml::from_str::<OperatorDimension>("name = \"job\"\npath = [\"job.id\"]").is_err());
    }
}
