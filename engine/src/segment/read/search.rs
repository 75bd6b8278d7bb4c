//! Searching columns: first the dictionary, then the codes of the columns that are left, then the rows.
//!
//! A column whose dictionary has no passing term is never read. In a block whose chunks have no passing value the documents' shapes are
//! not even unfolded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::codec::checksum::hash64;
use crate::error::Result;
use crate::event::path::Path;
use crate::event::scan::Class;
use crate::limits::BLOCK_DOCUMENTS;
use crate::matcher::{Lookup, Matcher, TextMatcher};
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::{ColumnEntry, Layout};
use crate::segment::read::fetch::fetch_readable;
use crate::segment::read::gaps::pass_over;
use crate::segment::read::opened::Segment;
use crate::segment::read::opened_block::{OpenedBlock, Reuse};
use crate::segment::read::remembered::{ColumnTest, ColumnTests};
use crate::shred::select::{CodeSet, ValueTest, column_is_at};
use crate::shred::whole;

/// Which columns can pass, and how their values are tested.
struct Search<'a> {
    segment: &'a Segment,
    layout: &'a Layout,
    test: ValueTest<'a>,
    /// The columns that can pass.
    tests: Arc<ColumnTests>,
}

/// Of the candidates, those with a value at the path that passes.
pub(crate) fn at_path(
    segment: &Segment,
    path: &Path,
    matcher: &Matcher,
    candidates: &RoaringBitmap,
    budget: &Budget,
) -> Result<RoaringBitmap> {
    let beneath = matcher.lookup() == Lookup::All;
    let of = format!("{path:?} {}", matcher.identity());
    let search = Search::new(segment, ValueTest::Value(matcher), of, |entry| column_is_at(&entry.path, path, beneath))?;
    search.run(candidates, &|_| false, &|text| whole::holds_match(text, path, beneath, matcher), budget)
}

/// Of the candidates, those that hold the text.
pub(crate) fn with_text(segment: &Segment, text: &TextMatcher, candidates: &RoaringBitmap, budget: &Budget) -> Result<RoaringBitmap> {
    let of = format!("text {}", text.needle());
    let search = Search::new(segment, ValueTest::Text(text), of, |entry| entry.path.class != Class::Whole)?;
    let shape_passes = |shape: &[u8]| text.is_in(shape) || whole::shape_holds_decoded(shape, text);
    let mut found = search.run(candidates, &shape_passes, &|event| whole::holds_text(event, text), budget)?;
    if text.may_span_values() {
        spanning(segment, text, &(candidates - &found), &mut found, budget)?;
    }
    Ok(found)
}

/// Adds the documents whose text as a whole holds what no single value does.
fn spanning(segment: &Segment, text: &TextMatcher, rest: &RoaringBitmap, found: &mut RoaringBitmap, budget: &Budget) -> Result<()> {
    let documents: Vec<u32> = rest.iter().collect();
    let mut texts = Vec::new();
    for documents in documents.chunks(BLOCK_DOCUMENTS) {
        texts.clear();
        fetch_readable(segment, documents, budget, &mut texts)?;
        let holds = |event: &Option<Vec<u8>>| event.as_ref().is_some_and(|event| text.is_in(event));
        found.extend(documents.iter().zip(&texts).filter(|(_, event)| holds(event)).map(|(document, _)| *document));
    }
    Ok(())
}

impl<'a> Search<'a> {
    /// `of` tells this test from all others.
    fn new(segment: &'a Segment, test: ValueTest<'a>, of: String, is_wanted: impl Fn(&ColumnEntry) -> bool) -> Result<Search<'a>> {
        let (layout, cache, hash) = (segment.layout()?, &segment.caches().tests, hash64(of.as_bytes()));
        let find = |of: &str| {
            let (mut columns, mut known) = (Vec::new(), HashMap::new());
            for (column, entry) in (0u32..).zip(&layout.columns).filter(|(_, entry)| is_wanted(entry)) {
                // Several columns may refer to the terms of one dimension.
                let test = match known.entry((entry.encoding.to_byte(), entry.terms, entry.path.class, entry.has_escapes)) {
                    Entry::Occupied(found) => Option::clone(found.get()),
                    Entry::Vacant(slot) => slot.insert(column_test(segment, test, entry)?).clone(),
                };
                columns.extend(test.map(|test| (column, test)));
            }
            Ok(ColumnTests::new(of.to_owned(), columns, (segment.meta().documents as usize).div_ceil(BLOCK_DOCUMENTS)))
        };
        let held = cache.get_or(segment.id(), hash, || find(&of))?;
        let tests = if held.of == of { held } else { Arc::new(find(&of)?) };
        Ok(Search { segment, layout, test, tests })
    }

    /// The candidates with a passing value, or a passing shape, or that are whole and pass.
    fn run(
        &self,
        candidates: &RoaringBitmap,
        shape_passes: &dyn Fn(&[u8]) -> bool,
        whole_passes: &dyn Fn(&[u8]) -> bool,
        budget: &Budget,
    ) -> Result<RoaringBitmap> {
        let shapes: Vec<ShapeTest> = self.layout.shapes.iter().map(|shape| self.shape(shape, shape_passes)).collect();
        let mut run = Run { found: Vec::new(), wholes: Vec::new(), shapes, budget };
        if self.tests.columns.is_empty() && run.shapes.iter().all(ShapeTest::is_nothing) {
            return Ok(RoaringBitmap::new());
        }
        let directory = self.segment.block_directory()?;
        let reuse = if matches!(self.test, ValueTest::Text(_)) { Reuse::Unlikely } else { Reuse::Likely };
        for number in 0..directory.blocks() {
            let documents = directory.documents(number);
            if !self.tests.is_barren(number) && candidates.range_cardinality(documents) > 0 {
                budget.block()?;
                let found = run.found.len();
                let opened = OpenedBlock::open(self.segment, &directory, number, reuse);
                if let Err(error) = opened.and_then(|mut block| self.block(&mut block, candidates, &mut run)) {
                    run.found.truncate(found);
                    pass_over(self.segment, directory.documents(number), error, budget)?;
                }
            }
        }
        self.finish(run, whole_passes)
    }

    fn shape(&self, shape: &crate::segment::block::layout::ShapeEntry, passes: &dyn Fn(&[u8]) -> bool) -> ShapeTest {
        if *shape.text == [crate::event::scan::WHOLE_MARK] {
            return ShapeTest::Whole;
        }
        let tested = |column: &u32| self.tests.columns.binary_search_by_key(column, |(c, _)| *c).ok();
        let slots: Vec<usize> = shape.columns.iter().filter_map(tested).collect();
        let always = slots.iter().any(|slot| matches!(self.tests.columns.get(*slot), Some((_, ColumnTest::All))));
        if always || passes(&shape.text) { ShapeTest::Passes(slots) } else { ShapeTest::Slots(slots) }
    }

    fn block(&self, block: &mut OpenedBlock<'_>, candidates: &RoaringBitmap, run: &mut Run<'_>) -> Result<()> {
        let tested = self.tests.columns.iter().filter(|(_, test)| !matches!(test, ColumnTest::All));
        block.unfold(tested.map(|(column, _)| *column))?;
        let mut any = run.shapes.iter().any(ShapeTest::needs_rows);
        let mut passing: Vec<Vec<bool>> = Vec::with_capacity(self.tests.columns.len());
        for (column, test) in &self.tests.columns {
            let values = match test {
                ColumnTest::All => Vec::new(),
                test => block.chunk(*column)?.map(|chunk| self.values(*column, test, &chunk)).transpose()?.unwrap_or_default(),
            };
            any |= values.contains(&true);
            passing.push(values);
        }
        if any {
            self.rows(block, candidates, &passing, run)?;
        } else {
            self.tests.set_barren(block.number());
        }
        Ok(())
    }

    /// Which values of a chunk pass.
    fn values(&self, column: u32, test: &ColumnTest, chunk: &Chunk<'_>) -> Result<Vec<bool>> {
        let class = self.layout.column(column)?.path.class;
        if let ValueTest::Text(text) = self.test
            && !chunk.may_hold(text.needle())
        {
            return Ok(Vec::new());
        }
        let needle = match self.test {
            ValueTest::Text(text) => text.needle(),
            ValueTest::Value(matcher) => matcher.literal(),
        };
        if matches!(test, ColumnTest::Each) && chunk.only_texts_hold(needle) {
            return Ok(self.texts(chunk, class, self.layout.column(column)?.has_escapes));
        }
        let mut value = Vec::new();
        Ok(match test {
            ColumnTest::All => vec![true; chunk.len()],
            ColumnTest::Codes(codes) => passing_codes(chunk, codes),
            ColumnTest::Each => {
                let passes = |index: usize| {
                    value.clear();
                    chunk.value(index, &mut value);
                    self.test.passes(class, &value)
                };
                (0..chunk.len()).map(passes).collect()
            }
        })
    }

    /// Which values of a chunk pass of which only texts can.
    fn texts(&self, chunk: &Chunk<'_>, class: Class, has_escapes: bool) -> Vec<bool> {
        let mut passing = Vec::new();
        if let Some((texts, indexes)) = chunk.texts() {
            texts.for_each_passing(self.test, class, has_escapes, |index| {
                passing.resize(chunk.len(), false);
                let index = indexes.as_ref().map_or(Some(index), |indexes| indexes.get(index).map(|index| *index as usize));
                index.and_then(|index| passing.get_mut(index)).into_iter().for_each(|passes| *passes = true);
            });
        }
        passing
    }

    /// Walks the rows of a block; a document passes when one of its values does.
    fn rows(&self, block: &OpenedBlock<'_>, candidates: &RoaringBitmap, passing: &[Vec<bool>], run: &mut Run<'_>) -> Result<()> {
        let mut next = vec![0usize; passing.len()];
        for (document, shape) in block.documents().zip(block.shapes()?) {
            self.layout.shape(shape)?;
            let Some(test) = run.shapes.get(shape as usize) else { continue };
            let (mut passes, slots) = match test {
                ShapeTest::Passes(slots) => (true, slots.as_slice()),
                ShapeTest::Slots(slots) => (false, slots.as_slice()),
                ShapeTest::Whole => {
                    run.wholes.extend(Some(document).filter(|d| candidates.contains(*d)));
                    continue;
                }
            };
            for slot in slots {
                if let (Some(next), Some(values)) = (next.get_mut(*slot), passing.get(*slot)) {
                    passes |= values.get(*next).copied().unwrap_or(false);
                    *next += 1;
                }
            }
            if passes && candidates.contains(document) {
                run.found.push(document);
            }
        }
        Ok(())
    }

    /// Tests the events that are kept whole, and puts everything together.
    fn finish(&self, mut run: Run<'_>, whole_passes: &dyn Fn(&[u8]) -> bool) -> Result<RoaringBitmap> {
        let mut texts = Vec::new();
        for documents in run.wholes.chunks(BLOCK_DOCUMENTS) {
            texts.clear();
            fetch_readable(self.segment, documents, run.budget, &mut texts)?;
            let passes = |text: &Option<Vec<u8>>| text.as_ref().is_some_and(|text| whole_passes(text));
            run.found.extend(documents.iter().zip(&texts).filter(|(_, text)| passes(text)).map(|(document, _)| *document));
        }
        Ok(run.found.into_iter().collect())
    }
}

/// What the dictionary says about a column; `None` when no value of it passes.
fn column_test(segment: &Segment, test: ValueTest<'_>, entry: &ColumnEntry) -> Result<Option<ColumnTest>> {
    if !matches!(entry.encoding, Encoding::Constant | Encoding::Codes) {
        return Ok(Some(ColumnTest::Each));
    }
    let (class, range) = (entry.path.class, entry.terms.0..entry.terms.0.saturating_add(entry.terms.1));
    let dictionary = segment.dictionary()?;
    let mut codes = CodeSet::default();
    // Without escapes in the column a value is its own decoded text, so the dictionary's order can be used.
    let lookup = match test {
        ValueTest::Value(matcher) if !entry.has_escapes => Some(matcher.lookup()),
        _ => None,
    };
    let range = match lookup {
        Some(Lookup::All) if class == Class::String => return Ok(Some(ColumnTest::All)),
        Some(Lookup::Exact(value)) => match dictionary.find_in(range.clone(), value.as_bytes())? {
            Some(ordinal) => ordinal..ordinal.saturating_add(1),
            None => return Ok(None),
        },
        Some(Lookup::Prefix(prefix)) if !prefix.is_empty() => dictionary.prefix_in(range.clone(), prefix.as_bytes())?,
        _ => range.clone(),
    };
    dictionary.for_each_texts(range, |first, texts| {
        let first = first.saturating_sub(entry.terms.0);
        texts.for_each_passing(test, class, entry.has_escapes, |index| codes.insert(first + index as u32));
    })?;
    Ok(match codes.len() {
        0 => None,
        n if n == entry.terms.1 as usize => Some(ColumnTest::All),
        _ => Some(ColumnTest::Codes(codes)),
    })
}

/// Which values of a chunk have one of the codes; empty when none has, as in most blocks.
fn passing_codes(chunk: &Chunk<'_>, codes: &CodeSet) -> Vec<bool> {
    let Chunk::Codes(count, base, planes) = chunk else { return Vec::new() };
    let passes = |above: u64| u32::try_from(base.wrapping_add(above)).is_ok_and(|code| codes.contains(code));
    match planes.narrow() {
        Some((low, [])) => {
            let passes = |low: &u8| passes(u64::from(*low));
            if low.iter().any(passes) { low.iter().map(passes).collect() } else { Vec::new() }
        }
        Some((low, high)) => {
            let passes = |(low, high): (&u8, &u8)| passes(u64::from(*low) | u64::from(*high) << 8);
            if low.iter().zip(high).any(passes) { low.iter().zip(high).map(passes).collect() } else { Vec::new() }
        }
        None => (0..*count).map(|index| passes(planes.get(index))).collect(),
    }
}

/// How documents of one shape are tested. Slots name the tested columns in the order of the shape.
enum ShapeTest {
    Passes(Vec<usize>),
    Slots(Vec<usize>),
    Whole,
}

impl ShapeTest {
    /// Whether its documents must be visited even in a block without a passing value.
    fn needs_rows(&self) -> bool {
        !matches!(self, ShapeTest::Slots(_))
    }

    fn is_nothing(&self) -> bool {
        matches!(self, ShapeTest::Slots(slots) if slots.is_empty())
    }
}

struct Run<'a> {
    found: Vec<u32>,
    wholes: Vec<u32>,
    shapes: Vec<ShapeTest>,
    budget: &'a Budget,
}
