//! The canonical form of a filter: one spelling for each meaning, which reads back as an equal filter.

use std::fmt;
use std::ops::Bound;

use crate::event::path::{Path, Step};
use crate::query::filter::tree::{Comparison, Field, Filter, Test};
use crate::query::filter::value::looks_like_network;

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::All => f.write_str("*"),
            Filter::And(all) => separated(f, all, " ", |inner| matches!(inner, Filter::Or(_) | Filter::And(_))),
            Filter::Or(any) => separated(f, any, " OR ", |inner| matches!(inner, Filter::Or(_))),
            Filter::Not(inner) if matches!(**inner, Filter::And(_) | Filter::Or(_) | Filter::Not(_)) => write!(f, "-({inner})"),
            Filter::Not(inner) => write!(f, "-{inner}"),
            Filter::Compare(comparison) => write!(f, "{comparison}"),
            Filter::Text(text) => f.write_str(&quoted(text)),
        }
    }
}

fn separated(f: &mut fmt::Formatter<'_>, filters: &[Filter], between: &str, wrap: fn(&Filter) -> bool) -> fmt::Result {
    for (i, filter) in filters.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        if wrap(filter) { write!(f, "({filter})")? } else { write!(f, "{filter}")? }
    }
    Ok(())
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.field, self.test)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Dimension(name) => f.write_str(name),
            Field::Path(path) => write_path(f, path),
            Field::EventTime => f.write_str("event_time"),
            Field::ReceivedAt => f.write_str("received_at"),
            Field::Sequence => f.write_str("sequence"),
        }
    }
}

/// As the path prints itself, but for a first key that would be taken for a dimension or a negation.
fn write_path(f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
    if *path.steps == [Step::Any] {
        // Alone, a star is a text.
        return f.write_str("*[]");
    }
    let Some((Step::Key(first), rest)) = path.steps.split_first() else {
        return write!(f, "{path}");
    };
    if !rest.is_empty() && !first.starts_with('-') {
        return write!(f, "{path}");
    }
    write!(f, "\"{}\"", first.replace('\\', "\\\\").replace('"', "\\\""))?;
    if rest.is_empty() {
        return Ok(());
    }
    write!(f, ".{}", Path { steps: rest.to_vec() })
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tilde = |ignore_case: &bool| if *ignore_case { "~" } else { "" };
        match self {
            Test::Exists => f.write_str("*"),
            // Unescaped, it would be a network.
            Test::Exact { value, ignore_case: false } if looks_like_network(value) => write!(f, "\"{}\"", value.replace('/', "\\/")),
            Test::Exact { value, ignore_case } => write!(f, "{}{}", tilde(ignore_case), value_text(std::slice::from_ref(value))),
            Test::Wildcard { pieces, ignore_case } => write!(f, "{}{}", tilde(ignore_case), value_text(pieces)),
            Test::Regex { pattern, ignore_case } => write!(f, "{}/{}/", tilde(ignore_case), pattern_text(pattern)),
            Test::Network { network, bits } => write!(f, "{network}/{bits}"),
            Test::Numbers { low, high } => write_range(f, low.map(number_text), high.map(number_text)),
            Test::Times { low, high } => write_range(f, low.map(|m| m.to_string()), high.map(|m| m.to_string())),
            Test::Sequences { low, high } => write_range(f, low.map(|n| n.to_string()), high.map(|n| n.to_string())),
        }
    }
}

fn write_range(f: &mut fmt::Formatter<'_>, low: Bound<String>, high: Bound<String>) -> fmt::Result {
    match (&low, &high) {
        (Bound::Included(low), Bound::Unbounded) => return write!(f, ">={low}"),
        (Bound::Excluded(low), Bound::Unbounded) => return write!(f, ">{low}"),
        (Bound::Unbounded, Bound::Included(high)) => return write!(f, "<={high}"),
        (Bound::Unbounded, Bound::Excluded(high)) => return write!(f, "<{high}"),
        _ => {}
    }
    let (open, low) = match &low {
        Bound::Included(low) => ('[', low.as_str()),
        Bound::Excluded(low) => ('{', low.as_str()),
        Bound::Unbounded => ('[', "*"),
    };
    let (close, high) = match &high {
        Bound::Included(high) => (']', high.as_str()),
        Bound::Excluded(high) => ('}', high.as_str()),
        Bound::Unbounded => (']', "*"),
    };
    write!(f, "{open}{low} TO {high}{close}")
}

fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { number.to_string() } else { format!("{number:?}") }
}

/// A value, without quotes where none are needed.
fn value_text(pieces: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    if pieces.iter().any(|p| !p.is_empty()) && pieces.iter().all(|p| p.chars().all(plain)) {
        return pieces.join("*");
    }
    format!("\"{}\"", pieces.iter().map(|p| escaped(p).replace('*', "\\*")).collect::<Vec<_>>().join("*"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('*', "\\*"))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn pattern_text(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(std::iter::once(c).chain(chars.next())),
            '/' => text.push_str("\\/"),
            _ => text.push(c),
        }
    }
    text
}
