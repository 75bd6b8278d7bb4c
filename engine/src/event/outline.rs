//! [`Outline`]: what the text of a shape says: the path of everything in it, and the column of each leaf.
//!
//! Read once a shape, from the text alone, so that the same reading serves events that come in and shapes that come from disk.

use std::sync::Arc;

use super::path::{Path, Step};
use super::scan::{Class, LITERAL_MARK, STRING_MARK, WHOLE_MARK};
use super::unescape::unescape;

/// A column: the leaves at one path, strings and literals apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ColumnPath {
    /// The keys from the root, as a path without stars.
    pub(crate) path: Path,
    pub(crate) class: Class,
}

/// What a shape's text says: the column of each leaf, and every path at which there is anything.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) slots: Vec<Arc<ColumnPath>>,
    /// The path of every member, containers included, in the order of the text.
    pub(crate) members: Vec<Path>,
}

/// Reads the outline of a shape's text. The text was made by [`super::scan::scan`]; from a damaged one the outline is wrong but
/// never more than its text holds.
pub(crate) fn outline(text: &[u8]) -> Outline {
    let mut walk = Walk { text, at: 0, path: Path::default(), open: Vec::new(), outline: Outline::default() };
    walk.run();
    walk.outline
}

struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    /// The path of the value that comes next.
    path: Path,
    /// For every open container: the length of its own path.
    open: Vec<usize>,
    outline: Outline,
}

impl Walk<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.text.get(self.at).copied() {
            self.at += 1;
            match byte {
                WHOLE_MARK => self.leaf(Class::Whole),
                STRING_MARK => self.leaf(Class::String),
                LITERAL_MARK => self.leaf(Class::Literal),
                b'{' | b'[' => self.open.push(self.path.steps.len()),
                b'}' | b']' => {
                    let own = self.open.pop().unwrap_or(0);
                    self.path.steps.truncate(own);
                }
                // Only keys stand in quotes here: string values are marks.
                b'"' => self.key(),
                _ => {}
            }
        }
    }

    fn leaf(&mut self, class: Class) {
        self.outline.slots.push(Arc::new(ColumnPath { path: self.path.clone(), class }));
    }

    fn key(&mut self) {
        let start = self.at;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        let depth = self.open.last().copied().unwrap_or(0);
        self.path.steps.truncate(depth);
        self.path.steps.push(Step::Key(unescape(raw).into_owned()));
        self.outline.members.push(self.path.clone());
    }
}
