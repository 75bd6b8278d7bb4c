//! Events as numbers of shapes and values: the shorter form of a batch.
//!
//! **Problem.** Written out, the events of a batch repeat themselves; to compress that away costs more than anything else on the
//! way to the disk.
//!
//! **Mechanism.** The batch has its shapes and distinct values numbered already. They are written once each, and an event as the
//! number of its shape and one number for each leaf: the value that came last in the column, the next new one, or an older one of
//! the column. Reading is the same walk backwards: it needs no JSON, and puts the text together byte for byte.
//!
//! **Limits.** Those of a batch: every event, and all together, are as long as they may be and no longer. The bytes are described
//! in `FORMAT.md`.

use std::ops::Range;

use crate::codec::read::Reader;
use crate::codec::write::Write as _;
use crate::error::{Error, Result};
use crate::event::Batch;
use crate::event::scan::WHOLE_MARK;
use crate::event::shape::assemble;
use crate::limits::{BATCH_BYTES_MAX, COLUMNS_MAX, EVENT_BYTES_MAX, SHAPES_MAX};

/// The value that came last in its column.
const LAST: u64 = 0;
/// The next value, which its column has not had yet.
const NEXT: u64 = 1;
/// And one more for each value that the column had before.
const EARLIER: u64 = 2;

/// Whether a batch has this form: one with more shapes or columns than are read again has not.
pub(super) fn fits(batch: &Batch) -> bool {
    batch.values.shapes.len() <= SHAPES_MAX && batch.values.columns() <= COLUMNS_MAX
}

/// Appends all events of a batch that [`fits`].
pub(super) fn encode(batch: &Batch, out: &mut Vec<u8>) {
    let values = &batch.values;
    out.put_varint(values.shapes.len() as u64);
    for numbered in &values.shapes {
        out.put_varint(numbered.shape.text.len() as u64);
        out.put_bytes(&numbered.shape.text);
        values.columns_of(numbered).iter().for_each(|column| out.put_varint(u64::from(*column)));
    }
    out.put_varint(values.values.len() as u64);
    values.values.iter().for_each(|value| out.put_varint(u64::from(value.end - value.start)));
    let (mut last, mut next) = (Vec::new(), 0);
    for event in &batch.events {
        out.put_varint(u64::from(event.shape));
        for number in batch.numbers_of(event) {
            let Some(value) = values.values.get(*number as usize) else { continue };
            let column = value.column as usize;
            if last.len() <= column {
                last.resize(column + 1, u32::MAX);
            }
            let Some(last) = last.get_mut(column) else { continue };
            match () {
                () if *last == *number => out.put_varint(LAST),
                () if *number == next => {
                    out.put_varint(NEXT);
                    next += 1;
                }
                () => out.put_varint(EARLIER + u64::from(value.in_column)),
            }
            *last = *number;
        }
    }
    values.values.iter().for_each(|value| out.put_bytes(batch.bytes_of(value)));
}

/// Unfolds `events` events into `out`; the ranges are those of the events in it.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] when the bytes are not what [`encode`] makes. What is allocated is bounded by their number, and
/// the text by the limits of a batch.
pub(super) fn decode(raw: &[u8], events: usize, out: &mut Vec<u8>) -> Result<Vec<Range<usize>>> {
    let mut reader = Reader::new(raw);
    let mut columns = Vec::new();
    let shapes = read_shapes(&mut reader, &mut columns)?;
    let count = reader.length(raw.len())?;
    let lengths: Vec<usize> = (0..count).map(|_| reader.length(EVENT_BYTES_MAX)).collect::<Result<_>>()?;
    let rows = reader.position();
    let total: usize = lengths.iter().sum();
    let text = raw.len().checked_sub(total).filter(|text| *text >= rows);
    let Some((rows, text)) = text.and_then(|text| Some((raw.get(rows..text)?, raw.get(text..)?))) else {
        return Err(Error::corrupt("the values of a batch are longer than the batch").expected(raw.len(), total));
    };
    let mut unfolding = Unfolding { reader: Reader::new(rows), columns, values: places(text, &lengths), next: 0, leaves: Vec::new() };
    let ranges = (0..events).map(|_| unfolding.event(&shapes, out)).collect::<Result<_>>()?;
    if unfolding.next != unfolding.values.len() {
        return Err(Error::corrupt("a batch has values that no event has").expected(unfolding.next, unfolding.values.len()));
    }
    unfolding.reader.finish()?;
    Ok(ranges)
}

/// A shape, with the column of each leaf.
struct ReadShape<'a> {
    text: &'a [u8],
    columns: Vec<usize>,
}

#[derive(Default)]
struct Column<'a> {
    values: Vec<&'a [u8]>,
    last: Option<&'a [u8]>,
}

/// Reads the shapes, and makes room for their columns, which are numbered as they come.
fn read_shapes<'a>(reader: &mut Reader<'a>, columns: &mut Vec<Column<'a>>) -> Result<Vec<ReadShape<'a>>> {
    let count = reader.length(SHAPES_MAX)?;
    let mut shapes = Vec::new();
    for _ in 0..count {
        let length = reader.length(EVENT_BYTES_MAX)?;
        let text = reader.bytes(length)?;
        let slots = text.iter().filter(|byte| **byte <= WHOLE_MARK).count();
        let mut of_shape = Vec::new();
        for _ in 0..slots {
            let column = reader.length(columns.len().min(COLUMNS_MAX - 1))?;
            if column == columns.len() {
                columns.push(Column::default());
            }
            of_shape.push(column);
        }
        shapes.push(ReadShape { text, columns: of_shape });
    }
    Ok(shapes)
}

/// The bytes of each value.
fn places<'a>(mut text: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut values = Vec::with_capacity(lengths.len());
    for length in lengths {
        let (value, rest) = text.split_at_checked(*length).unwrap_or_default();
        values.push(value);
        text = rest;
    }
    values
}

struct Unfolding<'a> {
    reader: Reader<'a>,
    columns: Vec<Column<'a>>,
    values: Vec<&'a [u8]>,
    /// How many values have come.
    next: usize,
    /// Those of the event that is read.
    leaves: Vec<&'a [u8]>,
}

impl<'a> Unfolding<'a> {
    fn event(&mut self, shapes: &[ReadShape<'a>], out: &mut Vec<u8>) -> Result<Range<usize>> {
        let number = self.reader.length(shapes.len())?;
        let shape = shapes.get(number).ok_or_else(|| Error::corrupt("an event has a shape that its batch has not"))?;
        self.leaves.clear();
        let mut bytes = shape.text.len();
        for column in &shape.columns {
            let value = self.value(*column)?;
            // A leaf takes the place of a mark; two more are its quotes.
            bytes = bytes.saturating_add(value.len() + 1);
            self.leaves.push(value);
        }
        let start = out.len();
        if bytes > EVENT_BYTES_MAX + 2 * shape.columns.len() || start + bytes > BATCH_BYTES_MAX + 2 * shape.columns.len() {
            return Err(Error::corrupt("the events of a batch are longer than they can be").expected(EVENT_BYTES_MAX, bytes));
        }
        assemble(shape.text, self.leaves.iter().copied(), out);
        Ok(start..out.len())
    }

    fn value(&mut self, column: usize) -> Result<&'a [u8]> {
        let code = self.reader.varint()?;
        let missing = || Error::corrupt("an event has a value that its batch has not");
        let column = self.columns.get_mut(column).ok_or_else(missing)?;
        let value = match code {
            LAST => column.last,
            NEXT => {
                let value = self.values.get(self.next).copied();
                self.next += 1;
                column.values.extend(value);
                value
            }
            _ => usize::try_from(code - EARLIER).ok().and_then(|at| column.values.get(at).copied()),
        };
        column.last = value;
        value.ok_or_else(missing)
    }
}
