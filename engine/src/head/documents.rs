//! Documents of a head by the values in their rows.

use roaring::RoaringBitmap;

use super::state::{Head, State};
use crate::budget::Budget;
use crate::error::Result;
use crate::event::outline::ColumnPath;
use crate::event::path::Path;
use crate::event::scan::Class;
use crate::event::unescape::unescape;
use crate::matcher::{Lookup, Matcher, TextMatcher};
use crate::shred::select::{CodeSet, ValueTest, column_is_at};
use crate::shred::whole;

/// Which codes of each column pass a test; `None` for columns without any.
pub(super) type Passing = Vec<Option<CodeSet>>;

/// How many values, and how many documents, are looked at before the writer gets a turn: some hundred microseconds.
const VALUES_AT_ONCE: usize = 8_192;
const DOCUMENTS_AT_ONCE: usize = 4_096;

/// The codes whose values at the path pass.
pub(super) fn passing_at_path(head: &Head, path: &Path, matcher: &Matcher, budget: &Budget) -> Result<Passing> {
    let beneath = matcher.lookup() == Lookup::All;
    let wanted = |column_path: &ColumnPath| column_is_at(column_path, path, beneath);
    // Where every value is its own decoded text and has one code, a look-up answers at once.
    let known = |state: &State, column: u32| match matcher.lookup() {
        Lookup::Exact(value) if !state.shreds.columns.needs_scan(column) => {
            Some(state.shreds.columns.find(column, value.as_bytes()).into_iter().collect())
        }
        _ => None,
    };
    passing(head, wanted, known, ValueTest::Value(matcher), budget)
}

/// The codes whose values hold the text.
pub(super) fn passing_text(head: &Head, text: &TextMatcher, budget: &Budget) -> Result<Passing> {
    passing(head, |path| path.class != Class::Whole, |_, _| None, ValueTest::Text(text), budget)
}

/// Tests the values of the wanted columns, some at a time. Columns and values that come meanwhile are those of later documents.
fn passing(
    head: &Head,
    wanted: impl Fn(&ColumnPath) -> bool,
    known: impl Fn(&State, u32) -> Option<CodeSet>,
    test: ValueTest<'_>,
    budget: &Budget,
) -> Result<Passing> {
    let paths = head.read().shreds.paths().to_vec();
    let mut passing = Vec::with_capacity(paths.len());
    for (path, column) in paths.iter().zip(0u32..) {
        let mut codes = CodeSet::default();
        let mut next = if wanted(path) { 0 } else { usize::MAX };
        while next != usize::MAX {
            budget.check()?;
            let state = head.read();
            if let Some(found) = known(&state, column) {
                codes = found;
                break;
            }
            let values = state.shreds.columns.values_from(column, next).take(VALUES_AT_ONCE);
            let mut looked_at = 0;
            for (value, code) in values.zip(next as u32..) {
                looked_at += 1;
                if test.passes(path.class, value) {
                    codes.insert(code);
                }
            }
            next = if looked_at < VALUES_AT_ONCE { usize::MAX } else { next + VALUES_AT_ONCE };
        }
        passing.push(Some(codes).filter(|codes| !codes.is_empty()));
    }
    Ok(passing)
}

/// Calls `find` with some of the candidates at a time, and unites what it gives.
pub(super) fn by_turns(
    head: &Head,
    candidates: &RoaringBitmap,
    budget: &Budget,
    find: impl Fn(&State, &RoaringBitmap) -> RoaringBitmap,
) -> Result<RoaringBitmap> {
    let mut found = RoaringBitmap::new();
    let mut rest = candidates.iter().peekable();
    while rest.peek().is_some() {
        budget.check()?;
        let some = RoaringBitmap::from_sorted_iter(rest.by_ref().take(DOCUMENTS_AT_ONCE)).unwrap_or_default();
        found |= find(&head.read(), &some);
    }
    Ok(found)
}

impl State {
    /// Of the candidates, those with a value at the path that passes.
    pub(super) fn at_path(&self, path: &Path, matcher: &Matcher, passing: &Passing, candidates: &RoaringBitmap) -> RoaringBitmap {
        let beneath = matcher.lookup() == Lookup::All;
        self.rows_with(passing, candidates, &|_| false, &|text| whole::holds_match(text, path, beneath, matcher))
    }

    /// Of the candidates, those that hold the text.
    pub(super) fn with_text(&self, text: &TextMatcher, passing: &Passing, candidates: &RoaringBitmap) -> RoaringBitmap {
        let shape_holds = |shape: &[u8]| text.is_in(shape) || whole::shape_holds_decoded(shape, text);
        let mut found = self.rows_with(passing, candidates, &shape_holds, &|event| whole::holds_text(event, text));
        if text.may_span_values() {
            let mut event = Vec::new();
            for document in candidates - &found {
                event.clear();
                self.shreds.text(document, &mut event);
                if text.is_in(&event) {
                    found.insert(document);
                }
            }
        }
        found
    }

    /// Calls `visit` with each distinct value at the path and the number of candidates that have it.
    pub(super) fn count_values(
        &self,
        path: &Path,
        candidates: &RoaringBitmap,
        visit: &mut dyn FnMut(&str, u64) -> Result<()>,
    ) -> Result<()> {
        let wanted: Vec<bool> = self.shreds.paths().iter().map(|p| column_is_at(p, path, false)).collect();
        let mut counts = std::collections::HashMap::<(u32, u32), u64, foldhash::fast::FixedState>::default();
        let mut seen = Vec::new();
        let mut whole_values = Vec::new();
        for document in candidates {
            let (shape, codes) = self.shreds.row(document);
            let Some(row) = self.shreds.shapes().get(shape as usize) else { continue };
            if row.shape.is_whole() {
                self.whole_values(document, path, &mut whole_values);
                continue;
            }
            seen.clear();
            seen.extend(row.columns.iter().zip(codes).filter(|(c, _)| wanted.get(**c as usize) == Some(&true)).map(|(c, v)| (*c, *v)));
            seen.sort_unstable();
            seen.dedup();
            if seen.len() > 1 {
                // One document counts once for a value, even when it holds it as a string and as a number, or written in two ways.
                let mut texts = std::collections::HashSet::new();
                seen.retain(|(column, code)| {
                    let (value, is_string) = self.decoded(*column, *code);
                    (is_string || value != "null") && texts.insert(value)
                });
            }
            for value in &seen {
                *counts.entry(*value).or_default() += 1;
            }
        }
        for ((column, code), count) in counts {
            let (value, is_string) = self.decoded(column, code);
            if is_string || value != "null" {
                visit(&value, count)?;
            }
        }
        whole_values.iter().try_for_each(|value: &String| visit(value, 1))
    }

    /// The text of a value, and whether it is a string.
    fn decoded(&self, column: u32, code: u32) -> (std::borrow::Cow<'_, str>, bool) {
        let raw = self.shreds.columns.value(column, code);
        let is_string = self.shreds.paths().get(column as usize).is_some_and(|p| p.class == Class::String);
        (if is_string { unescape(raw) } else { String::from_utf8_lossy(raw) }, is_string)
    }

    fn whole_values(&self, document: u32, path: &Path, values: &mut Vec<String>) {
        let mut text = Vec::new();
        self.shreds.text(document, &mut text);
        let first = values.len();
        whole::for_each_value(&text, path, false, &mut |value| match value {
            whole::Value::Literal("null") => {}
            whole::Value::Text(value) | whole::Value::Literal(value) => {
                if !values.iter().skip(first).any(|v| v == value) {
                    values.push(value.to_owned());
                }
            }
        });
    }

    /// The candidates with a row that has a passing code, or a passing shape, or that are whole and pass.
    fn rows_with(
        &self,
        passing: &Passing,
        candidates: &RoaringBitmap,
        shape_passes: &dyn Fn(&[u8]) -> bool,
        whole_passes: &dyn Fn(&[u8]) -> bool,
    ) -> RoaringBitmap {
        let shapes: Vec<ShapeTest<'_>> = self
            .shreds
            .shapes()
            .iter()
            .map(|row| match () {
                () if row.shape.is_whole() => ShapeTest::Whole,
                () if shape_passes(&row.shape.text) => ShapeTest::Passes,
                () => ShapeTest::Slots(slots_that_can_pass(&row.columns, passing)),
            })
            .collect();
        let mut text = Vec::new();
        let passes = |document: &u32| -> bool {
            let (shape, codes) = self.shreds.row(*document);
            match shapes.get(shape as usize) {
                Some(ShapeTest::Passes) => true,
                Some(ShapeTest::Slots(slots)) => slots.iter().any(|(slot, set)| codes.get(*slot).is_some_and(|code| set.contains(*code))),
                Some(ShapeTest::Whole) => {
                    text.clear();
                    self.shreds.text(*document, &mut text);
                    whole_passes(&text)
                }
                None => false,
            }
        };
        RoaringBitmap::from_sorted_iter(candidates.iter().filter(passes)).unwrap_or_default()
    }
}

enum ShapeTest<'a> {
    Passes,
    Whole,
    Slots(Vec<(usize, &'a CodeSet)>),
}

fn slots_that_can_pass<'a>(columns: &[u32], passing: &'a Passing) -> Vec<(usize, &'a CodeSet)> {
    columns.iter().enumerate().filter_map(|(slot, column)| Some((slot, passing.get(*column as usize)?.as_ref()?))).collect()
}
