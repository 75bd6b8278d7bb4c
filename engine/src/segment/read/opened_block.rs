//! [`OpenedBlock`]: a block whose units are unfolded as they are needed, and kept.

use std::collections::HashMap;
use std::ops::Range;

use crate::error::Result;
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::Layout;
use crate::segment::block::units::{Block, BlockDirectory, find_shared};
use crate::segment::read::opened::Segment;

type Map<V> = HashMap<u32, V, foldhash::fast::FixedState>;

/// Unfolded units of one block.
#[derive(Debug)]
pub(crate) struct OpenedBlock<'a> {
    block: Block<'a>,
    layout: &'a Layout,
    units: Map<(Vec<u8>, &'a [u8])>,
}

impl<'a> OpenedBlock<'a> {
    pub(crate) fn open(segment: &'a Segment, directory: &'a BlockDirectory<'a>, number: usize) -> Result<OpenedBlock<'a>> {
        Ok(OpenedBlock { block: segment.block(directory, number)?, layout: segment.layout()?, units: Map::default() })
    }

    pub(crate) fn documents(&self) -> Range<u32> {
        self.block.documents()
    }

    /// The shape number of every document.
    pub(crate) fn shapes(&self) -> Result<Vec<u32>> {
        let (mut raw, mut shapes) = (Vec::new(), Vec::with_capacity(self.documents().len()));
        self.block.shapes(&mut raw, &mut shapes)?;
        Ok(shapes)
    }

    /// Unfolds the units of these columns.
    pub(crate) fn unfold(&mut self, columns: impl Iterator<Item = u32>) -> Result<()> {
        for column in columns {
            let entry = self.layout.column(column)?;
            if entry.encoding != Encoding::Constant && !self.units.contains_key(&entry.unit) {
                let mut raw = Vec::new();
                let plain = self.block.unit(entry.unit, &mut raw)?;
                self.units.insert(entry.unit, (raw, plain));
            }
        }
        Ok(())
    }

    /// The chunk of a column whose unit was unfolded; `None` when the column has no values in the block, or is constant.
    pub(crate) fn chunk(&self, column: u32) -> Result<Option<Chunk<'_>>> {
        let entry = self.layout.column(column)?;
        let Some((raw, plain)) = self.units.get(&entry.unit).filter(|_| entry.encoding != Encoding::Constant) else {
            return Ok(None);
        };
        let columns = self.layout.units.get(entry.unit as usize).map(Vec::as_slice).unwrap_or_default();
        let alone = columns.len() == 1;
        let chunk = match columns.iter().zip(0u32..).find(|(c, _)| **c == column) {
            Some((_, place)) if !alone => find_shared(raw, place)?,
            _ => (!raw.is_empty()).then_some(raw.as_slice()),
        };
        let values_max = self.documents().len().saturating_mul(self.layout.most_in_one(column));
        chunk.map(|chunk| Chunk::read(entry.encoding, chunk, if alone { plain } else { &[] }, values_max)).transpose()
    }
}
