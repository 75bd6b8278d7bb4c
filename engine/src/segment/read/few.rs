//! [`Few`]: single values of a block that was not read.
//!
//! Problem: the events of one identity lie in as many blocks of a large log as there are events. To unfold a block's units for good, expand its
//! predicted columns and keep all that in the cache costs ten times what one event needs, and pushes out what others use. Mechanism:
//! the units of the document's shape are unfolded and thrown away again, single values are read from them, and of a predicted column
//! only what decides about the value is looked at: the codes of its parent up to the document, and those only where something was stored before.
//! Limits: it is for few documents of a block; many are cheaper with [`crate::segment::read::opened_block::OpenedBlock`].

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::segment::block::chunk::{Chunk, Encoding};
use crate::segment::block::layout::Layout;
use crate::segment::block::predicted::{At, Stored, first_codes};
use crate::segment::block::predictions::{Prediction, Predictions};
use crate::segment::block::single::read_one;
use crate::segment::block::units::{Block, places_of_shared};
use crate::segment::cache::unit_key;
use crate::segment::read::opened::Segment;
use crate::segment::read::rows::Values;

type Map<V> = HashMap<u32, V, foldhash::fast::FixedState>;

/// Single values of one block.
pub(crate) struct Few<'a> {
    block: Block<'a>,
    segment: &'a Segment,
    layout: &'a Layout,
    predictions: &'a Predictions,
    /// The shapes of the documents up to the last that is wanted.
    shapes: &'a [u32],
    units: Map<Unit<'a>>,
    /// By predicted columns: the codes of their parents, for each of their own values up to the last document.
    parents: Map<Rc<Vec<u32>>>,
    /// By parents: their codes, up to the last document.
    codes: Map<Rc<Vec<u32>>>,
    shape: u32,
    /// For each column the place of the first value of the document at hand.
    starts: Vec<u32>,
}

/// A unit that was unfolded.
struct Unit<'a> {
    raw: Arc<Vec<u8>>,
    plain: &'a [u8],
    /// Whether it comes from the cache, where predictions are expanded.
    is_expanded: bool,
    /// In a unit of several columns: where the chunk of each is.
    places: Vec<(u32, Range<usize>)>,
}

/// The chunk of one column.
struct Found<'a> {
    unit: Arc<Vec<u8>>,
    /// Where in the unit it is; nowhere when the column has no values in the block.
    range: Range<usize>,
    plain: &'a [u8],
    /// Whether it has plain codes though its column is predicted.
    is_expanded: bool,
}

impl Found<'_> {
    fn raw(&self) -> &[u8] {
        self.unit.get(self.range.clone()).unwrap_or_default()
    }
}

impl<'a> Few<'a> {
    /// Of a block whose documents up to the last that is wanted have these shapes.
    pub(crate) fn new(segment: &'a Segment, block: Block<'a>, shapes: &'a [u32]) -> Result<Few<'a>> {
        let (layout, predictions) = (segment.layout()?, segment.predictions()?);
        let (units, parents, codes) = (Map::default(), Map::default(), Map::default());
        Ok(Few { block, segment, layout, predictions, shapes, units, parents, codes, shape: 0, starts: Vec::new() })
    }

    /// The chunk of a column that is no constant.
    fn chunk(&mut self, column: u32) -> Result<Found<'a>> {
        let number = self.layout.column(column)?.unit;
        let columns = self.layout.units.get(number as usize).map(Vec::as_slice).unwrap_or_default();
        if !self.units.contains_key(&number) {
            let unit = self.unfold(number, columns.len() > 1)?;
            self.units.insert(number, unit);
        }
        let Some(Unit { raw, plain, is_expanded, places }) = self.units.get(&number) else { return Err(Error::corrupt("no such unit")) };
        let unit = Arc::clone(raw);
        if columns.len() == 1 {
            return Ok(Found { range: 0..unit.len(), unit, plain, is_expanded: *is_expanded });
        }
        let place = columns.binary_search(&column).ok().and_then(|place| u32::try_from(place).ok());
        let found = place.and_then(|place| places.binary_search_by_key(&place, |(place, _)| *place).ok());
        let range = found.and_then(|found| places.get(found)).map_or(0..0, |(_, range)| range.clone());
        Ok(Found { unit, range, plain: &[], is_expanded: true })
    }

    fn unfold(&self, number: u32, is_shared: bool) -> Result<Unit<'a>> {
        let held = self.segment.units().get(self.segment.id(), unit_key(self.block.number(), number));
        let is_expanded = held.is_some();
        let raw = match held {
            Some(raw) => raw,
            None => {
                let mut raw = Vec::new();
                self.block.unit(number, &mut raw)?;
                Arc::new(raw)
            }
        };
        let places = if is_shared { places_of_shared(&raw)? } else { Vec::new() };
        Ok(Unit { raw, plain: self.block.plain(number)?, is_expanded, places })
    }

    /// The code of a value of the document at hand in a predicted column.
    fn predicted(&mut self, column: u32, index: usize, raw: &[u8], (prediction, map): (&Prediction, &[u32])) -> Result<u32> {
        let stored = Stored::read_any(raw)?;
        let parent = match stored.at(index)? {
            At::Stored(code) => return Ok(code),
            At::Mapped => self.parent(column, index, prediction)?,
            At::Expected { before } => {
                let parents = self.parents(prediction)?;
                if let Some(code) = stored.remembered(index, before, &parents) {
                    return Ok(code);
                }
                parents.get(index).copied().ok_or_else(too_few)?
            }
        };
        Ok(map.get(parent as usize).copied().unwrap_or(u32::MAX))
    }

    /// The code that a predicted value of the document at hand goes with.
    fn parent(&mut self, column: u32, index: usize, prediction: &Prediction) -> Result<u32> {
        let Some(parent) = prediction.parent else { return Ok(self.shape) };
        let start = |column: u32| self.starts.get(column as usize).map_or(0, |start| *start as usize);
        match prediction.with(self.shape, index.saturating_sub(start(column))) {
            Some(place) => {
                let index = start(parent) + place;
                self.value(parent, index, &mut Vec::new())?.ok_or_else(|| Error::corrupt("a column is predicted from one without codes"))
            }
            None => Ok(prediction.nothing()),
        }
    }

    /// The parent's code for each value of a predicted column, up to the last document.
    fn parents(&mut self, prediction: &Prediction) -> Result<Rc<Vec<u32>>> {
        if let Some(parents) = self.parents.get(&prediction.column) {
            return Ok(Rc::clone(parents));
        }
        let codes = prediction.parent.map_or_else(|| Ok(Rc::default()), |parent| self.codes(parent))?;
        let mut parents = Vec::with_capacity(self.shapes.len());
        prediction.parents(self.shapes, &codes, &mut parents)?;
        let parents = Rc::new(parents);
        self.parents.insert(prediction.column, Rc::clone(&parents));
        Ok(parents)
    }

    /// The codes of a column, up to the last document at least.
    fn codes(&mut self, column: u32) -> Result<Rc<Vec<u32>>> {
        if let Some(codes) = self.codes.get(&column) {
            return Ok(Rc::clone(codes));
        }
        let found = self.chunk(column)?;
        let chunk = found.raw();
        let codes = match self.predictions.find(column) {
            _ if chunk.is_empty() => Vec::new(),
            Some((prediction, map)) if !found.is_expanded => {
                let parents = self.parents(prediction)?;
                first_codes(chunk, &parents, |parent| map.get(parent as usize).copied().unwrap_or(u32::MAX))?
            }
            _ => {
                let values_max = self.block.documents().len().saturating_mul(self.layout.most_in_one(column));
                Chunk::read(Encoding::Codes, chunk, &[], values_max)?.codes()
            }
        };
        let codes = Rc::new(codes);
        self.codes.insert(column, Rc::clone(&codes));
        Ok(codes)
    }
}

fn too_few() -> Error {
    Error::corrupt("a column has too few values")
}

impl Values for Few<'_> {
    fn begin(&mut self, shape: u32, next: &[u32]) {
        self.shape = shape;
        self.starts.clear();
        self.starts.extend_from_slice(next);
    }

    fn value(&mut self, column: u32, index: usize, out: &mut Vec<u8>) -> Result<Option<u32>> {
        let encoding = self.layout.column(column)?.encoding;
        let found = self.chunk(column)?;
        let chunk = found.raw();
        if chunk.is_empty() {
            return Err(too_few().in_component(format!("column {column}")));
        }
        let value = match self.predictions.find(column) {
            Some(prediction) if !found.is_expanded => self.predicted(column, index, chunk, prediction).map(Some),
            _ => read_one(encoding, chunk, found.plain, index, out),
        };
        value.map_err(|e| e.in_component(format!("column {column}")))
    }
}
