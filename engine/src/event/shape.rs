//! [`Shape`]: the text of an event with its leaf values taken out, and what can be known from it alone.
//!
//! Events of one shape have the same keys in the same places, so everything that depends on keys is worked out once a shape and not
//! once an event: the path of every leaf, the kind of event, and which leaves fill which dimension.

use std::sync::Arc;

use super::outline::ColumnPath;
use super::path::Path;
use super::plan::TermPlan;
use super::scan::{Class, STRING_MARK, WHOLE_MARK};
use crate::codec::checksum::hash64;

/// A shape with the column of each of its leaves.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The text with a mark for each leaf.
    pub(crate) text: Box<[u8]>,
    /// [`hash64`] of the text.
    pub(crate) hash: u64,
    /// The column of each leaf, in the order of the text.
    pub(crate) slots: Box<[Arc<ColumnPath>]>,
    /// How the terms of such an event are found.
    pub(crate) plan: TermPlan,
}

impl Shape {
    /// The shape of events that are kept whole.
    pub(crate) fn whole() -> Shape {
        let column = ColumnPath { path: Path::default(), class: Class::Whole };
        Shape { text: Box::new([WHOLE_MARK]), hash: hash64(&[WHOLE_MARK]), slots: Box::new([Arc::new(column)]), plan: TermPlan::default() }
    }

    /// Whether events of this shape are kept whole.
    pub(crate) fn is_whole(&self) -> bool {
        *self.text == [WHOLE_MARK]
    }
}

/// Appends the event that has this shape and these leaves.
pub(crate) fn assemble<'a>(shape: &[u8], mut leaves: impl Iterator<Item = &'a [u8]>, text: &mut Vec<u8>) {
    let mut rest = shape;
    while let Some(at) = rest.iter().position(|b| *b <= WHOLE_MARK) {
        let (plain, marked) = rest.split_at(at);
        text.extend_from_slice(plain);
        let leaf = leaves.next().unwrap_or_default();
        if marked.first() == Some(&STRING_MARK) {
            text.push(b'"');
            text.extend_from_slice(leaf);
            text.push(b'"');
        } else {
            text.extend_from_slice(leaf);
        }
        rest = marked.get(1..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::outline::outline;
    use crate::event::scan::scan;

    fn outline_of(text: &str) -> (Vec<(String, Class)>, Vec<String>) {
        let (mut shape, mut leaves) = (Vec::new(), Vec::new());
        scan(text.as_bytes(), &mut shape, &mut leaves).unwrap();
        let outline = outline(&shape);
        assert_eq!(outline.slots.len(), leaves.len());
        let slots = outline.slots.iter().map(|s| (s.path.to_string(), s.class)).collect();
        (slots, outline.members.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn leaves_get_the_path_of_their_keys() {
        let (slots, members) = outline_of(r#"{"a":{"b.c":"x","d":[1,{"e":[["y"],{}]},"z"]},"f":null,"g":{"h":{}}}"#);
        let expected = [
            ("a.\"b.c\"", Class::String),
            ("a.d", Class::Literal),
            ("a.d.e", Class::String),
            ("a.d", Class::String),
            ("f", Class::Literal),
        ];
        // After an inner object the path of an array's further elements is the array's own again.
        let expected: Vec<_> = expected.iter().map(|(p, c)| ((*p).to_owned(), *c)).collect();
        assert_eq!(slots, expected);
        assert_eq!(members, ["a", "a.\"b.c\"", "a.d", "a.d.e", "f", "g", "g.h"]);
    }

    #[test]
    fn escaped_keys_are_decoded_and_repeated_keys_kept() {
        let (slots, _) = outline_of(r#"{"\u0061":1,"a":2,"q\"":{"":3}}"#);
        assert_eq!(slots.iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["a", "a", "\"q\\\"\".\"\""]);
    }
}
