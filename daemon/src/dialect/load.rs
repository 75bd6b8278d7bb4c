//! [`default_schema`]: the default dimensions and the kinds of events that traild knows by itself.
//!
//! The vendors' files are compiled into the binary. Reading them cannot fail in a build that passed its tests; should it
//! fail all the same, the error names the file.

use trail_engine::event::schema::{Dimension, DimensionKind, DimensionSchema};
use trail_engine::{Error, Result};

use crate::dialect::document::Document;

/// The default dimensions in the order of their ordinals; new ones go to the end.
const DIMENSIONS: [(&str, DimensionKind); 18] = [
    ("event_id", DimensionKind::Unique),
    ("event_name", DimensionKind::Keyword),
    ("service", DimensionKind::Keyword),
    ("user", DimensionKind::Keyword),
    ("user_type", DimensionKind::Keyword),
    ("principal_id", DimensionKind::Keyword),
    ("access_key_id", DimensionKind::Keyword),
    ("account_id", DimensionKind::Keyword),
    ("source_ip", DimensionKind::Keyword),
    ("user_agent", DimensionKind::Keyword),
    ("region", DimensionKind::Keyword),
    ("resource_type", DimensionKind::Keyword),
    ("resource_name", DimensionKind::Keyword),
    ("event_type", DimensionKind::Keyword),
    ("read_only", DimensionKind::Keyword),
    ("error_code", DimensionKind::Keyword),
    ("mfa", DimensionKind::Keyword),
    ("request_id", DimensionKind::Unique),
];

/// The files in the order in which their kinds are tried: the most particular first, the one for any event last.
const FILES: [(&str, &str); 5] = [
    ("actiontrail.toml", include_str!("actiontrail.toml")),
    ("cloudtrail.toml", include_str!("cloudtrail.toml")),
    ("kubernetes.toml", include_str!("kubernetes.toml")),
    ("gcp.toml", include_str!("gcp.toml")),
    ("generic.toml", include_str!("generic.toml")),
];

/// The default dimensions for ActionTrail, CloudTrail, Kubernetes audit and GCP audit events, and for events of no known
/// kind that use common names for their members.
///
/// # Errors
/// [`trail_engine::ErrorKind::Invalid`], naming the file, when an embedded file is not valid; the tests prove that none is.
pub fn default_schema() -> Result<DimensionSchema> {
    let dimensions = DIMENSIONS.iter().map(|(name, kind)| Dimension { name: (*name).to_owned(), kind: *kind }).collect();
    let mut schema = DimensionSchema { dimensions, kinds: Vec::new() };
    for (file, text) in FILES {
        let document: Document = toml::from_str(text).map_err(|e| Error::invalid("the dialect cannot be read").in_file(file).because(e))?;
        schema.kinds.extend(document.kinds().map_err(|e| e.in_file(file))?);
    }
    schema.check()?;
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trail_engine::event::path::Path;

    #[test]
    fn the_embedded_files_give_a_valid_schema() {
        let schema = default_schema().unwrap();
        assert_eq!(schema.dimensions.len(), 18);
        assert!(schema.check().is_ok());
        let names: Vec<&str> = schema.kinds.iter().map(|k| k.name.as_str()).collect();
        for name in ["actiontrail", "cloudtrail", "kubernetes", "gcp", "generic"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        assert!(schema.kinds.last().unwrap().recognise.is_empty(), "the last kind takes any event");
        assert_eq!(schema.kinds.iter().filter(|k| k.recognise.is_empty()).count(), 1, "only the last kind takes any event");
    }

    #[test]
    fn ids_are_unique_and_everything_else_is_a_keyword() {
        for dimension in default_schema().unwrap().dimensions {
            let unique = matches!(dimension.name.as_str(), "event_id" | "request_id");
            assert_eq!(dimension.kind == DimensionKind::Unique, unique, "{}", dimension.name);
        }
    }

    #[test]
    fn no_dimension_is_mapped_twice_and_no_source_is_repeated() {
        for kind in default_schema().unwrap().kinds {
            for (i, mapping) in kind.mappings.iter().enumerate() {
                assert!(kind.mappings[..i].iter().all(|m| m.dimension != mapping.dimension), "{}: {}", kind.name, mapping.dimension);
                for (j, source) in mapping.sources.iter().enumerate() {
                    assert!(!mapping.sources[..j].contains(source), "{}: {} has {} twice", kind.name, mapping.dimension, source.path);
                }
            }
        }
    }

    #[test]
    fn paths_print_back_as_they_were_read() {
        for kind in default_schema().unwrap().kinds {
            for source in kind.mappings.iter().flat_map(|m| &m.sources) {
                assert_eq!(Path::parse(&source.path.to_string()).unwrap(), source.path);
            }
        }
    }
}
