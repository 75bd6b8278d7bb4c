//! Counting the values at a path.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::chunk::Chunk;
use super::fetch::fetch_texts;
use super::layout::Layout;
use super::opened::Segment;
use super::opened_block::OpenedBlock;
use crate::budget::Budget;
use crate::error::Result;
use crate::event::path::Path;
use crate::event::scan::{Class, WHOLE_MARK};
use crate::event::unescape::unescape;
use crate::event::whole;
use crate::index::ValueVisitor;
use crate::shred::select::column_is_at;

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
                let mut block = OpenedBlock::open(segment, &directory, number)?;
                block.unfold(columns.iter().copied()).map_err(|e| segment.locate(e))?;
                counts.block(&block, &columns, &shapes, candidates).map_err(|e| segment.locate(e))?;
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
                        seen.push(read_value(*column, chunk.as_ref(), index));
                    }
                }
            }
            seen.sort_unstable();
            seen.dedup();
            seen.drain(..).try_for_each(|value| self.add(value))?;
        }
        self.wholes(&wholes)
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
        fetch_texts(self.segment, documents, self.budget, &mut texts)?;
        for text in &texts {
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

fn read_value(column: u32, chunk: Option<&Chunk<'_>>, index: usize) -> Value {
    let Some(chunk) = chunk else {
        return Value::Code(column, 0);
    };
    match chunk.code(index) {
        Some(code) => Value::Code(column, code),
        None => {
            let mut raw = Vec::new();
            chunk.value(index, &mut raw);
            Value::Text(unescape(&raw).into_owned().into_bytes())
        }
    }
}
