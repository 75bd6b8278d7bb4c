//! [`Texts`]: many values one after the other, searched as one.
//!
//! A search through a month of values must not look at each of them: most hold nothing of what is sought. So what must stand in a
//! passing value is searched for in all texts at once, at the speed of memory; only where it stands is a single value looked at.

use memchr::memmem;

use crate::event::scan::Class;
use crate::shred::select::ValueTest;

/// Texts one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts<'a> {
    /// Where the first one begins.
    pub(crate) start: u32,
    /// Where each ends; ascending.
    pub(crate) ends: &'a [u32],
    pub(crate) bytes: &'a [u8],
}

impl<'a> Texts<'a> {
    fn range(&self, index: usize) -> (usize, usize) {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(self.start);
        (start as usize, self.ends.get(index).copied().unwrap_or(start) as usize)
    }

    fn get(&self, index: usize) -> &'a [u8] {
        let (start, end) = self.range(index);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Calls `visit` with the index of every text that passes, ascending. `has_escapes` says whether any has a backslash.
    pub(crate) fn for_each_passing(&self, test: ValueTest<'_>, class: Class, has_escapes: bool, mut visit: impl FnMut(usize)) {
        let decodes = has_escapes && class == Class::String;
        match test {
            ValueTest::Text(text) if !decodes => self.for_each_holding(|from| text.find_at(self.all(), from), visit),
            ValueTest::Value(matcher) if class == Class::String && !decodes && !matcher.literal().is_empty() => {
                let finder = memmem::Finder::new(matcher.literal());
                let find = |from: usize| {
                    let at = from + finder.find(self.all().get(from..)?)?;
                    Some((at, at + matcher.literal().len()))
                };
                self.for_each_holding(find, |index| {
                    if test.passes(class, self.get(index)) {
                        visit(index);
                    }
                });
            }
            _ => (0..self.ends.len()).filter(|index| test.passes(class, self.get(*index))).for_each(visit),
        }
    }

    /// The bytes up to the last text's end.
    fn all(&self) -> &'a [u8] {
        self.bytes.get(..self.ends.last().copied().unwrap_or(0) as usize).unwrap_or_default()
    }

    /// Calls `visit` with the index of every text within which `find` finds something; it is given where to begin, and says where what
    /// it found begins and ends.
    fn for_each_holding(&self, find: impl Fn(usize) -> Option<(usize, usize)>, mut visit: impl FnMut(usize)) {
        let mut from = self.start as usize;
        while let Some((start, end)) = find(from) {
            let index = self.ends.partition_point(|text_end| (*text_end as usize) <= start);
            let (_, text_end) = self.range(index);
            if end <= text_end {
                visit(index);
                from = text_end;
            } else {
                // It reaches over a border; another may begin one byte on.
                from = start + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::{Matcher, TextMatcher};
    use proptest::prelude::*;

    fn passing(values: &[String], test: ValueTest<'_>, class: Class) -> (Vec<usize>, Vec<usize>) {
        let (mut bytes, mut ends) = (b"ab".to_vec(), Vec::new());
        for value in values {
            bytes.extend_from_slice(value.as_bytes());
            ends.push(bytes.len() as u32);
        }
        bytes.extend_from_slice(b"ab");
        let mut found = Vec::new();
        let has_escapes = values.iter().any(|v| v.contains('\\'));
        Texts { start: 2, ends: &ends, bytes: &bytes }.for_each_passing(test, class, has_escapes, |i| found.push(i));
        (found, (0..values.len()).filter(|i| test.passes(class, values[*i].as_bytes())).collect())
    }

    proptest! {
        #[test]
        fn those_pass_that_pass_alone(values in prop::collection::vec("[ab\\\\é]{0,5}", 0..30), needle in "[abA]{1,3}", literal: bool) {
            let text = TextMatcher::new(&needle).unwrap();
            let star = Matcher::wildcard(&[String::new(), needle.clone(), String::new()], false).unwrap();
            let folded = Matcher::wildcard(&["a".to_owned(), needle.clone()], true).unwrap();
            let class = if literal { Class::Literal } else { Class::String };
            for test in [ValueTest::Text(&text), ValueTest::Value(&star), ValueTest::Value(&folded)] {
                let (found, wanted) = passing(&values, test, class);
                prop_assert_eq!(found, wanted, "{:?}", test);
            }
        }
    }
}
