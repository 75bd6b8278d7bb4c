//! Counting the values at a path.

use std::collections::{HashMap, HashSet};

use roaring::RoaringBitmap;

use crate::budget::Budget;
use crate::error::Result;
use crate::event::path::Path;
use crate::event::scan::{Class, WHOLE_MARK};
use crate::event::unescape::unescape;
use crate::index::ValueVisitor;
use crate::segment::block::chunk::Chunk;
use crate::segment::block::layout::Layout;
use crate::segment::read::fetch::fetch_readable;
use crate::segment::read::gaps::pass_over;
use crate::segment::read::opened::Segment;
use crate::segment::read::opened_block::{OpenedBlock, Reuse};
use crate::shred::select::column_is_at;
use crate::shred::whole;

type Map<K> = HashMap<K, u64, foldhash::fast::FixedState>;

/// The counts so far. Coded values are counted by column and code, others by their text.
struct Counts<'a> {
    segment: &'a Segment,
    layout: &'a Layout,
    path: &'a Path,
    budget: &'a Budget,
    coded: Map<(u32, u32)>,
    texts: Map<Vec<u8>>,
}

/// Calls `visit` with each distinct value at the path and the number of candidates that have it.
pub(crate) fn count(
    segment: &Segment,
    path: &Path,
    candidates: &RoaringBitmap,
    budget: &Budget,
    visit: &mut ValueVisitor<'_>,
) -> Result<()> {
    let layout = segment.layout()?;
    let mut counts = Counts { segment, layout, path, budget, coded: Map::default(), texts: Map::default() };
    let columns: Vec<u32> = (0u32..).zip(&layout.columns).filter(|(_, c)| column_is_at(&c.path, path, false)).map(|(c, _)| c).collect();
    let wanted = |columns_of: &[u32]| -> Vec<u32> { columns_of.iter().copied().filter(|c| columns.contains(c)).collect() };
    let shapes: Vec<(bool, Vec<u32>)> = layout.shapes.iter().map(|s| (*s.text == [WHOLE_MARK], wanted(&s.columns))).collect();
    if shapes.iter().any(|(whole, slots)| *whole || !slots.is_empty()) {
        let directory = segment.block_directory()?;
        for number in 0..directory.blocks() {
            if candidates.range_cardinality(directory.documents(number)) > 0 {
                budget.block()?;
                let counted = OpenedBlock::open(segment, &directory, number, Reuse::Likely).and_then(|mut block| {
                    block.unfold(columns.iter().copied())?;
                    counts.block(&block, &columns, &shapes, candidates)
                });
                if let Err(error) = counted {
                    pass_over(segment, directory.documents(number), error, budget)?;
                }
            }
        }
    }
    counts.finish(visit)
}

impl Counts<'_> {
    fn block(&mut self, block: &OpenedBlock<'_>, columns: &[u32], shapes: &[(bool, Vec<u32>)], candidates: &RoaringBitmap) -> Result<()> {
        let mut chunks: HashMap<u32, (Option<Chunk<'_>>, usize)> = HashMap::new();
        for column in columns {
            chunks.insert(*column, (block.chunk(*column)?, 0));
        }
        let (mut seen, mut wholes) = (Vec::new(), Vec::new());
        for (document, shape) in block.documents().zip(block.shapes()?) {
            self.layout.shape(shape)?;
            let Some((whole, slots)) = shapes.get(shape as usize) else { continue };
            let is_candidate = candidates.contains(document);
            if *whole && is_candidate {
                wholes.push(document);
            }
            seen.clear();
            for column in slots {
                if let Some((chunk, next)) = chunks.get_mut(column) {
                    let index = *next;
                    *next += 1;
                    if is_candidate {
                        seen.extend(read_value(*column, self.is_string(*column)?, chunk.as_ref(), index));
                    }
                }
            }
            seen.sort_unstable();
            seen.dedup();
            if seen.len() > 1 {
                self.drop_equals(&mut seen)?;
            }
            seen.drain(..).try_for_each(|value| self.add(value))?;
        }
        self.wholes(&wholes)
    }

    fn is_string(&self, column: u32) -> Result<bool> {
        Ok(self.layout.column(column)?.path.class == Class::String)
    }

    /// One document counts once for a value, even when it holds it as a string and as a number, or written in two ways.
    fn drop_equals(&self, seen: &mut Vec<Value>) -> Result<()> {
        let mut terms = self.segment.dictionary()?.cursor();
        let mut texts = HashSet::new();
        let mut kept = Vec::with_capacity(seen.len());
        for value in seen.drain(..) {
            let text = match &value {
                Value::Text(text) => text.clone(),
                Value::Code(column, code) => {
                    let is_string = self.is_string(*column)?;
                    let decode = |raw: &[u8]| if is_string { unescape(raw).into_owned().into_bytes() } else { raw.to_vec() };
                    let text = terms.with(self.layout.column(*column)?.terms.0.saturating_add(*code), decode)?;
                    if !is_string && text == b"null" {
                        continue;
                    }
                    text
                }
            };
            if texts.insert(text) {
                kept.push(value);
            }
        }
        *seen = kept;
        Ok(())
    }

    fn add(&mut self, value: Value) -> Result<()> {
        match value {
            Value::Code(column, code) => *self.coded.entry((column, code)).or_default() += 1,
            Value::Text(text) => self.add_text(text)?,
        }
        Ok(())
    }

    fn add_text(&mut self, text: Vec<u8>) -> Result<()> {
        if let Some(count) = self.texts.get_mut(&text) {
            *count += 1;
            return Ok(());
        }
        self.budget.take_memory(text.len() as u64 + 48)?;
        self.texts.insert(text, 1);
        Ok(())
    }

    /// Counts the values of events that are kept whole.
    fn wholes(&mut self, documents: &[u32]) -> Result<()> {
        let mut texts = Vec::new();
        fetch_readable(self.segment, documents, self.budget, &mut texts)?;
        for text in texts.iter().flatten() {
            let mut values: Vec<Vec<u8>> = Vec::new();
            whole::for_each_value(text, self.path, false, &mut |value| match value {
                whole::Value::Literal("null") => {}
                whole::Value::Text(value) | whole::Value::Literal(value) => values.push(value.as_bytes().to_vec()),
            });
            values.sort_unstable();
            values.dedup();
            values.into_iter().try_for_each(|value| self.add_text(value))?;
        }
        Ok(())
    }

    fn finish(self, visit: &mut ValueVisitor<'_>) -> Result<()> {
        let mut terms = self.segment.dictionary()?.cursor();
        let mut coded: Vec<((u32, u32), u64)> = self.coded.into_iter().collect();
        coded.sort_unstable();
        for ((column, code), count) in coded {
            let entry = self.layout.column(column)?;
            let is_string = entry.path.class == Class::String;
            let decode = |raw: &[u8]| if is_string { unescape(raw).into_owned() } else { String::from_utf8_lossy(raw).into_owned() };
            let value = terms.with(entry.terms.0.saturating_add(code), decode)?;
            if is_string || value != "null" {
                visit(&value, count)?;
            }
        }
        self.texts.iter().try_for_each(|(text, count)| visit(&String::from_utf8_lossy(text), *count))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Code(u32, u32),
    /// Decoded.
    Text(Vec<u8>),
}

/// A value; nothing for a `null` that is no code, which [`Counts::finish`] passes over.
fn read_value(column: u32, is_string: bool, chunk: Option<&Chunk<'_>>, index: usize) -> Option<Value> {
    let Some(chunk) = chunk else {
        return Some(Value::Code(column, 0));
    };
    if let Some(code) = chunk.code(index) {
        return Some(Value::Code(column, code));
    }
    let mut raw = Vec::new();
    chunk.value(index, &mut raw);
    match is_string {
        true => Some(Value::Text(unescape(&raw).into_owned().into_bytes())),
        false => (raw != b"null").then_some(Value::Text(raw)),
    }
}
