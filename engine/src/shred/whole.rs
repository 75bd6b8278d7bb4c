//! Questions to the text of one event: for events that are kept whole, and to verify single candidates.

use crate::codec::checksum::hash64;
use crate::event::outline::outline;
use crate::event::path::Path;
use crate::event::scan::{Class, Leaf, scan};
use crate::event::unescape::unescape;
use crate::matcher::{Matcher, TextMatcher};

/// A value of an event, for a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A string, decoded.
    Text(&'a str),
    /// A number, `true`, `false` or `null`, as written.
    Literal(&'a str),
}

/// Calls `visit` for every value at a path, and with `beneath` also for those beneath it.
pub(crate) fn for_each_value(text: &[u8], path: &Path, beneath: bool, visit: &mut dyn FnMut(Value<'_>)) {
    let Some((shape, leaves)) = split(text) else { return };
    for (slot, leaf) in outline(&shape).slots.iter().zip(leaves) {
        if path.names(&slot.path.steps) || (beneath && path.covers(&slot.path.steps)) {
            visit_leaf(slot.class, leaf.of(text), visit);
        }
    }
}

fn visit_leaf(class: Class, raw: &[u8], visit: &mut dyn FnMut(Value<'_>)) {
    match class {
        Class::String => visit(Value::Text(&unescape(raw))),
        Class::Literal | Class::Whole => visit(Value::Literal(&String::from_utf8_lossy(raw))),
    }
}

/// The hashes of the values at any of these paths that match: what a unique dimension may have as its terms. Not every value at
/// its paths is one, because the paths belong to different kinds of events, and the first of them counts.
pub(crate) fn hashes_of_matching(text: &[u8], paths: &[Path], matcher: &Matcher) -> Vec<u64> {
    let mut hashes = Vec::new();
    for path in paths {
        for_each_value(text, path, false, &mut |value| {
            let (passes, value) = match value {
                Value::Text(value) => (matcher.matches(value), value),
                Value::Literal(value) => (matcher.matches_literal(value), value),
            };
            if passes {
                hashes.push(hash64(value.as_bytes()));
            }
        });
    }
    hashes
}

/// Whether a value at the path, or with `beneath` one beneath it, matches.
pub(crate) fn holds_match(text: &[u8], path: &Path, beneath: bool, matcher: &Matcher) -> bool {
    let mut found = false;
    for_each_value(text, path, beneath, &mut |value| {
        found |= match value {
            Value::Text(text) => matcher.matches(text),
            Value::Literal(literal) => matcher.matches_literal(literal),
        };
    });
    found
}

/// Whether any value of the event is this string, or this literal as written.
pub(crate) fn holds_value(text: &[u8], value: &str) -> bool {
    let Some((shape, leaves)) = split(text) else { return false };
    let mut found = false;
    for (slot, leaf) in outline(&shape).slots.iter().zip(leaves) {
        visit_leaf(slot.class, leaf.of(text), &mut |v| found |= matches!(v, Value::Text(v) | Value::Literal(v) if v == value));
    }
    found
}

/// The value of the event, a string decoded or a literal as written, that has this hash.
pub(crate) fn value_with_hash(text: &[u8], hash: u64) -> Option<Vec<u8>> {
    let (shape, leaves) = split(text)?;
    let mut found = None;
    for (slot, leaf) in outline(&shape).slots.iter().zip(leaves) {
        visit_leaf(slot.class, leaf.of(text), &mut |value| {
            let (Value::Text(value) | Value::Literal(value)) = value;
            if hash64(value.as_bytes()) == hash {
                found = Some(value.as_bytes().to_vec());
            }
        });
    }
    found
}

/// Whether the event holds the text: as written, or in a key or string after its escapes are decoded.
pub(crate) fn holds_text(text: &[u8], needle: &TextMatcher) -> bool {
    if needle.is_in(text) {
        return true;
    }
    if memchr::memchr(b'\\', text).is_none() {
        return false;
    }
    let Some((shape, leaves)) = split(text) else { return false };
    shape_holds_decoded(&shape, needle) || leaves.iter().any(|leaf| leaf_holds_decoded(leaf.of(text), needle))
}

/// Whether a key of the shape holds the text once its escapes are decoded.
pub(crate) fn shape_holds_decoded(shape: &[u8], needle: &TextMatcher) -> bool {
    let key = |path: &Path| match path.steps.last() {
        Some(crate::event::path::Step::Key(key)) => needle.is_in(key.as_bytes()),
        _ => false,
    };
    memchr::memchr(b'\\', shape).is_some() && outline(shape).members.iter().any(key)
}

/// Whether a raw string holds the text once its escapes are decoded.
pub(crate) fn leaf_holds_decoded(raw: &[u8], needle: &TextMatcher) -> bool {
    memchr::memchr(b'\\', raw).is_some() && needle.is_in(unescape(raw).as_bytes())
}

fn split(text: &[u8]) -> Option<(Vec<u8>, Vec<Leaf>)> {
    let (mut shape, mut leaves) = (Vec::new(), Vec::new());
    scan(text, &mut shape, &mut leaves).ok()?;
    Some((shape, leaves))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_and_text() {
        let text = br#"{"a":{"b":["x\ny",1,null]},"k\"ey":"caf\u00e9"}"#;
        let mut seen = Vec::new();
        for_each_value(text, &Path::parse("a.b").unwrap(), false, &mut |v| seen.push(format!("{v:?}")));
        assert_eq!(seen, ["Text(\"x\\ny\")", "Literal(\"1\")", "Literal(\"null\")"]);
        let mut beneath = 0;
        for_each_value(text, &Path::parse("a").unwrap(), true, &mut |_| beneath += 1);
        assert_eq!(beneath, 3);
        assert!(holds_value(text, "café") && holds_value(text, "1") && !holds_value(text, "caf"));
        for needle in ["CAFÉ", "k\"EY", "\"a\":", "u00e9", "x\ny"] {
            assert!(holds_text(text, &TextMatcher::new(needle).unwrap()), "{needle}");
        }
        assert!(!holds_text(text, &TextMatcher::new("cafe").unwrap()));
    }
}
