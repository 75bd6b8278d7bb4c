//! [`Values`]: the distinct values of a batch, numbered in the order in which they first come.
//!
//! **Problem.** Most values of an event were in the event before it. Whoever takes in a batch would otherwise look up each of them
//! anew in tables that do not fit a processor's cache, on the one thread that must do it in order.
//!
//! **Mechanism.** The caller's thread numbers values in a table of this batch alone, which is small and warm; the head looks up
//! each number once, and the journal writes each value once. Columns are those of the batch: slots of shapes that share one
//! [`ColumnPath`] in memory. Two columns may have equal paths, when the shapes in use were forgotten in between: they only repeat a few values.
//! The tables are needed only while the batch is read ([`Numbering`]), and stay with the thread: those of a batch would be cold
//! again for each of many small ones.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashTable;

use super::outline::ColumnPath;
use super::scan::Leaf;
use super::shape::Shape;
use crate::codec::same::same;

/// Names no value and no term.
pub(crate) const NONE: u32 = u32::MAX;

/// One distinct value of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value {
    /// [`value_hash`] of its bytes.
    pub(crate) hash: u64,
    /// Its bytes, in the text of the batch.
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) column: u32,
    /// How many values of its column came before it.
    pub(crate) in_column: u32,
    /// How often it occurs in the batch.
    pub(crate) uses: u32,
    /// The terms that it gave last to an even and to an odd dimension; [`NONE`] where it gave none.
    pub(crate) terms: [u32; 2],
}

/// A shape of the batch, with the columns of its slots.
#[derive(Debug)]
pub(crate) struct NumberedShape {
    pub(crate) shape: Arc<Shape>,
    /// In [`Values`].
    columns: Range<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    /// The value that came last, or [`NONE`]: half of all values repeat it.
    last: u32,
    values: u32,
}

/// The shapes, columns and distinct values of a batch.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) values: Vec<Value>,
    pub(crate) shapes: Vec<NumberedShape>,
    /// The columns of the slots of all shapes.
    slots: Vec<u32>,
    columns: u32,
}

/// What the numbering of one batch goes by.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    columns: Vec<Column>,
    values: HashTable<u32>,
    shape_of: HashMap<u64, u32, foldhash::fast::FixedState>,
    /// By address: the shapes keep every path alive.
    column_of: HashMap<usize, u32, foldhash::fast::FixedState>,
    /// What was found in it of late, by some bits of the address; empty, or [`MET`] entries.
    met: Vec<Met>,
    batch: u32,
    /// For [`super::terms::Terms`].
    pub(super) terms: HashTable<u32>,
}

/// A path of a batch, and its column.
#[derive(Debug, Clone, Copy, Default)]
struct Met {
    address: usize,
    column: u32,
    /// [`Numbering::batch`], which is never 0.
    batch: u32,
}

/// How many columns are kept at hand: 16 bytes each.
const MET: usize = 512;

/// How many entries, of at most 17 bytes, each table may have room for to be kept for the next batch.
const TABLE_KEPT_MAX: usize = 1 << 16;

impl Numbering {
    /// Lets the memory go when a batch needed much.
    pub(super) fn trim(&mut self) {
        let tables = self.values.capacity().max(self.terms.capacity());
        let maps = self.shape_of.capacity().max(self.column_of.capacity()).max(self.columns.capacity());
        if tables.max(maps) > TABLE_KEPT_MAX {
            *self = Numbering::default();
        }
    }

    /// Begins with a batch; keeps the memory.
    pub(super) fn begin(&mut self) {
        self.columns.clear();
        self.values.clear();
        self.terms.clear();
        self.shape_of.clear();
        self.column_of.clear();
        self.batch = self.batch.wrapping_add(1);
        if self.met.is_empty() || self.batch == 0 {
            self.met = vec![Met::default(); MET];
            self.batch = 1;
        }
    }

    /// The column of a path, which is added if it is new to the batch.
    fn column(&mut self, path: &Arc<ColumnPath>) -> u32 {
        let address = Arc::as_ptr(path).addr();
        // Paths are some 64 bytes: the lowest bits say nothing.
        let Some(met) = self.met.get_mut((address >> 4) % MET) else { return NONE };
        if (met.address, met.batch) == (address, self.batch) {
            return met.column;
        }
        let next = self.columns.len() as u32;
        let column = *self.column_of.entry(address).or_insert(next);
        if column == next {
            self.columns.push(Column { last: NONE, values: 0 });
        }
        *met = Met { address, column, batch: self.batch };
        column
    }
}

/// The hash of a value's bytes, in memory only.
#[inline]
pub(crate) fn value_hash(value: &[u8]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(value);
    hasher.finish()
}

/// The hash of a value in a column.
#[inline]
pub(crate) fn column_hash(hash: u64, column: u32) -> u64 {
    // Multiplying by the golden ratio spreads neighbours over all bits (Knuth, The Art of Computer Programming 3, 6.4).
    (hash ^ u64::from(column).wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(26).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Values {
    /// Forgets the batch and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.shapes.clear();
        self.slots.clear();
        self.columns = 0;
    }

    /// The memory that is held, in bytes, but for the shapes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.values.capacity() * size_of::<Value>() + self.slots.capacity() * size_of::<u32>()
    }

    /// How many columns there are.
    pub(crate) fn columns(&self) -> usize {
        self.columns as usize
    }

    /// The columns of a shape's slots.
    pub(crate) fn columns_of(&self, shape: &NumberedShape) -> &[u32] {
        self.slots.get(shape.columns.start as usize..shape.columns.end as usize).unwrap_or_default()
    }

    /// The number of a shape, which is added if it is new to the batch.
    pub(crate) fn shape(&mut self, shape: &Arc<Shape>, numbering: &mut Numbering) -> u32 {
        let number = self.shapes.len() as u32;
        // Of two texts with one hash the second is added as often as it comes.
        let known = *numbering.shape_of.entry(shape.hash).or_insert(number);
        if self.shapes.get(known as usize).is_some_and(|s| Arc::ptr_eq(&s.shape, shape) || s.shape.text == shape.text) {
            return known;
        }
        let start = self.slots.len() as u32;
        self.slots.extend(shape.slots.iter().map(|path| numbering.column(path)));
        self.columns = numbering.columns.len() as u32;
        self.shapes.push(NumberedShape { shape: shape.clone(), columns: start..self.slots.len() as u32 });
        number
    }

    /// Appends the number of each leaf of an event, whose text begins at `start` of the batch's text.
    pub(crate) fn number(
        &mut self,
        shape: u32,
        (text, start): (&[u8], u32),
        leaves: &[Leaf],
        numbering: &mut Numbering,
        numbers: &mut Vec<u32>,
    ) {
        let Values { values, shapes, slots, .. } = self;
        let Numbering { columns, values: table, .. } = numbering;
        let Some(shape) = shapes.get(shape as usize) else { return };
        let slots = slots.get(shape.columns.start as usize..shape.columns.end as usize).unwrap_or_default();
        for (leaf, number) in leaves.iter().zip(slots) {
            let Some(column) = columns.get_mut(*number as usize) else { continue };
            let (from, to) = (start + leaf.start, start + leaf.end);
            let bytes = text.get(from as usize..to as usize).unwrap_or_default();
            let is_it = |value: &Value| text.get(value.start as usize..value.end as usize).is_some_and(|it| same(it, bytes));
            let repeated = values.get_mut(column.last as usize).filter(|last| is_it(last));
            if let Some(last) = repeated {
                last.uses += 1;
                numbers.push(column.last);
                continue;
            }
            let hash = value_hash(bytes);
            let same = |at: &u32| values.get(*at as usize).is_some_and(|v| v.hash == hash && v.column == *number && is_it(v));
            let found = table.find(column_hash(hash, *number), same).copied();
            column.last = found.unwrap_or(values.len() as u32);
            numbers.push(column.last);
            if let Some(value) = found.and_then(|at| values.get_mut(at as usize)) {
                value.uses += 1;
                continue;
            }
            values.push(Value { hash, start: from, end: to, column: *number, in_column: column.values, uses: 1, terms: [NONE; 2] });
            column.values += 1;
            let hash_of = |at: &u32| values.get(*at as usize).map_or(0, |v| column_hash(v.hash, v.column));
            table.insert_unique(column_hash(hash, *number), column.last, hash_of);
        }
    }
}
