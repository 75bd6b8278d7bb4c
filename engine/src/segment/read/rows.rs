//! [`Rows`]: the documents of a block, put together again one after the other.
//!
//! The place of a value in its chunk is the number of values that the documents before have in the same column, which follows from their
//! shapes.

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::event::shape::assemble;
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::Layout;
use crate::segment::dictionary::reader::TermCursor;
use crate::segment::read::opened::Segment;

/// What one call has put together: its caller is charged for it, and it must not hold more than there is room for.
pub(crate) struct Room<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Room<'_> {
    /// As much room as the budget has left.
    pub(crate) fn within(budget: &Budget) -> Room<'_> {
        Room { budget, bytes: 0 }
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.budget.has_memory(self.bytes)
    }
}

/// Where the values of a block come from.
pub(crate) trait Values {
    /// What is put together next: a document of this shape, whose first value in each column is at this place.
    fn begin(&mut self, shape: u32, next: &[u32]);

    /// The code of a value, or `None` where there are no codes: then it was appended to `out`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`], also when there is no such value.
    fn value(&mut self, column: u32, index: usize, out: &mut Vec<u8>) -> Result<Option<u32>>;
}

/// Chunks that were read, for each column of the layout.
pub(crate) struct Chunks<'a>(pub(crate) Vec<Option<Chunk<'a>>>);

impl Values for Chunks<'_> {
    fn begin(&mut self, _: u32, _: &[u32]) {}

    fn value(&mut self, column: u32, index: usize, out: &mut Vec<u8>) -> Result<Option<u32>> {
        let missing = || Error::corrupt("a column has too few values").in_component(format!("column {column}"));
        let chunk = self.0.get(column as usize).and_then(Option::as_ref).filter(|chunk| index < chunk.len()).ok_or_else(missing)?;
        let code = chunk.code(index);
        if code.is_none() {
            chunk.value(index, out);
        }
        Ok(code)
    }
}

/// The rows of a block, walked forwards.
pub(crate) struct Rows<'a, V> {
    layout: &'a Layout,
    shapes: &'a [u32],
    terms: TermCursor<'a>,
    source: V,
    /// The document that comes next, counted in the block.
    row: usize,
    /// For each column the place of the next value.
    next: Vec<u32>,
    values: Vec<u8>,
    ends: Vec<usize>,
}

impl<'a, V: Values> Rows<'a, V> {
    /// The documents of these shapes, whose values are in `source`.
    pub(crate) fn new(segment: &'a Segment, shapes: &'a [u32], source: V) -> Result<Rows<'a, V>> {
        let (layout, terms) = (segment.layout()?, segment.dictionary()?.cursor());
        let next = vec![0; layout.columns.len()];
        Ok(Rows { layout, shapes, terms, source, row: 0, next, values: Vec::new(), ends: Vec::new() })
    }

    /// Puts together the documents of a block that are wanted: (place in the block, place in `texts`), ascending.
    pub(crate) fn put(
        &mut self,
        wanted: impl Iterator<Item = (usize, usize)>,
        texts: &mut [Option<Vec<u8>>],
        room: &mut Room<'_>,
    ) -> Result<()> {
        let mut text = Vec::new();
        for (row, at) in wanted {
            // A document that is asked for twice is still at hand.
            if row >= self.row {
                self.pass(row)?;
                text.clear();
                self.assemble(&mut text)?;
            }
            room.take(text.len())?;
            if let Some(slot) = texts.get_mut(at) {
                *slot = Some(text.clone());
            }
        }
        Ok(())
    }

    /// Walks up to a document.
    fn pass(&mut self, row: usize) -> Result<()> {
        let mut counts = vec![0u32; self.layout.shapes.len()];
        for shape in self.shapes.get(self.row..row).unwrap_or_default() {
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
        self.row = row;
        Ok(())
    }

    /// Appends the text of the document that comes next, and walks past it.
    fn assemble(&mut self, text: &mut Vec<u8>) -> Result<()> {
        let number = *self.shapes.get(self.row).ok_or_else(|| Error::corrupt("no such document in the block"))?;
        let shape = self.layout.shape(number)?;
        self.source.begin(number, &self.next);
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
        self.row += 1;
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let leaves = starts.zip(&self.ends).map(|(start, end)| self.values.get(start..*end).unwrap_or_default());
        assemble(&shape.text, leaves, text);
        Ok(())
    }

    /// Appends one value to `values`.
    fn value(&mut self, column: u32, index: usize) -> Result<()> {
        let entry = self.layout.column(column)?;
        let code = if entry.encoding == Encoding::Constant { Some(0) } else { self.source.value(column, index, &mut self.values)? };
        let values = &mut self.values;
        match code {
            Some(code) if entry.encoding == Encoding::Constant || code < entry.terms.1 => {
                self.terms.with_of(column as usize, entry.terms.0.saturating_add(code), |term| values.extend_from_slice(term))
            }
            Some(code) => Err(Error::corrupt("a code is not in the dictionary").expected(format_args!("below {}", entry.terms.1), code)),
            None => Ok(()),
        }
    }
}
