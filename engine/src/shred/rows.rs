//! [`Shreds`]: rows of codes, one for each event.

use std::collections::HashMap;
use std::sync::Arc;

use super::columns::{Code, Columns};
use crate::error::{Error, ErrorKind, Result};
use crate::event::batch::{Batch, Prepared};
use crate::event::outline::ColumnPath;
use crate::event::shape::{Shape, assemble};
use crate::event::values::value_hash;
use crate::limits::{COLUMNS_MAX, SHAPE_BYTES_MAX, SHAPES_MAX};

/// Events as shapes and columns. Append-only: document numbers, shape numbers, column numbers and codes never change.
#[derive(Debug, Default)]
pub(crate) struct Shreds {
    pub(crate) columns: Columns,
    paths: Vec<Arc<ColumnPath>>,
    column_of: HashMap<Arc<ColumnPath>, u32, foldhash::fast::FixedState>,
    shapes: Vec<ShapeRow>,
    shape_of: HashMap<u64, u32, foldhash::fast::FixedState>,
    shape_bytes: usize,
    /// For every document its shape, and where its codes end.
    documents: Vec<(u32, u32)>,
    codes: Vec<Code>,
    /// The text of events that are kept whole: a segment holds each of them in full, however often one recurs.
    whole_bytes: usize,
}

/// In [`KnownHere`]: not met yet.
const UNKNOWN: u32 = u32::MAX;

/// For the shapes and values of a batch the numbers that they have in some [`Shreds`], once they were looked up.
#[derive(Debug, Default)]
pub(crate) struct KnownHere {
    shapes: Vec<u32>,
    /// For each column of the batch the one here.
    columns: Vec<u32>,
    values: Vec<Code>,
    /// How many of the values are at hand, in the order in which the batch has them.
    touched: usize,
}

/// So many values are brought to hand at once: more than a processor can wait for at a time, and few enough to stay there until they are needed.
const AHEAD: usize = 64;

impl KnownHere {
    /// Begins with a batch.
    pub(crate) fn reset(&mut self, batch: &Batch) {
        self.shapes.clear();
        self.shapes.resize(batch.values.shapes.len(), UNKNOWN);
        self.values.clear();
        self.values.resize(batch.values.values.len(), UNKNOWN);
        self.columns.clear();
        self.columns.resize(batch.values.columns(), UNKNOWN);
        self.touched = 0;
    }
}

/// A shape with the column of each of its leaves.
#[derive(Debug)]
pub(crate) struct ShapeRow {
    pub(crate) shape: Arc<Shape>,
    pub(crate) columns: Box<[u32]>,
}

impl Shreds {
    /// How many events there are.
    pub(crate) fn len(&self) -> u32 {
        // Appending stops long before: codes are indexed by 32 bits.
        self.documents.len() as u32
    }

    /// Reserves room for about as many events as take `bytes` of memory, of which values are a third and codes a quarter.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.columns.reserve(bytes / 3, bytes / 448);
        self.codes.reserve(bytes / 16);
        self.documents.reserve(bytes / 512);
    }

    /// Forgets everything and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        self.paths.clear();
        self.column_of.clear();
        self.shapes.clear();
        self.shape_of.clear();
        self.shape_bytes = 0;
        self.documents.clear();
        self.codes.clear();
        self.whole_bytes = 0;
    }

    pub(crate) fn shapes(&self) -> &[ShapeRow] {
        &self.shapes
    }

    /// The path and class of every column.
    pub(crate) fn paths(&self) -> &[Arc<ColumnPath>] {
        &self.paths
    }

    /// Meets the shapes of events that are to be appended, so that it is known where all their values belong.
    pub(crate) fn meet<'a>(&mut self, batch: &'a Batch, events: impl Iterator<Item = &'a Prepared>, known: &mut KnownHere) {
        for event in events {
            // One shape too many is met again when its event is appended, and kept whole.
            let _number = self.shape_here(batch, event, known);
        }
    }

    /// Appends an event of a batch; `known` is what of that batch has been met here so far, at first nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when the event does not fit any more: the head must be flushed first.
    pub(crate) fn push(&mut self, batch: &Batch, event: &Prepared, known: &mut KnownHere) -> Result<()> {
        let full = || Error::new(ErrorKind::Limit, "the head is full");
        let numbers = batch.numbers_of(event);
        u32::try_from(self.codes.len() + numbers.len() + 1).map_err(|_| full())?;
        let text = batch.text_of(event);
        match self.shape_here(batch, event, known) {
            Some(shape) => self.push_numbers(shape, batch, numbers, text, known),
            None => self.push_whole(text),
        }
        .ok_or_else(full)
    }

    fn push_numbers(&mut self, shape: u32, batch: &Batch, numbers: &[u32], text: &[u8], known: &mut KnownHere) -> Option<()> {
        let start = self.codes.len();
        let newest = numbers.iter().max().map_or(0, |newest| *newest as usize + 1);
        while known.touched < newest {
            self.touch_ahead(batch, known);
        }
        let row = self.shapes.get(shape as usize)?;
        for (number, column) in numbers.iter().zip(row.columns.iter()) {
            let code = match known.values.get(*number as usize) {
                Some(code) if *code != UNKNOWN => *code,
                _ => {
                    let value = batch.values.values.get(*number as usize)?;
                    let Some(code) = self.columns.intern(*column, batch.bytes_of(value), value.hash, value.uses) else {
                        self.codes.truncate(start);
                        return None;
                    };
                    *known.values.get_mut(*number as usize)? = code;
                    code
                }
            };
            self.codes.push(code);
        }
        if row.shape.is_whole() {
            self.whole_bytes += text.len();
        }
        self.documents.push((shape, self.codes.len() as u32));
        Some(())
    }

    /// Brings the next values of a batch to hand.
    fn touch_ahead(&mut self, batch: &Batch, known: &mut KnownHere) {
        let values = batch.values.values.iter().skip(known.touched).take(AHEAD);
        self.columns.touch(values.filter_map(|value| Some((*known.columns.get(value.column as usize)?, value.hash))));
        known.touched += AHEAD;
    }

    /// Keeps an event whole: its shape is one too many.
    fn push_whole(&mut self, text: &[u8]) -> Option<()> {
        let whole = Arc::new(Shape::whole());
        let number = match self.shape_of.get(&whole.hash) {
            Some(number) => *number,
            None => self.add_shape(&whole),
        };
        let column = *self.shapes.get(number as usize)?.columns.first()?;
        self.codes.push(self.columns.intern(column, text, value_hash(text), 1)?);
        self.whole_bytes += text.len();
        self.documents.push((number, self.codes.len() as u32));
        Some(())
    }

    /// The number of an event's shape, looked up once a batch; `None` when there are too many.
    fn shape_here(&mut self, batch: &Batch, event: &Prepared, known: &mut KnownHere) -> Option<u32> {
        let slot = event.shape as usize;
        if known.shapes.get(slot).is_none_or(|shape| *shape == UNKNOWN) {
            let numbered = batch.shape_of(event)?;
            let shape = self.shape(&numbered.shape)?;
            *known.shapes.get_mut(slot)? = shape;
            for (theirs, ours) in batch.values.columns_of(numbered).iter().zip(&self.shapes.get(shape as usize)?.columns) {
                *known.columns.get_mut(*theirs as usize)? = *ours;
            }
        }
        known.shapes.get(slot).copied()
    }

    /// The number of a shape, which is added if it is new; `None` when there are too many.
    fn shape(&mut self, shape: &Arc<Shape>) -> Option<u32> {
        if let Some(number) = self.shape_of.get(&shape.hash) {
            let known = &self.shapes.get(*number as usize)?.shape;
            // Two texts of one hash: the second is kept whole.
            return (Arc::ptr_eq(known, shape) || known.text == shape.text).then_some(*number);
        }
        let full = self.shapes.len() + 1 >= SHAPES_MAX
            || self.shape_bytes + shape.text.len() > SHAPE_BYTES_MAX
            || self.columns.len() + shape.slots.len() >= COLUMNS_MAX;
        (!full || shape.is_whole()).then(|| self.add_shape(shape))
    }

    fn add_shape(&mut self, shape: &Arc<Shape>) -> u32 {
        let columns = shape.slots.iter().map(|path| self.column(path)).collect();
        let number = self.shapes.len() as u32;
        self.shape_bytes += shape.text.len();
        self.shape_of.insert(shape.hash, number);
        self.shapes.push(ShapeRow { shape: shape.clone(), columns });
        number
    }

    fn column(&mut self, path: &Arc<ColumnPath>) -> u32 {
        if let Some(column) = self.column_of.get(path) {
            return *column;
        }
        let column = self.columns.add();
        self.paths.push(path.clone());
        self.column_of.insert(path.clone(), column);
        column
    }

    /// The shape number and the codes of an event.
    #[inline]
    pub(crate) fn row(&self, document: u32) -> (u32, &[Code]) {
        let start = match document.checked_sub(1) {
            Some(before) => self.documents.get(before as usize).map_or(0, |(_, end)| *end),
            None => 0,
        };
        let Some((shape, end)) = self.documents.get(document as usize) else {
            return (0, &[]);
        };
        (*shape, self.codes.get(start as usize..*end as usize).unwrap_or_default())
    }

    /// Appends the text of an event, byte for byte as it came.
    pub(crate) fn text(&self, document: u32, text: &mut Vec<u8>) {
        let (shape, codes) = self.row(document);
        if let Some(row) = self.shapes.get(shape as usize) {
            let leaves = row.columns.iter().zip(codes).map(|(column, code)| self.columns.value(*column, *code));
            assemble(&row.shape.text, leaves, text);
        }
    }

    /// The memory that is held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.bytes() + self.codes.len() * 4 + self.documents.len() * 8 + self.shape_bytes * 2 + self.whole_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DimensionSchema;
    use crate::event::extract::Extractor;
    use proptest::prelude::*;

    fn shred(texts: &[String]) -> Shreds {
        let extractor = Extractor::new(DimensionSchema::default());
        let (batch, rejected) = extractor.prepare(&mut texts.iter().map(String::as_bytes)).unwrap();
        assert_eq!(rejected, []);
        let mut shreds = Shreds::default();
        push_all(&mut shreds, &batch);
        shreds
    }

    fn push_all(shreds: &mut Shreds, batch: &Batch) {
        let mut known = KnownHere::default();
        known.reset(batch);
        batch.events.iter().for_each(|event| shreds.push(batch, event, &mut known).unwrap());
    }

    fn back(shreds: &Shreds, document: u32) -> String {
        let mut text = Vec::new();
        shreds.text(document, &mut text);
        String::from_utf8(text).unwrap()
    }

    proptest! {
        #[test]
        fn every_byte_comes_back(values in prop::collection::vec((any::<String>(), any::<i32>(), 0usize..4), 1..40)) {
            let texts: Vec<String> = values
                .iter()
                .map(|(s, n, extra)| format!("{{\"s\" : {},\"n\":[{n}{}]}}", serde_json::json!(s), ",true".repeat(*extra)))
                .collect();
            let shreds = shred(&texts);
            for (document, text) in texts.iter().enumerate() {
                prop_assert_eq!(&back(&shreds, document as u32), text);
            }
        }
    }

    #[test]
    fn events_of_too_many_shapes_are_kept_whole() {
        let texts: Vec<String> = (0..SHAPES_MAX + 10).map(|i| format!("{{\"k{i}\":1}}")).collect();
        let shreds = texts.chunks(1_000).fold(Shreds::default(), |mut shreds, texts| {
            let extractor = Extractor::new(DimensionSchema::default());
            let (batch, _) = extractor.prepare(&mut texts.iter().map(String::as_bytes)).unwrap();
            push_all(&mut shreds, &batch);
            shreds
        });
        assert!(shreds.shapes().len() <= SHAPES_MAX && shreds.shapes().last().unwrap().shape.is_whole());
        for (document, text) in texts.iter().enumerate() {
            assert_eq!(&back(&shreds, document as u32), text);
        }
    }
}
