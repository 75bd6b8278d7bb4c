//! Names of fields: built-in, declared, or a path; and what was probably meant by a wrong one.

use crate::error::{Error, Result};
use crate::event::path::Path;
use crate::event::schema::Dimension;
use crate::limits::REGEX_BYTES_MAX;
use crate::query::filter::tree::Field;

const BUILT_IN: [(&str, Field); 3] = [("event_time", Field::EventTime), ("received_at", Field::ReceivedAt), ("sequence", Field::Sequence)];

/// Longer names are not compared: no dimension has one.
const SUGGEST_BYTES_MAX: usize = 64;

/// The field of a name that starts at byte `at` of the query. A name with a dot, a quoted key or `[]` is a path; any other must be known.
pub(super) fn read_field(name: &str, at: u64, dimensions: &[Dimension]) -> Result<Field> {
    if name.len() > REGEX_BYTES_MAX {
        return Err(Error::invalid("the path is too long").at(at).expected(format!("at most {REGEX_BYTES_MAX} bytes"), name.len()));
    }
    if name.contains(['.', '"', '[']) {
        let moved = |e: Error| Error::invalid(e.message().to_owned()).at(at + e.offset().unwrap_or(0));
        return Path::parse(name).map(Field::Path).map_err(moved);
    }
    if let Some((_, field)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Ok(field.clone());
    }
    dimension_named(name, dimensions).map(|d| Field::Dimension(d.name.clone())).map_err(|e| e.at(at))
}

/// A declared dimension.
///
/// # Errors
/// [`crate::ErrorKind::Invalid`], with the closest name when one is close.
pub(crate) fn dimension_named<'d>(name: &str, dimensions: &'d [Dimension]) -> Result<&'d Dimension> {
    if let Some(dimension) = dimensions.iter().find(|d| d.name == name) {
        return Ok(dimension);
    }
    if BUILT_IN.iter().any(|(known, _)| *known == name) {
        return Err(Error::invalid(format!(
            "`{name}` has no terms: nearly every event has one of its own; counts over time are a histogram"
        )));
    }
    let shown: String = name.chars().take(SUGGEST_BYTES_MAX).collect();
    Err(Error::invalid(match closest(name, dimensions) {
        Some(close) => format!("unknown dimension `{shown}`; did you mean `{close}`?"),
        None => format!("unknown dimension `{shown}`; a path is written with a dot or a quoted key, and text to search for in quotes"),
    }))
}

fn closest<'d>(name: &str, dimensions: &'d [Dimension]) -> Option<&'d str> {
    if name.is_empty() || name.len() > SUGGEST_BYTES_MAX {
        return None;
    }
    let far = 2.max(name.len() / 3).min(name.len().saturating_sub(1));
    let known = dimensions.iter().map(|d| d.name.as_str()).chain(BUILT_IN.iter().map(|(known, _)| *known));
    known.map(|known| (distance(name, known), known)).filter(|(d, _)| *d <= far).min_by_key(|(d, _)| *d).map(|(_, known)| known)
}

/// The smaller of the edit distance as written and with case and underscores taken away: `eventName` is `event_name`.
fn distance(a: &str, b: &str) -> usize {
    let bare = |s: &str| s.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect::<Vec<_>>();
    let written = |s: &str| s.chars().collect::<Vec<_>>();
    edits(&written(a), &written(b)).min(edits(&bare(a), &bare(b)))
}

/// Insertions, deletions, replacements and swaps of neighbours that make `a` into `b` (optimal string alignment).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let cell = |r: &[usize], k: usize| r.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut best = (cell(&row, j) + 1).min(cell(&above, j + 1) + 1).min(cell(&above, j) + usize::from(ca != cb));
            if i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca) {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::schema::DimensionKind;

    fn dimensions() -> Vec<Dimension> {
        ["user", "user_type", "event_name", "source_ip"].map(|n| Dimension { name: n.into(), kind: DimensionKind::Keyword }).into()
    }

    #[test]
    fn wrong_names_get_the_closest_one() {
        let cases =
            [("usr", "user"), ("eventName", "event_name"), ("suorce_ip", "source_ip"), ("event_tme", "event_time"), ("USER", "user")];
        for (name, meant) in cases {
            let error = read_field(name, 5, &dimensions()).unwrap_err();
            assert_eq!(error.message(), format!("unknown dimension `{name}`; did you mean `{meant}`?"));
            assert_eq!(error.offset(), Some(5));
        }
        assert!(!read_field("vpcId", 0, &dimensions()).unwrap_err().message().contains("did you mean"));
        assert!(read_field(&"x".repeat(70), 0, &dimensions()).is_err());
    }

    #[test]
    fn what_is_built_in_is_known_and_has_no_terms() {
        for name in ["event_time", "received_at", "sequence"] {
            let error = dimension_named(name, &dimensions()).unwrap_err();
            assert!(error.message().starts_with(&format!("`{name}` has no terms")), "{error}");
        }
    }

    #[test]
    fn paths_are_told_by_dots_quotes_and_brackets() {
        for name in ["a.b", "\"vpcId\"", "items[]", "a.\"b.c\""] {
            assert!(matches!(read_field(name, 0, &dimensions()).unwrap(), Field::Path(_)), "{name}");
        }
        assert_eq!(read_field("a..b", 10, &dimensions()).unwrap_err().offset(), Some(12));
        assert_eq!(read_field("sequence", 0, &dimensions()).unwrap(), Field::Sequence);
    }
}
