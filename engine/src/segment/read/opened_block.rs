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
use crate::segment::block::predicted;
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
    /// The shapes of the documents, once a prediction needed them.
    shapes: Vec<u32>,
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
        Ok(OpenedBlock { block, segment, layout: segment.layout()?, units: Map::default(), reuse, shapes: Vec::new() })
    }

    /// The block as it lies in the file.
    pub(crate) fn stored(&self) -> Block<'a> {
        self.block
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
        let unfold = || {
            let mut raw = Vec::new();
            self.block.unit(0, &mut raw).map(|_| raw)
        };
        let (cache, id, key) = (self.segment.units(), self.segment.id(), unit_key(self.block.number(), 0));
        let raw = match self.reuse {
            Reuse::Likely => cache.get_or(id, key, unfold)?,
            Reuse::Unlikely => cache.get(id, key).map_or_else(|| unfold().map(Arc::new), Ok)?,
        };
        self.block.shapes(&raw)
    }

    /// Unfolds the units of these columns.
    pub(crate) fn unfold(&mut self, columns: impl Iterator<Item = u32>) -> Result<()> {
        for column in columns {
            let entry = self.layout.column(column)?;
            if entry.encoding != Encoding::Constant {
                self.open_unit(entry.unit)?;
            }
        }
        Ok(())
    }

    /// Unfolds a unit; of a predicted column before it that of the column it is predicted from.
    fn open_unit(&mut self, unit: u32) -> Result<()> {
        if self.units.contains_key(&unit) {
            return Ok(());
        }
        let (cache, id, key) = (self.segment.units(), self.segment.id(), unit_key(self.block.number(), unit));
        let raw = match cache.get(id, key) {
            Some(raw) => raw,
            None => {
                let mut raw = Vec::new();
                self.block.unit(unit, &mut raw)?;
                let raw = self.expanded(unit, raw)?;
                if self.reuse == Reuse::Likely { cache.put(id, key, raw) } else { Arc::new(raw) }
            }
        };
        let plain = self.block.plain(unit)?;
        let places = if self.columns_of(unit).len() > 1 { places_of_shared(&raw)? } else { Vec::new() };
        self.units.insert(unit, Unfolded { raw, plain, places });
        Ok(())
    }

    /// The raw part of a unit as it would be if its column were not predicted.
    fn expanded(&mut self, unit: u32, raw: Vec<u8>) -> Result<Vec<u8>> {
        let prediction = match self.layout.units.get(unit as usize).map(Vec::as_slice) {
            Some([column]) if !raw.is_empty() => self.segment.predictions()?.find(*column),
            _ => None,
        };
        let Some((prediction, map)) = prediction else { return Ok(raw) };
        let mut codes = Vec::new();
        if let Some(parent) = prediction.parent {
            self.open_unit(self.layout.column(parent)?.unit)?;
            codes = self.chunk(parent)?.map(|chunk| chunk.codes()).unwrap_or_default();
        }
        if self.shapes.is_empty() {
            self.shapes = self.shapes()?;
        }
        let mut parents = Vec::with_capacity(self.shapes.len());
        prediction.parents(&self.shapes, &codes, &mut parents)?;
        let mut expanded = Vec::new();
        let of = |parent: u32| map.get(parent as usize).copied().unwrap_or(u32::MAX);
        let expand = predicted::expand(&raw, &parents, of, &mut expanded);
        expand.map_err(|e| e.in_component(format!("unit {unit} of block {}", self.block.number())))?;
        Ok(expanded)
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
