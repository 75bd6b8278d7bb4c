//! From a test on values to the documents that pass, in two steps: which codes of which columns match, then which rows have them.

use crate::event::outline::ColumnPath;
use crate::event::path::Path;
use crate::event::scan::Class;
use crate::event::unescape::unescape;
use crate::matcher::{Matcher, TextMatcher};
use crate::shred::whole::leaf_holds_decoded;

/// A test on the raw values of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ValueTest<'a> {
    /// The decoded value matches.
    Value(&'a Matcher),
    /// The raw or the decoded value holds the text.
    Text(&'a TextMatcher),
}

impl ValueTest<'_> {
    /// Tests a raw value of a column of this class. Values of whole events are not tested here.
    pub(crate) fn passes(&self, class: Class, raw: &[u8]) -> bool {
        match (self, class) {
            (ValueTest::Value(matcher), Class::String) => matcher.matches(&unescape(raw)),
            (ValueTest::Value(matcher), _) => std::str::from_utf8(raw).is_ok_and(|literal| matcher.matches_literal(literal)),
            (ValueTest::Text(text), Class::String) => text.is_in(raw) || leaf_holds_decoded(raw, text),
            (ValueTest::Text(text), _) => text.is_in(raw),
        }
    }
}

/// Whether a column can hold values that a path names; `beneath` also takes columns below the path.
pub(crate) fn column_is_at(column: &ColumnPath, path: &Path, beneath: bool) -> bool {
    column.class != Class::Whole && (path.names(&column.path.steps) || (beneath && path.covers(&column.path.steps)))
}

/// A set of codes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CodeSet {
    words: Vec<u64>,
    count: usize,
}

impl CodeSet {
    pub(crate) fn insert(&mut self, code: u32) {
        let (word, bit) = (code as usize / 64, 1u64 << (code % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            self.count += usize::from(*word & bit == 0);
            *word |= bit;
        }
    }

    #[inline]
    pub(crate) fn contains(&self, code: u32) -> bool {
        self.words.get(code as usize / 64).is_some_and(|word| word >> (code % 64) & 1 == 1)
    }

    /// What the codes take in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.words.capacity() * 8
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The smallest code.
    pub(crate) fn first(&self) -> Option<u32> {
        let (word, bits) = (0u32..).zip(&self.words).find(|(_, word)| **word != 0)?;
        Some(word * 64 + bits.trailing_zeros())
    }

    /// How many codes are in it.
    pub(crate) fn len(&self) -> usize {
        self.count
    }
}

impl FromIterator<u32> for CodeSet {
    fn from_iter<I: IntoIterator<Item = u32>>(codes: I) -> CodeSet {
        let mut set = CodeSet::default();
        codes.into_iter().for_each(|code| set.insert(code));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_tested_decoded_and_literals_as_written() {
        let exact = Matcher::exact("a\nb");
        assert!(ValueTest::Value(&exact).passes(Class::String, br"a\nb") && !ValueTest::Value(&exact).passes(Class::Literal, b"1"));
        let text = TextMatcher::new("\nB").unwrap();
        assert!(ValueTest::Text(&text).passes(Class::String, br"a\nb"));
        let any = Matcher::any();
        assert!(!ValueTest::Value(&any).passes(Class::Literal, b"null") && ValueTest::Value(&any).passes(Class::String, b""));
    }

    #[test]
    fn code_sets() {
        let mut set = CodeSet::default();
        assert!(set.is_empty() && !set.contains(0));
        for code in [0, 63, 64, 1_000, 64] {
            set.insert(code);
        }
        assert!(set.len() == 4 && set.contains(64) && set.contains(1_000) && !set.contains(65) && !set.contains(100_000));
    }
}
