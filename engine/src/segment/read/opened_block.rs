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
use crate::segment::block::units::{Block, BlockDirectory, places_of_shared};
use crate::segment::cache::unit_key;
use crate::segment::read::opened::Segment;

type Map<V> = HashMap<u32, V, foldhash::fast::FixedState>;

/// Unfolded units of one block.
#[derive(Debug)]
pub(crate) struct OpenedBlock<'a> {
    block: Block<'a>,
    segment: &'a Segment,
    layout: &'a Layout,
    units: Map<Unfolded<'a>>,
    reuse: Reuse,
}

/// A unit whose chunks can be read.
#[derive(Debug)]
struct Unfolded<'a> {
    raw: Arc<Vec<u8>>,
    plain: &'a [u8],
    /// In a unit of several columns: the places of those that have a chunk, ascending, and where in `raw` it is.
    places: Vec<(u32, Range<usize>)>,
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

    /// Its number in the segment.
    pub(crate) fn number(&self) -> usize {
        self.block.number()
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
                let (raw, plain) = self.unit(entry.unit)?;
                let places = if self.columns_of(entry.unit).len() > 1 { places_of_shared(&raw)? } else { Vec::new() };
                self.units.insert(entry.unit, Unfolded { raw, plain, places });
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

    /// The columns of a unit, ascending.
    fn columns_of(&self, unit: u32) -> &'a [u32] {
        self.layout.units.get(unit as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// The chunk of a column whose unit was unfolded; `None` when the column has no values in the block, or is constant.
    pub(crate) fn chunk(&self, column: u32) -> Result<Option<Chunk<'_>>> {
        let entry = self.layout.column(column)?;
        let Some(Unfolded { raw, plain, places }) = self.units.get(&entry.unit).filter(|_| entry.encoding != Encoding::Constant) else {
            return Ok(None);
        };
        let columns = self.columns_of(entry.unit);
        let alone = columns.len() == 1;
        let chunk = if alone {
            (!raw.is_empty()).then_some(raw.as_slice())
        } else {
            let place = columns.binary_search(&column).ok().and_then(|place| u32::try_from(place).ok());
            let found = place.and_then(|place| places.binary_search_by_key(&place, |(place, _)| *place).ok());
            found.and_then(|found| raw.get(places.get(found)?.1.clone()))
        };
        let values_max = self.documents().len().saturating_mul(self.layout.most_in_one(column));
        chunk.map(|chunk| Chunk::read(entry.encoding, chunk, if alone { plain } else { &[] }, values_max)).transpose()
    }
}
