//! [`OpenedBlock`]: a block whose units are unfolded as they are needed, and kept.
//!
//! Units that somebody may soon want again are looked for in the cache, and left in it. Reading through all of a log leaves nothing
//! there: it would only push out what others use.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::Layout;
use crate::segment::block::units::{Block, BlockDirectory, find_shared};
use crate::segment::cache::unit_key;
use crate::segment::read::opened::Segment;

type Map<V> = HashMap<u32, V, foldhash::fast::FixedState>;

/// Unfolded units of one block.
#[derive(Debug)]
pub(crate) struct OpenedBlock<'a> {
    block: Block<'a>,
    segment: &'a Segment,
    layout: &'a Layout,
    units: Map<(Arc<Vec<u8>>, &'a [u8])>,
    reuse: Reuse,
}

/// Whether units are likely to be wanted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    Likely,
    Unlikely,
}

impl<'a> OpenedBlock<'a> {
    pub(crate) fn open(segment: &'a Segment, directory: &'a BlockDirectory<'a>, number: usize, reuse: Reuse) -> Result<OpenedBlock<'a>> {
        let block = segment.block(directory, number)?;
        Ok(OpenedBlock { block, segment, layout: segment.layout()?, units: Map::default(), reuse })
    }

    pub(crate) fn documents(&self) -> Range<u32> {
        self.block.documents()
    }

    /// The shape number of every document.
    pub(crate) fn shapes(&self) -> Result<Vec<u32>> {
        let (raw, _) = self.unit(0)?;
        self.block.shapes(&raw)
    }

    /// Unfolds the units of these columns.
    pub(crate) fn unfold(&mut self, columns: impl Iterator<Item = u32>) -> Result<()> {
        for column in columns {
            let entry = self.layout.column(column)?;
            if entry.encoding != Encoding::Constant && !self.units.contains_key(&entry.unit) {
                let unit = self.unit(entry.unit)?;
                self.units.insert(entry.unit, unit);
            }
        }
        Ok(())
    }

    /// The raw and the plain part of a unit.
    fn unit(&self, unit: u32) -> Result<(Arc<Vec<u8>>, &'a [u8])> {
        let unfold = || {
            let mut raw = Vec::new();
            self.block.unit(unit, &mut raw).map(|_| raw)
        };
        let (cache, id, key) = (self.segment.units(), self.segment.id(), unit_key(self.block.number(), unit));
        let raw = match self.reuse {
            Reuse::Likely => cache.get_or(id, key, unfold)?,
            Reuse::Unlikely => cache.get(id, key).map_or_else(|| unfold().map(Arc::new), Ok)?,
        };
        Ok((raw, self.block.plain(unit)?))
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
