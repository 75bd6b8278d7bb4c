//! [`United`]: the columns and shapes of all inputs under new numbers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::event::outline::ColumnPath;
use crate::limits::{COLUMNS_MAX, SHAPE_BYTES_MAX, SHAPES_MAX};
use crate::segment::block::layout::{ColumnEntry, Layout, ShapeEntry};
use crate::segment::merge::breath::Breath;
use crate::segment::read::opened::Segment;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Columns and shapes of all inputs.
#[derive(Debug, Default)]
pub(super) struct United<'a> {
    pub(super) columns: Vec<UnitedColumn<'a>>,
    pub(super) shapes: Vec<ShapeEntry>,
    /// For each input its columns and shapes under their new numbers.
    pub(super) inputs: Vec<Renumbered>,
    shape_bytes: usize,
}

/// One column of the merged segment.
#[derive(Debug)]
pub(super) struct UnitedColumn<'a> {
    pub(super) path: &'a ColumnPath,
    /// The inputs that have it, with its number and what is said of it there.
    pub(super) sources: Vec<(usize, u32, &'a ColumnEntry)>,
    /// How many values it has.
    pub(super) values: u64,
}

/// The new numbers of an input's columns and shapes.
#[derive(Debug, Default)]
pub(super) struct Renumbered {
    pub(super) columns: Vec<u32>,
    pub(super) shapes: Vec<u32>,
}

impl<'a> United<'a> {
    /// Unites the layouts of the inputs, and counts the values of every column.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when a segment cannot hold all of them; [`ErrorKind::Corrupt`]; what `breathe` gives.
    pub(super) fn new(inputs: &'a [Arc<Segment>], breathe: &mut Breath<'_>) -> Result<United<'a>> {
        let (mut united, mut columns, mut shapes) = (United::default(), Map::default(), Map::default());
        for (number, input) in inputs.iter().enumerate() {
            let layout = input.layout()?;
            let renumbered =
                Renumbered { columns: united.add_columns(number, layout, &mut columns), shapes: Vec::with_capacity(layout.shapes.len()) };
            united.inputs.push(renumbered);
            united.add_shapes(number, layout, &mut shapes).map_err(|e| input.locate(e))?;
            united.count_values(number, input, breathe)?;
            // Every block was compared with its checksum; what that brought into memory is read again block by block.
            input.release();
        }
        let within = united.columns.len() < COLUMNS_MAX && united.shapes.len() < SHAPES_MAX && united.shape_bytes <= SHAPE_BYTES_MAX;
        within.then_some(united).ok_or_else(|| Error::new(ErrorKind::Limit, "the segments have too many shapes or columns together"))
    }

    fn add_columns(&mut self, input: usize, layout: &'a Layout, known: &mut Map<&'a ColumnPath, u32>) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(layout.columns.len());
        for (number, entry) in (0u32..).zip(&layout.columns) {
            let united = *known.entry(&entry.path).or_insert_with(|| {
                self.columns.push(UnitedColumn { path: &entry.path, sources: Vec::new(), values: 0 });
                self.columns.len() as u32 - 1
            });
            numbers.push(united);
            if let Some(column) = self.columns.get_mut(united as usize) {
                column.sources.push((input, number, entry));
            }
        }
        numbers
    }

    fn add_shapes(&mut self, input: usize, layout: &'a Layout, known: &mut Map<&'a [u8], u32>) -> Result<()> {
        let Some(renumbered) = self.inputs.get_mut(input) else { return Ok(()) };
        for shape in &layout.shapes {
            let column = |c: &u32| renumbered.columns.get(*c as usize).copied().unwrap_or(u32::MAX);
            let columns: Box<[u32]> = shape.columns.iter().map(column).collect();
            let united = *known.entry(&shape.text).or_insert_with(|| {
                self.shape_bytes += shape.text.len();
                self.shapes.push(ShapeEntry { text: shape.text.clone(), columns: columns.clone() });
                self.shapes.len() as u32 - 1
            });
            if self.shapes.get(united as usize).is_none_or(|known| known.columns != columns) {
                return Err(Error::corrupt("a shape has other columns than its text says").in_component("shapes"));
            }
            renumbered.shapes.push(united);
        }
        Ok(())
    }

    fn count_values(&mut self, number: usize, input: &Segment, breathe: &mut Breath<'_>) -> Result<()> {
        let (layout, directory) = (input.layout()?, input.block_directory()?);
        let (mut raw, mut shapes, mut counts) = (Vec::new(), Vec::new(), vec![0u64; layout.shapes.len()]);
        for block in 0..directory.blocks() {
            breathe()?;
            shapes.clear();
            input.block(&directory, block)?.read_shapes(&mut raw, &mut shapes).map_err(|e| input.locate(e))?;
            for shape in &shapes {
                *counts.get_mut(*shape as usize).ok_or_else(|| input.locate(Error::corrupt("no such shape")))? += 1;
            }
        }
        let renumbered = self.inputs.get(number).map(|r| r.columns.as_slice()).unwrap_or_default();
        for (shape, count) in layout.shapes.iter().zip(counts) {
            for column in &shape.columns {
                let united = renumbered.get(*column as usize).and_then(|column| self.columns.get_mut(*column as usize));
                united.into_iter().for_each(|column| column.values += count);
            }
        }
        Ok(())
    }
}
