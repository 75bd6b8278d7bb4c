//! Fetching: documents back to the events they were.
//!
//! The documents asked for are visited block by block. In a block only the units are unfolded that hold columns of the documents' own
//! shapes. The place of a value in its chunk is the number of values that the documents before have in the same column, which follows
//! from their shapes.

use std::ops::Range;

use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::event::shape::assemble;
use crate::limits::BLOCK_DOCUMENTS;
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::Layout;
use crate::segment::dictionary::reader::TermCursor;
use crate::segment::read::gaps::pass_over;
use crate::segment::read::opened::Segment;
use crate::segment::read::opened_block::{OpenedBlock, Reuse};

/// Appends the texts of documents to `texts`, in the order given.
pub(crate) fn fetch_texts(segment: &Segment, documents: &[u32], budget: &Budget, texts: &mut Vec<Vec<u8>>) -> Result<()> {
    let mut found = Vec::with_capacity(documents.len());
    fetch_blocks(segment, documents, budget, &mut found, &mut |_, error| Err(error))?;
    texts.extend(found.into_iter().map(Option::unwrap_or_default));
    Ok(())
}

/// Appends the texts of documents to `texts`, in the order given: `None` for those of damaged blocks, which are noted in the budget.
pub(crate) fn fetch_readable(segment: &Segment, documents: &[u32], budget: &Budget, texts: &mut Vec<Option<Vec<u8>>>) -> Result<()> {
    fetch_blocks(segment, documents, budget, texts, &mut |documents, error| pass_over(segment, documents, error, budget))
}

/// The same, where a block that the system does not let be read is passed over too: `refused` gets the error.
pub(crate) fn fetch_given(
    segment: &Segment,
    documents: &[u32],
    budget: &Budget,
    texts: &mut Vec<Option<Vec<u8>>>,
    refused: &mut Option<Error>,
) -> Result<()> {
    fetch_blocks(segment, documents, budget, texts, &mut |documents, error| match error.kind() {
        ErrorKind::Io => {
            refused.get_or_insert(error);
            Ok(())
        }
        _ => pass_over(segment, documents, error, budget),
    })
}

/// What is done about a block that cannot be read: its documents, and why.
type OnDamage<'a> = dyn FnMut(Range<u32>, Error) -> Result<()> + 'a;

fn fetch_blocks(
    segment: &Segment,
    documents: &[u32],
    budget: &Budget,
    texts: &mut Vec<Option<Vec<u8>>>,
    on_damage: &mut OnDamage<'_>,
) -> Result<()> {
    let first = texts.len();
    texts.resize_with(first + documents.len(), || None);
    let mut wanted: Vec<(u32, usize)> = documents.iter().copied().zip(first..).collect();
    wanted.sort_unstable();
    let directory = segment.block_directory()?;
    let block_of = |document: u32| document as usize / BLOCK_DOCUMENTS;
    let mut room = Room { budget, bytes: 0 };
    for wanted in wanted.chunk_by(|a, b| block_of(a.0) == block_of(b.0)) {
        budget.block()?;
        let Some((document, _)) = wanted.first() else { continue };
        let number = block_of(*document);
        let opened = OpenedBlock::open(segment, &directory, number, Reuse::Likely);
        if let Err(error) = opened.and_then(|mut block| fetch_block(segment, &mut block, wanted, texts, &mut room)) {
            // Half a block is not handed out.
            wanted.iter().filter_map(|(_, at)| texts.get_mut(*at).map(Option::take)).for_each(drop);
            on_damage(directory.documents(number), segment.locate(error))?;
        }
    }
    Ok(())
}

/// What one call has assembled: its caller is charged for it, and it must not hold more than there is room for.
struct Room<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Room<'_> {
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.budget.has_memory(self.bytes)
    }
}

fn fetch_block(
    segment: &Segment,
    block: &mut OpenedBlock<'_>,
    wanted: &[(u32, usize)],
    texts: &mut [Option<Vec<u8>>],
    room: &mut Room<'_>,
) -> Result<()> {
    let layout = segment.layout()?;
    let start = block.documents().start;
    let shapes = block.shapes()?;
    let shape_of = |document: u32| {
        let shape = shapes.get((document - start) as usize).copied();
        shape.ok_or_else(|| Error::corrupt("no such document in the block").expected(format_args!("{:?}", block.documents()), document))
    };
    let wanted: Vec<(u32, u32, usize)> = wanted.iter().map(|(d, at)| Ok((*d, shape_of(*d)?, *at))).collect::<Result<_>>()?;
    let mut columns = Vec::new();
    for (_, shape, _) in &wanted {
        columns.extend_from_slice(&layout.shape(*shape)?.columns);
    }
    columns.sort_unstable();
    columns.dedup();
    block.unfold(columns.iter().copied())?;
    let mut chunks: Vec<Option<Chunk<'_>>> = Vec::new();
    chunks.resize_with(layout.columns.len(), || None);
    for column in &columns {
        if let Some(slot) = chunks.get_mut(*column as usize) {
            *slot = block.chunk(*column)?;
        }
    }
    let mut rows = Rows {
        layout,
        terms: segment.dictionary()?.cursor(),
        chunks,
        next: vec![0; layout.columns.len()],
        values: Vec::new(),
        ends: Vec::new(),
    };
    let (mut next, mut text) = (start, Vec::new());
    for (document, shape, at) in wanted {
        // A document that is asked for twice is still at hand.
        if document >= next {
            rows.pass(shapes.get((next - start) as usize..(document - start) as usize).unwrap_or_default())?;
            text.clear();
            rows.assemble(shape, &mut text)?;
            next = document + 1;
        }
        room.take(text.len())?;
        if let Some(slot) = texts.get_mut(at) {
            *slot = Some(text.clone());
        }
    }
    Ok(())
}

/// The rows of a block, walked forwards.
struct Rows<'a> {
    layout: &'a Layout,
    terms: TermCursor<'a>,
    chunks: Vec<Option<Chunk<'a>>>,
    /// For each column the place of the next value.
    next: Vec<u32>,
    values: Vec<u8>,
    ends: Vec<usize>,
}

impl Rows<'_> {
    /// Walks past documents of these shapes.
    fn pass(&mut self, shapes: &[u32]) -> Result<()> {
        let mut counts = vec![0u32; self.layout.shapes.len()];
        for shape in shapes {
            match counts.get_mut(*shape as usize) {
                Some(count) => *count += 1,
                None => return self.layout.shape(*shape).map(|_| ()),
            }
        }
        for (shape, count) in self.layout.shapes.iter().zip(counts).filter(|(_, count)| *count > 0) {
            for column in &shape.columns {
                if let Some(next) = self.next.get_mut(*column as usize) {
                    *next += count;
                }
            }
        }
        Ok(())
    }

    /// Appends the text of the document that comes next, and walks past it.
    fn assemble(&mut self, shape: u32, text: &mut Vec<u8>) -> Result<()> {
        let shape = self.layout.shape(shape)?;
        self.values.clear();
        self.ends.clear();
        for column in &shape.columns {
            let index = self.next.get_mut(*column as usize).map_or(0, |next| {
                *next += 1;
                *next as usize - 1
            });
            self.value(*column, index)?;
            self.ends.push(self.values.len());
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let leaves = starts.zip(&self.ends).map(|(start, end)| self.values.get(start..*end).unwrap_or_default());
        assemble(&shape.text, leaves, text);
        Ok(())
    }

    /// Appends one value to `values`.
    fn value(&mut self, column: u32, index: usize) -> Result<()> {
        let entry = self.layout.column(column)?;
        let values = &mut self.values;
        if entry.encoding == Encoding::Constant {
            return self.terms.with_of(column as usize, entry.terms.0, |term| values.extend_from_slice(term));
        }
        let missing = || Error::corrupt("a column has too few values").in_component(format!("column {column}"));
        let chunk = self.chunks.get(column as usize).and_then(Option::as_ref).filter(|chunk| index < chunk.len()).ok_or_else(missing)?;
        match chunk.code(index) {
            Some(code) if code < entry.terms.1 => {
                self.terms.with_of(column as usize, entry.terms.0.saturating_add(code), |term| values.extend_from_slice(term))
            }
            Some(code) => Err(Error::corrupt("a code is not in the dictionary").expected(format_args!("below {}", entry.terms.1), code)),
            None => {
                chunk.value(index, values);
                Ok(())
            }
        }
    }
}
